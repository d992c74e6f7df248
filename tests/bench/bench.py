#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast it is, beside others: bench.py [--rounds N] [--rows N] [--only NAME,...] [--full] [--peers] [--results]

Rounds of all groups of runs, one group after the other, so that what disturbs the machine for a while disturbs all of
them; what counts is the median, and ratios of medians. Nothing is asserted but that the rows have arrived.

--only      these groups (--list shows them)
--full      also what takes long: five and ten times the rows, a fifth of them rejected; many tenants that do nothing;
            pgloader and Connect in each round
--peers     also Kafka Connect, which Maven fetches
--results   write tests/bench/RESULTS.md, too

BUILD/bench/results.json always has all figures.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from tests.bench import connect, fairness, idle, loads, peers, report, scaling  # noqa: E402, the path comes first
from tests.bench.data import Data  # noqa: E402
from tests.bench.measure import Results  # noqa: E402
from tests.bench.services import TIMEOUT, Services  # noqa: E402
from tests.lib.process import BUILD  # noqa: E402

SEED = 1
WARM_UP_ROWS = 100000
# Those that are compared stand beside each other.
GROUPS = {
    "psql": peers.psql_copy,
    "postgresql": loads.postgresql,
    "uncompressed": loads.uncompressed,
    "import": peers.sqlite_import,
    "sqlite": loads.sqlite,
    "upload": loads.upload,
    "kcat": peers.kcat,
    "pgloader": peers.pgloader,
    "connect": connect.debezium,
    "cores": loads.cores,
    "latency": scaling.latency,
    "partitions": scaling.partitions,
    "commits": scaling.commits,
    "uploads": scaling.uploads,
    "fairness": fairness.neighbours,
    "rejected": loads.rejected,
    "idle": idle.idle,
}
ONLY_FULL = {"rejected", "idle"}
# So slow beside the others that one round has to do, unless everything is measured.
ONCE = {"pgloader", "connect"}
ONLY_PEERS = {"connect"}
PROGRAMS = {"import": "sqlite3", "kcat": "kcat", "pgloader": "pgloader", "psql": "psql", "connect": "mvn"}


class Bench:
    """What a group of runs has to hand."""

    timeout = TIMEOUT

    def __init__(self, services, data):
        self.services = services
        self.data = data
        self.results = Results()

    def add(self, name, **figures):
        self.results.add(name, **figures)

    def run(self, group):
        """Says what each of its measurements took."""
        before = self.results
        self.results = Results()
        try:
            GROUPS[group](self)
        finally:
            these, self.results = self.results, before
            self.results.extend(these)
        for name in these.names():
            seconds = these.median(name)
            print(f"{name:26} {seconds:9.3f} s" if seconds else name, flush=True)

    @staticmethod
    def check(what, rows, due):
        """A figure for something else than all rows would be worth nothing."""
        if rows != due:
            raise AssertionError(f"{what}: {rows} rows where {due} are due")

    @staticmethod
    def size(path):
        return os.path.getsize(path)


def chosen(options):
    """Names of the groups to run, in their order."""
    if options.only:
        names = [name for name in options.only.split(",") if name]
        unknown = set(names) - set(GROUPS)
        if unknown:
            sys.exit(f"bench.py: no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
        return [name for name in GROUPS if name in names]
    left_out = (set() if options.full else ONLY_FULL) | (set() if options.peers else ONLY_PEERS)
    return [name for name in GROUPS if name not in left_out]


def available(names):
    """Those whose programs are installed; the others are told."""
    there = []
    for name in names:
        program = PROGRAMS.get(name)
        if program and not any(os.access(os.path.join(d, program), os.X_OK) for d in os.get_exec_path()):
            print(f"{name}: {program} is missing: run \"tests/tools/deps bench\"", flush=True)
        else:
            there.append(name)
    return there


def run(names, options):
    services = Services()
    try:
        data = Data(services.dir, options.rows, SEED)
        if set(names) - {"cores", "import", "psql", "pgloader"}:
            warm_up(services, options.rows)
        bench = Bench(services, data)
        failed = {}
        for number in range(1, options.rounds + 1):
            print(f"--- round {number} of {options.rounds}", flush=True)
            for name in names:
                if name in failed or (number > 1 and name in ONCE and not options.full):
                    continue
                try:
                    bench.run(name)
                except (AssertionError, OSError, subprocess.SubprocessError) as error:
                    failed[name] = str(error)
                    print(f"{name}: {error}", file=sys.stderr, flush=True)
        versions = services.versions() | (connect.versions() if "connect" in names else {})
        return bench.results, failed, versions
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        services.close()


def warm_up(services, rows):
    """A broker that was just started compiles itself for a while: the first load is not counted."""
    bench = Bench(services, Data(services.path("warm-up"), min(rows, WARM_UP_ROWS), SEED))
    os.mkdir(bench.data.dir)
    loads.postgresql(bench)


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--only", default="", metavar="NAME,...")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--results", action="store_true")
    parser.add_argument("--json", default=str(BUILD / "bench/results.json"), metavar="FILE")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(GROUPS))
        return 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    began = time.monotonic()
    results, failed, versions = run(available(chosen(options)), options)
    outcome = report.Report(results, failed, versions, options, time.monotonic() - began)
    outcome.write_json(options.json)
    print(outcome.text())
    if options.results:
        outcome.write_markdown(ROOT / "tests/bench/RESULTS.md")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
