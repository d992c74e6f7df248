# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants that come and go while coordinatord runs: removal, sinks of their own, and what a crash leaves behind."""

import os
import pty
import tempfile

from tests.lib.harness import BUILD, wait_until
from tests.lib.postgres import Database, Postgres
from tests.lib.tenants import KINDS, TenantsCase

SANITIZERS = {"tsan"}
SECONDS = 90


class OneCluster(TenantsCase):
    def test_remove(self):
        self.start()
        self.tload("tenant", "create", "a", "--partitions", "1")
        self.define("a")
        path = self.file(4)
        first = self.load("a", path)
        # An upload whose sender is away ends with its tenant.
        self.tload("--tenant", "a", "upload", path, "--table", "t", exit=-6,
                   env={"TLOAD_FAILPOINT": "send.before_end"})
        self.assertIn("--yes", self.tload("tenant", "remove", "a", exit=2).stderr)
        self.tload("tenant", "remove", "a", "--yes")
        self.tload("tenant", "remove", "a", "--yes", exit=2)
        self.tload("--tenant", "a", "tables", exit=2)
        self.tload("--tenant", "a", "status", first["upload"], exit=2)
        self.assertEqual(self.tenant_topics(self.kafka, "a"), {})
        self.assertEqual(self.count("a"), 4)

        self.tload("tenant", "create", "a", "--partitions", "2")
        self.assertEqual(self.show("tenant", "a")["epoch"], 2)
        self.assertEqual(self.tload("--json", "--tenant", "a", "uploads").stdout, "")
        refused = self.tload("--tenant", "a", "define-table", "t", "id int", "v text", "--key", "id", exit=2)
        self.assertIn("of an earlier tenant", refused.stderr)
        self.assertEqual(self.count("a"), 4)
        # Its topics have the names of the old ones, and are read from their first message on.
        self.tload("--tenant", "a", "define-table", "u", "id int", "v text", "--key", "id")
        self.tload("--tenant", "a", "upload", path, "--table", "u")
        self.assertEqual(self.query("select count(*) from u", tenant="a"), [(4,)])

    def test_name_is_asked_for(self):
        self.start()
        self.tload("tenant", "create", "a", "--partitions", "1")
        for typed, exit in (("b\n", 2), ("a\n", 0)):
            child, descriptor = pty.fork()
            if child == 0:
                os.execve(BUILD / "tload", ["tload", "--coordinator", self.coordinator.url, "tenant", "remove", "a"],
                          {**os.environ, "HOME": self.dir})
            os.write(descriptor, typed.encode())
            shown = b""
            while True:
                try:
                    piece = os.read(descriptor, 4096)
                except OSError:  # how a terminal says that the other end has gone
                    break
                if not piece:
                    break
                shown += piece
            os.close(descriptor)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), exit, shown)
            self.assertIn(b"Type its name", shown)
        self.tload("tenant", "show", "a", exit=2)

    def test_crash_at_each_step(self):
        self.start()
        for step in ("control.before_topics", "control.after_topics"):
            name = "t" + step[-10:].replace(".", "").replace("_", "")
            self.crash_at(step, "tenant", "create", name, "--partitions", "1")
            wait_until(lambda: self.show("tenant", name)["state"] == "ready", what="the tenant to be made")
            self.assertEqual(self.tenant_topics(self.kafka, name), {f"tload.{name}.{kind}": 1 for kind in KINDS})
            self.define(name)
            self.assertEqual(self.load(name, self.file(3))["rows_applied"], 3)
        for step in ("control.before_removal", "control.before_forget"):
            self.tload("tenant", "create", "r", "--partitions", "1")
            self.crash_at(step, "tenant", "remove", "r", "--yes")
            wait_until(lambda: "r" not in [t["tenant"] for t in self.objects("tenant", "list")], what="the removal")
            self.assertEqual(self.tenant_topics(self.kafka, "r"), {})

    def crash_at(self, step, *arguments):
        """coordinatord ends at the failpoint, for what the command asks for, and is started again."""
        wait_until(lambda: all(t["state"] == "ready" for t in self.objects("tenant", "list")), what="the others")
        self.coordinator.stop()
        self.coordinator.start(env={"TLOAD_FAILPOINT": step})
        self.tload(*arguments, exit=None)
        self.assertEqual(self.coordinator.process.wait(), -6)
        self.coordinator.start()

    def test_changed_by_hand(self):
        self.start()
        self.tload("tenant", "create", "a", "--partitions", "1")
        self.define("a")
        self.define("default")
        self.kafka.add_partitions("tload.a.validated-input", 2)
        broken = wait_until(lambda: self.show("cluster", "default") and self.show("tenant", "a")["state"] == "broken"
                            and self.show("tenant", "a"), what="the change to be found")
        self.assertIn("tload.a.validated-input has 2 partitions, not 1", broken["waiting"])
        refused = self.tload("--tenant", "a", "upload", self.file(1), "--table", "t", exit=1)
        self.assertIn("2 partitions", refused.stderr)
        self.assertEqual(self.load("default", self.file(5))["state"], "done")

    def test_sinks_of_their_own(self):
        self.start()
        elsewhere = os.path.join(self.dir, "elsewhere")
        self.tload("tenant", "create", "a", "--partitions", "1", "--sink", "sqlite:" + elsewhere, "--max-uploads", "1",
                   "--max-bytes", "2M")
        shown = self.show("tenant", "a")
        self.assertEqual((shown["sink"], shown["max_uploads"], shown["max_bytes_per_second"]),
                         ("sqlite:" + elsewhere, 1, 2 << 20))
        self.define("a")
        self.assertEqual(self.load("a", self.file(3))["rows_applied"], 3)
        self.assertTrue(os.path.exists(os.path.join(elsewhere, "a.db")))
        self.assertFalse(os.path.exists(os.path.join(self.coordinator.state, "data", "a.db")))
        self.tload("--tenant", "a", "upload", self.file(1), "--table", "t", exit=-6,
                   env={"TLOAD_FAILPOINT": "send.before_end"})
        # It is not known yet that this one's sender is gone.
        queued = self.tload("--tenant", "a", "upload", self.file(1), "--table", "t", "--timeout", "1", exit=124)
        self.assertIn("its limit is 1", queued.stderr)
        self.tload("tenant", "set", "a", "--max-uploads", "2", "--max-bytes", "0")
        self.assertEqual(self.load("a", self.file(1))["state"], "done")
        self.tload("tenant", "set", "a", exit=2)
        self.tload("tenant", "create", "b", "--sink", "oracle:x", exit=2)
        for name in ("A", "1a", "a_b", "a.b", "a" * 32, "tload"):
            self.tload("tenant", "create", name, exit=2)

    def test_another_kind_of_sink(self):
        """A tenant in PostgreSQL beside one in SQLite; names as long as they may be stay apart."""
        server = Postgres(tempfile.mkdtemp(prefix="postgres-", dir=self.dir)).start()
        self.addCleanup(server.stop)
        database = Database(server, "tenants")
        self.addCleanup(database.drop)
        self.start()
        names = ("a", "a2", "b" * 31)
        for i, name in enumerate(names):
            self.tload("tenant", "create", name, "--partitions", "1", "--sink", database.url)
            self.define(name)
            self.assertEqual(self.load(name, self.file(i + 1))["state"], "done")
        self.define("default")
        self.load("default", self.file(9))
        self.assertEqual([database.count(f'"{name}".t') for name in names], [1, 2, 3])
        self.assertEqual(self.count("default"), 9)
        long = "t" * 63
        self.tload("--tenant", names[2], "define-table", long, "c" * 63 + " int", "--key", "c" * 63)
        self.tload("--tenant", names[2], "define-table", long + "t", "c int", exit=2)
        self.tload("--tenant", names[2], "upload", self.write("b.csv", "c" * 63 + "\n1\n1\n2\n"), "--table", long)
        self.assertEqual(database.count(f'"{names[2]}".{long}'), 2)
        self.tload("tenant", "remove", "a", "--yes")
        self.assertEqual([database.count(f'"{name}".t') for name in names], [1, 2, 3])
        server.stop_immediate()
        self.assertEqual(self.load("default", self.file(4, first=100))["state"], "done")
        server.start()
        self.assertEqual(self.load("a2", self.file(3, first=100))["state"], "done")
        self.assertEqual(database.count('"a2".t'), 5)
