# SPDX-License-Identifier: GPL-3.0-or-later
"""Kafka fails: an upload waits or ends with the code that says so, and nothing is lost."""

import json
import subprocess
import threading
import time

from tests.lib.faults import FaultCase
from tests.lib.harness import Kafka, free_port, wait_until
from tests.oracle import orders

SECONDS = 200


class KafkaFails(FaultCase):
    def test_down_at_start(self):
        port = free_port()
        self.kafka = Kafka(self.path("kafka"))
        self.kafka.address = f"127.0.0.1:{port}"
        self.coordinator = self.new_coordinator().start()
        self.assertEqual(self.coordinator.http("GET", "/livez").status, 200)
        wait_until(lambda: self.coordinator.http("GET", "/readyz").json["kafka"] != "ok", what="a word about Kafka")
        self.assertEqual(self.coordinator.http("GET", "/v1/tenants/default").json["state"], "preparing")
        self.tload("define-table", "t", "id int", "--key", "id", exit=5, timeout=45)
        self.tload("tables")
        path = self.write("a.csv", "id\n1\n2\n")
        done = self.tload("upload", path, "--table", "t", exit=5)
        self.assertIn("nothing is lost", done.stderr)
        self.assertEqual(self.uploads(), [])

        self.addCleanup(self.kafka.stop)
        self.kafka.start(port)
        tenant = "/v1/tenants/default"
        wait_until(lambda: self.coordinator.http("GET", tenant).json["state"] == "ready", what="the topics")
        wait_until(lambda: self.coordinator.http("GET", "/readyz").json["kafka"] == "ok", what="Kafka")
        self.tload("define-table", "t", "id int", "--key", "id")
        self.assertEqual(self.upload("t", path)["rows_applied"], 2)
        self.assertEqual(self.query("select id from t order by id"), [(1,), (2,)])
        self.coordinator.stop()

    def test_down_while_everything_else_is_up(self):
        self.start(kafka=self.own_kafka())
        table = self.define("id int")
        path = self.write("a.csv", "id\n1\n")
        self.upload(table, path)
        self.kafka.kill()
        done = self.tload("upload", path, "--table", table, exit=5)
        self.assertRegex(done.stderr, "(nothing is|is not) lost")
        self.tload("tables")
        # A coordinator that starts anew meanwhile serves as well, and ends as it should.
        self.coordinator.stop()
        self.coordinator.start()
        self.tload("uploads")
        self.kafka.start()
        wait_until(lambda: self.coordinator.http("GET", "/readyz").json["kafka"] == "ok", 60, "Kafka")
        self.assertEqual(self.upload(table, self.write("b.csv", "id\n2\n3\n"))["rows_applied"], 2)
        self.assertEqual(self.query(f"select id from {table} order by id"), [(1,), (2,), (3,)])

    def test_killed_in_the_middle_of_an_upload(self):
        self.start(kafka=self.own_kafka())
        table = self.define(*orders.DEFINITION)
        path = orders.write(self.path("orders.csv"), 120000, wrong=0.01, ids=100000)
        due = orders.expected(path, shown_name="(stdin)")
        process = self.tload_start("--json", "upload", "-", "--table", table, stdin=subprocess.PIPE)

        def restart():
            self.wait_applied(self.upload_of(process)["upload"], 1, process)
            self.kafka.kill()
            self.kafka.start()

        def restart_while_it_sends():
            threads.append(threading.Thread(target=restart))
            threads[-1].start()

        threads = []
        self.feed(process, path, [(0.3, restart), (0.6, restart_while_it_sends)])
        for thread in threads:
            thread.join()
        self.assertEqual(process.wait(120), 3, process)
        self.check(table, json.loads(process.stdout), due)

    def test_killed_while_a_file_is_processed(self):
        self.start(kafka=self.own_kafka())
        table, due, process = self.load_orders(200000, wrong=0.01)
        self.wait_applied(self.upload_of(process)["upload"], 1, process)
        self.kafka.kill()
        self.kafka.start()
        self.assertEqual(process.wait(120), 3, process)
        self.check(table, json.loads(process.stdout), due)

    def test_hangs_for_a_while(self):
        self.start(kafka=self.own_kafka())
        table, due, process = self.load_orders(100000, wrong=0.01)
        self.upload_of(process)
        self.kafka.pause()
        deadline = time.monotonic() + 6
        wait_until(lambda: time.monotonic() > deadline or process.poll() is not None)
        self.kafka.resume()
        self.assertEqual(process.wait(120), 3, process)
        self.check(table, json.loads(process.stdout), due)

    def test_broker_that_refuses_large_messages(self):
        self.start({"kafka": {"compression": "none"}}, kafka=self.own_kafka())
        table = self.define("id int", "v text")
        self.upload(table, self.write("a.csv", "id,v\n0,x\n"))
        self.kafka.alter("tload.default.raw-input", max_message_bytes=100000)
        path = self.write("b.csv", "id,v\n" + "".join(f"{i},{'x' * 1000}\n" for i in range(1, 5000)))
        done = self.tload("upload", path, "--table", table, "--compression", "none", exit=1)
        self.assertIn("too large", done.stderr.lower())
        upload = self.uploads()[0]
        self.tload("wait", upload["upload"], exit=1)
        upload = self.look(upload["upload"])
        self.assertEqual(upload["state"], "failed")
        self.assertIn("too large", upload["reason"].lower())
        self.assertEqual(upload["rows_applied"], self.query(f"select count(*) from {table}")[0][0] - 1)
        self.kafka.alter("tload.default.raw-input", max_message_bytes=8 * 1024 * 1024)
        self.assertEqual(self.upload(table, path)["rows_applied"], 4999)

    def test_validated_input_that_refuses_large_messages(self):
        """It can't go on: it waits and says why, and goes on when the topic takes what it has to."""
        self.start({"kafka": {"compression": "none"}}, kafka=self.own_kafka())
        table = self.define("id int", "v text")
        self.kafka.alter("tload.default.validated-input", max_message_bytes=100000)
        path = self.write("b.csv", "id,v\n" + "".join(f"{i},{'x' * 1000}\n" for i in range(5000)))
        process = self.tload_start("--json", "upload", path, "--table", table)
        upload = self.upload_of(process)["upload"]
        waiting = wait_until(lambda: self.look(upload)["waiting"], what="a word about what it waits for")
        self.assertIn("too large", waiting.lower())
        self.kafka.alter("tload.default.validated-input", max_message_bytes=8 * 1024 * 1024)
        self.assertEqual(process.wait(60), 0, process)
        self.assertEqual(self.query(f"select count(*), min(id), max(id) from {table}"), [(5000, 0, 4999)])


class RecordsAreDeleted(FaultCase):
    """By hand, or by a setting that somebody changed: what was not applied yet is gone. That must not pass in silence."""

    def check(self, topic, said):
        self.start(settings={"kafka": {"partitions": 1}}, kafka=self.own_kafka())
        table = self.define("id int")
        self.upload(table, self.write("a.csv", "id\n1\n"))
        self.coordinator.stop()
        topic = f"tload.default.{topic}"
        for _ in range(3):
            self.kafka.produce(topic, b"none of ours")
        self.kafka.delete_records(topic, 0, self.kafka.watermarks(topic, 0)[1])
        self.coordinator.start()
        process = self.tload_start("upload", self.write("b.csv", "id\n2x\n"), "--table", table, "--id", "late")
        wait_until(lambda: said in ((self.look("late") or {}).get("waiting") or ""), what="the reason")
        self.assertIn(said, self.coordinator.log)
        self.assertIsNone(process.poll())
        self.assertEqual(self.query(f"select id from {table}"), [(1,)])

    def test_before_they_were_checked(self):
        self.check("raw-input", "deleted before it was checked")

    def test_before_they_were_applied(self):
        self.check("validated-input", "nothing more of this partition is applied")

    def test_before_they_were_stored(self):
        self.check("import-error", "nothing more of this partition is applied")
