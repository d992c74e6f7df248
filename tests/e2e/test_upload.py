# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads from file to table: what arrives is compared with what Python's csv module makes of the same file."""

import json
import os
import pty
import re
import signal
import subprocess
import time

from tests.lib.harness import BUILD, SharedTestCase, scaled, wait_until
from tests.oracle import orders

SANITIZERS = {"asan", "tsan"}

UPLOAD_MEMBERS = {
    "upload", "table", "state", "version", "rows_read", "rows_applied", "rows_rejected", "bytes_sent", "bytes_total",
    "started_at", "finished_at", "reason",
}
REJECTED_MEMBERS = {"upload", "file", "line", "column", "code", "reason", "value", "raw"}
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class UploadCase(SharedTestCase):
    def rows(self, table, order="id"):
        return self.query(f"select * from {table} order by {order}")

    def status(self, upload):
        return json.loads(self.tload("--json", "status", upload).stdout)

    def open_upload(self, table, *arguments, first=b""):
        """An upload from a pipe that stays open, as the Process and its id; first is written to it before."""
        before = {u["upload"] for u in self.uploads(table)}
        process = self.tload_start("upload", "-", "--table", table, *arguments, stdin=subprocess.PIPE)
        process.stdin.write(first)
        process.stdin.flush()
        self.addCleanup(process.stdin.close)
        new = wait_until(lambda: {u["upload"] for u in self.uploads(table)} - before, what="the upload's begin")
        return process, new.pop()

    def uploads(self, table):
        return self.coordinator.http("GET", f"/v1/tenants/default/uploads?table={table}").json["uploads"]


class Loading(UploadCase):
    def test_many_rows_some_wrong(self):
        table = self.define(*orders.DEFINITION)
        path = orders.write(os.path.join(self.dir, "orders.csv"), 30000, wrong=0.02, ids=25000)
        due = orders.expected(path)
        upload = self.upload(table, path, exit=3)

        self.assertEqual(upload["state"], "done_with_errors")
        self.assertEqual(upload["rows_read"], due.read_rows)
        self.assertEqual(upload["rows_rejected"], len(due.rejected))
        self.assertEqual(upload["rows_applied"], due.read_rows - len(due.rejected))
        self.assertEqual(self.rows(table), due.sorted())
        rejected = self.rejected(upload["upload"])
        self.assertEqual(
            [(r["file"], r["line"], r["column"], r["code"], r["raw"]) for r in rejected], due.rejected
        )
        for row in rejected:
            self.assertEqual(set(row), REJECTED_MEMBERS)
            self.assertEqual(row["upload"], upload["upload"])

    def test_object_of_an_upload(self):
        table = self.define("id int", "v text")
        path = self.write("a.csv", "id,v\n1,x\n2,y\n")
        upload = self.upload(table, path)
        self.assertLessEqual(UPLOAD_MEMBERS, set(upload))
        self.assertEqual(upload["table"], table)
        self.assertEqual(upload["state"], "done")
        self.assertEqual(upload["version"], 1)
        self.assertEqual((upload["rows_read"], upload["rows_applied"], upload["rows_rejected"]), (2, 2, 0))
        self.assertEqual((upload["bytes_sent"], upload["bytes_total"]), (13, 13))
        self.assertRegex(upload["started_at"], f"^{TIME}$")
        self.assertRegex(upload["finished_at"], f"^{TIME}$")
        self.assertLessEqual(upload["started_at"], upload["finished_at"])
        self.assertIsNone(upload["reason"])
        self.assertEqual(self.status(upload["upload"]), upload)
        listed = [json.loads(line) for line in self.tload("--json", "uploads", "--table", table).stdout.splitlines()]
        self.assertEqual(listed, [upload])

    def test_plain_output(self):
        table = self.define("id int", "v text")
        done = self.tload("upload", self.write("a.csv", "id,v\n1,x\n2,y\n3,z\n"), "--table", table)
        self.assertEqual(done.stdout, "")
        self.assertIn(f"tload: {table}: done, 3 rows applied\n", done.stderr)
        self.assertNotIn("\r", done.stderr)
        quiet = self.tload("-q", "upload", os.path.join(self.dir, "a.csv"), "--table", table)
        self.assertEqual((quiet.stdout, quiet.stderr), ("", ""))

    def test_progress_bar_on_a_terminal(self):
        table = self.define("id int", "v text")
        path = self.write("a.csv", "id,v\n1,x\n")
        main, terminal = pty.openpty()
        self.addCleanup(os.close, main)
        command = [BUILD / "tload", "--coordinator", self.coordinator.url, "upload", path, "--table", table]
        env = {**os.environ, "TERM": "xterm", "HOME": self.dir}
        on = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        done = subprocess.run(command, **on, env=env, timeout=60, check=False)
        os.close(terminal)
        self.assertEqual(done.returncode, 0)
        shown = b""
        try:
            while True:
                shown += os.read(main, 4096)
        except OSError:
            pass
        self.assertRegex(shown.decode(), rf"\r{table} .*rows")
        self.assertIn("\r\x1b[K", shown.decode())
        self.assertTrue(shown.decode().rstrip("\r\n").endswith(f"{table}: done, 1 rows applied"), shown)

    def test_messages_of_rejected_rows(self):
        table = self.define("id int", "qty int not null", "note varchar(3)")
        path = self.write("orders.csv", 'id,qty,note\n1,12x,a\n2,,b\n3,3,"lo""ng"\n4,4\n5,5,ok\n')
        upload = self.upload(table, path, exit=3)
        shown = self.tload("errors", upload["upload"]).stdout.splitlines()
        self.assertEqual(len(shown), 4)
        self.assertEqual(shown[0], f'{path}:2: column "qty": "12x" is not an integer')
        self.assertEqual(shown[1], f'{path}:3: column "qty": must have a value')
        self.assertRegex(shown[2], rf'^{re.escape(path)}:4: column "note": "lo"ng" ')
        self.assertEqual(shown[3], f"{path}:5: has 2 fields, not 3")
        self.assertEqual(self.tload("errors", upload["upload"], "--limit", "2").stdout.splitlines(), shown[:2])
        self.assertEqual(
            [(r["line"], r["column"], r["code"], r["value"], r["raw"]) for r in self.rejected(upload["upload"])],
            [
                (2, "qty", "not_integer", "12x", "1,12x,a"), (3, "qty", "null_value", None, "2,,b"),
                (4, "note", "too_long", 'lo"ng', '3,3,"lo""ng"'), (5, None, "too_few_fields", None, "4,4"),
            ],
        )
        told = self.tload("upload", path, "--table", table, exit=3)
        self.assertRegex(told.stderr, rf"tload: {table}: done, 1 rows applied, 4 rejected\n")
        self.assertIn("--csv > rejected.csv", told.stderr)

    def test_long_value_is_cut_at_100_bytes(self):
        table = self.define("id int", "v varchar(200)")
        upload = self.upload(table, self.write("a.csv", "id,v\n1," + "ä" * 201 + "\n"), exit=3)
        (row,) = self.rejected(upload["upload"])
        self.assertEqual(row["value"], "ä" * 50)
        self.assertEqual(row["raw"], "1," + "ä" * 201)
        upload = self.upload(table, self.write("a.csv", "id,v\n1,x" + "ä" * 201 + "\n"), exit=3)
        self.assertEqual(self.rejected(upload["upload"])[0]["value"], "x" + "ä" * 49)

    def test_rejected_records_corrected_and_uploaded_again(self):
        table = self.define("id int", "qty int", "note text")
        content = 'qty,id,note\n1,1,"a, b"\nx2,2,"line\none"\n3,3,\nx4,4,"say ""hi"""\n5x,5,\r\n'
        upload = self.upload(table, self.write("a.csv", content), exit=3)
        self.assertEqual(self.rows(table), [(1, 1, "a, b"), (3, 3, None)])
        again = self.tload("errors", upload["upload"], "--csv").stdout
        self.assertEqual(again, 'qty,id,note\nx2,2,"line\none"\nx4,4,"say ""hi"""\n5x,5,\n')
        fixed = self.upload(table, self.write("fixed.csv", again.replace("x", "")))
        self.assertEqual((fixed["state"], fixed["rows_applied"]), ("done", 3))
        self.assertEqual(
            self.rows(table),
            [(1, 1, "a, b"), (2, 2, "line\none"), (3, 3, None), (4, 4, 'say "hi"'), (5, 5, None)],
        )

    def test_bytes_that_are_not_utf8_come_back_as_they_were(self):
        table = self.define("id int", "v text")
        upload = self.upload(table, self.write("a.csv", b"id,v\n1,Stra\xdfe\n2,ok\n"), exit=3)
        (row,) = self.rejected(upload["upload"])
        self.assertEqual((row["code"], row["column"], row["line"]), ("invalid_utf8", "v", 2))
        self.assertEqual(self.tload("errors", upload["upload"], "--csv").stdout_bytes, b"id,v\n1,Stra\xdfe\n")

    def test_no_rejected_rows(self):
        table = self.define("id int")
        upload = self.upload(table, self.write("a.csv", "id\n1\n"))
        shown = self.tload("errors", upload["upload"])
        self.assertEqual(shown.stdout, "")
        self.assertIn("no rejected rows", shown.stderr)
        self.assertEqual(self.rejected(upload["upload"]), [])


class LastOneWins(UploadCase):
    def test_between_uploads(self):
        table = self.define("id int", "v text")
        self.upload(table, self.write("a.csv", "id,v\n1,old\n2,old\n"))
        self.upload(table, self.write("b.csv", "id,v\n2,new\n3,new\n"))
        self.assertEqual(self.rows(table), [(1, "old"), (2, "new"), (3, "new")])
        self.upload(table, os.path.join(self.dir, "a.csv"))
        self.assertEqual(self.rows(table), [(1, "old"), (2, "old"), (3, "new")])

    def test_within_a_file(self):
        table = self.define("id int", "v int")
        lines = [f"{i % 100},{i}" for i in range(20000)]
        upload = self.upload(table, self.write("a.csv", "id,v\n" + "\n".join(lines) + "\n"))
        self.assertEqual(upload["rows_applied"], 20000)
        self.assertEqual(self.rows(table), [(i, 19900 + i) for i in range(100)])

    def test_keys_are_compared_by_value(self):
        table = self.define("a int", "b decimal(6,2)", "v text", key="a,b")
        path = self.write("a.csv", 'a,b,v\n7,1.0,first\n007,1.00,second\n"+7",1,third\n-7,1,other\n8,1e1,x\n8,10,y\n')
        self.assertEqual(self.upload(table, path)["rows_applied"], 6)
        self.assertEqual(self.rows(table, "a, b"), [(-7, 1, "other"), (7, 1, "third"), (8, 10, "y")])

    def test_a_column_that_the_file_has_not_keeps_its_value(self):
        table = self.define("id int", "a text", "b int default 7", "c text not null default 'c'")
        self.upload(table, self.write("a.csv", "id,a,b,c\n1,one,1,x\n"))
        self.upload(table, self.write("b.csv", "a,id\nuno,1\ndos,2\n"))
        self.assertEqual(self.rows(table), [(1, "uno", 1, "x"), (2, "dos", 7, "c")])

    def test_without_a_key_rows_are_appended(self):
        table = self.define("a int", "v text", key=None)
        path = self.write("a.csv", "a,v\n" + "".join(f"{i % 10},x\n" for i in range(1000)))
        self.upload(table, path)
        self.upload(table, path)
        self.assertEqual(
            self.query(f"select a, v, count(*) from {table} group by 1, 2 order by 1"),
            [(i, "x", 200) for i in range(10)],
        )

    def test_many_uploads_at_once(self):
        shared = self.define("id int", "who int", "v text")
        own = [self.define("id int", "who int", "v text") for _ in range(3)]
        started = []
        for n in range(20):
            table = shared if n % 2 else own[n % 3]
            first = 0 if n % 2 else 1000 * n
            path = self.write(f"{n}.csv", "id,who,v\n" + "".join(f"{i},{n},v{i}\n" for i in range(first, first + 2000)))
            started.append((table, n, first, self.tload_start("--json", "upload", path, "--table", table)))
        for table, n, first, process in started:
            self.assertEqual(process.wait(120), 0, process)
            upload = json.loads(process.stdout)
            self.assertEqual((upload["rows_read"], upload["rows_applied"], upload["rows_rejected"]), (2000, 2000, 0))
        for table in own:
            firsts = {n: first for t, n, first, _ in started if t == table}
            due = {i for first in firsts.values() for i in range(first, first + 2000)}
            rows = self.rows(table)
            self.assertEqual([r[0] for r in rows], sorted(due))
            for number, who, v in rows:
                self.assertIn(number, range(firsts[who], firsts[who] + 2000))
                self.assertEqual(v, f"v{number}")
        rows = self.rows(shared)
        self.assertEqual([(r[0], r[2]) for r in rows], [(i, f"v{i}") for i in range(2000)])
        self.assertLessEqual({r[1] for r in rows}, set(range(1, 20, 2)))
        self.assertEqual(
            self.query("select sum(rows_applied) from _tload_ledger where table_name = ?", (shared,)), [(20000,)]
        )


class Forms(UploadCase):
    """How files may be written."""

    def test_columns_in_any_order(self):
        table = self.define("id int", "a text", "b text", "c int")
        self.upload(table, self.write("a.csv", ' C ,"b",ID,A\n3,bee,1,aye\n'))
        self.assertEqual(self.rows(table), [(1, "aye", "bee", 3)])

    def test_header_skip(self):
        table = self.define("id int", "a text")
        path = self.write("a.csv", "what,ever\n1,x\n2,y\n")
        self.assertEqual(self.upload(table, path, "--header=skip")["rows_read"], 2)
        self.assertEqual(self.rows(table), [(1, "x"), (2, "y")])
        self.upload(table, path, "--header", "skip", "--columns", "id,a")
        self.assertEqual(self.rows(table), [(1, "x"), (2, "y")])

    def test_header_none(self):
        table = self.define("id int", "a text", "b text")
        self.upload(table, self.write("a.csv", "1,x,p\n"), "--header=none")
        self.upload(table, self.write("b.csv", "y,2\nz,3\n"), "--header=none", "--columns", "a,id")
        self.assertEqual(self.rows(table), [(1, "x", "p"), (2, "y", None), (3, "z", None)])
        upload = self.upload(table, self.write("c.csv", "x9,1,\n4,v,w\n"), "--header=none", exit=3)
        self.assertEqual([(r["line"], r["code"]) for r in self.rejected(upload["upload"])], [(1, "not_integer")])
        self.assertEqual(self.tload("errors", upload["upload"], "--csv").stdout, "id,a,b\nx9,1,\n")

    def test_map(self):
        table = self.define("id int", "qty int", "a text")
        path = self.write("a.csv", "Order No,a,x=y\n1,one,5\n")
        self.upload(table, path, "--map", "Order No=id", "--map", "x=y=qty")
        self.assertEqual(self.rows(table), [(1, 5, "one")])

    def test_null_text(self):
        table = self.define("id int", "a text", "b int")
        path = self.write("a.csv", 'id,a,b\n1,NULL,NULL\n2,"NULL",2\n3,,3\n4,"",4\n')
        self.upload(table, path, "--null", "NULL")
        self.assertEqual(self.rows(table), [(1, None, None), (2, "NULL", 2), (3, "", 3), (4, "", 4)])

    def test_empty_and_null(self):
        table = self.define("id int", "a text", "b varchar(5)")
        self.upload(table, self.write("a.csv", 'id,a,b\n1,,\n2,"",""\n3," ","  "\n'))
        self.assertEqual(self.rows(table), [(1, None, None), (2, "", ""), (3, " ", "  ")])

    def test_delimiter_and_quote(self):
        table = self.define("id int", "a text")
        self.upload(table, self.write("a.csv", "id;a\n1;'x;''y''\n,\"'\n"), "--delimiter", ";", "--quote", "'")
        path = self.write("b.csv", "id|a\n2|\"|\n3|5\" disk\n")
        self.upload(table, path, "--delimiter", "|", "--quote", "none", exit=3)
        self.assertEqual(self.rows(table), [(1, "x;'y'\n,\""), (3, '5" disk')])
        self.upload(table, self.write("c.csv", "id\ta\n4\tx y\n"), "--delimiter", "tab")
        self.upload(table, self.write("d.tsv", 'id\ta\n5\t"x\ty"\n'), "--format", "tsv")
        self.assertEqual(self.rows(table)[2:], [(4, "x y"), (5, "x\ty")])

    def test_rejected_records_keep_the_delimiter(self):
        table = self.define("id int", "a text")
        upload = self.upload(table, self.write("a.csv", "a;id\nx,y;z\nq;2\n"), "--delimiter", ";", exit=3)
        self.assertEqual(self.tload("errors", upload["upload"], "--csv").stdout, "a;id\nx,y;z\n")

    def test_several_files(self):
        table = self.define("id int", "a text")
        one = self.write("one.csv", "id,a\n1,one\nx,bad\n2,one\n")
        two = self.write("two.csv", "id,a\n2,two\n3,two\ny,bad\n")
        upload = self.upload(table, one, two, exit=3)
        self.assertEqual((upload["rows_read"], upload["rows_applied"], upload["rows_rejected"]), (6, 4, 2))
        self.assertEqual(upload["bytes_total"], os.path.getsize(one) + os.path.getsize(two))
        self.assertEqual(self.rows(table), [(1, "one"), (2, "two"), (3, "two")])
        self.assertEqual(
            [(r["file"], r["line"], r["raw"]) for r in self.rejected(upload["upload"])],
            [(one, 3, "x,bad"), (two, 4, "y,bad")],
        )

    def test_file_names_that_are_unusual(self):
        table = self.define("id int")
        path = self.write("Größe, 1% \"a\".csv", "id\nx\n")
        upload = self.upload(table, path, exit=3)
        self.assertEqual(self.rejected(upload["upload"])[0]["file"], path)
        self.assertEqual(upload["files"], [path])

    def test_stdin_shows_rows_within_a_second(self):
        table = self.define("id int", "a text")
        self.upload(table, self.write("a.csv", "id,a\n10,x\n"))
        process, upload = self.open_upload(table, first=b"id,a\n1,first\n")
        began = time.monotonic()
        wait_until(lambda: self.rows(table)[0] == (1, "first"), 10, "the first row")
        self.assertLess(time.monotonic() - began, scaled(5))
        process.stdin.write(b"2,second\n")
        process.stdin.flush()
        began = time.monotonic()
        wait_until(lambda: self.rows(table)[1] == (2, "second"), 10, "the second row")
        self.assertLess(time.monotonic() - began, scaled(5))
        self.assertEqual(self.status(upload)["state"], "sending")
        self.assertIn("can't be resumed", process.stderr)
        process.stdin.write(b"3,third")
        process.stdin.close()
        self.assertEqual(process.wait(), 0, process)
        self.assertEqual(self.rows(table)[:3], [(1, "first"), (2, "second"), (3, "third")])
        self.assertIsNone(self.status(upload)["bytes_total"])

    def test_dry_run(self):
        table = self.define("id int", "qty int")
        path = self.write("a.csv", "id,qty\n1,1\n2,x\n3,3\n")
        before = self.uploads(table)
        done = self.tload("upload", path, "--table", table, "--dry-run", exit=3)
        self.assertEqual(done.stdout, f'{path}:3: column "qty": "x" is not an integer\n')
        self.assertIn("2 rows would be applied", done.stderr)
        again = self.tload("upload", path, "--table", table, "-n", "--max-errors=0", exit=4)
        self.assertEqual(again.stdout, done.stdout)
        done = self.tload("--json", "upload", path, "--table", table, "--dry-run", exit=3)
        (row,) = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual((row["line"], row["code"], row["raw"]), (3, "not_integer", "2,x"))
        self.tload("upload", self.write("b.csv", "id\n1\n"), "--table", table, "--dry-run")
        self.assertEqual(self.uploads(table), before)
        self.assertEqual(self.query("select count(*) from sqlite_master where name = ?", (table,)), [(1,)])
        self.assertEqual(self.rows(table), [])


class Outcomes(UploadCase):
    """Exit codes, waiting, giving up."""

    def test_detach_and_wait(self):
        table = self.define("id int")
        path = self.write("a.csv", "id\n1\nx\n")
        done = self.tload("upload", path, "--table", table, "--detach")
        upload = done.stdout.strip()
        self.assertEqual(done.stdout, upload + "\n")
        self.tload("wait", upload, exit=3)
        self.assertEqual(self.status(upload)["state"], "done_with_errors")
        lines = [json.loads(l) for l in self.tload("--json", "status", upload, "--follow", exit=3).stdout.splitlines()]
        self.assertEqual(lines[-1]["state"], "done_with_errors")
        self.assertEqual(json.loads(self.tload("--json", "wait", upload, exit=3).stdout)["rows_rejected"], 1)

    def test_wait_times_out(self):
        table = self.define("id int")
        process, upload = self.open_upload(table, first=b"id\n1\n")
        done = self.tload("wait", upload, "--timeout", "0", exit=124)
        self.assertIn("not done yet", done.stderr)
        self.tload("wait", upload, "--timeout", "1", exit=124)
        done = self.tload("--json", "wait", upload, "--timeout", "0", exit=124)
        self.assertEqual(json.loads(done.stdout)["upload"], upload)
        waiting = self.tload_start("wait", upload)
        interrupted = self.tload_start("wait", upload)
        wait_until(lambda: interrupted.stderr, what="the progress of wait")
        interrupted.signal(signal.SIGINT)
        self.assertEqual(interrupted.wait(5), 130, interrupted)
        self.assertIsNone(process.poll())
        process.stdin.close()
        self.assertEqual(process.wait(), 0)
        self.assertEqual(waiting.wait(), 0, waiting)
        self.assertEqual(self.rows(table), [(1,)])

    def test_follow_shows_every_change(self):
        table = self.define("id int")
        process, upload = self.open_upload(table, first=b"id\n1\n")
        following = self.tload_start("--json", "status", upload, "--follow")
        wait_until(lambda: '"rows_applied":1' in following.stdout.replace(" ", ""), what="the first row")
        process.stdin.write(b"2\nx\n")
        process.stdin.close()
        self.assertEqual(process.wait(), 3)
        self.assertEqual(following.wait(), 3, following)
        seen = [json.loads(line) for line in following.stdout.splitlines()]
        for member in ("rows_read", "rows_applied", "rows_rejected", "bytes_sent", "change"):
            self.assertEqual([u[member] for u in seen], sorted(u[member] for u in seen), member)
        states = [u["state"] for u in seen]
        self.assertEqual(states[0], "sending")
        self.assertEqual(states[-1], "done_with_errors")
        for u in seen:
            self.assertLessEqual(u["rows_applied"] + u["rows_rejected"], u["rows_read"])

    def interrupted(self, number, code):
        table = self.define("id int")
        process, upload = self.open_upload(table, first=b"id\n1\n2\n")
        wait_until(lambda: self.status(upload)["rows_applied"] == 2, what="the rows")
        process.signal(number)
        self.assertEqual(process.wait(5), code, process)
        self.assertIn(upload, process.stderr)
        self.tload("wait", upload, "--timeout", "20", exit=1)
        self.assertEqual(self.status(upload)["rows_applied"], 2)
        self.assertEqual(self.rows(table), [(1,), (2,)])

    def test_interrupted(self):
        self.interrupted(signal.SIGINT, 130)

    def test_terminated(self):
        self.interrupted(signal.SIGTERM, 143)

    def test_timeout_of_an_upload(self):
        """It bounds the waiting for the outcome, and the upload goes on."""
        table = self.define("id int")
        path = self.write("a.csv", "id\n" + "".join(f"{i}\n" for i in range(200000)))
        done = self.tload("upload", path, "--table", table, "--timeout", "0", exit=None)
        self.assertIn(done.exit, (0, 124))
        if done.exit == 124:
            upload = self.uploads(table)[0]["upload"]
            self.assertIn(upload, done.stderr)
            self.tload("wait", upload)
        self.assertEqual(self.query(f"select count(*) from {table}"), [(200000,)])

    def test_more_errors_than_allowed(self):
        table = self.define("id int")
        path = self.write("a.csv", "id\n" + "1\n2\n3\n" + "x\n" * 6)
        upload = self.upload(table, path, "--max-errors", "5", exit=4)
        self.assertEqual(upload["state"], "aborted")
        self.assertIn("6 rows rejected; at most 5 are allowed", upload["reason"])
        self.assertEqual(upload["rows_applied"], self.query(f"select count(*) from {table}")[0][0])
        self.assertEqual(len(self.rejected(upload["upload"])), upload["rows_rejected"])
        self.tload("wait", upload["upload"], exit=4)
        self.assertEqual(self.upload(table, path, "--max-errors", "6", exit=3)["rows_rejected"], 6)
        done = self.tload("upload", path, "--table", table, "--max-errors", "0", exit=4)
        self.assertIn("aborted", done.stderr)

    def test_more_errors_than_allowed_in_percent(self):
        table = self.define("id int")
        path = self.write("a.csv", "id\n" + "".join(f"{i}\n" for i in range(90)) + "x\n" * 10)
        self.assertEqual(self.upload(table, path, "--max-errors", "10%", exit=3)["rows_rejected"], 10)
        self.assertEqual(self.upload(table, path, "--max-errors", "9.9%", exit=4)["state"], "aborted")

    def test_too_many_errors_end_an_upload_that_is_still_sending(self):
        table = self.define("id int")
        process, upload = self.open_upload(table, "--max-errors", "3", first=b"id\n1\n" + b"x\n" * 4)
        self.assertEqual(process.wait(15), 4, process)
        self.assertEqual(self.status(upload)["state"], "aborted")
        self.assertEqual(self.rows(table), [(1,)])

    def test_given_id(self):
        table = self.define("id int")
        path = self.write("a.csv", "id\n1\n")
        self.assertEqual(self.upload(table, path, "--id", "nightly-7.a_B")["upload"], "nightly-7.a_B")
        again = self.upload(table, path, "--id", "nightly-7.a_B")
        self.assertEqual((again["upload"], again["state"]), ("nightly-7.a_B", "done"))
        self.assertEqual(len(self.uploads(table)), 1, "an upload that has ended is not made again")
        self.tload("upload", path, "--table", table, "--id", "../x", exit=2)

    def test_usage(self):
        table = self.define("id int")
        path = self.write("a.csv", "id\n1\n")
        for arguments in (
            ("upload", path), ("upload", "--table", table), ("upload", path, "--table", table, "--max-errors", "x"),
            ("upload", path, "--table", table, "--columns", "id"),
            ("upload", path, "--table", table, "--colums", "id"),
            ("upload", path, "--table", table, "--delimiter", ";;"),
            ("upload", path, "--table", table, "--quote", ","),
            ("upload", path, "--table", table, "--header=maybe"), ("upload", "-", "-", "--table", table),
            ("upload", path, "--table", table, "--detach", "--timeout", "1"),
            ("wait",), ("status", "--follow"), ("errors", "x", "--csv", "--json"), ("alter", table), ("resume", "x"),
            (),
        ):
            with self.subTest(arguments=arguments):
                done = self.tload(*arguments, exit=2)
                self.assertEqual(done.stdout, "")
                self.assertTrue(done.stderr.startswith("tload: "), done.stderr)
        self.assertEqual(self.uploads(table), [])

    def test_what_is_not_there(self):
        nothing = [(command, "nope") for command in ("status", "wait", "errors", "describe")]
        for arguments in (*nothing, ("wait", "../x")):
            with self.subTest(arguments=arguments):
                done = self.tload(*arguments, exit=2)
                self.assertTrue(done.stderr.startswith("tload: "), done.stderr)

    def test_list_of_uploads(self):
        table = self.define("id int")
        good, bad = self.write("good.csv", "id\n1\n"), self.write("bad.csv", "id\nx\n")
        ids = [self.upload(table, good)["upload"], self.upload(table, bad, exit=3)["upload"]]
        listed = [json.loads(l) for l in self.tload("--json", "uploads", "--table", table).stdout.splitlines()]
        self.assertEqual([u["upload"] for u in listed], ids[::-1])
        listed = self.tload("--json", "uploads", "--table", table, "--state", "done").stdout.splitlines()
        self.assertEqual([json.loads(l)["upload"] for l in listed], ids[:1])
        text = self.tload("uploads", "--table", table).stdout.splitlines()
        self.assertEqual(len(text), 3)
        self.assertIn(ids[1], text[1])
        overview = json.loads(self.tload("--json", "status").stdout)
        self.assertEqual(overview["kafka"], "ok")
        self.assertEqual(overview["tenant"]["tenant"], "default")
