# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters and tenants that come and go while coordinatord runs: placement within the budgets, one cluster that is down,
removal, and what a crash leaves behind."""

import json
import os
import pty
import tempfile
import threading

from tests.lib.harness import BUILD, TestCase, wait_until
from tests.lib.postgres import Database, Postgres

SANITIZERS = {"tsan"}

KINDS = ("raw-input", "validated-input", "import-error")


class Tenants(TestCase):
    def objects(self, *arguments):
        return [json.loads(line) for line in self.tload("--json", *arguments).stdout.splitlines()]

    def show(self, what, name):
        (found,) = self.objects(what, "show", name)
        return found

    def topics(self, kafka):
        return {t["topic"]: len(t["partitions"]) for t in json.loads(kafka.kcat("-L", "-J"))["topics"]}

    def tenant_topics(self, kafka, tenant):
        return {t: n for t, n in self.topics(kafka).items() if t.startswith(f"tload.{tenant}.")}

    def add_cluster(self, name, kafka, budget, **options):
        return self.tload("cluster", "add", name, "--bootstrap", kafka.address, "--max-partitions", str(budget), **options)

    def file(self, rows, name="a.csv", first=0):
        return self.write(name, "id,v\n" + "".join(f"{first + i},x\n" for i in range(rows)))

    def load(self, tenant, path, exit=0, **options):
        done = self.tload("--json", "--tenant", tenant, "upload", path, "--table", "t", exit=exit, **options)
        return json.loads(done.stdout)

    def define(self, tenant):
        self.tload("--tenant", tenant, "define-table", "t", "id int", "v text", "--key", "id")

    def count(self, tenant):
        return self.query("select count(*) from t", tenant=tenant)[0][0]


class TwoClusters(Tenants):
    def setUp(self):
        super().setUp()
        self.west = self.own_kafka()
        self.start({"kafka": {"partitions": 2, "max_partitions": 12}}, kafka=self.own_kafka())

    def test_placed_and_served(self):
        """A cluster is added while an upload runs; tenants fill both to the last partition, and load into both."""
        self.define("default")
        loads = []
        thread = threading.Thread(target=lambda: loads.append(self.load("default", self.file(20000))))
        thread.start()
        self.add_cluster("west", self.west, 6)
        thread.join()
        self.assertEqual(loads[0]["state"], "done")

        for name in ("a", "a2"):
            self.tload("tenant", "create", name, "--partitions", "1")
        placed = {t["tenant"]: t["cluster"] for t in self.objects("tenant", "list")}
        self.assertEqual(placed, {"default": "default", "a": "default", "a2": "west"})
        self.tload("tenant", "create", "b", "--partitions", "1", "--cluster", "west")
        self.tload("tenant", "create", "c", "--partitions", "1")
        refusal = self.tload("tenant", "create", "d", "--partitions", "1", exit=2).stderr
        for said in ("default has 0 free of 12", "west has 0 free of 6", "tload cluster add", "fewer partitions"):
            self.assertIn(said, refusal)
        self.assertEqual(self.tenant_topics(self.kafka, "d") | self.tenant_topics(self.west, "d"), {})

        self.assertEqual(self.tenant_topics(self.west, "a2"), {f"tload.a2.{kind}": 1 for kind in KINDS})
        self.assertEqual(self.tenant_topics(self.west, "a"), {})
        self.assertEqual(self.tenant_topics(self.kafka, "a2"), {})
        for tenant, rows in (("a", 3), ("a2", 5), ("b", 7)):
            self.define(tenant)
            self.assertEqual(self.load(tenant, self.file(rows))["rows_applied"], rows)
            self.assertEqual(self.count(tenant), rows)
        west = self.show("cluster", "west")
        self.assertEqual((west["reserved"], west["free"], west["used"]["ours"], west["tenants"]), (6, 0, 6, 2))
        theirs = sum(n for t, n in self.topics(self.west).items() if not t.startswith("tload."))
        self.assertEqual(west["used"]["foreign"], theirs)
        self.assertRegex(self.tload("cluster", "list").stdout, r"\nwest +2 +6 +0 +6 +\d+ +ok")
        self.assertIn("6 reserved, 0 free", self.tload("cluster", "show", "west").stdout)

    def test_one_is_down(self):
        self.add_cluster("west", self.west, 6)
        self.tload("tenant", "create", "a", "--partitions", "1", "--cluster", "west")
        self.define("default")
        self.define("a")
        self.load("a", self.file(2))
        self.west.kill()
        waiting = wait_until(lambda: self.show("tenant", "a")["waiting"], what="the trouble to be seen")
        self.assertTrue(waiting)
        self.assertEqual(self.load("default", self.file(10))["state"], "done")
        self.assertIsNone(self.show("tenant", "default")["waiting"])
        self.assertEqual(self.show("tenant", "a")["state"], "ready")
        self.assertRegex(self.tload("cluster", "list").stdout, r"\nwest .* unreachable ")
        self.assertIn("cluster west: ", self.coordinator.http("GET", "/readyz").json["kafka"])
        self.assertRegex(self.tload("tenant", "create", "b", "--partitions", "1").stdout, r"cluster +default")
        # What is asked of it is done when it is back.
        done = self.tload("tenant", "remove", "a", "--yes", exit=5)
        self.assertIn("will be gone", done.stderr)
        self.assertEqual(self.show("tenant", "a")["state"], "removing")
        self.assertIn("lives on cluster", self.tload("cluster", "remove", "west", exit=2).stderr)
        self.west.start(port=self.west.address.rpartition(":")[2])
        wait_until(lambda: len(self.objects("tenant", "list")) == 2, 60, "the tenant to be gone")
        self.assertEqual(self.tenant_topics(self.west, "a"), {})
        self.tload("cluster", "remove", "west")

    def test_drain_and_remove(self):
        self.add_cluster("west", self.west, 6)
        self.tload("tenant", "create", "a", "--partitions", "1", "--cluster", "west")
        self.define("a")
        drained = self.tload("cluster", "drain", "west")
        self.assertIn("1 tenant is still there", drained.stderr)
        self.assertRegex(drained.stdout, r"state +draining")
        self.assertIn("drained", self.tload("tenant", "create", "b", "--cluster", "west", exit=2).stderr)
        self.assertEqual(self.load("a", self.file(3))["state"], "done")
        self.tload("cluster", "remove", "west", exit=2)
        self.tload("cluster", "drain", "west", "--undo")
        self.tload("tenant", "create", "b", "--partitions", "1", "--cluster", "west")
        for tenant in ("a", "b"):
            self.tload("tenant", "remove", tenant, "--yes")
        self.tload("cluster", "remove", "west")
        self.assertEqual([c["cluster"] for c in self.objects("cluster", "list")], ["default"])
        self.assertEqual([t for t in self.topics(self.west) if t.startswith("tload.")], [])
        self.assertEqual(self.count("a"), 3)  # its rows stay

    def test_add_is_refused(self):
        self.assertIn("as cluster \"default\"", self.add_cluster("again", self.kafka, 9, exit=2).stderr)
        address = self.west.address
        self.west.kill()
        self.assertIn(f"does not answer at {address}", self.add_cluster("west", self.west, 9, exit=2, timeout=40).stderr)
        done = self.tload("cluster", "add", "x", "--bootstrap", address, "--max-partitions", "9", "-X", "nonsense=1", exit=2)
        self.assertIn("nonsense", done.stderr)
        self.tload("cluster", "add", "x", "--bootstrap", address, "--max-partitions", "9", "-X", "nonsense", exit=2)
        self.tload("cluster", "show", "west", exit=2)
        self.tload("cluster", "remove", "default", exit=2)


class Many(Tenants):
    TENANTS, UPLOADS, ROWS = 20, 5, 400

    def test_all_at_once(self):
        """Twenty tenants on two clusters, five uploads into each of them, all at the same time."""
        west = self.own_kafka()
        self.start({"kafka": {"partitions": 1, "max_partitions": 33}}, kafka=self.own_kafka())
        self.add_cluster("west", west, 30)
        names = [f"t{n}" for n in range(self.TENANTS)]
        for name in names:
            self.tload("tenant", "create", name)
        on = [t["cluster"] for t in self.objects("tenant", "list") if t["tenant"] in names]
        self.assertEqual(sorted(on), ["default"] * 10 + ["west"] * 10)
        self.assertIn("add a cluster", self.tload("tenant", "create", "one-more", exit=2).stderr)
        for name in names:
            self.define(name)
        # Each file has half of the keys of the one before.
        files = [self.file(self.ROWS, f"{n}.csv", n * self.ROWS // 2) for n in range(self.UPLOADS)]
        loads = [
            self.tload_start("--tenant", name, "upload", path, "--table", "t")
            for path in files for name in names
        ]
        for load in loads:
            self.assertEqual(load.wait(120), 0, load)
        for name in names:
            self.assertEqual(self.count(name), self.ROWS * (self.UPLOADS + 1) // 2, name)
            uploads = [json.loads(line) for line in self.tload("--json", "--tenant", name, "uploads").stdout.splitlines()]
            self.assertEqual([(u["state"], u["rows_applied"]) for u in uploads], [("done", self.ROWS)] * self.UPLOADS)


class OneCluster(Tenants):
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
