# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemas that change: the command, the order in the topic, what lands in the table, uploads under way, crashes."""

import json
import os
import sqlite3
import subprocess
import threading

from tests.lib.harness import SharedTestCase, TestCase, wait_until

SECONDS = 180

RAW = "tload.default.raw-input"
TABLES = "/v1/tenants/default/tables"


class Altering:
    """What both kinds of test classes use."""

    def described(self, table, *arguments):
        return json.loads(self.tload("--json", "describe", table, *arguments).stdout)

    def history(self, table):
        return [json.loads(line) for line in self.tload("--json", "describe", table, "--history").stdout.splitlines()]

    def names(self, table):
        return [c["name"] for c in self.described(table)["columns"]]

    def alter(self, table, *arguments, exit=0):
        return self.tload("alter", table, *arguments, exit=exit)

    def applied_version(self, table):
        return self.query("SELECT version FROM _tload_tables WHERE name = ?", (table,))

    def await_sink(self, table, version):
        wait_until(lambda: self.applied_version(table) == [(version,)], what=f"version {version} of {table} in the sink")

    def begin(self, table, name, text, *arguments):
        """An upload that is fed from here; it is begun, and nothing more is sent until feed()."""
        process = self.tload_start(
            "-q", "upload", "-", "--table", table, "--id", name, *arguments, stdin=subprocess.PIPE
        )
        self.feed(process, text)
        wait_until(lambda: process.poll() is not None or self.known(name), what=f"upload {name}")
        return process

    def known(self, name):
        return self.coordinator.http("GET", f"/v1/tenants/default/uploads/{name}").status == 200

    def feed(self, process, text):
        process.stdin.write(text.encode())
        process.stdin.flush()

    def end(self, process, text="", exit=0):
        self.feed(process, text)
        process.stdin.close()
        self.assertEqual(process.wait(), exit, process)

    def patch(self, table, *changes, **more):
        headers = more.pop("headers", None)
        return self.coordinator.http("PATCH", f"{TABLES}/{table}", {"changes": list(changes), **more}, headers)


class Command(Altering, SharedTestCase):
    def test_all_or_nothing(self):
        table = self.define("id int", "a int", "b text")
        refused = self.alter(table, "--rename", "a=x", "--add", "n int", "--drop", "id", exit=2)
        self.assertIn("in the key", refused.stderr)
        self.assertEqual((self.names(table), self.described(table)["version"]), (["id", "a", "b"], 1))
        done = self.alter(table, "--rename", "a=x", "--add", "n int not null default 7", "--drop", "b", "--order", "n")
        self.assertIn("version 2", done.stderr)
        self.assertEqual(self.names(table), ["n", "id", "x"])
        self.alter(table, "--default", "n=", exit=2)
        self.alter(table, "--no-default", "n", exit=2)
        self.alter(table, "--no-default", "n", "--nullable", "n")
        column = self.described(table)["columns"][0]
        self.assertEqual((column["nullable"], column["default"]), (True, None))
        for wrong in (("--rename", "x"), ("--type", "x"), ("--default", "x"), (), ("--if-version", "3"), ("--nullable", "id")):
            with self.subTest(wrong=wrong):
                self.alter(table, *wrong, exit=2)
        self.assertIn("did you mean", self.alter(table + "s", "--drop", "x", exit=2).stderr)

    def test_compare_and_set(self):
        table = self.define("id int")
        self.alter(table, "--add", "a int", "--if-version", "2", exit=2)
        self.alter(table, "--add", "a int", "--if-version", "1")
        late = self.alter(table, "--add", "b int", "--if-version", "1", exit=2)
        self.assertIn("at version 2, not 1", late.stderr)
        there = self.coordinator.http("GET", f"{TABLES}/{table}")
        add = {"op": "add", "column": {"name": "c", "type": "int"}}
        answer = self.patch(table, add, headers={"If-Match": '"1-1"'})
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (412, "application/problem+json"))
        answer = self.patch(table, add, headers={"If-Match": there.headers["ETag"]})
        self.assertEqual((answer.status, answer.json["version"]), (200, 3))
        self.assertEqual(answer.headers["ETag"], self.coordinator.http("GET", f"{TABLES}/{table}").headers["ETag"])

    def test_history(self):
        table = self.define("id int", "a int", "b text")
        self.alter(table, "--rename", "a=b", "--rename", "b=a")
        self.alter(table, "--type", "b=bigint", "--add", "c date")
        versions = self.history(table)
        self.assertEqual([v["version"] for v in versions], [1, 2, 3])
        self.assertEqual({(v["state"], v["changed_by"]) for v in versions}, {("active", f"uid:{os.getuid()}")})
        self.assertEqual(sorted(v["changed_at"] for v in versions), [v["changed_at"] for v in versions])
        swap = [{"op": "rename", "column": "a", "to": "b"}, {"op": "rename", "column": "b", "to": "a"}]
        self.assertEqual(versions[1]["changes"], swap)
        self.assertEqual([c["name"] for c in self.described(table, "--version", "1")["columns"]], ["id", "a", "b"])
        diff = json.loads(self.tload("--json", "describe", table, "--diff", "1").stdout)
        self.assertEqual((diff["from"], diff["to"]), (1, 3))
        self.assertEqual(
            diff["changes"],
            [
                swap[0], {"op": "type", "column": "a", "from": "int", "type": "bigint"}, swap[1],
                {"op": "add", "column": {"name": "c", "type": "date", "nullable": True, "default": None}},
            ],
        )
        self.assertEqual(json.loads(self.tload("--json", "describe", table, "--diff", "1..2").stdout)["changes"], swap)
        text = self.tload("describe", table, "--history").stdout
        self.assertIn("rename a to b; rename b to a", text)
        self.tload("describe", table, "--diff", "9", exit=2)
        self.tload("describe", table, "--diff", "x", exit=2)
        self.tload("describe", table, "--diff", "1", "--history", exit=2)
        page = self.coordinator.http("GET", f"{TABLES}/{table}/versions?limit=2").json
        rest = self.coordinator.http("GET", f"{TABLES}/{table}/versions?limit=2&cursor={page['next']}").json
        self.assertEqual([v["version"] for v in page["versions"] + rest["versions"]], [1, 2, 3])
        self.assertIsNone(rest["next"])
        # What describe prints defines the same table again.
        path = self.write("again.json", self.tload("--json", "describe", table).stdout)
        self.tload("define-table", table + "_again", "--schema", path)

    def test_dry_run(self):
        table = self.define("id int", "a int", "b text")
        upload = self.begin(table, "under-way", "id,a,b\n1,1,x\n")
        arguments = ("--rename", "a=z", "--drop", "b", "--add", "c text default 'new'", "--dry-run")
        said = self.alter(table, *arguments)
        self.assertIn("its a goes into z", said.stdout)
        self.assertIn("its values of b fall away", said.stdout)
        self.assertIn("c of its new rows is 'new'", said.stdout)
        answer = json.loads(self.tload("--json", "alter", table, *arguments).stdout)
        self.assertEqual((answer["version"], answer["dry_run"], answer["uploads_under_way"]), (2, True, 1))
        self.assertEqual((answer["uploads"][0]["upload"], answer["uploads"][0]["version"]), ("under-way", 1))
        self.alter(table, "--drop", "id", "--dry-run", exit=2)
        self.assertEqual((self.described(table)["version"], self.names(table)), (1, ["id", "a", "b"]))
        self.end(upload)

    def test_renamed_column_in_a_header(self):
        table = self.define("id int", "qty int", "note text")
        self.alter(table, "--rename", "qty=quantity", "--drop", "note")
        old = self.write("old.csv", "id,qty\n1,5\n")
        for more in ((), ("--dry-run",)):
            said = self.tload("upload", old, "--table", table, *more, exit=2).stderr
            self.assertIn('"qty" is not in version 2', said)
            self.assertIn("in version 1", said)
            self.assertIn("--map qty=quantity", said)
        self.upload(table, old, "--map", "qty=quantity")
        dropped = self.write("dropped.csv", "id,note\n1,x\n")
        said = self.tload("upload", dropped, "--table", table, exit=2).stderr
        self.assertIn("version 1 has it, and it was dropped since", said)
        said = self.tload("upload", "-", "--table", table, "--header", "none", "--columns", "id,qty", exit=2, input="1,5\n").stderr
        self.assertIn('its name is "quantity" now', said)

    def test_resumed_by_its_own_version(self):
        """The file has the names that the columns had when the upload began."""
        table = self.define("id int", "qty int")
        rows = "".join(f"{i},{i}\n" for i in range(100000))
        path = self.write("long.csv", "id,qty\n" + rows)
        process = self.tload_start("-q", "upload", path, "--table", table, "--id", "long")
        wait_until(lambda: self.known("long"), what="the upload")
        process.kill()
        self.alter(table, "--rename", "qty=quantity", "--type", "qty=bigint")
        self.tload("resume", "long")
        self.assertEqual(self.query(f"SELECT count(*), sum(quantity) FROM {table}"), [(100000, sum(range(100000)))])
        self.assertEqual(self.upload(table, path, "--id", "long")["version"], 1)


class Rows(Altering, SharedTestCase):
    def test_swapped_names(self):
        table = self.define("id int", "a int", "b text")
        old = self.begin(table, "swap", "id,a,b\n1,10,x\n")
        self.alter(table, "--rename", "a=b", "--rename", "b=a")
        self.upload(table, self.write("new.csv", "id,a,b\n2,y,20\n"))
        self.end(old, "3,30,z\n")
        self.assertEqual(self.query(f"SELECT id, a, b FROM {table} ORDER BY id"), [(1, "x", 10), (2, "y", 20), (3, "z", 30)])

    def test_dropped_and_added_again(self):
        """Another column of the same name: what was in the old one never comes back."""
        table = self.define("id int", "v text")
        old = self.begin(table, "again", "id,v\n1,old\n")
        self.upload(table, self.write("first.csv", "id,v\n2,old\n"))
        self.alter(table, "--drop", "v", "--add", "v text default 'new'")
        self.upload(table, self.write("second.csv", "id,v\n3,mine\n4,\n"))
        self.end(old, "2,late\n5,late\n")
        self.assertEqual(
            self.query(f"SELECT id, v FROM {table} ORDER BY id"), [(1, "new"), (2, "new"), (3, "mine"), (4, None), (5, "new")]
        )

    def test_added_keeps_its_value_in_existing_rows(self):
        table = self.define("id int", "v text")
        old = self.begin(table, "added", "id,v\n1,a\n")
        self.alter(table, "--add", "n int default 7")
        self.upload(table, self.write("a.csv", "id,v,n\n2,b,22\n"))
        self.end(old, "2,late\n3,new\n")
        self.assertEqual(self.query(f"SELECT * FROM {table} ORDER BY id"), [(1, "a", 7), (2, "late", 22), (3, "new", 7)])

    def test_widened_at_the_edges(self):
        digits = "9" * 28 + "." + "9" * 10
        columns = (
            ("i", "int", "bigint", ("2147483647", "-2147483648")), ("i2", "int", "decimal(38,28)", ("2147483647", "-2147483648")),
            ("i3", "int", "double", ("2147483647", "-2147483648")),
            ("l", "bigint", "decimal(38,19)", ("9223372036854775807", "-9223372036854775808")),
            ("m", "decimal(38,10)", None, (digits, "-" + digits)), ("m2", "decimal(15,2)", "decimal(38,25)", ("9999999999999.99", "-0.01")),
            ("m3", "decimal(20,10)", "decimal(38,28)", ("9999999999.9999999999", "0")), ("c", "varchar(2)", "text", ("😀😀", "é")),
            ("c2", "varchar(2)", "varchar(3)", ("😀😀", "")), ("d", "date", "timestamp", ("0001-01-01", "9999-12-31")),
        )
        table = self.define("id int", *(f"{name} {old}" for name, old, _, _ in columns))
        header = ",".join(["id", *(name for name, *_ in columns)]) + "\n"
        line = lambda number, n: ",".join([str(number), *(f'"{edges[n]}"' for *_, edges in columns)]) + "\n"  # noqa: E731
        before = self.write("before.csv", header + line(1, 0) + line(2, 1) + "3" + "," * len(columns) + "\n")
        self.upload(table, before)
        late = self.begin(table, "widened", header + line(4, 0))
        self.alter(table, *(f"--type={name}={new}" for name, _, new, _ in columns if new))
        self.await_sink(table, 2)
        self.end(late, line(5, 1) + "6" + "," * len(columns) + "\n")
        rows = self.query(f"SELECT * FROM {table} ORDER BY id")
        # What was moved by the change and what came by the old version afterwards are the same.
        for first, second in zip(rows[:3], rows[3:]):
            self.assertEqual(first[1:], second[1:])
        high, low, empty = (r[1:] for r in rows[:3])
        self.assertEqual(
            high,
            (
                2147483647, "2147483647." + "0" * 28, 2147483647.0, "9223372036854775807." + "0" * 19, digits,
                "9999999999999.99" + "0" * 23, "9999999999." + "9" * 10 + "0" * 18, "😀😀", "😀😀", "0001-01-01 00:00:00",
            ),
        )
        self.assertEqual(
            low,
            (
                -2147483648, "-2147483648." + "0" * 28, -2147483648.0, "-9223372036854775808." + "0" * 19, "-" + digits,
                "-0.01" + "0" * 23, "0." + "0" * 28, "é", "", "9999-12-31 00:00:00",
            ),
        )
        self.assertEqual(empty, (None,) * len(columns))
        self.upload(table, self.write("wide.csv", "id,i,c2\n1,9223372036854775807,😀😀😀\n"))
        self.assertEqual(self.query(f"SELECT i, c2 FROM {table} WHERE id = 1"), [(9223372036854775807, "😀😀😀")])

    def test_a_reader_delays_nothing(self):
        """Whoever reads sees the old table to the end of his transaction, and nobody waits for him."""
        table = self.define("id int", "v varchar(5)")
        self.upload(table, self.write("a.csv", "id,v\n1,a\n"))
        path = os.path.join(self.coordinator.state, "data", "default.db")
        reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        try:
            reader.execute("BEGIN")
            self.assertEqual(reader.execute(f"SELECT * FROM {table}").fetchall(), [(1, "a")])
            self.alter(table, "--drop", "v", "--add", "w int default 5")
            self.await_sink(table, 2)
            self.upload(table, self.write("b.csv", "id,w\n2,6\n"))
            self.assertEqual(reader.execute(f"SELECT * FROM {table}").fetchall(), [(1, "a")])
        finally:
            reader.close()
        self.assertEqual(self.query(f"SELECT * FROM {table} ORDER BY id"), [(1, 5), (2, 6)])

    def test_a_million_rows(self):
        table = self.define("id int", "a int", "b date", "c text")
        rows = "".join(f"{i},{i % 1000},2026-01-31,x{i % 100}\n" for i in range(1000000))
        self.upload(table, self.write("million.csv", "id,a,b,c\n" + rows), timeout=200)
        self.alter(table, "--rename", "a=c", "--rename", "c=a", "--add", "n int not null default 7")
        self.await_sink(table, 2)
        self.assertEqual(self.query(f"SELECT count(*), sum(c), sum(n) FROM {table}"), [(1000000, 499500000, 7000000)])
        self.alter(table, "--type", "c=decimal(20,2)", "--type", "b=timestamp", "--drop", "a", "--order", "n")
        self.await_sink(table, 3)
        self.assertEqual(
            self.query(f"SELECT count(*), min(c), max(c), min(b), max(b), sum(n) FROM {table}"),
            [(1000000, "0.00", "999.00", "2026-01-31 00:00:00", "2026-01-31 00:00:00", 7000000)],
        )
        self.assertEqual([r[1] for r in self.query(f"PRAGMA table_info({table})")], ["n", "id", "c", "b"])
        self.assertEqual(self.query("PRAGMA quick_check"), [("ok",)])


class Order(Altering, SharedTestCase):
    SETTINGS = {"kafka": {"partitions": 5}}

    def test_schema_precedes_its_rows(self):
        """Hundreds of versions while uploads come and go: in each partition a version's message is before its batches."""
        table = self.define("id int", "v text")
        stop, failures, number = threading.Event(), [], 300

        def load(worker):
            n = 0
            while not stop.is_set():
                n += 1
                path = self.write(f"{worker}.csv", "id,v\n" + "".join(f"{i * 10 + worker},{n}\n" for i in range(20)))
                done = self.tload("-q", "upload", path, "--table", table, exit=None)
                if done.exit != 0:
                    failures.append(done)

        workers = [threading.Thread(target=load, args=(i,)) for i in range(3)]
        for w in workers:
            w.start()
        try:
            for n in range(number):
                change = {"op": "drop", "column": f"c{n - 1}"} if n % 2 else {"op": "add", "column": {"name": f"c{n}", "type": "int"}}
                answer = self.patch(table, change)
                self.assertEqual((answer.status, answer.json.get("version")), (200, n + 2), answer.body)
        finally:
            stop.set()
            for w in workers:
                w.join()
        self.assertEqual(failures, [])
        batches, versions = 0, set()
        for partition in range(5):
            last = 0
            for m in self.kafka.read(RAW, partition):
                if m.headers.get("tl-table") != table:
                    continue
                version = int(m.headers["tl-version"])
                if m.headers["tl-type"] == "schema":
                    self.assertEqual(version, last + 1)
                    last = version
                else:
                    self.assertLessEqual(version, last, m)
                    batches += 1
                    versions.add(version)
            self.assertEqual(last, number + 1)
        self.assertGreater(batches, 100)
        self.assertGreater(len(versions), 20)


class Dropping(Altering, SharedTestCase):
    def test_uploads_end_as_failed(self):
        table = self.define("id int", "v text")
        uploads = [self.begin(table, f"dropped-{n}", f"id,v\n{n},a\n") for n in range(3)]
        self.tload("drop-table", table, "--yes")
        # Also those that have nothing more to send, and without waiting for their senders.
        for n, process in enumerate(uploads):
            done = self.tload("--json", "wait", f"dropped-{n}", exit=1)
            status = json.loads(done.stdout.splitlines()[-1])
            self.assertEqual((status["state"], status["reason"]), ("failed", f'table "{table}" was dropped'))
        for process in uploads:
            self.assertEqual(process.wait(), 1, process)
            self.assertIn("was dropped", process.stderr)

    def test_another_table_of_the_name(self):
        table = self.define("id int", "v text")
        old = self.begin(table, "late", "id,v\n1,old\n")
        first = self.described(table)["table_id"]
        self.tload("drop-table", table, "--yes")
        self.define("id int", "v text", name=table)
        self.assertGreater(self.described(table)["table_id"], first)
        self.upload(table, self.write("new.csv", "id,v\n2,new\n"))
        try:
            self.feed(old, "3,old\n")
            old.stdin.close()
        except BrokenPipeError:
            pass
        self.assertEqual(old.wait(), 1, old)
        # The old table's batches, as a sender that heard of nothing would go on with.
        for m in [m for m in self.kafka.read(RAW) if m.headers.get("tl-upload") == "late" and m.headers["tl-type"] == "rows"]:
            headers = {**m.headers, "tl-seq": str(int(m.headers["tl-seq"]) + 1)}
            self.kafka.produce(RAW, m.value, m.partition, headers)
        stale = {
            "tl-type": "rows", "tl-table": table, "tl-table-id": str(first), "tl-version": "1", "tl-upload": "stale", "tl-seq": "1",
            "tl-rows": "1", "tl-format": "csv", "tl-columns": "id,v", "tl-file": "x",
        }
        self.kafka.produce(RAW, b"2\t9,stale\n", 0, stale)
        wait_until(
            lambda: self.query("SELECT stopped, reason FROM _tload_ledger WHERE upload = 'stale'")
            == [(1, f'table "{table}" was dropped')],
            what="the late batch",
        )
        self.assertEqual(self.query(f"SELECT id, v FROM {table}"), [(2, "new")])


class Crashes(Altering, TestCase):
    """Control ended at each step of a change: at its next start the version is made or gone, never half."""

    # Each commit counts: the first is made when control starts, the second stores the version, the third makes it active.
    STEPS = (
        ("control.before_commit:2", 1), ("control.after_commit:2", 2), ("control.before_schema:1", 2), ("control.partly_written:1", 2),
        ("control.partly_written:3", 2), ("control.before_activate:1", 2), ("control.before_commit:3", 2), ("control.after_commit:3", 2),
    )

    def crash(self, failpoint, act):
        self.coordinator.stop()
        self.coordinator.start(env={"TLOAD_FAILPOINT": failpoint})
        act()
        self.assertEqual(self.coordinator.process.wait(), -6, f"{failpoint}: {self.coordinator.process}")
        self.coordinator.start()

    def messages(self, table):
        """Partition to the versions whose schema it has, in order."""
        found = {}
        for m in self.kafka.read(RAW):
            if m.headers.get("tl-table") == table and m.headers["tl-type"] == "schema":
                found.setdefault(m.partition, []).append((int(m.headers["tl-version"]), m.value))
        return found

    def test_alter(self):
        self.start({"kafka": {"partitions": 4}})
        for failpoint, due in self.STEPS:
            with self.subTest(failpoint=failpoint):
                table = self.define("id int", "a int", "b text")
                self.upload(table, self.write("a.csv", "id,a,b\n1,1,x\n"))
                self.crash(failpoint, lambda: self.alter(table, "--rename", "a=b", "--rename", "b=a", "--add", "c int", exit=5))
                wait_until(lambda: "pending" not in self.described(table), what=f"the version after {failpoint}")
                described = self.described(table)
                self.assertEqual(described["version"], due)
                if due == 1:
                    self.assertEqual([c["name"] for c in described["columns"]], ["id", "a", "b"])
                    self.alter(table, "--rename", "a=b", "--rename", "b=a", "--add", "c int")
                self.assertEqual(self.names(table), ["id", "b", "a", "c"])
                self.assertEqual(len(self.history(table)), 2)
                found = self.messages(table)
                self.assertEqual(sorted(found), [0, 1, 2, 3])
                for each in found.values():
                    self.assertEqual(sorted({v for v, _ in each}), [1, 2])
                    self.assertEqual(len(set(each)), 2, "written twice, it is the same")
                self.upload(table, self.write("b.csv", "id,a,b,c\n2,y,2,3\n"))
                self.assertEqual(self.query(f"SELECT id, b, a, c FROM {table} ORDER BY id"), [(1, 1, "x", None), (2, 2, "y", 3)])

    def test_drop(self):
        self.start({"kafka": {"partitions": 2}})
        for failpoint in ("control.after_commit:2", "control.before_activate:1", "control.after_commit:3"):
            with self.subTest(failpoint=failpoint):
                table = self.define("id int")
                process = self.begin(table, table, "id\n1\n")
                self.crash(failpoint, lambda: self.tload("drop-table", table, "--yes", exit=5))
                self.assertEqual(process.wait(), 1, process)
                self.tload("describe", table, exit=2)
                status = json.loads(self.tload("--json", "status", table).stdout)
                self.assertEqual((status["state"], status["reason"]), ("failed", f'table "{table}" was dropped'))

    def test_pending_is_visible(self):
        """Kafka is away: the version is stored and shown, uploads go by the one before, and later it is made."""
        kafka = self.own_kafka()
        self.start(kafka=kafka)
        table = self.define("id int", "a int")
        kafka.stop()
        waiting = self.alter(table, "--rename", "a=b", exit=5)
        self.assertIn("as soon as possible", waiting.stderr)
        shown = self.described(table)
        self.assertEqual((shown["version"], [c["name"] for c in shown["columns"]]), (1, ["id", "a"]))
        pending = shown["pending"]
        self.assertEqual((pending["version"], pending["state"]), (2, "pending"))
        self.assertEqual(pending["changes"], [{"op": "rename", "column": "a", "to": "b"}])
        self.assertIn("pending", self.tload("describe", table).stdout)
        self.assertEqual([v["state"] for v in self.history(table)], ["active", "pending"])
        # A header with the name that is to come.
        said = self.tload("upload", self.write("new.csv", "id,b\n1,2\n"), "--table", table, exit=2).stderr
        self.assertIn("in version 2, which is pending", said)
        self.assertIn("--map b=a", said)
        kafka.start()
        wait_until(lambda: self.described(table)["version"] == 2, what="the pending version")
        self.assertNotIn("pending", self.described(table))
        self.upload(table, self.write("new.csv", "id,b\n1,2\n"))
