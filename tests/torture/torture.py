#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads while everything fails, and an oracle that says what must be there: tests/torture/torture.py.

    torture.py --seed N              one run
    torture.py [--seed N] --minutes M    runs with seeds N, N+1, ... for so long
    -v                               the schedule of each run, not only of those that fail

A run draws tables, files, uploads and faults from its seed, lets them go on for some seconds, heals everything, waits until
all uploads have ended, and compares (oracle.py). The first difference is shown with seed and schedule, and the run's
directory is kept. The last line is "N passed, N failed".
"""

import argparse
import http.client
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from tests.lib.process import scaled  # noqa: E402, the path comes first
from tests.torture import oracle  # noqa: E402
from tests.torture.faults import ALL_KINDS, Tormentor, draw  # noqa: E402
from tests.torture.oracle import Difference, Model  # noqa: E402
from tests.torture.sinks import SqliteSink  # noqa: E402
from tests.torture.sites import Cluster  # noqa: E402
from tests.torture.workload import Workload  # noqa: E402
from tests.torture.world import World  # noqa: E402

PATIENCE = 60
SINKS = ("sqlite", "postgresql")
EXITS = {0: ("done",), 3: ("done_with_errors",)}
KILLED = (-signal.SIGKILL, -signal.SIGABRT)


class Run:
    def __init__(self, seed, cluster, only=None, long=False, sink=None, patience=PATIENCE):
        self.seed = seed
        self.cluster = cluster
        self.patience = patience  # seconds after everything was healed
        rng = random.Random(seed)
        self.seconds = rng.uniform(6, 16)
        self.dir = tempfile.mkdtemp(prefix=f"tload-torture-{seed}-")
        self.sink = sink or SINKS[seed % len(SINKS)]
        self.workload = Workload(rng, self.dir, self.seconds, self.sink == "sqlite")
        self.split = rng.random() < 0.5
        self.settings = {
            "kafka": {"partitions": rng.choice((1, 2, 3, 4)), "trim_seconds": rng.choice((1, 30)), "trim_records": rng.choice((1, 5))},
            "validate": {"threads": rng.randrange(1, 4)},
            "sink": {"commit_rows": rng.choice((1, 100, 100000)), "commit_ms": rng.choice((10, 200))},
        }
        self.connections = rng.randrange(1, 4)
        self.schedule = draw(rng, self.seconds, rng.randrange(6, 18), self.sink, only, long)
        self.tormentor = None
        self.world = None
        self.rows = self.twice = 0

    def make_sink(self, state):
        if self.sink == "sqlite":
            return SqliteSink(state)
        return self.cluster.postgres_sink(f"run{self.seed}", self.connections)

    def play(self):
        """Uploads and faults, each at its time."""
        began = time.monotonic()
        due = [(u.start_s, self.world.begin_upload, u) for u in self.workload.uploads]
        due += [(u.cancel_s, self.world.begin_cancel, u) for u in self.workload.uploads if u.cancel_s]
        due += [(f.at_s, self.tormentor.begin, f) for f in self.schedule]
        for at, act, what in sorted(due, key=lambda item: item[0]):
            time.sleep(max(0.0, began + at - time.monotonic()))
            act(what)
        time.sleep(max(0.0, began + self.seconds - time.monotonic()))
        self.tormentor.join()

    def until(self, deadline, condition, what):
        while True:
            if self.world.trouble:
                raise self.world.trouble
            try:
                if condition():
                    return
            except (OSError, http.client.HTTPException, AssertionError):
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                raise Difference(f"{self.patience} s after everything was healed: {what()}")
            time.sleep(0.1)

    def wait(self):
        deadline = time.monotonic() + scaled(self.patience)
        uploads = self.workload.uploads
        ended_here = []

        def running():
            return [u for u in uploads if not u.loaded]

        def ended():
            if not self.world.all_alive():
                return False
            # They hold a move back, and that the others.
            orphans = [u for u in uploads if u.loaded and not u.resumable and u not in ended_here]
            ended_here.extend(orphans)
            self.world.end_orphans(orphans)
            return not running()

        def waiting():
            return "\n".join(
                [f"tload of upload {u.id} still runs: {self.world.upload_object(u)}\n{u.process}" for u in running()]
                + [f"at {self.world.sink.offsets()}"]
            )

        self.until(deadline, ended, waiting)
        self.world.end_orphans(uploads)
        self.until(deadline, self.world.settled, self.unsettled)

    def unsettled(self):
        return f"offsets are {self.world.sink.offsets()}, not the topics' ends; the tenant is {self.world.tenancy.look()}"

    def check(self):
        world = self.world
        model = Model(world.tenancy.raw_input(), self.workload.tables)
        deadline = time.monotonic() + scaled(self.patience)
        self.until(deadline, lambda: world.settled() and self.caught_up(model), lambda: self.behind(model))
        world.tenancy.check()
        for d in world.daemons:
            d.check_resources(self.connections)
        oracle.check_ledger(model, world.sink)
        oracle.check_tables(model, world.sink)
        for u in self.workload.uploads:
            status = world.upload_object(u)
            complete = model.complete(u.id, world.partitions)
            oracle.check_status(model, u, status, world.partitions)
            oracle.check_file(model, u, complete)
            if status is not None:
                oracle.check_errors(model, world.place_of_errors(), u, world.errors_of(u))
            self.check_exit(u, u.process, status, complete)
            if u.twin_process:
                self.check_exit(u, u.twin_process, status, complete)
        self.rows = sum(p.applied for p in model.parts.values())
        self.twice = world.sent_twice()

    def caught_up(self, model):
        """raw-input is in the ledger as far as it goes, and what is known has ended."""
        there = {(row[0], row[1]): row[3] for row in self.world.sink.ledger()}
        if any(there.get(k, 0) < part.last_seq for k, part in model.parts.items()):
            return False
        for u in self.workload.uploads:
            status = self.world.upload_object(u)
            if status and status["state"] not in oracle.FINAL:
                return False
        return True

    def behind(self, model):
        try:
            oracle.check_ledger(model, self.world.sink)
        except Difference as e:
            return str(e)
        return str([self.world.upload_object(u) for u in self.workload.uploads])

    @staticmethod
    def check_exit(upload, process, status, complete):
        code = process.exit
        if code in EXITS:
            if not complete or status["state"] not in EXITS[code]:
                raise Difference(f"tload of upload {upload.id} ended with {code}, but: {status}, {process}")
        elif code in KILLED or code == 5 or (code == 2 and upload.twin):
            if upload.resumable and process is upload.process:
                raise Difference(f"tload of upload {upload.id} was started {upload.starts} times and did not get to an end: {process}")
        elif code != 1 or not upload.cancelled or status["state"] not in ("cancelled", "done", "done_with_errors"):
            raise Difference(f"tload of upload {upload.id} ended with {code}: {status}, {process}")

    def run(self):
        self.cluster.clean()
        self.world = World(self.dir, self.workload, self.settings, self.split, self.cluster, self.make_sink)
        self.tormentor = Tormentor(self.world, self.schedule)
        watcher = threading.Thread(target=self.world.watcher.run, daemon=True)
        try:
            self.world.start()
            watcher.start()
            self.play()
            self.world.heal()
            self.wait()
            self.check()
            self.world.leave()
            if self.world.trouble:
                raise self.world.trouble
        finally:
            self.world.end()

    @property
    def faults(self):
        """That had something to be done to; a tload that met its own counts as well."""
        return sum(not f.missed for f in self.schedule) + sum(min(len(u.endings), max(0, u.starts - 1)) for u in self.workload.uploads)

    def summary(self):
        exits = " ".join(f"{u.id}:{u.process.exit}" for u in self.workload.uploads if u.process)
        return (
            f"{self.sink}, {self.faults} faults, {'four processes' if self.split else 'one process'}, "
            f"{self.settings['kafka']['partitions']} partitions, "
            f"{self.world.tenancy.epoch - 1} moves, {self.rows} rows, {self.twice} batches twice, "
            f"{self.world.watcher.samples} samples, {exits}"
        )


def one(seed, cluster, options):
    """Whether nothing differed, and how many faults there were."""
    began = time.monotonic()
    run = Run(seed, cluster, options.only, options.long, options.sink, options.patience)
    trouble = None
    try:
        run.run()
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(run.dir, ignore_errors=True)
        raise
    except Difference as e:
        trouble = str(e)
    except Exception:  # noqa: BLE001, the other seeds have to go on
        trouble = traceback.format_exc()
    took = time.monotonic() - began
    if trouble is None:
        print(f"ok   seed {seed} ({took:.0f} s): {run.summary()}", flush=True)
        if not options.keep:
            shutil.rmtree(run.dir, ignore_errors=True)
    else:
        print(f"FAIL seed {seed} ({took:.0f} s)" + ("" if options.discard else f"; everything is in {run.dir}"))
        print(f"  {run.sink}, {'four processes' if run.split else 'one process'}, {run.settings}")
        for u in run.workload.uploads:
            how = f"for {u.trickle_s:.1f} s" if u.trickle_s else f"from a file, {u.endings}{', twice at once' if u.twin else ''}"
            print(f"  {u.start_s:5.1f} s  upload {u.id} to {u.table}: {len(u.truths)} rows, {how}, cancelled at {u.cancel_s}")
    if trouble or options.verbose:
        for fault in run.schedule:
            print(f"  {fault}")
    if trouble:
        print(f"difference: {trouble}", flush=True)
        if options.discard:
            shutil.rmtree(run.dir, ignore_errors=True)
    return trouble is None, run.faults


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--keep-going", action="store_true", help="after a difference, too")
    parser.add_argument("--discard", action="store_true", help="keep no directory")
    parser.add_argument("--only", choices=sorted(ALL_KINDS), metavar="KIND", help="faults of this kind alone")
    parser.add_argument("--sink", choices=SINKS, help="each in its turn by default")
    parser.add_argument("--long", action="store_true", help="processes may stand still for a minute")
    parser.add_argument("--keep", action="store_true", help="keep all directories")
    parser.add_argument("--patience", type=int, default=PATIENCE, help="seconds for all to end after everything was healed")
    parser.add_argument("-v", dest="verbose", action="store_true")
    options = parser.parse_args()

    os.chdir(ROOT)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    seed = options.seed if options.seed is not None else int(time.time())
    until = time.monotonic() + 60 * options.minutes if options.minutes else 0
    passed = failed = faults = 0
    cluster = Cluster()
    try:
        while True:
            fine, met = one(seed, cluster, options)
            passed += fine
            failed += not fine
            faults += met
            seed += 1
            if time.monotonic() >= until or (failed and not options.keep_going):
                break
    finally:
        cluster.stop()
        shutil.rmtree(cluster.dir, ignore_errors=True)
    print(f"{faults} faults")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
