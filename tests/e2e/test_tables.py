# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables are defined, described, listed and dropped; and what is said when nobody can be reached."""

import json
import os
import subprocess

from tests.lib.harness import BUILD, SharedTestCase, wait_until

SANITIZERS = {"asan"}


class Definitions(SharedTestCase):
    def rows(self, table, order="id"):
        return self.query(f"select * from {table} order by {order}")

    def described(self, table):
        return json.loads(self.tload("--json", "describe", table).stdout)

    def test_columns(self):
        table = self.define(
            "id bigint", "qty int not null default 1", "price decimal(10, 2)", "name VARCHAR(20) default 'o''clock'",
            "seen timestamptz", key="id",
        )
        described = self.described(table)
        self.assertEqual(described["version"], 1)
        self.assertEqual(described["key"], ["id"])
        self.assertEqual(
            [(c["id"], c["name"], c["type"], c["nullable"], c["default"]) for c in described["columns"]],
            [
                (1, "id", "bigint", False, None), (2, "qty", "int", False, "1"),
                (3, "price", "decimal(10,2)", True, None),
                (4, "name", "varchar(20)", True, "o'clock"), (5, "seen", "timestamptz", True, None),
            ],
        )
        shown = self.tload("describe", table).stdout
        self.assertRegex(shown, r"qty +int +not null +1\n")
        listed = [json.loads(line) for line in self.tload("--json", "tables").stdout.splitlines()]
        (row,) = [t for t in listed if t["table"] == table]
        self.assertEqual((row["version"], row["columns"], row["key"], row["state"]), (1, 5, ["id"], "active"))
        self.assertRegex(self.tload("tables").stdout, rf"\n{table} +1 +5 +id +active")

    def test_the_same_again(self):
        table = self.define("id int", "v text")
        before = self.described(table)
        self.define("id int", "v text", name=table)
        self.assertEqual(self.described(table), before)
        done = self.tload("define-table", table, "id int", "v int", "--key", "id", exit=2)
        self.assertIn(table, done.stderr)

    def test_schema_file(self):
        table = self.define("id bigint", "qty int not null default 1", "note varchar(9)", key="id,qty")
        path = self.write("schema.json", self.tload("--json", "describe", table).stdout)
        copy = table + "_copy"
        self.tload("define-table", copy, "--schema", path)
        a, b = (self.described(t) for t in (table, copy))
        self.assertEqual((a["columns"], a["key"]), (b["columns"], b["key"]))
        self.assertNotEqual(a["table_id"], b["table_id"])
        self.tload("define-table", "x", "--schema", self.write("bad.json", "{"), exit=2)
        self.tload("define-table", "x", "--schema", self.write("odd.json", '{"columns":[],"kez":["id"]}'), exit=2)

    def test_infer(self):
        path = self.write(
            "a.csv",
            "Order ID,Qty,Price,When,Active?,Note\n1,5,1.50,2026-01-31,true,x\n2,,22.5,2026-02-01,false,\n",
        )
        table = "inferred_1"
        done = self.tload("define-table", table, "--infer", path)
        self.tload("describe", table, exit=2)
        env = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "TLOAD_COORDINATOR": self.coordinator.url}
        subprocess.run(["sh", "-ec", done.stdout], env=env, timeout=30, check=True, stderr=subprocess.DEVNULL)
        by_hand = self.described(table)
        self.assertEqual(
            [(c["name"], c["type"]) for c in by_hand["columns"]],
            [
                ("order_id", "int"), ("qty", "int"), ("price", "decimal(18,2)"), ("when", "date"),
                ("active", "boolean"),
                ("note", "text"),
            ],
        )
        self.assertEqual(by_hand["key"], ["order_id"])
        self.tload("define-table", "inferred_2", "--infer", path, "--yes")
        by_itself = self.described("inferred_2")
        self.assertEqual((by_hand["columns"], by_hand["key"]), (by_itself["columns"], by_itself["key"]))
        self.upload("inferred_2", path, "--map", "Order ID=order_id", "--map", "Active?=active")
        self.assertEqual(
            self.rows("inferred_2", "order_id"),
            [(1, 5, "1.50", "2026-01-31", 1, "x"), (2, None, "22.50", "2026-02-01", 0, None)],
        )

    def test_refused(self):
        for columns, said in (
            (("id bigin", "--key", "id"), "bigint"), (("id int", "--key", "idd"), "idd"),
            (("id int", "id text"), "id"),
            (("id double", "--key", "id"), "key"), (("1st int",), "1st"), (("_tload_x int",), "_tload"),
            (("a varchar(0)",), "varchar"), (("a decimal(39,0)",), "decimal"), (("a int default x",), "x"),
        ):
            with self.subTest(columns=columns):
                self.assertIn(said, self.tload("define-table", "refused", *columns, exit=2).stderr)
        self.tload("define-table", "no-good", "id int", exit=2)
        self.tload("describe", "refused", exit=2)

    def test_drop(self):
        table = self.define("id int", "v text")
        path = self.write("a.csv", "id,v\n1,x\n")
        first = self.upload(table, path)
        self.assertIn("--yes", self.tload("drop-table", table, exit=2).stderr)
        self.tload("drop-table", table, "--yes")
        self.tload("describe", table, exit=2)
        self.tload("upload", path, "--table", table, exit=2)
        wait_until(
            lambda: self.query("select count(*) from sqlite_master where name = ?", (table,)) == [(0,)], what="the drop"
        )
        self.define("id int", "w int", name=table)
        self.upload(table, self.write("b.csv", "id,w\n2,22\n"))
        self.assertEqual(self.rows(table), [(2, 22)])
        self.assertEqual(json.loads(self.tload("--json", "status", first["upload"]).stdout)["state"], "done")
        self.tload("drop-table", "never_there", "--yes", exit=2)


class OutOfReach(SharedTestCase):
    def test_no_coordinator(self):
        path = self.write("a.csv", "id\n1\n")
        for url in ("unix:/nonexistent/c.sock", "http://127.0.0.1:1"):
            for command in (
                ("upload", path, "--table", "t"), ("tables",), ("status",), ("define-table", "t", "id int"),
            ):
                with self.subTest(url=url, command=command):
                    done = self.tload("--coordinator", url, *command, exit=5, timeout=20)
                    self.assertIn("nothing is lost", done.stderr)

    def test_precedence_of_settings(self):
        os.makedirs(os.path.join(self.dir, "config", "tload"))
        self.write("config/tload/config", "[tload]\ncoordinator = unix:/nonexistent/file.sock\n")
        self.assertIn("file.sock", self.tload("tables", env={"TLOAD_COORDINATOR": ""}, exit=5).stderr)
        env = {"TLOAD_COORDINATOR": "unix:/nonexistent/env.sock"}
        self.assertIn("env.sock", self.tload("tables", env=env, exit=5).stderr)
        self.tload("--coordinator", self.coordinator.url, "tables", env=env)
