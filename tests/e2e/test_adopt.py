# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that are in the data sink before tload is: adopted when they agree, refused with the differences, left alone."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile

from tests.lib.harness import BUILD, SharedTestCase, patience, wait_until
from tests.lib.postgres import Database, Postgres

SANITIZERS = {"asan"}

server = None


def setUpModule():
    global server
    server = Postgres(tempfile.mkdtemp(prefix="tload-postgres-")).start()


def tearDownModule():
    server.stop()
    shutil.rmtree(server.dir, ignore_errors=True)


class Adopts:
    """What holds for each sink. Subclasses execute(sql), and give the rows of a query, all as texts."""

    DEFINITION = ("id bigint", "qty int not null default 1", "price decimal(10,2)", "day date")

    def make(self, table):
        """As its owner made it, with a row, and more columns than are of interest."""
        self.execute(
            f"create table {table} (id bigint not null primary key, price decimal(10,2), qty int not null default 1,"
            f" day date, note varchar(20) default 'theirs', tags text, check (qty >= 0))"
        )
        self.execute(f"insert into {table} (id, qty, price) values (1, 11, 1.5)")
        return table

    def adopt(self, table, *definition, key="id", exit=0):
        return self.tload("define-table", table, *(definition or self.DEFINITION), "--key", key, "--adopt", exit=exit)

    def described(self, table):
        return json.loads(self.tload("--json", "describe", table).stdout)

    def check(self, table, *rows):
        self.assertEqual(self.rows(f"select id, qty, price, day, note from {table} order by id"), list(rows))

    def test_agrees(self):
        table = self.make("agrees")
        self.adopt(table)
        described = self.described(table)
        self.assertEqual((described["adopted"], described["version"], described["state"]), (True, 1, "active"))
        path = self.write("a.csv", "id,qty,price,day\n1,12,2.50,2026-01-31\n2,,3,\n3,-3,1,\n")
        for _ in range(2):
            upload = self.upload(table, path, exit=3)
            self.assertEqual((upload["rows_applied"], upload["rows_rejected"]), (1, 2))
            self.assertEqual([r["line"] for r in self.rejected(upload["upload"])], [3, 4])
            self.check(table, ("1", "12", self.money("2.5"), "2026-01-31", "theirs"))
        self.upload(table, self.write("b.csv", "id,price\n2,3\n1,4\n"))
        self.check(
            table, ("1", "12", self.money("4"), "2026-01-31", "theirs"), ("2", "1", self.money("3"), None, "theirs")
        )
        self.adopt(table)  # the same again changes nothing
        self.assertEqual(self.described(table), described)

    def test_loads_many(self):
        table = self.make("loads_many")
        self.adopt(table)
        lines = [f"{i},{i % 97},{i}.25,\n" for i in range(1, 20001)]
        upload = self.upload(table, self.write("a.csv", "id,qty,price,day\n" + "".join(lines)))
        self.assertEqual(upload["rows_applied"], 20000)
        self.check(table, *((str(i), str(i % 97), self.money(f"{i}.25"), None, "theirs") for i in range(1, 20001)))

    def test_differs(self):
        table = self.make("differs")
        self.execute(f"alter table {table} rename column tags to labels")
        id_, qty, price, day = self.DEFINITION
        cases = [
            ((id_, qty, price, "gone text"), 'it has no column "gone"'),
            ((id_, qty, "price decimal(12,2)"), "not decimal(12,2)"),
            ((id_, "qty int default 1"), 'column "qty" is not null, not nullable'),
            ((id_, qty, "price decimal(10,2) not null"), 'column "price" is nullable, not not null'),
            ((id_, "qty int not null default 2"), 'column "qty" has default 1, not 2'),
            ((id_, "qty int not null"), 'column "qty" has default 1, not none'),
            ((id_, qty, "day date default '2026-01-31'"), 'column "day" has no default, not 2026-01-31'),
        ]
        for definition, text in cases:
            self.assertIn(text, self.adopt(table, *definition, exit=2).stderr)
        done = self.adopt(table, id_, "qty int", "gone text", exit=2)
        self.assertIn('column "qty" is not null, not nullable; column "qty" has default 1, not none; ', done.stderr)
        self.assertIn('; it has no column "gone"', done.stderr)
        key = self.adopt(table, *self.DEFINITION, key="id,qty", exit=2)
        self.assertIn("its primary key is (id), and no unique index is on (id, qty)", key.stderr)
        done = self.tload("define-table", table, "id bigint not null", qty, "--adopt", exit=2)
        self.assertIn("its primary key is (id), and the definition has no key", done.stderr)
        self.execute("create table demanding (id bigint not null primary key, must text not null)")
        self.assertIn('"must", which the definition does not have,', self.adopt("demanding", id_, exit=2).stderr)
        self.execute("create view looks as select 1 as id")
        self.assertIn("it is a view", self.adopt("looks", "id int", exit=2).stderr)
        self.assertIn('no table "nothing"', self.adopt("nothing", exit=2).stderr)
        for name in (table, "demanding", "looks", "nothing"):
            self.tload("describe", name, exit=2)

    def test_in_the_way(self):
        """Refused at once, with what to do; tload's own tables are in nobody's way."""
        table = self.make("in_the_way")
        done = self.tload("define-table", table, *self.DEFINITION, "--key", "id", exit=2)
        self.assertIn("--adopt", done.stderr)
        ours = self.define("id int")
        self.upload(ours, self.write("a.csv", "id\n1\n"))
        self.tload("drop-table", ours, "--yes")
        self.define("id int", "v text", name=ours)

    def test_by_a_unique_index(self):
        self.execute("create table by_index (no bigint primary key, code text not null, v int)".replace(
            "no bigint", self.NUMBERED))
        self.execute("create unique index by_index_code on by_index (code)")
        self.adopt("by_index", "code text", "v int", key="code")
        for v in (1, 2):
            self.upload("by_index", self.write("a.csv", f"code,v\na,{v}\nb,{v}\n"))
        self.assertEqual(self.rows("select code, v from by_index order by code"), [("a", "2"), ("b", "2")])

    def test_from_sink(self):
        table = self.make("from_sink")
        done = self.tload("define-table", table, "--from-sink")
        self.tload("describe", table, exit=2)
        self.assertRegex(done.stdout, r"(?s)\Atload define-table from_sink .*--key id .*--adopt\n\Z")
        env = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "TLOAD_COORDINATOR": self.coordinator.url}
        subprocess.run(["sh", "-ec", done.stdout], env=env, timeout=30, check=True, stderr=subprocess.DEVNULL)
        described = self.described(table)
        self.assertEqual(
            [(c["name"], c["type"], c["nullable"], c["default"]) for c in described["columns"]],
            [
                ("id", "bigint", False, None), ("price", "decimal(10,2)", True, None), ("qty", "int", False, "1"),
                ("day", "date", True, None), ("note", "varchar(20)", True, "theirs"), ("tags", "text", True, None),
            ],
        )
        self.assertEqual((described["key"], described["adopted"]), (["id"], True))
        self.make("from_sink_too")
        self.tload("define-table", "from_sink_too", "--from-sink", "--yes")
        self.assertEqual(
            [{**c, "id": 0} for c in self.described("from_sink_too")["columns"]],
            [{**c, "id": 0} for c in described["columns"]],
        )
        self.upload("from_sink_too", self.write("a.csv", "id,qty,note\n5,5,x\n"))
        self.assertEqual(self.rows("select id, note from from_sink_too order by id"), [("1", "theirs"), ("5", "x")])
        self.execute("create table odd (id int primary key, t interval)")
        self.assertIn('column "t" is of type interval', self.tload("define-table", "odd", "--from-sink", exit=2).stderr)
        self.tload("define-table", "nothing", "--from-sink", exit=2)
        self.tload("define-table", "both", "id int", "--from-sink", exit=2)
        self.tload("define-table", "never", "id int", "--yes", exit=2)

    def test_dropped_it_stays(self):
        table = self.make("dropped")
        for i in (2, 3):
            self.adopt(table)
            self.upload(table, self.write("a.csv", f"id,qty\n{i},{i}\n"))
            done = self.tload("drop-table", table, "--yes")
            self.assertIn("it stays in the data sink", done.stderr)
            self.tload("describe", table, exit=2)
        self.assertEqual(
            self.rows(f"select id, qty, note from {table} order by id"),
            [("1", "11", "theirs"), ("2", "2", "theirs"), ("3", "3", "theirs")],
        )
        self.tload("define-table", table, "id int", exit=2)

    def test_altered(self):
        table = self.make("altered")
        self.adopt(table)
        done = self.tload("alter", table, "--add", "note text", exit=2)
        self.assertIn('a column "note" of its own', done.stderr)
        self.tload("alter", table, "--add", "more int not null default 5", "--rename", "qty=n")
        upload = self.upload(table, self.write("a.csv", "id,n,more\n2,2,\n3,3,7\n4,-4,1\n"), exit=3)
        self.assertEqual(upload["rows_rejected"], 2)
        self.assertEqual(
            self.rows(f"select id, n, more, note from {table} order by id"),
            [("1", "11", "5", "theirs"), ("3", "3", "7", "theirs")],
        )


class SQLite(Adopts, SharedTestCase):
    NUMBERED = "no integer"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = os.path.join(cls.coordinator.state, "data", "default.db")
        wait_until(lambda: os.path.exists(cls.path), what="the data sink's file")

    def connect(self):
        return sqlite3.connect(self.path, timeout=patience(30), isolation_level=None)

    def execute(self, sql):
        connection = self.connect()
        connection.execute(sql)
        connection.close()

    def rows(self, sql):
        connection = self.connect()
        rows = connection.execute(sql).fetchall()
        connection.close()
        return [tuple(None if v is None else str(v) for v in row) for row in rows]

    def money(self, text):
        return re.sub(r"\.0$", "", str(float(text)))

    def test_changed_in_place_alone(self):
        """Made anew it would lose its owner's columns and checks."""
        table = self.make("in_place")
        self.adopt(table)
        for change in (["--drop", "day"], ["--nullable", "qty"], ["--default", "price=1"], ["--type", "day=timestamp"]):
            self.assertIn("was adopted, and SQLite can't", self.tload("alter", table, *change, exit=2).stderr)
        self.assertEqual(self.described(table)["version"], 1)

    def test_types_that_sqlite_does_not_have(self):
        self.execute("create table words (id INTEGER PRIMARY KEY, day TEXT, doc TEXT, big TEXT, n REAL, raw BLOB)")
        done = self.adopt("words", "id date", "doc int", exit=2)
        self.assertIn('column "id" is INTEGER, not date; column "doc" is TEXT, not int', done.stderr)
        self.adopt("words", "id int", "day date", "doc json", "big decimal(30,2)", "n double", "raw bytea")
        self.upload("words", self.write("a.csv", "id,day,doc,big,n,raw\n1,2026-01-31,1.0,12345678901234567890,0.5,\\x00\n"))
        self.assertEqual(
            self.rows("select id, day, doc, big, n, hex(raw) from words"),
            [("1", "2026-01-31", "1.0", "12345678901234567890.00", "0.5", "00")],
        )


class PostgreSQL(Adopts, SharedTestCase):
    NUMBERED = "no bigserial"

    @classmethod
    def setUpClass(cls):
        cls.db = Database(server, f"tload_{os.getpid()}_adopt")
        cls.addClassCleanup(cls.db.drop)
        cls.db.execute('create schema "default"')
        cls.SETTINGS = {"sink": {"url": cls.db.url}}
        super().setUpClass()

    def execute(self, sql):
        self.db.execute(sql)

    def rows(self, sql):
        return self.db.query(sql)

    def money(self, text):
        return f"{float(text):.2f}"

    def test_every_change(self):
        table = self.make("every_change")
        self.adopt(table)
        self.tload("alter", table, "--drop", "day", "--type", "qty=bigint", "--nullable", "qty", "--default", "price=2")
        self.upload(table, self.write("a.csv", "id,qty\n2,3000000000\n"))
        self.assertEqual(
            self.rows(f"select id, qty, price, note, tags from {table} order by id"),
            [("1", "11", "1.50", "theirs", None), ("2", "3000000000", "2.00", "theirs", None)],
        )

    def test_refused_by_a_foreign_key(self):
        self.execute("create table customer (id int primary key); insert into customer values (1), (2)")
        self.execute("create table ordered (id int primary key, customer int references customer, at timestamptz"
                     " not null default now())")
        done = self.tload("define-table", "ordered", "--from-sink")
        self.assertIn("its default now() is the database's own", done.stderr)
        self.adopt("ordered", "id int", "customer int")
        upload = self.upload("ordered", self.write("b.csv", "id,customer\n1,1\n2,3\n3,\n4,2\n"), exit=3)
        self.assertEqual((upload["rows_applied"], upload["rows_rejected"]), (3, 1))
        (row,) = self.rejected(upload["upload"])
        self.assertEqual((row["line"], row["code"]), (3, "sink_refused"))
        self.assertIn("foreign key", row["reason"])
        self.assertEqual(self.rows("select id, customer from ordered order by id"), [("1", "1"), ("3", None), ("4", "2")])
        self.assertEqual(self.rows("select count(*) from ordered where at > now() - interval '1 hour'"), [("3",)])

    def test_every_type(self):
        self.execute(
            "create table types (id int primary key, b boolean, d double precision, m numeric(20,4), s varchar(3), t text,"
            " v character varying, day date, ts timestamp, tz timestamptz, u uuid, j json, y bytea)"
        )
        self.tload("define-table", "types", "--from-sink", "--yes")
        row = ("1", "t", "0.1", "1.5000", "abc", "x", "y", "2026-01-31", "2026-01-31 01:02:03", "2026-01-31 00:00:00+00",
               "123e4567-e89b-12d3-a456-426614174000", "[1]", "\\x00ff")
        path = self.write("a.csv", "id,b,d,m,s,t,v,day,ts,tz,u,j,y\n" + ",".join(row) + "\n")
        for _ in range(2):
            self.upload("types", path)
            self.assertEqual(self.rows("select * from types"), [row])

    def test_out_of_reach(self):
        """What has to be looked at waits; what has not is defined as ever."""
        table = self.make("out_of_reach")
        self.addCleanup(server.start)
        server.stop_immediate()
        self.assertIn("the data sink can't be asked", self.adopt(table, exit=5).stderr)
        self.define("id int", name="afterwards")
        server.start()
        self.adopt(table)
        self.upload("afterwards", self.write("a.csv", "id\n1\n"))
        self.assertEqual(self.rows("select * from afterwards"), [("1",)])

    def test_changed_in_between(self):
        """The sink looks once more, waits when it does not agree any more, and says so."""
        table = self.make("in_between")
        holder = self.db.session()
        holder.execute(f"begin; lock table {table} in exclusive mode")
        self.adopt(table)
        holder.execute(f"alter table {table} alter column qty drop not null; commit")
        holder.close()
        tenant = "/v1/tenants/default"
        wait_until(
            lambda: 'column "qty" is nullable, not not null' in (self.coordinator.http("GET", tenant).json["waiting"] or ""),
            what="the word of waiting",
        )
        self.execute(f"alter table {table} alter column qty set not null")
        self.upload(table, self.write("a.csv", "id,qty\n2,2\n"))
        self.assertEqual(self.rows(f"select id, qty from {table} order by id"), [("1", "11"), ("2", "2")])
