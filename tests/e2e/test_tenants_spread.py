# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters and tenants that come and go while coordinatord runs: placement within the budgets, one cluster that is down."""

import json
import threading

from tests.lib.harness import wait_until
from tests.lib.tenants import KINDS, TenantsCase

SANITIZERS = {"tsan"}
SECONDS = 120


class TwoClusters(TenantsCase):
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


class Many(TenantsCase):
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
