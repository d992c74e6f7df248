# SPDX-License-Identifier: GPL-3.0-or-later
"""Topics keep what somebody still needs, and nothing else; what could delete more is told before it does."""

import json
import sqlite3

from tests.lib.harness import TestCase, wait_until

SECONDS = 70

TOPICS = [f"tload.default.{kind}" for kind in ("raw-input", "validated-input", "import-error")]
PARTITIONS = 2


class Retention(TestCase):
    def start_roles(self):
        """A sink that can be stopped alone."""
        self.use_kafka(self.own_kafka())
        settings = {"kafka": {"partitions": PARTITIONS, "trim_seconds": 1, "trim_records": 1}}
        self.coordinator = self.new_coordinator(settings, "control,validate,errors")
        self.sink = self.new_coordinator(settings, "sink", self.coordinator.dir)
        self.coordinator.start(ready=False)
        self.sink.start(ready=False)
        wait_until(self.coordinator.ready, what="readiness")
        self.addCleanup(self.sink.stop)
        self.addCleanup(self.coordinator.stop)

    def watermarks(self, topic):
        return [self.kafka.watermarks(topic, p) for p in range(PARTITIONS)]

    def lows(self, topic):
        return [low for low, _ in self.watermarks(topic)]

    def highs(self, topic):
        return [high for _, high in self.watermarks(topic)]

    def waiting(self, upload):
        return json.loads(self.tload("--json", "status", upload).stdout).get("waiting") or ""

    def rows(self, first, n):
        return "id,qty\n" + "".join(f"{i},{'x' if i % 50 == 0 else i}\n" for i in range(first, first + n))

    def test_trimmed_when_everybody_is_done(self):
        self.start_roles()
        table = self.define("id int", "qty int")
        self.upload(table, self.write("a.csv", self.rows(1, 1000)), exit=3)
        for topic in TOPICS:
            self.assertTrue(all(self.highs(topic)), topic)
            wait_until(lambda t=topic: self.lows(t) == self.highs(t), what=f"{topic} to be trimmed")

    def test_what_waits_stays(self):
        self.start_roles()
        table = self.define("id int", "qty int")
        self.upload(table, self.write("a.csv", self.rows(1, 1000)), exit=3)
        before = self.highs(TOPICS[0])
        self.sink.stop()
        self.tload("upload", self.write("b.csv", self.rows(1001, 1000)), "--table", table, "--id", "b", "--detach")
        # What was applied goes; of what was not, not even raw-input, which is checked already.
        wait_until(lambda: self.lows(TOPICS[0]) == before, what="raw-input to be trimmed")
        self.assertTrue(all(low < high for low, high in self.watermarks(TOPICS[1])))
        # Rows that the sink refuses are found in raw-input.
        database = sqlite3.connect(f"{self.coordinator.state}/data/default.db", timeout=30)
        database.execute(
            f"create trigger t before insert on {table} when new.qty % 7 = 0 begin select raise(abort, 'seven'); end"
        )
        database.commit()
        database.close()
        self.sink.start(ready=False)
        self.tload("wait", "b", exit=3)
        lines = [r["line"] for r in self.rejected("b")]
        self.assertEqual(lines, [i - 999 for i in range(1001, 2001) if i % 50 == 0 or i % 7 == 0])
        wait_until(lambda: self.lows(TOPICS[0]) == self.highs(TOPICS[0]), what="raw-input to be trimmed")

    def test_what_others_applied_is_trimmed(self):
        """A sink gets a partition back, and where it stood then is not in the topic any more."""
        self.start_roles()
        table = self.define("id int", "qty int")
        self.upload(table, self.write("a.csv", self.rows(1, 1000)), exit=3)
        other = self.new_coordinator(self.sink.settings, "sink", self.coordinator.dir)
        other.start(ready=False)
        wait_until(lambda: "1 partitions are ours" in other.log and "1 partitions are ours" in self.sink.log, what="a share")
        for n in range(1, 4):
            self.upload(table, self.write(f"{n}.csv", self.rows(1000 * n + 1, 1000)), exit=3)
        wait_until(lambda: self.lows(TOPICS[1]) == self.highs(TOPICS[1]), what="validated-input to be trimmed")
        other.kill()
        wait_until(lambda: self.sink.log.count("2 partitions are ours") == 2, what="all partitions")
        self.upload(table, self.write("z.csv", self.rows(9001, 1000)), exit=3)

    def test_a_limit_is_told_before_it_deletes(self):
        self.start_roles()
        table = self.define("id int", "qty int")
        self.sink.stop()
        self.tload("upload", self.write("a.csv", self.rows(1, 1000)), "--table", table, "--id", "a", "--detach")
        wait_until(lambda: all(self.highs(TOPICS[1])), what="validated rows")
        self.kafka.alter(TOPICS[1], retention_ms=12000)
        wait_until(lambda: "will be deleted by retention.ms=12000" in self.waiting("a"), what="the alarm")
        self.assertIn("will be deleted by retention.ms=12000", self.coordinator.log)
        tenant = self.coordinator.http("GET", "/v1/tenants/default").json
        self.assertIn(TOPICS[1], tenant["alarm"])
        self.kafka.alter(TOPICS[1], retention_ms=-1)
        wait_until(lambda: "retention" not in self.waiting("a"), what="the end of the alarm")
        self.sink.start(ready=False)
        self.tload("wait", "a", exit=3)

    def test_records_that_were_deleted_are_told(self):
        self.start_roles()
        table = self.define("id int", "qty int")
        self.sink.stop()
        self.tload("upload", self.write("a.csv", self.rows(1, 1000)), "--table", table, "--id", "a", "--detach")
        wait_until(lambda: all(self.highs(TOPICS[1])), what="validated rows")
        self.kafka.delete_records(TOPICS[1], 1, self.highs(TOPICS[1])[1])
        wait_until(lambda: "were deleted before they were used" in self.waiting("a"), what="the alarm")


class Replicas(TestCase):
    def test_one_node(self):
        self.start(kafka=self.own_kafka())
        self.define("id int")
        self.assertEqual(self.kafka.setting(TOPICS[0], "min.insync.replicas"), "1")
        self.assertEqual(self.kafka.setting(TOPICS[0], "retention.ms"), "-1")

    def test_three_nodes_one_of_which_is_lost(self):
        self.start(kafka=self.own_kafka(3))
        table = self.define("id int", "qty int")
        for topic in TOPICS:
            self.assertEqual(self.kafka.setting(topic, "min.insync.replicas"), "2")
        copies = json.loads(self.kafka.kcat("-L", "-J", "-t", TOPICS[0]))["topics"][0]["partitions"]
        self.assertEqual([len(p["replicas"]) for p in copies], [3] * 4)
        path = self.write("a.csv", "id,qty\n" + "".join(f"{i},{i}\n" for i in range(200000)))
        process = self.tload_start("upload", path, "--table", table, "--id", "a")
        wait_until(lambda: self.coordinator.http("GET", "/v1/tenants/default/uploads/a").status == 200, what="the upload")
        self.kafka.kill(node=2)
        self.assertEqual(process.wait(120), 0, process)
        self.assertEqual(self.query(f"select count(*), sum(qty) from {table}"), [(200000, 200000 * 199999 // 2)])
