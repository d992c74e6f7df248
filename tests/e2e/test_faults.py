# SPDX-License-Identifier: GPL-3.0-or-later
"""The coordinator or the disk fails: an upload waits or ends with the code that says so, and nothing is lost."""

import json
import os
import sqlite3
import subprocess
import time
import unittest

from tests.lib.faults import FaultCase
from tests.lib.harness import wait_until
from tests.oracle import orders
from tests.torture.proxy import Proxy

SECONDS = 170


class CoordinatorFails(FaultCase):
    def test_killed_in_the_middle(self):
        self.start(kafka=self.own_kafka())
        table, due, process = self.load_orders(220000, wrong=0.01, ids=200000)
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
        table, due, process = self.load_orders(200000, wrong=0.01)
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

    def test_ended_before_it_tells_of_an_uploads_making(self):
        """The upload is made, and whoever asked for it waits for the next coordinator, and asks for the same one."""
        self.start(kafka=self.own_kafka())
        table = self.define("id int")
        for n, arguments in enumerate(([], ["--id", "given"], ["--once"], ["--id", "read"])):
            path = self.write("a.csv", f"id\n{n}\n")
            self.coordinator.stop()
            # The first one is its own, when it starts; and the uploads before have ended, so that nothing else is stored.
            self.coordinator.start(env={"TLOAD_FAILPOINT": "control.after_commit:2"})
            with open(path, "rb") as content:
                process = self.tload_start(
                    "upload", "-" if "read" in arguments else path, "--table", table, *arguments, stdin=content
                )
            self.assertEqual(self.coordinator.process.wait(), -6, self.coordinator.process)
            self.assertIsNone(process.poll(), process)
            self.coordinator.start()
            self.assertEqual(process.wait(60), 0, process)
            self.assertIn("it is asked again", process.stderr)
            self.assertEqual([u["state"] for u in self.uploads()], ["done"] * (n + 1))
        self.assertEqual(self.query(f"select id from {table} order by id"), [(n,) for n in range(4)])

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
        table, due, process = self.load_orders(100000, wrong=0.01)
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
        table, due, process = self.load_orders(20000, wrong=0.2)
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
