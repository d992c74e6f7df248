# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL as the data sink: what is in the tables, rows that it refuses, and what happens when it fails."""

import os
import shutil
import signal
import subprocess
import tempfile

from tests.lib.harness import SharedTestCase, TestCase, wait_until
from tests.lib.postgres import Cable, Database, Postgres

SANITIZERS = {"tsan"}
SECONDS = 110

server = None
databases = 0


def setUpModule():
    global server
    server = Postgres(tempfile.mkdtemp(prefix="tload-postgres-")).start()


def tearDownModule():
    server.stop()
    shutil.rmtree(server.dir, ignore_errors=True)


def new_database():
    global databases
    databases += 1
    return Database(server, f"tload_{os.getpid()}_{databases}")


class Loads(SharedTestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = new_database()
        cls.addClassCleanup(cls.db.drop)
        cls.SETTINGS = {"sink": {"url": cls.db.url}}
        super().setUpClass()

    def rows(self, table, order="id"):
        return self.db.query(f"select * from {table} order by {order}")

    def lines(self, upload):
        return [r["line"] for r in self.rejected(upload["upload"])]

    def check(self, upload, applied, rejected=0):
        self.assertEqual((upload["rows_applied"], upload["rows_rejected"]), (applied, rejected))

    def test_new_again_and_half_new(self):
        table = self.define("id int", "v text", "n int not null default 3")
        first = "id,v\n" + "".join(f"{i},a{i}\n" for i in range(20000))
        self.check(self.upload(table, self.write("a.csv", first)), 20000)
        self.assertEqual(self.rows(table), [(str(i), f"a{i}", "3") for i in range(20000)])

        # The same again changes no row: xmin is the transaction that wrote it.
        xmin = f"select max(xmin::text::bigint) from {table}"
        before = self.db.value(xmin)
        self.check(self.upload(table, self.write("b.csv", first)), 20000)
        self.assertEqual(self.db.value(xmin), before)

        self.db.execute(f"update {table} set n = 9 where id = 10000")
        second = "id,v\n" + "".join(f"{i},b{i}\n" for i in range(10000, 30000))
        self.check(self.upload(table, self.write("c.csv", second)), 20000)
        due = [(str(i), f"{'a' if i < 10000 else 'b'}{i}", "9" if i == 10000 else "3") for i in range(30000)]
        self.assertEqual(self.rows(table), due)

    def test_last_one_wins(self):
        table = self.define("id int", "v text")
        lines = [f"{i % 100},{i}\n" for i in range(10000)]
        for _ in range(2):
            self.check(self.upload(table, self.write("a.csv", "id,v\n" + "".join(lines))), 10000)
            self.assertEqual(self.rows(table), [(str(i), str(9900 + i)) for i in range(100)])

    def test_key_of_two_columns(self):
        table = self.define("a text", "b date", "v int", key="b,a")
        path = self.write("a.csv", "a,b,v\nx,2026-01-31,1\nx,2026-02-01,2\ny,2026-01-31,3\nx,2026-01-31,4\n")
        for _ in range(2):
            self.check(self.upload(table, path), 4)
            self.assertEqual(
                self.rows(table, "v"), [("x", "2026-02-01", "2"), ("y", "2026-01-31", "3"), ("x", "2026-01-31", "4")]
            )

    def test_without_a_key(self):
        table = self.define("id int", "v text", key=None)
        path = self.write("a.csv", "id,v\n" + "".join(f"{i},x\n" for i in range(5000)))
        self.upload(table, path)
        self.upload(table, path)
        self.assertEqual(self.rows(table), [(str(i), "x") for i in range(5000) for _ in range(2)])

    def test_exact_values(self):
        columns = {
            "b": "boolean", "i": "int", "l": "bigint", "d": "double", "m": "decimal(38,10)", "z": "decimal(38,38)",
            "s": "varchar(3)", "t": "text", "day": "date", "ts": "timestamp", "tz": "timestamptz", "u": "uuid",
            "j": "json", "y": "bytea",
        }
        table = self.define("id int", *(f"{name} {type_}" for name, type_ in columns.items()))
        given = [
            ("t", "-2147483648", "-9223372036854775808", "0.30000000000000004",
             "1234567890123456789012345678.0123456789", "0." + "9" * 38, "äöü", '"a\tb\\c\n\r""😀\x01\x08\x0b\x0c"',
             "0001-01-01", "9999-12-31T23:59:59.999999", "2026-01-01 00:30:00+01:00",
             "123E4567-E89B-12D3-A456-426614174000", '"{""a"": ""\\n""}"', "\\x00ff5c"),
            ("no", "2147483647", "9223372036854775807", "Infinity", "-0.5", "1e-38", "😀😀😀", "\\N",
             "9999-12-31", "2026-01-31", "0001-01-01 00:00:00+00", "00000000-0000-0000-0000-000000000000", "1.0", "\\x"),
            ("", "", "", "-inf", "", "", '""', '""', "", "", "", "", "", ""),
            ("", "", "", "nan", "", "", "", "", "", "", "", "", "", ""),
            ("", "", "", "-0", "", "", "", "\\.", "", "", "", "", "", ""),
            ("", "", "", "1.7976931348623157e308", "", "", "", "x" * 100000, "", "", "", "", "", ""),
            ("", "", "", "5e-324", "", "", "", "NULL", "", "", "", "", "", ""),
        ]
        none = (None,) * 3
        due = [
            ("t", "-2147483648", "-9223372036854775808", "0.30000000000000004",
             "1234567890123456789012345678.0123456789", "0." + "9" * 38, "äöü", 'a\tb\\c\n\r"😀\x01\x08\x0b\x0c',
             "0001-01-01", "9999-12-31 23:59:59.999999", "2025-12-31 23:30:00+00",
             "123e4567-e89b-12d3-a456-426614174000", '{"a": "\\n"}', "\\x00ff5c"),
            ("f", "2147483647", "9223372036854775807", "Infinity", "-0.5000000000", "0." + "0" * 37 + "1", "😀😀😀",
             "\\N", "9999-12-31", "2026-01-31 00:00:00", "0001-01-01 00:00:00+00",
             "00000000-0000-0000-0000-000000000000", "1.0", "\\x"),
            (*none, "-Infinity", None, None, "", "", *none, *none),
            (*none, "NaN", *none, None, *none, *none),
            (*none, "-0", *none, "\\.", *none, *none),
            (*none, "1.7976931348623157e+308", *none, "x" * 100000, *none, *none),
            (*none, "5e-324", *none, "NULL", *none, *none),
        ]
        lines = "".join(f"{i},{','.join(row)}\n" for i, row in enumerate(given))
        path = self.write("a.csv", f"id,{','.join(columns)}\n{lines}")
        for _ in range(2):  # into the table itself, and by way of the staging table
            self.check(self.upload(table, path), len(given))
            self.assertEqual(self.rows(table), [(str(i), *row) for i, row in enumerate(due)])
        upload = self.upload(table, self.write("nul.csv", b"id,t\n7,a\0b\n"), exit=3)
        self.assertEqual(self.rejected(upload["upload"])[0]["code"], "nul_byte")

    def test_zero_becomes_minus_zero(self):
        table = self.define("id int", "d double", "j json")
        for d, j in (("0", "1"), ("-0", "1"), ("-0", "1.0"), ("", "1.0")):
            self.upload(table, self.write("a.csv", f"id,d,j\n1,{d},{j}\n"))
            self.assertEqual(self.rows(table), [("1", d or None, j)])

    def test_refused_by_a_check(self):
        table = self.define("id int", "qty int")
        self.upload(table, self.write("first.csv", "id,qty\n5,1\n"))
        self.db.execute(f"alter table {table} add constraint no_debt check (qty >= 0)")
        wrong = {i for i in range(20000) if i % 1000 == 5 or 7000 <= i < 7300}
        lines = [f"{i},{-i if i in wrong else i}\n" for i in range(20000)]
        upload = self.upload(table, self.write("second.csv", "id,qty\n" + "".join(lines)), exit=3)
        self.check(upload, 20000 - len(wrong), len(wrong))
        self.assertEqual(self.lines(upload), sorted(i + 2 for i in wrong))
        row = self.rejected(upload["upload"])[0]
        self.assertEqual((row["code"], row["raw"]), ("sink_refused", "5,-5"))
        self.assertIn("no_debt", row["reason"])
        due = [(str(i), str(i)) for i in range(20000) if i not in wrong]
        self.assertEqual(self.rows(table), sorted([*due, ("5", "1")], key=lambda r: int(r[0])))

    def test_refused_by_a_foreign_key(self):
        table = self.define("id int", "customer int", key=None)
        self.upload(table, self.write("first.csv", "id,customer\n"))
        self.db.execute("create table customer (id int primary key); insert into customer values (1), (2)")
        self.db.execute(
            f"alter table {table} add foreign key (customer) references customer deferrable initially deferred"
        )
        upload = self.upload(table, self.write("b.csv", "id,customer\n1,1\n2,3\n3,\n4,2\n5,4\n"), exit=3)
        self.check(upload, 3, 2)
        self.assertEqual(self.lines(upload), [3, 6])
        self.assertIn("foreign key", self.rejected(upload["upload"])[0]["reason"])
        self.assertEqual(self.rows(table), [("1", "1"), ("3", None), ("4", "2")])

    def test_refused_by_others(self):
        """A unique index, a trigger, a key that is too long for an index, an expression that can't be computed."""
        table = self.define("id text", "email text", "n int")
        self.upload(table, self.write("first.csv", "id,email,n\na,a@example.org,1\n"))
        self.db.execute(f"create unique index one_email on {table} (email); create index on {table} ((100 / n))")
        self.db.execute(
            "create function closed() returns trigger language plpgsql as "
            "$$begin if new.id = 'closed' then raise 'not today'; end if; return new; end$$; "
            f"create trigger closed before insert on {table} for each row execute function closed()"
        )
        noise = "".join(f"{chr(0x4E00 + i * 7919 % 20000)}" for i in range(3000))
        lines = ["b,a@example.org,1", "c,c@example.org,1", "closed,d@example.org,1", f"{noise},e@example.org,1",
                 "d,f@example.org,0", "e,g@example.org,2"]
        upload = self.upload(table, self.write("b.csv", "id,email,n\n" + "\n".join(lines) + "\n"), exit=3)
        self.assertEqual(self.lines(upload), [2, 4, 5, 6])
        reasons = [r["reason"] for r in self.rejected(upload["upload"])]
        for reason, word in zip(reasons, ("one_email", "not today", "index row", "division by zero")):
            self.assertIn(word, reason)
        self.assertEqual([r[0] for r in self.rows(table)], ["a", "c", "e"])

    def test_everything_refused(self):
        table = self.define("id int", "qty int")
        self.upload(table, self.write("first.csv", "id,qty\n"))
        self.db.execute(f"alter table {table} add check (false)")
        path = self.write("second.csv", "id,qty\n" + "".join(f"{i},{i}\n" for i in range(20000)))
        upload = self.upload(table, path, exit=3)
        self.check(upload, 0, 20000)
        self.assertEqual(self.lines(upload), list(range(2, 20002)))
        self.assertEqual(self.rows(table), [])

    def test_drop(self):
        table = self.define("id int", "v text")
        self.upload(table, self.write("a.csv", "id,v\n1,x\n"))
        self.tload("drop-table", table, "--yes")
        there = f"select count(*) from pg_tables where schemaname = 'default' and tablename = '{table}'"
        wait_until(lambda: self.db.value(there) == "0", what="the drop")
        self.define("id int", "w int", name=table)
        self.upload(table, self.write("b.csv", "id,w\n2,22\n"))
        self.assertEqual(self.rows(table), [("2", "22")])


class Faults(TestCase):
    ROWS = 60000

    def setUp(self):
        super().setUp()
        self.db = new_database()
        self.addCleanup(self.db.drop)

    def begin(self, url=None, key=None):
        """Half of a file is on its way: some of it in the table, the rest kept back until finish()."""
        # Small transactions, so that the fault meets many of them.
        self.start({"sink": {"url": url or self.db.url, "commit_rows": 2000}})
        self.table = self.define("id int", "v text", key=key)
        self.process = self.tload_start("--json", "upload", "-", "--table", self.table, stdin=subprocess.PIPE)
        self.process.stdin.write(b"id,v\n")
        self.feed(0, self.ROWS // 2)
        wait_until(lambda: self.applied() > 0, what="rows in the table")

    def feed(self, first, end):
        self.process.stdin.write("".join(f"{i},value of row {i}\n" for i in range(first, end)).encode())
        self.process.stdin.flush()

    def applied(self):
        self.assertIsNone(self.process.poll(), self.process)
        return self.look()["rows_applied"]

    def look(self):
        """The object of the only upload."""
        uploads = "/v1/tenants/default/uploads"
        (upload,) = self.coordinator.http("GET", uploads).json["uploads"]
        return self.coordinator.http("GET", f"{uploads}/{upload['upload']}").json

    def finish(self, first):
        """All rows are there, once: without a key a row that is applied twice is there twice."""
        self.feed(first, self.ROWS)
        self.process.stdin.close()
        self.assertEqual(self.process.wait(120), 0, self.process)
        due = [(str(i), f"value of row {i}") for i in range(self.ROWS)]
        self.assertEqual(self.db.query(f"select * from {self.table} order by id"), due)

    def test_server_stops_and_comes_back(self):
        self.begin()
        self.addCleanup(server.start)
        server.stop_immediate()
        self.feed(self.ROWS // 2, self.ROWS // 2 + 1)
        wait_until(lambda: "Connection refused" in (self.look()["waiting"] or ""), what="the word of waiting")
        server.start()
        self.finish(self.ROWS // 2 + 1)

    def test_standby_takes_over(self):
        primary, standby = (Postgres(tempfile.mkdtemp(prefix="tload-postgres-")) for _ in range(2))
        for one in (primary, standby):
            self.addCleanup(shutil.rmtree, one.dir, ignore_errors=True)
            self.addCleanup(one.stop)
        self.db = Database(primary.start(), self.db.name)
        standby = primary.standby(standby.dir)
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        self.begin(f"postgresql://postgres@{hosts}/{self.db.name}?target_session_attrs=read-write")
        primary.stop_immediate()
        self.db = Database(standby, self.db.name, there=True)
        self.db.execute("select pg_promote()")
        self.finish(self.ROWS // 2)

    def test_backends_are_terminated(self):
        self.begin()
        terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'tload'"
        cut = 0
        for first in range(self.ROWS // 2, self.ROWS * 3 // 4, 500):
            self.feed(first, first + 500)
            cut += int(self.db.value(terminate))
        self.assertGreater(cut, 5)
        self.finish(self.ROWS * 3 // 4)

    def test_server_that_hangs(self):
        """It can't keep coordinatord from stopping in order, within its time."""
        self.begin()
        backends = self.db.query("select pid from pg_stat_activity where application_name = 'tload'")
        for (pid,) in backends:
            os.kill(int(pid), signal.SIGSTOP)
        try:
            self.feed(self.ROWS // 2, self.ROWS * 3 // 4)
            wait_until(lambda: server.unread() > 1, what="statements that nobody takes in")
            self.coordinator.stop()
            self.assertNotIn("did not end in time", self.coordinator.log)
        finally:
            for (pid,) in backends:
                os.kill(int(pid), signal.SIGCONT)
        self.coordinator.start()
        self.finish(self.ROWS * 3 // 4)

    def test_answer_to_commit_is_lost(self):
        cable = Cable(server.port)
        self.addCleanup(cable.close)
        self.begin(url=cable.url(self.db))
        cable.armed = True
        for i in range(5):
            before = cable.cuts
            self.feed(self.ROWS // 2 + i * 3000, self.ROWS // 2 + (i + 1) * 3000)
            wait_until(lambda: cable.cuts > before, what="a cut connection")
        cable.armed = False
        self.finish(self.ROWS * 3 // 4)

    def test_table_is_locked(self):
        self.begin(key="id")
        session = self.db.session()
        self.addCleanup(session.close)
        session.execute(f"begin; lock table {self.table} in access exclusive mode")
        self.feed(self.ROWS // 2, self.ROWS * 3 // 4)
        said = f'waiting for table "{self.table}": '
        wait_until(lambda: said in (self.look()["waiting"] or ""), what="the word of waiting")
        shown = self.tload("status", self.look()["upload"]).stdout
        self.assertIn(f"table {self.table}: locking it: canceling statement due to lock timeout", shown)
        session.execute("commit")
        self.finish(self.ROWS * 3 // 4)
        self.assertIsNone(self.look()["waiting"])

    def test_another_process_takes_over(self):
        """Partitions go to a second sink, which is killed, and come back: whoever lost one changes nothing."""
        self.begin()
        settings = {"sink": {"url": self.db.url, "commit_rows": 2000}}
        second = self.new_coordinator(settings, roles="sink", directory=self.coordinator.dir)
        second.start(ready=False)
        wait_until(lambda: "partitions are ours" in second.log, what="the second one's partitions")
        for first in range(self.ROWS // 2, self.ROWS * 3 // 4, 500):
            self.feed(first, first + 500)
        second.kill()
        self.finish(self.ROWS * 3 // 4)

    def test_password_is_shown_nowhere(self):
        self.use_kafka()
        self.db.execute("create role poor login password 'topsecret'")
        url = self.db.url.replace("//postgres@", "//poor:topsecret@")
        self.coordinator = self.new_coordinator({"sink": {"url": url}}).start()
        self.addCleanup(self._stop_coordinator)
        wait_until(lambda: "permission denied" in self.coordinator.log, what="the word of what is not allowed")
        self.assertNotIn("topsecret", self.coordinator.log)
        wrong = self.new_coordinator({"sink": {"url": url + "?nothing=1"}})
        wrong.start(ready=False)
        self.assertNotEqual(wrong.process.wait(10), 0)
        self.assertIn("[sink] url", wrong.log)
        self.assertNotIn("topsecret", wrong.log)

    def test_two_connections(self):
        self.begin()
        busy = "select count(distinct pid) from pg_stat_activity where application_name = 'tload' and query ~ 'COPY|COMMIT'"
        wait_until(lambda: int(self.db.value(busy)) >= 2, what="two connections that write")
        self.finish(self.ROWS // 2)
