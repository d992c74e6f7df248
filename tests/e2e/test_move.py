# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant moves to another cluster while it is used, and whoever is killed meanwhile."""

import contextlib
import http.client
import json
import signal

from tests.lib.harness import TestCase, wait_until

SECONDS = 80

PARTITIONS = 2
TENANT = ("--tenant", "acme")
STEPS = ("before_topics", "after_topics", "before_switch", "after_switch", "before_cleared")


def stands_still(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


class Moves(TestCase):
    moving = None

    def setUp(self):
        super().setUp()
        self.west = self.own_kafka()
        self.start(kafka=self.own_kafka(), settings={"kafka": {"partitions": PARTITIONS}})
        self.call("POST", "/v1/clusters", {"cluster": "west", "max_partitions": 60,
                                           "kafka": {"bootstrap.servers": self.west.address}})
        self.call("POST", "/v1/tenants", {"tenant": "acme", "cluster": "default"})
        self.tload(*TENANT, "define-table", "orders", "id int", "qty int", "--key", "id")
        self.tload(*TENANT, "define-table", "log", "id int", "qty int")

    def failure_notes(self):
        return [*super().failure_notes(), f"the tenant, as it was seen last: {self.moving}"]

    def call(self, method, path, body=None, status=(200, 201, 202, 204)):
        answer = self.coordinator.http(method, path, body)
        self.assertIn(answer.status, status, answer.body)
        return answer.json if answer.body else None

    def tenant(self):
        return self.call("GET", "/v1/tenants/acme")

    def move(self, to):
        return self.call("POST", "/v1/tenants/acme/move", {"cluster": to})

    def await_moved(self, to, timeout=60):
        def moved():
            self.moving = self.tenant()
            return self.moving["cluster"] == to and not self.moving["moving_to"] and not self.moving["leaving"]

        wait_until(moved, timeout=timeout, what="the move to be done")

    def topics(self, kafka):
        names = [t["topic"] for t in json.loads(kafka.kcat("-L", "-J"))["topics"]]
        return sorted(name for name in names if name.startswith("tload.acme."))

    def rows(self, first, count, qty):
        return "id,qty\n" + "".join(f"{i},{qty}\n" for i in range(first, first + count))

    def load(self, table, name, *rows):
        self.tload(*TENANT, "upload", self.write(name, self.rows(*rows)), "--table", table, "--id", name)

    def select(self, sql):
        return self.query(sql, tenant="acme")

    def test_there_and_back(self):
        self.load("orders", "a", 1, 1000, 1)
        self.load("log", "b", 1, 500, 1)
        for epoch, (to, source, target) in enumerate((("west", self.kafka, self.west), ("default", self.west, self.kafka)), 2):
            self.assertEqual(len(self.topics(source)), 3)
            moved = json.loads(self.tload("--json", "tenant", "move", "acme", "--to", to).stdout)
            self.assertEqual((moved["cluster"], moved["epoch"], moved["state"]), (to, epoch, "ready"))
            self.assertEqual(len(self.topics(target)), 3)
            wait_until(lambda k=source: self.topics(k) == [], what="the old topics to be gone")
            self.load("orders", f"c{epoch}", 500 * epoch, 1000, epoch)
            self.load("log", f"d{epoch}", 1, 500, epoch)
        # The later ones have won, and nothing came twice.
        self.assertEqual(self.select("select qty, count(*) from orders group by qty order by qty"),
                         [(1, 999), (2, 500), (3, 1000)])
        self.assertEqual(self.select("select qty, count(*) from log group by qty order by qty"),
                         [(1, 500), (2, 500), (3, 500)])
        # Versions go on, too.
        self.tload(*TENANT, "alter", "orders", "--add", "note text")
        self.load("orders", "e", 5000, 10, 4)
        self.assertEqual(self.select("select count(*) from orders where qty=4 and note is null"), [(10,)])

    def test_where_an_earlier_life_was_read_to_does_not_count(self):
        """Kafka forgets that when it deletes a topic, but not if the broker ends then, or a member commits once more."""
        raw = "tload.acme.raw-input"
        self.west.create(raw, PARTITIONS)
        for partition in range(PARTITIONS):
            self.west.commit("tload-validate", raw, partition, 5)
        self.tload("tenant", "move", "acme", "--to", "west")
        self.load("orders", "a", 1, 1000, 1)
        self.assertEqual(self.select("select count(*) from orders"), [(1000,)])

    def test_refused(self):
        self.call("POST", "/v1/clusters", {"cluster": "small", "max_partitions": 5,
                                           "kafka": {"bootstrap.servers": self.own_kafka().address}})
        for to, status, text in (("nowhere", 400, "no cluster"), ("default", 409, "already"), ("small", 400, "free")):
            answer = self.coordinator.http("POST", "/v1/tenants/acme/move", {"cluster": to})
            self.assertNotIn(answer.status, (200, 201, 202), to)
            self.assertIn(text, answer.json["detail"])
        self.assertEqual(self.tenant()["state"], "ready")
        self.tload("tenant", "move", "acme", exit=2)
        self.tload("tenant", "move", "acme", "--cancel", exit=2)

    def test_waits_for_who_sends_and_takes_no_more(self):
        path = self.write("slow.csv", self.rows(1, 200000, 1))
        sending = self.tload_start(*TENANT, "upload", path, "--table", "orders", "--id", "slow",
                                   env={"TLOAD_FAILPOINT": "send.before_end=stop"})
        wait_until(lambda: self.coordinator.http("GET", "/v1/tenants/acme/uploads/slow").status == 200, what="the upload")
        wait_until(lambda: stands_still(sending), what="the sender to stand still")
        self.move("west")
        wait_until(lambda: "slow" in (self.tenant()["waiting"] or ""), what="the move to wait for the upload")
        # Another one begins when the tenant has moved.
        waiting = self.tload_start(*TENANT, "upload", self.write("b.csv", self.rows(1, 1000, 2)), "--table", "orders",
                                   "--id", "late")
        sending.signal(signal.SIGCONT)
        self.assertEqual(sending.wait(60), 0, sending)
        self.await_moved("west")
        self.assertEqual(waiting.wait(60), 0, waiting)
        self.assertEqual(self.select("select qty, count(*) from orders group by qty order by qty"),
                         [(1, 199000), (2, 1000)])

    def test_taken_back(self):
        path = self.write("slow.csv", self.rows(1, 1000, 1))
        sending = self.tload_start(*TENANT, "upload", path, "--table", "orders", "--id", "slow",
                                   env={"TLOAD_FAILPOINT": "send.before_end=stop"})
        wait_until(lambda: stands_still(sending), what="the sender to stand still")
        self.tload("tenant", "move", "acme", "--to", "west", "--detach")
        self.tload("tenant", "move", "acme", "--to", "west", "--timeout", "0", exit=124)
        wait_until(lambda: len(self.topics(self.west)) == 3, what="the new topics")
        self.tload("tenant", "move", "acme", "--cancel")
        wait_until(lambda: self.topics(self.west) == [], what="the new topics to be gone")
        sending.signal(signal.SIGCONT)
        self.assertEqual(sending.wait(60), 0, sending)
        self.await_moved("default")
        self.assertEqual(self.tenant()["epoch"], 1)
        self.load("orders", "a", 1, 10, 2)

    def test_killed_at_each_step(self):
        """Uploads go on throughout; coordinatord is ended at each step of a move, and goes on."""
        here, there = "default", "west"
        expected = 0
        for n, step in enumerate(STEPS):
            self.coordinator.stop()
            self.coordinator.start(env={"TLOAD_FAILPOINT": f"move.{step}=abort"})
            path = self.write(f"{step}.csv", self.rows(1, 20000, n))
            upload = self.tload_start(*TENANT, "upload", path, "--table", "log", "--id", step)
            wait_until(lambda s=step: self.coordinator.http("GET", f"/v1/tenants/acme/uploads/{s}").status == 200,
                       what="the upload")
            with contextlib.suppress(OSError, http.client.HTTPException):  # it may end before it answers
                self.move(there)
            wait_until(lambda: self.coordinator.process.poll() is not None, what=f"the end at move.{step}")
            self.coordinator.start()
            code = upload.wait(60)
            if code == 5:
                self.tload(*TENANT, "resume", step)
            else:
                self.assertEqual(code, 0, upload)
            self.await_moved(there)
            here, there = there, here
            expected += 20000
            self.assertEqual(self.select("select count(*) from log"), [(expected,)])
            self.load("orders", f"o-{step}", 1, 100, n)
            self.assertEqual(self.select("select min(qty), max(qty), count(*) from orders"), [(n, n, 100)])
