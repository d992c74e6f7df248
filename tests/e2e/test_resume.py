# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads that were interrupted and are gone on with: nothing twice, nothing lost, and only with the same content."""

import json
import os
import signal

from tests.lib.harness import SharedTestCase, wait_until
from tests.oracle import orders

SANITIZERS = {"asan"}
SECONDS = 80

ROWS = 150000


class Resume(SharedTestCase):
    def status(self, upload):
        return json.loads(self.tload("--json", "status", upload).stdout)

    def begin(self, *arguments, rows=ROWS):
        """A table, a file and an upload of it that is killed when a part has been applied; its id."""
        table = self.define(*orders.DEFINITION)
        path = orders.write(os.path.join(self.dir, "orders.csv"), rows, wrong=0.01, ids=rows // 2)
        upload = f"u-{table}"
        process = self.tload_start("upload", path, "--table", table, "--id", upload, *arguments)
        wait_until(lambda: self.sent(upload), what="the upload's first bytes")
        return table, path, upload, process

    def sent(self, upload):
        answer = self.coordinator.http("GET", f"/v1/tenants/default/uploads/{upload}")
        return answer.status == 200

    def check(self, table, path, upload):
        due = orders.expected(path)
        status = self.status(upload)
        self.assertEqual(status["state"], "done_with_errors")
        self.assertEqual(status["rows_read"], due.read_rows)
        self.assertEqual(status["rows_rejected"], len(due.rejected))
        self.assertEqual(status["rows_applied"], due.read_rows - len(due.rejected))
        self.assertEqual(self.query(f"select * from {table} order by id"), due.sorted())
        stored = [(r["line"], r["column"], r["code"]) for r in self.rejected(upload)]
        self.assertEqual(stored, [r[1:4] for r in due.rejected])
        batches = self.query(f"select partition, last_seq, ended from _tload_ledger where upload='{upload}'")
        self.assertEqual(len(batches), 4)
        self.assertTrue(all(ended for _, _, ended in batches))

    def test_killed_and_resumed(self):
        table, path, upload, process = self.begin()
        process.kill()
        self.assertIn(self.status(upload)["state"], ("sending", "processing"))
        done = self.tload("resume", upload, exit=3, timeout=120, cwd="/")
        self.assertIn(upload, done.stderr)
        self.check(table, path, upload)

    def test_killed_and_run_again(self):
        table, path, upload, process = self.begin()
        process.kill()
        self.tload("upload", path, "--table", table, "--id", upload, exit=3, timeout=120)
        self.check(table, path, upload)
        again = self.tload("upload", path, "--table", table, "--id", upload, exit=3)
        self.assertIn("has ended already", again.stderr)
        self.check(table, path, upload)

    def test_killed_again_and_again(self):
        table, path, upload, process = self.begin()
        for _ in range(4):
            process.kill()
            process = self.tload_start("resume", upload)
            wait_until(lambda p=process: upload in p.stderr or p.poll() is not None, what="the upload to go on")
        process.wait(120)
        self.check(table, path, upload)

    def test_interrupted(self):
        table, path, upload, process = self.begin()
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 130)
        # it was sending, had sent all, or had hardly begun
        self.assertRegex(process.stderr, "tload resume|goes on|nothing was sent")
        self.tload("resume", upload, exit=3, timeout=120)
        self.check(table, path, upload)

    def test_two_at_the_same_time(self):
        table, path, upload, process = self.begin()
        other = self.tload_start("upload", path, "--table", table, "--id", upload)
        self.assertEqual(process.wait(120), 3)
        self.assertEqual(other.wait(120), 3)
        self.check(table, path, upload)

    def test_changed_file_is_refused(self):
        table, path, upload, process = self.begin()
        process.kill()
        with open(path, "a", encoding="utf-8") as file:
            file.write("\n")
        refused = self.tload("resume", upload, exit=2)
        self.assertIn("orders.csv has changed since upload", refused.stderr)
        self.assertIn("bytes", refused.stderr)

    def test_another_file_or_table_is_refused(self):
        table = self.define("id int", "v text")
        other = self.define("id int", "v text")
        path = self.write("a.csv", "id,v\n1,x\n")
        self.tload("upload", path, "--table", table, "--id", f"u-{table}")
        refused = self.tload("upload", path, "--table", other, "--id", f"u-{table}", exit=2)
        self.assertIn("another table", refused.stderr)
        refused = self.tload("upload", self.write("b.csv", "id,v\n2,y\n"), "--table", table, "--id", f"u-{table}", exit=2)
        self.assertIn("b.csv is not the same", refused.stderr)
        self.assertEqual(self.query(f"select * from {table}"), [(1, "x")])
        self.assertIn("no upload", self.tload("resume", "nothing-of-that-name", exit=2).stderr)

    def test_standard_input_is_not_resumed(self):
        table = self.define("id int", "v text")
        self.tload("upload", "-", "--table", table, "--id", f"u-{table}", input="id,v\n1,x\n")
        self.assertIn("standard input", self.tload("resume", f"u-{table}", exit=2).stderr)

    def test_once(self):
        table = self.define("id int", "v text", key=None)
        path = self.write("a.csv", "id,v\n1,x\n2,y\n")
        self.tload("upload", path, "--table", table, "--once")
        again = self.tload("upload", path, "--table", table, "--once")
        self.assertIn("nothing is sent", again.stderr)
        self.assertEqual(self.query(f"select * from {table} order by id"), [(1, "x"), (2, "y")])
        self.write("a.csv", "id,v\n3,z\n")
        self.tload("upload", path, "--table", table, "--once")
        self.assertEqual(len(self.query(f"select * from {table}")), 3)

    def test_once_with_rejected_rows(self):
        """They are told again, and the others are not loaded again."""
        table = self.define("id int", "v text", key=None)
        path = self.write("a.csv", "id,v\n1,x\ntwo,y\n")
        self.tload("upload", path, "--table", table, "--once", exit=3)
        again = self.tload("upload", path, "--table", table, "--once", exit=3)
        self.assertIn("nothing is sent", again.stderr)
        self.assertEqual(self.query(f"select * from {table}"), [(1, "x")])

    def test_cancelled(self):
        table, path, upload, process = self.begin()
        process.kill()
        done = self.tload("--json", "cancel", upload)
        status = json.loads(done.stdout)
        self.assertEqual(status["state"], "cancelled")
        self.assertEqual(status["reason"], "cancelled")
        self.assertEqual(self.query("select sum(rows_applied) from _tload_ledger where upload = ?", (upload,)), [(status["rows_applied"],)])
        self.assertIn("cancelled already", self.tload("cancel", upload, exit=2).stderr)
        # What its sender would still send is dropped, and the rows of others are not.
        self.tload("resume", upload, exit=1)
        self.tload("upload", path, "--table", table, exit=3, timeout=120)
        self.assertEqual(self.query(f"select * from {table} order by id"), orders.expected(path).sorted())

    def test_cancelled_while_it_is_sent(self):
        table, path, upload, process = self.begin(rows=ROWS * 4)
        self.tload("cancel", upload)
        self.assertEqual(process.wait(60), 1)
        self.assertIn("cancelled", process.stderr)

    def test_once_goes_on(self):
        table, path, upload, process = self.begin()
        process.kill()
        done = self.tload("upload", path, "--table", table, "--once", exit=3, timeout=120)
        self.assertIn(upload, done.stderr)
        self.check(table, path, upload)
