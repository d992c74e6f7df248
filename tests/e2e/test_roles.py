# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles as processes of their own: they share nothing but Kafka, the sink and control's HTTP API."""

import json
import os

from tests.lib.harness import TestCase, wait_until
from tests.oracle import orders

ROLES = ("control", "validate", "sink", "errors")


class Roles(TestCase):
    def start_roles(self, *more):
        self.use_kafka()
        directory = os.path.join(self.dir, "c")
        self.process = {}
        for role in ROLES + more:
            name = role if role not in self.process else f"{role}-2"
            process = self.new_coordinator(roles=role, directory=directory)
            self.process[name] = process
            self.start_role(name)
        self.coordinator = self.process["control"]

    def start_role(self, name):
        process = self.process[name].start(ready=name == "control")
        if name != "control":
            wait_until(lambda: f"role {process.roles} runs" in process.log, what=f"role {name}")

    def stop_roles(self, *names):
        for name in names or [*ROLES[::-1], *(n for n in self.process if n not in ROLES)]:
            self.process[name].stop()

    def look(self, upload):
        return self.coordinator.http("GET", f"/v1/tenants/default/uploads/{upload}").json

    def begin(self, table, path):
        process = self.tload_start("--json", "upload", path, "--table", table)
        uploads = wait_until(
            lambda: self.coordinator.http("GET", f"/v1/tenants/default/uploads?table={table}").json["uploads"],
            what="the upload's begin",
        )
        return process, uploads[0]["upload"]

    def check(self, table, upload, due):
        self.assertEqual(
            (upload["rows_read"], upload["rows_applied"], upload["rows_rejected"]),
            (due.read_rows, due.read_rows - len(due.rejected), len(due.rejected)),
        )
        self.assertEqual(self.query(f"select * from {table} order by id"), due.sorted())
        rejected = [(r["line"], r["code"]) for r in self.rejected(upload["upload"])]
        self.assertEqual(rejected, [(line, code) for _, line, _, code, _ in due.rejected])

    def orders(self, rows):
        path = orders.write(os.path.join(self.dir, "orders.csv"), rows, wrong=0.01, ids=rows)
        return path, orders.expected().read(path)

    def test_four_processes(self):
        self.start_roles()
        table = self.define(*orders.DEFINITION)
        path, due = self.orders(20000)
        self.check(table, self.upload(table, path, exit=3), due)
        self.stop_roles()

    def test_validator_killed_in_the_middle(self):
        self.start_roles("validate")
        table = self.define(*orders.DEFINITION)
        path, due = self.orders(300000)
        process, upload = self.begin(table, path)
        for name in ("validate", "validate-2"):
            wait_until(lambda: self.look(upload)["rows_applied"] >= 1, 60, "the first rows")
            self.assertIsNone(process.poll(), process)
            self.process[name].kill()
            self.start_role(name)
        self.assertEqual(process.wait(120), 3, process)
        self.check(table, json.loads(process.stdout), due)
        self.stop_roles()

    def test_sink_and_errors_killed_in_the_middle(self):
        self.start_roles("sink")
        table = self.define(*orders.DEFINITION)
        path, due = self.orders(200000)
        process, upload = self.begin(table, path)
        wait_until(lambda: self.look(upload)["rows_applied"] >= 1, 60, "the first rows")
        self.assertIsNone(process.poll(), process)
        for name in ("sink", "sink-2", "errors"):
            self.process[name].kill()
        for name in ("sink", "sink-2", "errors"):
            self.start_role(name)
        self.assertEqual(process.wait(120), 3, process)
        self.check(table, json.loads(process.stdout), due)
        self.stop_roles()

    def test_control_away_for_a_while(self):
        self.start_roles()
        table = self.define(*orders.DEFINITION)
        path, due = self.orders(200000)
        process, upload = self.begin(table, path)
        wait_until(lambda: self.look(upload)["rows_applied"] >= 1, 60, "the first rows")
        self.coordinator.kill()
        self.coordinator.start()
        self.assertEqual(process.wait(120), 3, process)
        self.check(table, json.loads(process.stdout), due)
        self.stop_roles()

    def test_roles_may_come_before_control(self):
        self.use_kafka()
        directory = os.path.join(self.dir, "c")
        rest = self.new_coordinator(roles="validate,sink,errors", directory=directory).start(ready=False)
        wait_until(lambda: "waiting for control" in rest.log, what="a word about control")
        self.coordinator = self.new_coordinator(roles="control", directory=directory).start()
        table = self.define("id int")
        self.assertEqual(self.upload(table, self.write("a.csv", "id\n1\n2\n"))["rows_applied"], 2)
        rest.stop()
        self.coordinator.stop()

    def test_a_role_that_is_missing(self):
        """An upload waits for it; it's neither lost nor done."""
        self.start_roles()
        self.process["sink"].stop()
        table = self.define("id int")
        done = self.tload("upload", self.write("a.csv", "id\n1\nx\n"), "--table", table, "--timeout", "3", exit=124)
        upload = self.coordinator.http("GET", "/v1/tenants/default/uploads").json["uploads"][0]
        self.assertEqual(upload["state"], "processing")
        self.assertIn(upload["upload"], done.stderr)
        self.start_role("sink")
        self.tload("wait", upload["upload"], exit=3)
        self.assertEqual(self.query(f"select id from {table}"), [(1,)])
        self.stop_roles()

    def test_unknown_role(self):
        self.use_kafka()
        process = self.new_coordinator(roles="control,sync").start(ready=False).process
        self.assertEqual(process.wait(), 2)
        self.assertIn('"sync"', process.stderr)
