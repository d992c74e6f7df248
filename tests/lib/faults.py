# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of failures share: uploads that are looked at, and fed in pieces, while something fails."""

import os

from tests.lib.harness import TestCase, wait_until
from tests.oracle import orders


class FaultCase(TestCase):
    def path(self, name):
        return os.path.join(self.dir, name)

    def uploads(self):
        return self.coordinator.http("GET", "/v1/tenants/default/uploads").json["uploads"]

    def upload_of(self, process):
        """The object of the only upload, once it is there."""

        def only():
            self.assertIsNone(process.poll(), process)
            return self.uploads()

        return wait_until(only, what="the upload's begin")[0]

    def load_orders(self, rows, **made):
        """An upload of a file of so many orders under way: the table, what is due of it, and the process."""
        table = self.define(*orders.DEFINITION)
        path = orders.write(self.path("orders.csv"), rows, **made)
        return table, orders.expected(path), self.tload_start("--json", "upload", path, "--table", table)

    def look(self, upload):
        return self.coordinator.http("GET", f"/v1/tenants/default/uploads/{upload}").json

    def wait_applied(self, upload, rows, process=None):
        def applied():
            if process is not None:
                self.assertIsNone(process.poll(), process)
            return self.look(upload)["rows_applied"] >= rows

        wait_until(applied, what=f"{rows} rows in the table")

    def check(self, table, upload, due):
        """All of it is there, counted right, each rejected row stored once."""
        self.assertEqual(upload["state"], "done_with_errors" if due.rejected else "done")
        self.assertEqual(upload["rows_read"], due.read_rows)
        self.assertEqual(upload["rows_rejected"], len(due.rejected))
        self.assertEqual(upload["rows_applied"], due.read_rows - len(due.rejected))
        self.assertEqual(self.query(f"select * from {table} order by id"), due.sorted())
        self.assertEqual(
            [(r["file"], r["line"], r["column"], r["code"], r["raw"]) for r in self.rejected(upload["upload"])],
            due.rejected,
        )

    def feed(self, process, path, pieces):
        """Writes the file into the process's standard input; pieces gives (share of the file, what to do then)."""
        with open(path, "rb") as f:
            content = f.read()
        at = 0
        for share, then in pieces:
            end = int(len(content) * share)
            process.stdin.write(content[at:end])
            process.stdin.flush()
            at = end
            then()
        process.stdin.write(content[at:])
        process.stdin.close()
