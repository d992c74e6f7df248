# SPDX-License-Identifier: GPL-3.0-or-later
"""Kafka, the coordinator or the disk fails: an upload waits or ends with the code that says so, and nothing is lost."""

import json
import os
import sqlite3
import subprocess
import threading
import time
import unittest

from tests.lib.harness import Kafka, TestCase, free_port, wait_until
from tests.oracle import orders
from tests.torture.proxy import Proxy


class FaultCase(TestCase):
    def path(self, name):
        return os.path.join(self.dir, name)

    def uploads(self):
        return self.coordinator.http("GET", "/v1/tenants/default/uploads").json["uploads"]

    def upload_of(self, process):
        """The object of the only upload, once it is there."""

        def only():
            self.assertIsNone(process.poll(), process)
            return self.uploads()

        return wait_until(only, what="the upload's begin")[0]

    def look(self, upload):
        return self.coordinator.http("GET", f"/v1/tenants/default/uploads/{upload}").json

    def wait_applied(self, upload, rows, process=None):
        def applied():
            if process is not None:
                self.assertIsNone(process.poll(), process)
            return self.look(upload)["rows_applied"] >= rows

        wait_until(applied, what=f"{rows} rows in the table")

    def check(self, table, upload, due):
        """All of it is there, counted right, each rejected row stored once."""
        self.assertEqual(upload["state"], "done_with_errors" if due.rejected else "done")
        self.assertEqual(upload["rows_read"], due.read_rows)
        self.assertEqual(upload["rows_rejected"], len(due.rejected))
        self.assertEqual(upload["rows_applied"], due.read_rows - len(due.rejected))
        self.assertEqual(self.query(f"select * from {table} order by id"), due.sorted())
        self.assertEqual(
            [(r["file"], r["line"], r["column"], r["code"], r["raw"]) for r in self.rejected(upload["upload"])],
            due.rejected,
        )

    def feed(self, process, path, pieces):
        """Writes the file into the process's standard input; pieces gives (share of the file, what to do then)."""
        with open(path, "rb") as f:
            content = f.read()
        at = 0
        for share, then in pieces:
            end = int(len(content) * share)
            process.stdin.write(content[at:end])
            process.stdin.flush()
            at = end
            then()
        process.stdin.write(content[at:])
        process.stdin.close()


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
        table = self.define(*orders.DEFINITION)
        path = orders.write(self.path("orders.csv"), 200000, wrong=0.01)
        due = orders.expected(path)
        process = self.tload_start("--json", "upload", path, "--table", table)
        self.wait_applied(self.upload_of(process)["upload"], 1, process)
        self.kafka.kill()
        self.kafka.start()
        self.assertEqual(process.wait(120), 3, process)
        self.check(table, json.loads(process.stdout), due)

    def test_hangs_for_a_while(self):
        self.start(kafka=self.own_kafka())
        table = self.define(*orders.DEFINITION)
        path = orders.write(self.path("orders.csv"), 100000, wrong=0.01)
        due = orders.expected(path)
        process = self.tload_start("--json", "upload", path, "--table", table)
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


class CoordinatorFails(FaultCase):
    def test_killed_in_the_middle(self):
        self.start(kafka=self.own_kafka())
        table = self.define(*orders.DEFINITION)
        path = orders.write(self.path("orders.csv"), 220000, wrong=0.01, ids=200000)
        due = orders.expected(path)
        process = self.tload_start("--json", "upload", path, "--table", table)
        upload = self.upload_of(process)["upload"]
        for rows in (1, 80000):
            self.wait_applied(upload, rows, process)
            self.coordinator.kill()
            self.coordinator.start()
        self.assertEqual(process.wait(120), 3, process)
        self.check(table, json.loads(process.stdout), due)
        self.assertEqual(self.look(upload)["rows_read"], due.read_rows)

    def test_counts_never_fall(self):
        self.start(kafka=self.own_kafka())
        table = self.define(*orders.DEFINITION)
        path = orders.write(self.path("orders.csv"), 200000, wrong=0.05)
        process = self.tload_start("--json", "upload", path, "--table", table)
        upload = self.upload_of(process)["upload"]
        seen, killed = [], False
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            now = self.look(upload)
            if not seen or now["change"] != seen[-1]["change"]:
                seen.append(now)
            if not killed and seen[-1]["rows_applied"] > 50000:
                killed = True
                self.coordinator.kill()
                self.coordinator.start()
        self.assertTrue(killed)
        self.assertEqual(process.wait(), 3, process)
        for member in ("rows_applied", "rows_rejected", "rows_read", "bytes_sent"):
            values = [u[member] for u in seen]
            self.assertEqual(values, sorted(values), member)
        for u in seen:
            self.assertLessEqual(u["rows_applied"] + u["rows_rejected"], u["rows_read"])

    def test_terminated_in_the_middle(self):
        self.start(kafka=self.own_kafka())
        table = self.define(*orders.DEFINITION)
        path = orders.write(self.path("orders.csv"), 200000, wrong=0.01)
        due = orders.expected(path)
        process = self.tload_start("--json", "upload", path, "--table", table)
        upload = self.upload_of(process)["upload"]
        for rows in (1, 60000):
            self.wait_applied(upload, rows, process)
            self.coordinator.stop()  # exit 0 within 5 s
            self.coordinator.start()
        self.assertEqual(process.wait(120), 3, process)
        self.check(table, json.loads(process.stdout), due)

    def test_away_while_the_sender_sends(self):
        """The rows go to Kafka all the same, and are loaded when it is back."""
        self.start(kafka=self.own_kafka())
        table = self.define("id int", "v text")
        process = self.tload_start("--json", "upload", "-", "--table", table, stdin=subprocess.PIPE)
        process.stdin.write(b"id,v\n1,x\n")
        process.stdin.flush()
        upload = self.upload_of(process)["upload"]
        self.coordinator.kill()
        process.stdin.write(b"".join(b"%d,y\n" % i for i in range(2, 1000)))
        process.stdin.close()
        wait_until(
            lambda: sum(m.headers["tl-type"] == "end" for m in self.kafka.read("tload.default.raw-input")) == 4,
            what="the end markers",
        )
        self.coordinator.start()
        self.assertEqual(process.wait(60), 0, process)
        self.assertEqual(json.loads(process.stdout)["upload"], upload)
        self.assertEqual(self.query(f"select count(*), sum(id) from {table}"), [(999, 999 * 1000 // 2)])

    def test_never_comes_back(self):
        """Exit 5 when nobody answers any more, and the upload is done once somebody does."""
        self.start(kafka=self.own_kafka())
        table = self.define("id int")
        process = self.tload_start("upload", "-", "--table", table, stdin=subprocess.PIPE)
        process.stdin.write(b"id\n1\n")
        process.stdin.flush()
        upload = self.upload_of(process)["upload"]
        self.coordinator.kill()
        process.stdin.close()
        self.assertEqual(process.wait(60), 5, process)
        self.assertIn("nothing is lost", process.stderr)
        self.coordinator.start()
        self.tload("wait", upload)
        self.assertEqual(self.query(f"select id from {table}"), [(1,)])

    def test_the_answer_to_its_making_is_lost(self):
        """The upload was made, and nobody was told: it is the same one that is asked for again."""
        self.start(kafka=self.own_kafka())
        table = self.define("id int")
        front = Proxy(self.path("front.sock"), self.coordinator.socket).start()
        self.addCleanup(front.stop)
        path = self.write("a.csv", "id\n1\n")
        for n, arguments in enumerate(([path], [path, "--id", "given"], ["-"], ["-", "--id", "read"])):
            front.swallow = b"POST /v1/tenants/default/uploads "
            done = self.tload(
                "upload", *arguments, "--table", table, env={"TLOAD_COORDINATOR": "unix:" + front.here},
                input="id\n1\n" if arguments[0] == "-" else None,
            )
            self.assertIsNone(front.swallow, done)
            self.assertEqual([u["state"] for u in self.uploads()], ["done"] * (n + 1))
        self.assertIn("standard input", self.tload("upload", "-", "--table", table, "--id", "read", exit=2, input="id\n2\n").stderr)

    def test_stops_at_once_without_work(self):
        self.start(kafka=self.own_kafka())
        began = time.monotonic()
        self.coordinator.stop(5)
        self.assertLess(time.monotonic() - began, 4)


class SinkFails(FaultCase):
    def small_disk(self, name, size):
        """For a directory of the coordinator's state."""
        directory = os.path.join(self.coordinator.state, name)
        os.makedirs(directory)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", directory], capture_output=True, check=False
        )
        if done.returncode != 0:
            self.skipTest(f"a small disk can't be made: {done.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", directory], check=False, stderr=subprocess.DEVNULL)
        return directory

    @unittest.skipIf(os.geteuid() != 0, "only root can make a small disk")
    def test_disk_full(self):
        self.use_kafka(self.own_kafka())
        self.coordinator = self.new_coordinator()
        directory = self.small_disk("data", "3m")
        self.coordinator.start()
        table = self.define(*orders.DEFINITION)
        path = orders.write(self.path("orders.csv"), 100000, wrong=0.01)
        due = orders.expected(path)
        process = self.tload_start("--json", "upload", path, "--table", table)
        upload = self.upload_of(process)["upload"]
        wait_until(lambda: "waiting for the sink" in (self.look(upload)["waiting"] or ""), what="the word of waiting")
        self.assertIn("waiting for the sink", self.tload("status", upload).stdout)
        self.assertIsNone(process.poll())
        wait_until(lambda: "waiting for the sink" in process.stderr, what="the same from the uploader")
        self.coordinator.stop()  # a full disk is no reason not to end
        self.coordinator.start()
        wait_until(lambda: "waiting for the sink" in (self.look(upload)["waiting"] or ""), what="the word of waiting")
        subprocess.run(["mount", "-o", "remount,size=200m", directory], check=True)
        self.assertEqual(process.wait(60), 3, process)
        self.check(table, json.loads(process.stdout), due)
        self.assertIsNone(self.look(upload)["waiting"])
        self.coordinator.stop()

    @unittest.skipIf(os.geteuid() != 0, "only root can make a small disk")
    def test_no_room_for_rejected_rows(self):
        self.use_kafka(self.own_kafka())
        self.coordinator = self.new_coordinator()
        directory = self.small_disk("errors", "64k")
        self.coordinator.start()
        table = self.define(*orders.DEFINITION)
        path = orders.write(self.path("orders.csv"), 20000, wrong=0.2)
        due = orders.expected(path)
        process = self.tload_start("--json", "upload", path, "--table", table)
        upload = self.upload_of(process)["upload"]
        wait_until(lambda: self.look(upload)["waiting"], what="the word of waiting")
        self.assertIsNone(process.poll())
        subprocess.run(["mount", "-o", "remount,size=50m", directory], check=True)
        self.assertEqual(process.wait(60), 3, process)
        self.check(table, json.loads(process.stdout), due)
        self.coordinator.stop()

    def test_locked_for_a_while(self):
        """Somebody else writes to the database: the sink waits for its turn."""
        self.start(kafka=self.own_kafka())
        table = self.define("id int")
        self.upload(table, self.write("a.csv", "id\n1\n"))
        other = sqlite3.connect(os.path.join(self.coordinator.state, "data", "default.db"), isolation_level=None)
        self.addCleanup(other.close)
        other.execute("begin immediate")
        process = self.tload_start("upload", self.write("b.csv", "id\n2\n"), "--table", table)
        wait_until(lambda: len(self.uploads()) == 2 and self.uploads()[0]["state"] == "processing", what="the sending")
        self.assertEqual(self.query(f"select id from {table}"), [(1,)])
        other.execute("rollback")
        self.assertEqual(process.wait(20), 0, process)
        self.assertEqual(self.query(f"select id from {table} order by id"), [(1,), (2,)])
