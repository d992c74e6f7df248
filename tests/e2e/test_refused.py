# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that the data sink itself refuses: a constraint that a user put on the table."""

import sqlite3

from tests.lib.harness import SharedTestCase, TestCase, wait_until

SANITIZERS = {"asan"}


class Sink:
    def sink(self, sql):
        database = sqlite3.connect(f"{self.coordinator.state}/data/default.db", timeout=30)
        try:
            with database:
                database.execute(sql)
        finally:
            database.close()


class Refused(Sink, SharedTestCase):
    def rejected_rows(self, upload):
        return [(r["line"], r["column"], r["code"], r["reason"], r["raw"]) for r in self.rejected(upload)]

    def test_trigger(self):
        table = self.define("id int", "qty int", "note text")
        self.upload(table, self.write("first.csv", "id,qty,note\n1,1,x\n"))
        self.sink(
            f"create trigger no_debt before insert on {table} when new.qty < 0 "
            "begin select raise(abort, 'qty must not be negative'); end"
        )
        lines = ["id,qty,note"]
        for i in range(2, 5002):
            qty = "-7" if i % 100 == 0 else "x" if i % 250 == 3 else str(i)
            note = '"two\nlines"' if i % 100 == 0 else "plain"
            lines.append(f"{i},{qty},{note}")
        path = self.write("second.csv", "\n".join(lines) + "\n")
        upload = self.upload(table, path, exit=3)
        refused = [i for i in range(2, 5002) if i % 100 == 0]
        wrong = [i for i in range(2, 5002) if i % 250 == 3 and i % 100 != 0]
        self.assertEqual(upload["rows_rejected"], len(refused) + len(wrong))
        self.assertEqual(upload["rows_applied"], 5000 - len(refused) - len(wrong))
        loaded = {row[0] for row in self.query(f"select id from {table}")}
        self.assertEqual(loaded, set(range(1, 5002)) - set(refused) - set(wrong))

        due = []
        for i in refused:
            line = i + (i - 2) // 100  # each refused record before it has a line end in it
            due.append((line, None, "sink_refused", "qty must not be negative", f'{i},-7,"two\nlines"'))
        for i in wrong:
            due.append((i + (i - 1) // 100, "qty", "not_integer", "is not an integer", f"{i},x,plain"))
        self.assertEqual(self.rejected_rows(upload["upload"]), sorted(due))

    def test_unique_index(self):
        table = self.define("id int", "email text")
        self.upload(table, self.write("first.csv", "id,email\n1,a@example.org\n"))
        self.sink(f"create unique index one_email on {table}(email)")
        upload = self.upload(table, self.write("second.csv", "id,email\n2,a@example.org\n3,b@example.org\n"), exit=3)
        (row,) = self.rejected_rows(upload["upload"])
        self.assertEqual(row[:3] + row[4:], (2, None, "sink_refused", "2,a@example.org"))
        self.assertIn("UNIQUE", row[3])
        self.assertEqual(self.query(f"select * from {table} order by id"), [(1, "a@example.org"), (3, "b@example.org")])

    def test_everything_refused(self):
        table = self.define("id int", "qty int")
        self.upload(table, self.write("first.csv", "id,qty\n"))
        self.sink(f"create trigger closed before insert on {table} begin select raise(abort, 'closed'); end")
        path = self.write("second.csv", "id,qty\n" + "".join(f"{i},{i}\n" for i in range(20000)))
        upload = self.upload(table, path, exit=3)
        self.assertEqual((upload["rows_applied"], upload["rows_rejected"]), (0, 20000))
        self.assertEqual([r["line"] for r in self.rejected(upload["upload"])], list(range(2, 20002)))
        self.assertEqual(self.query(f"select * from {table}"), [])


class Attempts(Sink, TestCase):
    """A transaction that was rolled back had refused other rows than the one that is committed in the end."""

    def refuse_every(self, table, nth):
        self.sink("create table mood (nth int)")
        self.sink(f"insert into mood values ({nth})")
        self.sink(
            f"create trigger moody before insert on {table} when new.qty % (select nth from mood) = 0 "
            "begin select raise(abort, 'not today'); end"
        )

    def check(self, first, then, failpoint):
        self.start()
        table = self.define("id int", "qty int")
        self.upload(table, self.write("first.csv", "id,qty\n1,1\n"))
        self.refuse_every(table, first)
        self.coordinator.stop()
        self.coordinator.start(env={"TLOAD_FAILPOINT": failpoint})
        path = self.write("second.csv", "id,qty\n" + "".join(f"{i},{i}\n" for i in range(1, 20001)))
        self.tload("upload", path, "--table", table, "--id", "u", "--detach")
        wait_until(lambda: self.coordinator.process.poll() is not None, what="the crash")
        self.assertEqual(self.coordinator.process.exit, -6)
        self.sink(f"update mood set nth = {then}")
        self.coordinator.start()
        self.tload("wait", "u", exit=3)
        refused = [i for i in range(1, 20001) if i % then == 0]
        self.assertEqual([r["line"] for r in self.rejected("u")], [i + 1 for i in refused])
        self.assertEqual(len(self.query(f"select * from {table}")), 20000 - len(refused))
        stored = self.query("select sum(rows) from _tload_errors where upload = 'u'")
        self.assertEqual(stored, [(len(refused),)])

    def test_more_the_second_time(self):
        self.check(100, 30, "sink.before_commit")

    def test_fewer_the_second_time(self):
        self.check(30, 100, "sink.after_refused")
