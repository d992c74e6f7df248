# SPDX-License-Identifier: GPL-3.0-or-later
"""A table in PostgreSQL that somebody has locked: it waits, says so, and loses nothing; all others go on."""

import json
import os
import shutil
import subprocess
import tempfile

from tests.lib.harness import TestCase, wait_until
from tests.lib.postgres import Database, Postgres

SECONDS = 170

PARTITIONS = 6
ROWS = 3000
VALIDATED = "tload.default.validated-input"
RAW = "tload.default.raw-input"

server = None
databases = 0


def setUpModule():
    global server
    server = Postgres(tempfile.mkdtemp(prefix="tload-postgres-")).start()


def tearDownModule():
    server.stop()
    shutil.rmtree(server.dir, ignore_errors=True)


class Locked(TestCase):
    def setUp(self):
        global databases
        super().setUp()
        databases += 1
        self.db = Database(server, f"tload_locked_{os.getpid()}_{databases}")
        self.addCleanup(self.db.drop)
        self.session = None

    def begin(self, key="id", kafka=None, **settings):
        """Tables a and b, with rows in a. key: of a; None shows what is applied twice."""
        self.start({"sink": {"url": self.db.url, "commit_rows": 500}, "kafka": {"partitions": PARTITIONS, **settings}}, kafka)
        self.a = self.define("id int", "v text", key=key, name="a")
        self.b = self.define("id int", "v text", key=None, name="b")
        self.upload(self.a, self.file("first", 0, ROWS))

    def file(self, value, first, end, more=""):
        header = "id,v" + (",n" if more else "") + "\n"
        return self.write(f"{value}.csv", header + "".join(f"{i},{value}{more}\n" for i in range(first, end)))

    def lock(self, sql=None):
        self.session = self.db.session()
        self.addCleanup(self.unlock)
        self.session.execute("begin; " + (sql or f"select * from {self.a} where false"))

    def unlock(self):
        if self.session:
            self.session.close()
        self.session = None

    def alter(self):
        self.tload("alter", self.a, "--add", "n int default 7")

    def detach(self, table, path, name):
        self.tload("upload", path, "--table", table, "--id", name, "--detach")

    def feed(self, table, name):
        """An upload that is fed from here."""
        process = self.tload_start("-q", "upload", "-", "--table", table, "--id", name, stdin=subprocess.PIPE)
        process.stdin.write(b"id,v\n")
        process.stdin.flush()
        known = f"/v1/tenants/default/uploads/{name}"
        wait_until(lambda: self.coordinator.http("GET", known).status == 200, what=f"upload {name}")
        return process

    def send(self, process, first, end, value):
        process.stdin.write("".join(f"{i},{value}\n" for i in range(first, end)).encode())
        process.stdin.flush()

    def look(self, name):
        return json.loads(self.tload("--json", "status", name).stdout)

    def waiting(self, name):
        return self.look(name).get("waiting") or ""

    def await_waiting(self, name):
        wait_until(lambda: f'waiting for table "{self.a}": ' in self.waiting(name), what=f"the word of waiting of {name}")

    def owed(self):
        return int(self.db.value("select count(*) from tload.owed"))

    def check_over(self):
        wait_until(lambda: self.owed() == 0, what="the end of what is owed")
        self.assertEqual(self.db.query("select upload from tload.ledger where not ended and not stopped"), [])

    def check_done(self, name, rows, rejected=0):
        self.tload("wait", name, exit=3 if rejected else 0)
        shown = self.look(name)
        self.assertEqual((shown["rows_applied"], shown["rows_rejected"]), (rows - rejected, rejected))
        self.assertFalse(shown.get("waiting"))

    def rows_of_a(self):
        return self.db.query(f"select id, v, n from {self.a} order by id, v")

    def owe(self):
        """A reader is in the way of a new version, and what came before and after it waits."""
        self.lock()
        self.alter()
        self.detach(self.a, self.file("old", 0, ROWS // 2), "old")
        self.detach(self.a, self.file("new", 0, ROWS, ",9"), "new")
        self.await_waiting("new")
        wait_until(lambda: self.owed() > PARTITIONS, what="messages that are owed")

    def check_owed_twice_applied_once(self):
        """Without a key."""
        due = [(str(i), "first", "7") for i in range(ROWS)] + [(str(i), "old", "7") for i in range(ROWS // 2)]
        due += [(str(i), "new", "9") for i in range(ROWS)]
        self.assertEqual(self.rows_of_a(), sorted(due, key=lambda r: (int(r[0]), r[1])))

    def test_a_reader_delays_its_table_alone(self):
        self.begin()
        under_way = self.feed(self.a, "under_way")
        self.send(under_way, 0, 10, "early")
        other = self.feed(self.b, "other")
        self.send(other, 0, 10, "x")
        wait_until(lambda: self.look("under_way")["rows_applied"] == 10, what="rows of the old version")
        self.owe()
        self.send(under_way, ROWS, ROWS + 100, "late")
        under_way.stdin.close()
        # The other table's are done in the meantime, and wait for nothing.
        for n in range(3):
            done = self.upload(self.b, self.file(f"b{n}", 0, 1000))
            self.assertEqual(done["rows_applied"], 1000)
            self.assertEqual(self.waiting("other"), "")
            self.assertIn(f'waiting for table "{self.a}": ', self.waiting("old"))
        # Of several connections one has the lock of the change, and waits for the reader; the others wait for it.
        self.assertRegex(self.waiting("old"), "lock timeout|changed by another connection")
        self.assertEqual(self.look("old")["rows_applied"], 0)
        self.assertEqual(self.coordinator.log.count(f'waiting for table "{self.a}"'), self.told())
        self.assertNotIn("is not waited for any more", self.coordinator.log)
        self.unlock()
        self.check_done("old", ROWS // 2)
        self.check_done("new", ROWS)
        self.assertEqual(under_way.wait(60), 0, under_way)
        self.check_done("under_way", 110)
        self.send(other, 10, 20, "x")
        other.stdin.close()
        self.assertEqual(other.wait(60), 0, other)
        self.check_over()
        due = [(str(i), "new", "9") for i in range(ROWS)] + [(str(i), "late", "7") for i in range(ROWS, ROWS + 100)]
        self.assertEqual(self.rows_of_a(), due)
        self.assertEqual(self.db.count(self.b), 3 * 1000 + 20)
        self.assertIn(f'table "{self.a}" is not waited for any more', self.coordinator.log)

    def told(self):
        """How many workers may say that they wait: each of them once."""
        said = self.coordinator.log.count(f'waiting for table "{self.a}"')
        self.assertIn(said, (1, 2))
        return said

    def test_locked_by_others(self):
        self.begin(key=None)
        self.lock(f"lock table {self.a} in access exclusive mode")
        self.detach(self.a, self.file("old", 0, ROWS), "old")
        self.await_waiting("old")
        self.assertEqual(self.upload(self.b, self.file("b", 0, ROWS))["rows_applied"], ROWS)
        self.unlock()
        self.check_done("old", ROWS)
        self.check_over()
        due = sorted(((str(i), v) for i in range(ROWS) for v in ("first", "old")), key=lambda r: (int(r[0]), r[1]))
        self.assertEqual(self.db.query(f"select * from {self.a} order by id, v"), due)

    def test_killed_while_something_is_owed(self):
        self.begin(key=None)
        self.owe()
        for _ in range(2):
            self.coordinator.kill()
            self.coordinator.start()
            self.await_waiting("new")
            self.upload(self.b, self.file("b", 0, 100))
        self.coordinator.kill()
        self.unlock()
        self.coordinator.start()
        self.check_done("old", ROWS // 2)
        self.check_done("new", ROWS)
        self.check_over()
        self.check_owed_twice_applied_once()

    def test_later_ones_stay_later(self):
        """A sink that comes back finds what is owed, and what came since then, and no lock any more."""
        self.use_kafka()
        settings = {"sink": {"url": self.db.url, "commit_rows": 500}, "kafka": {"partitions": PARTITIONS}}
        self.coordinator = self.new_coordinator(settings, "control,validate,errors")
        sink = self.new_coordinator(settings, "sink", self.coordinator.dir)
        self.coordinator.start(ready=False)
        sink.start(ready=False)
        wait_until(self.coordinator.ready, what="readiness")
        self.addCleanup(sink.stop)
        self.addCleanup(self._stop_coordinator)
        self.a = self.define("id int", "v text", name="a")
        self.upload(self.a, self.file("first", 0, ROWS))
        self.owe()
        sink.stop()
        self.detach(self.a, self.file("newer", 0, ROWS, ",10"), "newer")
        wait_until(lambda: self.look("newer")["state"] == "processing", what="the newest rows in Kafka")
        self.unlock()
        sink.start(ready=False)
        self.check_done("new", ROWS)
        self.check_done("newer", ROWS)
        self.check_over()
        self.assertEqual(self.rows_of_a(), [(str(i), "newer", "10") for i in range(ROWS)])

    def test_ended_at_each_step(self):
        points = ("sink.before_begin:2", "sink.before_offsets:1", "sink.before_commit:3", "sink.after_commit:2", "sink.after_store:1")
        self.begin(key=None)
        self.owe()
        # While messages are owed, then while they are settled.
        for point in points:
            self.coordinator.kill()
            self.coordinator.start(env={"TLOAD_FAILPOINT": point})
            self.detach(self.b, self.file("b", 0, 100), f"b-{point.replace('.', '-').replace(':', '-')}")
            self.assertEqual(self.coordinator.process.wait(30), -6, point)
            self.coordinator.start()
        self.coordinator.kill()
        self.unlock()
        for point in points[:-1]:
            self.coordinator.start(env={"TLOAD_FAILPOINT": point})
            self.assertEqual(self.coordinator.process.wait(30), -6, point)
        self.coordinator.start()
        self.check_done("old", ROWS // 2)
        self.check_done("new", ROWS)
        self.check_over()
        self.check_owed_twice_applied_once()
        wait_until(lambda: self.db.count(self.b) == 100 * len(points), what="the other table's rows")

    def test_another_process_takes_over(self):
        """What is owed goes with the partitions, there and back."""
        self.begin(key=None)
        self.owe()
        settings = {"sink": {"url": self.db.url, "commit_rows": 500}}
        second = self.new_coordinator(settings, roles="sink", directory=self.coordinator.dir)
        second.start(ready=False)
        wait_until(lambda: f'waiting for table "{self.a}"' in second.log, what="the second one's word of waiting")
        self.upload(self.b, self.file("b", 0, 100))
        self.unlock()
        wait_until(lambda: self.owed() == 0 or second.process.poll() is not None, what="something to be settled")
        second.kill()
        self.check_done("old", ROWS // 2)
        self.check_done("new", ROWS)
        self.check_over()
        self.check_owed_twice_applied_once()

    def test_cancelled_and_dropped(self):
        self.begin()
        under_way = self.feed(self.a, "under_way")
        self.owe()
        before = self.owed()
        self.send(under_way, 0, 100, "late")
        wait_until(lambda: self.owed() > before, what="rows that are owed")
        before = self.owed()
        cancel = self.tload_start("cancel", "under_way")
        wait_until(lambda: self.owed() >= before + PARTITIONS, what="the cancel")
        self.upload(self.b, self.file("b", 0, 100))
        self.unlock()
        self.assertEqual(cancel.wait(60), 0, cancel)
        under_way.stdin.close()
        under_way.wait(60)
        self.assertEqual(self.look("under_way")["state"], "cancelled")
        self.check_done("new", ROWS)
        self.check_over()

        self.lock()
        self.tload("alter", self.a, "--add", "m int")
        self.detach(self.a, self.file("last", 0, ROWS, ",9"), "last")
        self.await_waiting("last")
        self.tload("drop-table", self.a, "--yes")
        self.define("id int", "w int", name=self.a)
        self.detach(self.a, self.write("again.csv", "id,w\n1,2\n"), "again")
        self.upload(self.b, self.file("b", 0, 100))
        self.assertEqual(self.db.count(self.a), ROWS)
        self.assertIn(f'waiting for table "{self.a}": ', self.waiting("last"))
        self.unlock()
        self.tload("wait", "last", exit=1)
        self.check_done("again", 1)
        self.check_over()
        self.assertEqual(self.db.query(f"select * from {self.a}"), [("1", "2")])

    def test_what_is_owed_is_not_trimmed(self):
        self.begin(kafka=self.own_kafka(), trim_seconds=1, trim_records=1)
        self.db.execute(f"alter table {self.a} add constraint no_seven check (id % 7 <> 0) not valid")
        self.owe()
        self.upload(self.b, self.file("b", 0, 1000))
        first = {int(p): int(at) for p, at in self.db.query("select partition, min(message) from tload.owed group by 1")}
        self.assertEqual(sorted(first), list(range(PARTITIONS)))

        def lows(topic):
            return {p: self.kafka.watermarks(topic, p)[0] for p in range(PARTITIONS)}

        wait_until(lambda: lows(VALIDATED) == first, what="all before what is owed to be trimmed")
        self.upload(self.b, self.file("c", 0, 1000))
        self.assertEqual(lows(VALIDATED), first)
        self.unlock()
        refused = [i for i in range(ROWS) if i % 7 == 0]
        self.check_done("new", ROWS, len(refused))
        self.assertEqual([r["line"] for r in self.rejected("new")], [i + 2 for i in refused])
        self.tload("wait", "old", exit=3)
        self.assertEqual([r["line"] for r in self.rejected("old")], [i + 2 for i in refused if i < ROWS // 2])
        self.check_over()
        for topic in (VALIDATED, RAW):
            ends = {p: self.kafka.watermarks(topic, p)[1] for p in range(PARTITIONS)}
            wait_until(lambda: lows(topic) == ends, what=f"{topic} to be trimmed")  # noqa: B023
