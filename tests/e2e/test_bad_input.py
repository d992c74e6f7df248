# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as people have them and as nobody should: loaded, rejected row by row, or refused with a word of help."""

import os
import shutil
import signal
import stat
import subprocess
import time

from tests.lib.harness import BUILD, SharedTestCase, wait_until

SANITIZERS = {"asan"}

MEMORY = 64 * 1024 * 1024  # of tload, whatever it reads


class BadInputCase(SharedTestCase):
    def rows(self, table, order="id"):
        return self.query(f"select * from {table} order by {order}")

    def found(self, upload):
        """Line and code of the rejected rows."""
        return [(r["line"], r["code"]) for r in self.rejected(upload["upload"])]

    def counts(self, upload):
        return upload["rows_read"], upload["rows_applied"], upload["rows_rejected"]

    def no_uploads(self, table):
        uploads = self.coordinator.http("GET", f"/v1/tenants/default/uploads?table={table}").json["uploads"]
        self.assertEqual(uploads, [], "nothing may have been made")

    def refused(self, path, table, *arguments, exit=2):
        """Before anything was made or sent; returns what was said."""
        done = self.tload("upload", path, "--table", table, *arguments, exit=exit)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("tload: "), done.stderr)
        self.assertNotIn("sending", done.stderr)
        self.no_uploads(table)
        return done.stderr


class Files(BadInputCase):
    def test_empty_file(self):
        table = self.define("id int")
        done = self.tload("upload", self.write("a.csv", ""), "--table", table)
        self.assertIn("0 rows", done.stderr)
        upload = self.upload(table, self.write("b.csv", "\n\n"))
        self.assertEqual((upload["state"], self.counts(upload)), ("done", (0, 0, 0)))

    def test_header_only(self):
        table = self.define("id int", "v text")
        for content in ("id,v\n", "id,v", "id,v\r\n\r\n", "\ufeffid,v\n"):
            with self.subTest(content=content):
                path = self.write("a.csv", content)
                self.assertIn("0 rows", self.tload("upload", path, "--table", table).stderr)
                upload = self.upload(table, path)
                self.assertEqual((upload["state"], self.counts(upload)), ("done", (0, 0, 0)))

    def test_nothing_at_all_on_stdin(self):
        table = self.define("id int")
        self.assertIn("0 rows", self.tload("upload", "-", "--table", table).stderr)

    def test_no_final_newline(self):
        table = self.define("id int", "v text")
        upload = self.upload(table, self.write("a.csv", "id,v\n1,x\n2,y"))
        self.assertEqual(self.counts(upload), (2, 2, 0))
        self.upload(table, self.write("b.csv", 'id,v\n3,"z"'))
        self.upload(table, self.write("c.csv", "id,v\n4,"))
        self.assertEqual(self.rows(table), [(1, "x"), (2, "y"), (3, "z"), (4, None)])

    def test_mixed_line_ends(self):
        table = self.define("id int", "v text")
        content = b'id,v\r\n1,crlf\r\n2,lf\n3,cr\r4,"in\r\nside"\r5,"\r"\n\r\n\n\r6,x9\r\n7x,bad\r8,end\r'
        upload = self.upload(table, self.write("a.csv", content), exit=3)
        self.assertEqual(
            self.rows(table),
            [(1, "crlf"), (2, "lf"), (3, "cr"), (4, "in\r\nside"), (5, "\r"), (6, "x9"), (8, "end")],
        )
        # 2 lf, 3 cr, 4: lines 5 and 6, 5: lines 7 and 8, three empty ones, 6 in line 12
        self.assertEqual(self.found(upload), [(13, "not_integer")])

    def test_byte_order_mark(self):
        table = self.define("id int", "v text")
        self.upload(table, self.write("a.csv", "\ufeffid,v\n1,x\n"))
        self.upload(table, self.write("b.csv", '\ufeff"id",v\n2,\ufeffy\n'))
        self.upload(table, self.write("c.csv", "\ufeff3,z\n"), "--header=none")
        self.assertEqual(self.rows(table), [(1, "x"), (2, "\ufeffy"), (3, "z")])

    def test_utf16(self):
        table = self.define("id int", "v text")
        for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
            with self.subTest(encoding=encoding):
                path = self.write("a.csv", "id,v\n1,Größe\n".encode(encoding))
                said = self.refused(path, table)
                self.assertIn("UTF-16", said)
                self.assertIn("iconv -f UTF-16", said)
        with open(path, "rb") as f:
            done = self.tload_start("upload", "-", "--table", table, stdin=f)
            self.assertEqual(done.wait(), 2)
        self.assertIn("iconv", done.stderr)

    def test_compressed(self):
        table = self.define("id int")
        said = self.refused(self.write("a.csv", b"\x1f\x8b\x08\0\0\0\0\0"), table)
        self.assertIn("zcat", said)

    def test_nul_bytes(self):
        table = self.define("id int", "v text")
        upload = self.upload(table, self.write("a.csv", b"id,v\n1,a\0b\n2,ok\n\x003,x\n4,\0\n"), exit=3)
        self.assertEqual(self.found(upload), [(2, "nul_byte"), (4, "nul_byte"), (5, "nul_byte")])
        self.assertEqual(self.rows(table), [(2, "ok")])
        again = self.tload("errors", upload["upload"], "--csv").stdout_bytes
        self.assertEqual(again, b"id,v\n1,a\0b\n\x003,x\n4,\0\n")
        shown = self.tload("errors", upload["upload"]).stdout_bytes
        self.assertEqual(len(shown.splitlines()), 3)
        self.assertNotIn(b"\0", shown)
        dry = self.tload("upload", os.path.join(self.dir, "a.csv"), "--table", table, "--dry-run", exit=3)
        self.assertEqual(len(dry.stdout.splitlines()), 3)

    def test_only_nul_bytes(self):
        table = self.define("id int")
        self.refused(self.write("a.csv", bytes(100000)), table)

    def test_control_characters_do_not_reach_the_terminal(self):
        table = self.define("id int")
        upload = self.upload(table, self.write("a.csv", b"id\n\x1b[2Jx\n"), exit=3)
        self.assertNotIn("\x1b", self.tload("errors", upload["upload"]).stdout)
        self.assertNotIn("\x1b", self.refused(self.write("b.csv", b"\x1b[2J\n1\n"), self.define("id int")))

    def test_two_thousand_columns(self):
        columns = [f"c{i}" for i in range(2000)]
        table = self.define(*(f"{c} int" for c in columns), key="c0")
        lines = [",".join(str(i * 2000 + n) for n in range(2000)) for i in range(100)]
        path = self.write("a.csv", ",".join(columns) + "\n" + "\n".join(lines) + "\n" + lines[0] + ",1\n")
        upload = self.upload(table, path, exit=3)
        self.assertEqual(self.counts(upload), (101, 100, 1))
        self.assertEqual(self.found(upload), [(102, "too_many_fields")])
        self.assertEqual(
            self.rows(table, "c0"), [tuple(range(i * 2000, i * 2000 + 2000)) for i in range(100)]
        )
        self.tload("define-table", "too_wide", *(f"c{i} int" for i in range(2001)), exit=2)

    def test_not_a_file(self):
        table = self.define("id int")
        self.assertIn("directory", self.refused(self.dir, table))
        missing = os.path.join(self.dir, "missing.csv")
        self.assertIn(missing, self.refused(missing, table, exit=1))
        self.write("file", "")
        self.refused(os.path.join(self.dir, "file", "a.csv"), table, exit=1)
        good = self.write("good.csv", "id\n1\n")
        self.tload("upload", good, missing, "--table", table, exit=1)
        self.no_uploads(table)

    def test_no_permission(self):
        table = self.define("id int")
        path = self.write("a.csv", "id\n1\n")
        os.chmod(path, 0)
        if os.geteuid() != 0:
            self.assertIn("ermission denied", self.refused(path, table, exit=1))
            return
        # Root may read everything, so somebody else has to try, with a copy of the program that they can reach.
        os.chmod(self.dir, 0o755)
        program = shutil.copy(BUILD / "tload", os.path.join(self.dir, "tload"))
        os.chmod(program, stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program,
             "--coordinator", self.coordinator.url, "upload", path, "--table", table],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False,
            env={**os.environ, "HOME": self.dir},
        )
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(path, done.stderr.decode())
        self.assertIn("ermission denied", done.stderr.decode())
        self.no_uploads(table)

    def changed_while_read(self, change):
        table = self.define("id int", "v text")
        path = os.path.join(self.dir, "a.csv")
        with open(path, "w", encoding="ascii") as f:
            f.write("id,v\n")
            f.writelines(f"{i},{'x' * 100}\n" for i in range(400000))
        size = os.path.getsize(path)
        process = self.tload_start("--json", "upload", path, "--table", table)

        def position():
            """Of the file that it reads: behind what the look at the header takes."""
            self.assertIsNone(process.poll(), process)
            for fd in os.listdir(f"/proc/{process.pid}/fd"):
                try:
                    if os.readlink(f"/proc/{process.pid}/fd/{fd}") == path:
                        with open(f"/proc/{process.pid}/fdinfo/{fd}", encoding="ascii") as f:
                            at = int(f.readline().split()[1])
                        return at if at > 1000000 else 0
                except FileNotFoundError:
                    pass
            return 0

        at = wait_until(position, what="the reading")
        process.signal(signal.SIGSTOP)
        self.assertLess(at, size)
        change(path, size)
        process.signal(signal.SIGCONT)
        self.assertEqual(process.wait(120), 1, process)
        self.assertIn("changed while it was read", process.stderr)
        upload = self.coordinator.http("GET", f"/v1/tenants/default/uploads?table={table}").json["uploads"][0]
        self.tload("wait", upload["upload"], exit=1)
        upload = self.coordinator.http("GET", f"/v1/tenants/default/uploads/{upload['upload']}").json
        self.assertEqual(upload["state"], "failed")
        self.assertIn("changed while it was read", upload["reason"])
        self.assertEqual(upload["rows_applied"], self.query(f"select count(*) from {table}")[0][0])

    def test_file_that_grows(self):
        def grow(path, _size):
            with open(path, "a", encoding="ascii") as f:
                f.write("999999999,late\n")

        self.changed_while_read(grow)

    def test_file_that_shrinks(self):
        self.changed_while_read(lambda path, size: os.truncate(path, size - 1000))

    def test_file_that_is_written_to(self):
        def scribble(path, size):
            with open(path, "r+b") as f:
                f.seek(size - 50)
                f.write(b"y")

        self.changed_while_read(scribble)


class Quoting(BadInputCase):
    def test_unterminated_at_the_end(self):
        table = self.define("id int", "v text")
        upload = self.upload(table, self.write("a.csv", 'id,v\n1,x\n2,y\n3,"never ends\n'), exit=3)
        self.assertEqual(self.found(upload), [(4, "unterminated_quote")])
        self.assertEqual(self.rows(table), [(1, "x"), (2, "y")])
        self.assertEqual(self.tload("errors", upload["upload"], "--csv").stdout, 'id,v\n3,"never ends\n')
        upload = self.upload(table, self.write("a.csv", 'id,v\n4,"never ends'), exit=3)
        self.assertEqual(self.found(upload), [(2, "unterminated_quote")])

    def test_rows_behind_an_unterminated_one_are_loaded(self):
        table = self.define("id int", "v text")
        upload = self.upload(table, self.write("a.csv", 'id,v\n1,x\n2,"open\n3,z\n4,"closed"\n5,q\n'), exit=3)
        self.assertEqual([line for line, _ in self.found(upload)], [3])
        self.assertEqual(self.rows(table), [(1, "x"), (3, "z"), (4, "closed"), (5, "q")])

    def test_within_an_unquoted_field(self):
        table = self.define("id int", "v text")
        upload = self.upload(table, self.write("a.csv", 'id,v\n1,5" disk\n2,"a"b\n3,a""b\n4,ok\n'), exit=3)
        self.assertEqual(self.found(upload), [(2, "bad_quoting"), (3, "bad_quoting"), (4, "bad_quoting")])
        self.assertEqual(self.rows(table), [(4, "ok")])

    def stray(self, other):
        """One stray quote in the middle of a large file; `other` makes the rest of a row."""
        table = self.define("id int", "v text", "w text")
        rows, at = 120000, 60000
        path = os.path.join(self.dir, "a.csv")
        with open(path, "w", encoding="utf-8") as f:
            f.write("id,v,w\n")
            for i in range(rows):
                f.write(f'{i},"stray,{i}\n' if i == at else f"{i},{other(i)},{i}\n")
        upload = self.upload(table, path, exit=3)
        self.assertEqual(self.counts(upload), (rows, rows - 1, 1))
        (row,) = self.rejected(upload["upload"])
        self.assertEqual((row["line"], row["raw"]), (at + 2, f'{at},"stray,{at}'))
        self.assertIn(row["code"], ("unterminated_quote", "bad_quoting"))
        got = self.query(f"select id, w from {table} order by id")
        self.assertEqual(got, [(i, str(i)) for i in range(rows) if i != at])

    def test_stray_where_no_field_is_quoted(self):
        self.stray(lambda i: "a plain value")

    def test_stray_where_some_are_quoted(self):
        self.stray(lambda i: '"quoted, with a comma"' if i % 100 == 7 else "plain")

    def test_stray_where_all_are_quoted(self):
        self.stray(lambda i: '"quoted"')

    def test_many_in_a_row_end_the_upload(self):
        table = self.define("id int", "v text")
        path = self.write("a.csv", "id,v\n1,x\n" + "".join(f'{i},"it\'s {i}\n' for i in range(2, 5000)))
        done = self.tload("upload", path, "--table", table, exit=1, timeout=60)
        self.assertIn("--quote", done.stderr)
        self.assertIn(path, done.stderr)
        (upload,) = self.coordinator.http("GET", f"/v1/tenants/default/uploads?table={table}").json["uploads"]
        self.tload("wait", upload["upload"], exit=1)
        (upload,) = self.coordinator.http("GET", f"/v1/tenants/default/uploads?table={table}").json["uploads"]
        self.assertEqual(upload["state"], "failed")
        self.assertIn("--quote", upload["reason"])
        self.assertEqual(self.upload(table, path, "--quote", "none")["rows_applied"], 4999)

    def test_many_here_and_there_are_only_rejected(self):
        table = self.define("id int", "v text")
        content = "".join(f'{i},"open {i}\n' if i % 10 == 5 else f"{i},plain {i}\n" for i in range(20000))
        upload = self.upload(table, self.write("a.csv", "id,v\n" + content), exit=3, timeout=60)
        self.assertEqual(self.counts(upload), (20000, 18000, 2000))
        self.assertEqual([line for line, _ in self.found(upload)], [i + 2 for i in range(5, 20000, 10)])


class LongRecords(BadInputCase):
    def measured(self, *arguments, exit, **options):
        """Runs tload and sees that it stays small."""
        process = self.tload_start(*arguments, **options)
        peak = 0
        while process.poll() is None:
            try:
                peak = max(peak, process.rss())
            except (OSError, StopIteration):
                pass  # it has just ended
            time.sleep(0.005)
        self.assertEqual(process.wait(), exit, process)
        self.assertGreater(peak, 0)
        if "SANITIZE" not in os.environ:
            self.assertLess(peak, MEMORY)
        return process

    def long_record(self, before, after):
        table = self.define("id int", "v text")
        path = os.path.join(self.dir, "a.csv")
        with open(path, "wb") as f:
            f.write(b"id,v\n1,one\n" + before)
            for _ in range(200):
                f.write(b"x" * (1 << 20))
            f.write(after + b"\n3,three\n")
        self.addCleanup(os.unlink, path)
        self.measured("upload", path, "--table", table, exit=3)
        (upload,) = self.coordinator.http("GET", f"/v1/tenants/default/uploads?table={table}").json["uploads"]
        self.assertEqual(self.counts(upload), (3, 2, 1))
        (row,) = self.rejected(upload["upload"])
        self.assertEqual((row["line"], row["code"]), (3, "record_too_long"))
        self.assertLess(len(row["raw"]), 10000)
        self.assertEqual(self.rows(table), [(1, "one"), (3, "three")])
        if "SANITIZE" not in os.environ:
            self.assertLess(self.coordinator.process.rss(), 256 * 1024 * 1024)

    def test_of_200_mb(self):
        self.long_record(b"2,", b"")

    def test_of_200_mb_quoted(self):
        self.long_record(b'2,"', b'"')

    def test_largest_that_fits(self):
        """A batch has room for 1 MiB, of which LINE, TAB and LF are a part."""
        table = self.define("id int", "v text")
        path = self.write("a.csv", "id,v\n1," + "x" * 1040000 + "\n2," + "y" * 1048576 + "\n3,z\n")
        upload = self.upload(table, path, exit=3)
        self.assertEqual(self.found(upload), [(3, "record_too_long")])
        self.assertEqual(self.query(f"select id, length(v) from {table} order by id"), [(1, 1040000), (3, 1)])

    def test_header_of_many_megabytes(self):
        table = self.define("id int")
        path = self.write("a.csv", "id," * 3000000 + "\n1\n")
        self.measured("upload", path, "--table", table, exit=2)
        self.no_uploads(table)


class Headers(BadInputCase):
    def test_unknown_table(self):
        table = self.define("id int", name="customers")
        path = self.write("a.csv", "id\n1\n")
        done = self.tload("upload", path, "--table", "custmers", exit=2)
        self.assertIn('"custmers"', done.stderr)
        self.assertIn(f'did you mean "{table}"', done.stderr)
        self.tload("upload", path, "--table", "nothing_like_it", exit=2)
        self.tload("upload", path, "--table", "../x", exit=2)

    def test_unknown_column(self):
        table = self.define("id int", "quantity int")
        said = self.refused(self.write("a.csv", "id,quantty\n1,2\n"), table)
        self.assertIn('a.csv:1: column "quantty" is not in table', said)
        self.assertIn('did you mean "quantity"', said)
        self.assertIn("--map quantty=quantity", said)
        self.assertIn("describe", self.refused(self.write("a.csv", "id,colour\n1,2\n"), table))
        self.assertIn("--header=none", self.refused(self.write("a.csv", "1,2\n3,4\n"), table))

    def test_duplicate_column(self):
        table = self.define("id int", "v text")
        said = self.refused(self.write("a.csv", "id,v,ID\n1,x,2\n"), table)
        self.assertIn('"id"', said)
        self.assertIn("twice", said)
        self.refused(self.write("a.csv", "id,v,w\n1,x,2\n"), table, "--map", "w=v")

    def test_missing_column(self):
        table = self.define("id int", "v text not null", "w text not null default 'w'", "x text")
        self.assertIn('"v"', self.refused(self.write("a.csv", "id,x\n1,x\n"), table))
        self.assertIn('"id"', self.refused(self.write("a.csv", "v\nx\n"), table))
        self.upload(table, self.write("a.csv", "v,id\nx,1\n"))
        self.assertEqual(self.rows(table), [(1, "x", "w", None)])

    def test_nameless_column(self):
        table = self.define("id int", "v text")
        self.assertIn("no name", self.refused(self.write("a.csv", "id,,v\n1,2,3\n"), table))

    def test_broken_header(self):
        table = self.define("id int", "v text")
        self.assertIn("--quote", self.refused(self.write("a.csv", 'id,"v\n1,2\n'), table))

    def test_the_second_of_two_files_does_not_fit(self):
        table = self.define("id int", "v text")
        good = self.write("good.csv", "id,v\n1,x\n")
        bad = self.write("bad.csv", "id,w\n2,y\n")
        done = self.tload("upload", good, bad, "--table", table, exit=2)
        self.assertIn("bad.csv:1", done.stderr)
        self.no_uploads(table)

    def test_wrong_columns_option(self):
        table = self.define("id int", "value text")
        path = self.write("a.csv", "1,x\n")
        self.assertIn('did you mean "value"', self.refused(path, table, "--header=none", "--columns", "id,vallue"))
        self.refused(path, table, "--header=none", "--columns", "id,id")
        self.refused(path, table, "--header=none", "--columns", "value")
        self.refused(path, table, "--map", "nope=id")
