# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL behind a pooler in transaction mode: no two transactions need come to the same connection."""

import itertools
import os
import shutil
import subprocess
import tempfile

from tests.lib.harness import TestCase, wait_until
from tests.lib.postgres import Database, Pooler, Postgres

server = None
numbers = itertools.count(1)


def setUpModule():
    global server
    server = Postgres(tempfile.mkdtemp(prefix="tload-postgres-")).start()


def tearDownModule():
    server.stop()
    shutil.rmtree(server.dir, ignore_errors=True)


class Pooled(TestCase):
    ROWS = 40000

    def setUp(self):
        super().setUp()
        self.db = Database(server, f"tload_{os.getpid()}_{next(numbers)}")
        self.addCleanup(self.db.drop)
        self.pooler = Pooler(self.dir, server).start()
        self.addCleanup(lambda: self.pooler.kill())
        self.start({"sink": {"url": self.pooler.url(self.db), "commit_rows": 2000}})

    def rows(self, table):
        return self.db.query(f"select * from {table} order by id")

    def begin(self, key=None):
        """Half of a file is on its way: without a key a row that is applied twice is there twice."""
        self.table = self.define("id int", "v text", key=key)
        self.process = self.tload_start("upload", "-", "--table", self.table, stdin=subprocess.PIPE)
        self.process.stdin.write(b"id,v\n")
        self.feed(0, self.ROWS // 2)
        self.wait_for_rows(1)

    def feed(self, first, end):
        self.process.stdin.write("".join(f"{i},value of row {i}\n" for i in range(first, end)).encode())
        self.process.stdin.flush()

    def wait_for_rows(self, n):
        wait_until(lambda: self.applied() >= n, what=f"{n} rows in the table")

    def applied(self):
        self.assertIsNone(self.process.poll(), self.process)
        (upload,) = self.coordinator.http("GET", "/v1/tenants/default/uploads").json["uploads"]
        return upload["rows_applied"]

    def finish(self, first):
        self.feed(first, self.ROWS)
        self.process.stdin.close()
        self.assertEqual(self.process.wait(120), 0, self.process)
        self.assertEqual(self.rows(self.table), [(str(i), f"value of row {i}") for i in range(self.ROWS)])

    def test_new_again_and_half_new(self):
        table = self.define("id int", "v text", "n int not null default 3")
        first = "id,v\n" + "".join(f"{i},a{i}\n" for i in range(20000))
        for _ in range(2):  # into the table itself, and by way of the staging table
            self.upload(table, self.write("a.csv", first))
            self.assertEqual(self.rows(table), [(str(i), f"a{i}", "3") for i in range(20000)])
        self.db.execute(f"alter table {table} add check (n < 9)")
        second = "id,v,n\n" + "".join(f"{i},b{i},{9 if i == 25000 else 3}\n" for i in range(10000, 30000))
        upload = self.upload(table, self.write("b.csv", second), exit=3)
        self.assertEqual([r["line"] for r in self.rejected(upload["upload"])], [15002])
        due = [(str(i), f"{'a' if i < 10000 else 'b'}{i}", "3") for i in range(30000) if i != 25000]
        self.assertEqual(self.rows(table), due)
        self.tload("alter", table, "--add", "more text default 'x'", "--drop", "n")
        self.upload(table, self.write("c.csv", "id,v\n1,c1\n"))
        self.assertEqual(self.db.query(f"select id, v, more from {table} where id = 1"), [("1", "c1", "x")])
        # So there was something to share.
        self.assertGreater(self.pooler.clients(), Pooler.CONNECTIONS)
        self.assertLessEqual(len(self.pooler.servers()), Pooler.CONNECTIONS)

    def test_an_adopted_table(self):
        self.define("id int")  # with it there is the schema
        self.upload("an_adopted_table_1", self.write("a.csv", "id\n1\n"))
        self.db.execute("create table theirs (id int primary key, v text, w text default 'w')")
        self.tload("define-table", "theirs", "id int", "v text", "--key", "id", "--adopt")
        for v in ("a", "b"):
            self.upload("theirs", self.write("a.csv", f"id,v\n1,{v}\n"))
        self.assertEqual(self.rows("theirs"), [("1", "b", "w")])

    def test_connections_of_the_server_are_made_anew(self):
        self.begin()
        seen = self.pooler.servers()
        half, step = self.ROWS // 2, 2000
        for first in range(half, half + 8 * step, step):
            self.pooler.reconnect()
            self.feed(first, first + step)
            self.wait_for_rows(first)
            seen |= self.pooler.servers()
        self.assertGreater(len(seen), 2 * Pooler.CONNECTIONS)
        self.finish(half + 8 * step)

    def test_connections_of_the_server_are_terminated(self):
        self.begin()
        cut, half, step = 0, self.ROWS // 2, 500
        for first in range(half, half + 20 * step, step):
            self.feed(first, first + step)
            cut += int(self.db.value(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            ))
        self.assertGreater(cut, 5)
        self.finish(half + 20 * step)

    def test_pooler_is_killed(self):
        self.begin()
        half = self.ROWS // 2
        self.pooler.kill()
        self.feed(half, half + 1)
        tenant = "/v1/tenants/default"
        wait_until(lambda: self.coordinator.http("GET", tenant).json["waiting"], what="the word of waiting")
        self.pooler.start()
        self.finish(half + 1)
