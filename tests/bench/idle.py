#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tenants cost that do nothing: idle.py [--tenants N,...] [--seconds N] [--postgresql] [--perf FILE]

For each number of tenants a coordinatord that never saw anything else: how long until all are served, then, once every
worker has parked, memory, threads, descriptors, connections to PostgreSQL, what the processor did for so many seconds,
how long it takes then to make one more tenant, and one's first upload after that, and, at worst of some, an upload
of another one in its consumer group meanwhile. Nothing is asserted.

--tenants      how many, one run each (1,100,500)
--seconds      to look at it while nothing happens (60)
--postgresql   as the sink, instead of SQLite
--perf         record what uses the processor meanwhile, of the last run, into this file
"""

import argparse
import concurrent.futures
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from tests.bench import measure  # noqa: E402, the path comes first
from tests.bench.services import Services  # noqa: E402
from tests.lib.process import BUILD  # noqa: E402
from tests.lib.tenants import Tenants, parked  # noqa: E402

START_SECONDS = 600
SETTLE_SECONDS = 15
SECONDS = 60  # as often as the roles look whether there is something that control did not tell them of
MANY = 100  # of the group
NEWS = 5  # of each of the latter, for the median
MIB = 1 << 20


def pss(pid):
    """Bytes of memory, what is shared with others divided among them."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("/proc has no Pss")


def connections(services):
    with services.database() as database:
        return database.value("select count(*) from pg_stat_activity where application_name = 'tload'")


def watch(pid, seconds, perf):
    """Seconds of the processor within so many."""
    before = measure.cpu(pid)
    if perf:
        command = ["perf", "record", "-q", "-g", "-F", "997", "-p", str(pid), "-o", perf, "--", "sleep", str(seconds)]
        subprocess.run(command, check=True)
    else:
        time.sleep(seconds)  # it is the time that is measured
    return measure.cpu(pid) - before


def tload(daemon, tenant, *arguments):
    daemon.services.run([BUILD / "tload", "--tenant", tenant, *arguments], env=daemon.env)


def ten_rows(daemon, tenant):
    """Seconds that an upload takes."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("id\n" + "".join(f"{n}\n" for n in range(10)))
        file.flush()
        tload(daemon, tenant, "upload", file.name, "--table", "t")
    return time.monotonic() - began


def make(tenants, name):
    if tenants.make(name).status != 201:
        raise AssertionError(f"tenant {name} was not made")


def one_more(daemon, tenants, i):
    """Seconds until there is one more tenant, and from then until its first ten rows are in the sink."""
    name = f"n{i}"
    began = time.monotonic()
    make(tenants, name)
    made = time.monotonic()
    tload(daemon, name, "define-table", "t", "id int", "--key", "id")
    ten_rows(daemon, name)
    return made - began, time.monotonic() - made


def beside(daemon, tenants, i):
    """Seconds that ten rows take into a tenant that was made a moment ago, while its group gets another one."""
    with concurrent.futures.ThreadPoolExecutor(1) as maker:
        made = maker.submit(make, tenants, f"m{i}")
        took = ten_rows(daemon, f"n{i}")
        made.result()
    return took


def run(services, number, seconds=SECONDS, postgresql=False, perf=None):
    """The figures for so many tenants."""
    url = services.postgres.url if postgresql else None
    settings = {"kafka": {"max_partitions": 1000000}, "coordinator": {"log_level": "info"}}
    with services.daemon(url, settings=settings) as daemon:
        pid = daemon.coordinator.process.pid
        began = time.monotonic()
        tenants = Tenants(daemon.coordinator, number - 1)
        tenants.await_served(START_SECONDS)
        served = time.monotonic() - began
        parked(pid, START_SECONDS)
        # For a while after the last tenant came all are fetched for.
        time.sleep(SETTLE_SECONDS)
        parked(pid, START_SECONDS)
        used = watch(pid, seconds, perf)
        figures = {
            "served_s": served,
            "memory_mib": pss(pid) / MIB,
            "threads": len(os.listdir(f"/proc/{pid}/task")),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "cpu_s": used,
            "cpu_percent": 100 * used / seconds,
        }
        news = [one_more(daemon, tenants, i) for i in range(NEWS)]
        figures["new_tenant_s"], figures["first_upload_s"] = (statistics.median(x) for x in zip(*news, strict=True))
        figures["beside_s"] = max(beside(daemon, tenants, i) for i in range(NEWS))
        if postgresql:
            figures["connections"] = connections(services)
        return figures


def idle(bench):
    """A group of bench.py."""
    for number in (1, MANY):
        bench.add(f"idle/{number}", **run(bench.services, number))


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", default="1,100,500")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--perf", metavar="FILE")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    services = Services()
    try:
        for number in map(int, options.tenants.split(",")):
            figures = run(services, number, options.seconds, options.postgresql, options.perf)
            print(f"{number:5} tenants  " + "  ".join(f"{k} {v:.2f}" for k, v in figures.items()), flush=True)
    finally:
        services.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
