# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles on several clusters: one that is down costs the others nothing, and one that is reached in another way is."""

import tempfile
import time

from tests.lib.harness import free_port, scaled, wait_until
from tests.lib.postgres import Database, Postgres
from tests.lib.tenants import Tenants, TenantsCase, parked

SECONDS = 100

MANY = 60
EACH = 5  # of them is loaded into
CONNECTIONS = 30


class Clusters(TenantsCase):
    def timed(self, tenant, rows):
        began = time.monotonic()
        self.assertEqual(self.load(tenant, rows)["state"], "done")
        return time.monotonic() - began

    def two(self):
        self.west = self.own_kafka()
        self.start({"kafka": {"partitions": 1}}, kafka=self.own_kafka())
        self.add_cluster("west", self.west, 100)
        self.tload("tenant", "create", "w", "--partitions", "1", "--cluster", "west")
        self.tload("tenant", "create", "d", "--partitions", "1", "--cluster", "default")
        for tenant in ("w", "d"):
            self.define(tenant)
            self.load(tenant, self.file(10))

    def test_a_dead_one_beside_it(self):
        self.two()
        before = max(self.timed("d", self.file(10, first=100 * i)) for i in range(1, 6))
        self.west.kill()
        wait_until(lambda: self.show("tenant", "w")["waiting"], what="the trouble to be seen")
        after = sorted(self.timed("d", self.file(10, first=1000 + 100 * i)) for i in range(5))
        print(f"an upload took at most {before:.2f} s, beside a dead cluster {after[2]:.2f} s and at most {after[-1]:.2f} s")
        # What waits for a cluster that is down does so for several seconds.
        self.assertLess(after[2], before + scaled(3))
        # A tenant that is made now is served as well, and the daemon stops as it should.
        self.tload("tenant", "create", "e", "--partitions", "1", "--cluster", "default")
        self.define("e")
        self.timed("e", self.file(10))

    def test_reached_anew(self):
        """The cluster comes back at another port: whoever knows the new address serves it, from where it stood."""
        self.two()
        self.west.stop()
        self.west.start(port=free_port())
        answer = self.coordinator.http("PATCH", "/v1/clusters/west", {"kafka": {"bootstrap.servers": self.west.address}})
        self.assertEqual(answer.status, 200, answer.body)
        self.timed("w", self.file(5, first=10))
        self.assertEqual(self.count("w"), 15)
        self.timed("d", self.file(5, first=10))


class Groups(TenantsCase):
    """Many tenants of one cluster are read in several consumer groups."""

    WIDE = 4  # no other has room beside it

    def begun(self, group):
        """How often a role said what it has of the group."""
        return self.coordinator.log.count(f"cluster default, group {group}: ")

    def trimmed(self, topic):
        low, high = (sum(marks) for marks in zip(*(self.kafka.watermarks(topic, p) for p in range(self.WIDE)), strict=True))
        return low == high > 0

    def test_a_second_one(self):
        self.start({"kafka": {"partitions": 1, "group_partitions": self.WIDE, "trim_seconds": 1, "trim_records": 1}},
                   kafka=self.own_kafka())
        wait_until(lambda: self.begun(0) == 3, what="the first tenant to be served")
        self.tload("tenant", "create", "wide", "--partitions", str(self.WIDE))
        wait_until(lambda: self.begun(1) == 3, what="the next one to be served")
        self.define("wide")
        self.load("wide", self.file(5000))
        self.assertEqual(self.begun(0), 3, "others stood still")
        roles = {"tload-validate", "tload-sink", "tload-errors"}
        self.assertLessEqual(roles | {f"{role}-1" for role in roles}, set(self.kafka.groups()))
        # What trims asks the right one how far it is.
        wait_until(lambda: self.trimmed("tload.wide.raw-input"), what="raw-input to be trimmed")
        self.tload("tenant", "create", "small")
        self.define("small")
        self.load("small", self.file(10))
        self.assertGreater(self.begun(0), 3)
        self.coordinator.stop()
        self.coordinator.start()
        self.load("wide", self.file(10, first=5000))
        self.load("small", self.file(10, first=10))
        self.assertEqual((self.count("wide"), self.count("small")), (5010, 20))
        self.tload("tenant", "remove", "wide", "--yes")
        self.load("small", self.file(10, first=20))


class OnPostgresql(TenantsCase):
    def test_more_tenants_than_connections(self):
        server = Postgres(tempfile.mkdtemp(prefix="postgres-", dir=self.dir)).start()
        self.addCleanup(server.stop)
        database = Database(server, "many")
        self.addCleanup(database.drop)
        # Takes a restart of the server; it is in the database's own directory, and survives.
        database.execute(f"alter system set max_connections = {CONNECTIONS}")
        server.stop()
        server.start()
        self.start({"kafka": {"partitions": 1, "max_partitions": 1000}, "sink": {"url": database.url}})
        tenants = Tenants(self.coordinator, MANY, partitions=1)
        tenants.await_served(120)
        self.coordinator.stop()
        self.coordinator.start()
        tenants.await_served(120)
        parked(self.coordinator.process.pid, 60)
        held = "select count(*) from pg_stat_activity where application_name = 'tload'"
        wait_until(lambda: database.value(held) == "0", 30, "parked tenants to hold no connection")
        for i, name in enumerate(tenants.names[:EACH]):
            self.define(name)
            self.assertEqual(self.load(name, self.file(i + 1))["state"], "done")
        self.assertEqual([database.count(f'"{name}".t') for name in tenants.names[:EACH]], list(range(1, EACH + 1)))
        self.assertEqual(len(tenants.names), MANY)
        self.assertNotIn("too many clients", self.coordinator.log, "as many at a time as there are")
