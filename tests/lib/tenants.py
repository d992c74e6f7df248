# SPDX-License-Identifier: GPL-3.0-or-later
"""Many tenants of one coordinatord, and how to see that they are served and that nothing is done for them; and what the
tests of tenants and clusters share."""

import concurrent.futures
import json
import pathlib
import re
import time

from tests.lib.harness import TestCase, wait_until

ROLES = ("validate", "sink", "errors")
KINDS = ("raw-input", "validated-input", "import-error")  # of topics

AT_ONCE = 8  # requests; more would only wait for each other


class Tenants:
    """So many tenants besides "default", t1, t2, ..., made by the API."""

    def __init__(self, coordinator, number, cluster="default", partitions=4):
        self.coordinator = coordinator
        self.cluster = cluster
        self.partitions = partitions
        self.names = [f"t{i}" for i in range(1, number + 1)]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for name, answer in zip(self.names, pool.map(self.make, self.names), strict=True):
                if answer.status != 201:
                    raise AssertionError(f"tenant {name} was not made: {answer.status} {answer.body}")

    def make(self, name):
        body = {"tenant": name, "cluster": self.cluster, "partitions": self.partitions}
        return self.coordinator.http("POST", "/v1/tenants", body, timeout=60)

    def states(self):
        """By name, of all tenants."""
        found, cursor = {}, ""
        while cursor is not None:
            answer = self.coordinator.http("GET", f"/v1/tenants?limit=1000{cursor}").json
            found |= {t["tenant"]: t["state"] for t in answer["tenants"]}
            cursor = f"&cursor={answer['next']}" if answer.get("next") else None
        return found

    def await_ready(self, timeout=60):
        def ready():
            states = self.states()
            return all(states.get(name) == "ready" for name in self.names)

        wait_until(ready, timeout, "all tenants to be ready")

    def await_served(self, timeout=60, processes=None):
        """Each partition of theirs is some process's (of these, or the coordinatord's), in every role."""
        processes = processes or [self.coordinator]
        self.await_ready(timeout)
        # "default" has as many.
        due = {role: self.partitions * (len(self.names) + 1) for role in ROLES}

        wait_until(lambda: partitions_of(processes) == due, timeout, "all tenants to be served")


def partitions_of(processes):
    """How many partitions they have, by role, as they said last."""
    sums = dict.fromkeys(ROLES, 0)
    for process in processes:
        last = {}
        for role, group, number in re.findall(r" (\w+): cluster (\S+, group \d+): (\d+) partitions are ours", process.log):
            last[role, group] = int(number)
        for (role, _), number in last.items():
            sums[role] += number
    return sums


def worker_threads(pid):
    """Names of the threads of workers: they are named after role and tenant."""
    names = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            names.append((task / "comm").read_text(encoding="utf-8", errors="replace").strip())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return [name for name in names if "/" in name and name.split("/")[0] in {role[:4] for role in ROLES}]


def parked(pid, timeout=60):
    """Returns once no worker has had a thread for a second: then all have been placed, and none is at work."""
    quiet_since = None

    def quiet():
        nonlocal quiet_since
        if worker_threads(pid):
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        return quiet_since is not None and time.monotonic() - quiet_since >= 1

    wait_until(quiet, timeout, "all workers to park")


class TenantsCase(TestCase):
    """Tenants and clusters by the command line, and a table `t` of each."""

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
