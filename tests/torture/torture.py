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
from tests.torture.faults import KINDS, Tormentor, draw  # noqa: E402
from tests.torture.oracle import Difference, Model  # noqa: E402
from tests.torture.workload import Workload  # noqa: E402
from tests.torture.world import World  # noqa: E402

HEAL_SECONDS = 60
EXITS = {0: ("done",), 3: ("done_with_errors",)}


class Run:
    def __init__(self, seed, only=None):
        self.seed = seed
        rng = random.Random(seed)
        self.seconds = rng.uniform(6, 16)
        self.dir = tempfile.mkdtemp(prefix=f"tload-torture-{seed}-")
        self.workload = Workload(rng, self.dir, self.seconds)
        self.split = rng.random() < 0.5
        self.settings = {
            "kafka": {"partitions": rng.choice((1, 2, 3, 4))},
            "validate": {"threads": rng.randrange(1, 4)},
            "sink": {"commit_rows": rng.choice((1, 100, 100000)), "commit_ms": rng.choice((10, 200))},
        }
        self.schedule = draw(rng, self.seconds, rng.randrange(4, 13), only)
        self.tormentor = None
        self.world = None

    def play(self):
        """Uploads and faults, each at its time."""
        began = time.monotonic()
        due = [(u.start_s, self.world.begin_upload, u) for u in self.workload.uploads]
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
                raise Difference(f"{HEAL_SECONDS} s after everything was healed: {what()}")
            time.sleep(0.1)

    def wait(self):
        deadline = time.monotonic() + scaled(HEAL_SECONDS)
        uploads = self.workload.uploads

        def running():
            return [u for u in uploads if not u.loaded]

        def ended():
            for d in self.world.daemons:
                d.check_alive()
            return not running()

        def waiting():
            return "\n".join(
                [f"tload of upload {u.id} still runs: {self.world.upload_object(u)}\n{u.process}" for u in running()]
                + [f"at {self.world.database.offsets()}"]
            )

        self.until(deadline, ended, waiting)
        self.until(deadline, self.world.settled, lambda: f"offsets are {self.world.database.offsets()}, not the topics' ends")

    def check(self):
        world = self.world
        model = Model(world.kafka, self.workload.tables)
        deadline = time.monotonic() + scaled(HEAL_SECONDS)
        self.until(deadline, lambda: world.settled() and self.caught_up(model), lambda: self.behind(model))
        for d in world.daemons:
            d.check_resources()
        oracle.check_ledger(model, world.database)
        oracle.check_tables(model, world.database)
        for u in self.workload.uploads:
            status = world.upload_object(u)
            complete = model.complete(u.id, world.partitions)
            oracle.check_status(model, u, status, world.partitions)
            oracle.check_file(model, u, complete)
            if status is not None:
                oracle.check_errors(model, world.state, u, world.errors_of(u))
            self.check_exit(u, status, complete)
        self.rows = sum(p.applied for p in model.parts.values())
        self.twice = world.sent_twice()

    def caught_up(self, model):
        """raw-input is in the ledger as far as it goes, and complete uploads have ended."""
        there = dict(
            ((u, p), seq) for u, p, seq in self.world.database.query("SELECT upload, partition, last_seq FROM _tload_ledger")
        )
        if any(there.get(k, 0) < part.last_seq for k, part in model.parts.items()):
            return False
        for u in self.workload.uploads:
            status = self.world.upload_object(u)
            if model.complete(u.id, self.world.partitions) and status["state"] not in oracle.FINAL:
                return False
        return True

    def behind(self, model):
        try:
            oracle.check_ledger(model, self.world.database)
        except Difference as e:
            return str(e)
        return str([self.world.upload_object(u) for u in self.workload.uploads])

    def check_exit(self, upload, status, complete):
        code = upload.process.exit
        if code in EXITS:
            if not complete or status["state"] not in EXITS[code]:
                raise Difference(f"tload of upload {upload.id} ended with {code}, but: {status}, {upload.process}")
        elif code != -signal.SIGKILL and code != 5:
            raise Difference(f"tload of upload {upload.id} ended with {code}: {status}, {upload.process}")

    def run(self):
        self.world = World(self.dir, self.workload, self.settings, self.split)
        self.tormentor = Tormentor(self.world, self.schedule)
        watcher = threading.Thread(target=self.world.watch, daemon=True)
        try:
            self.world.start()
            watcher.start()
            self.play()
            self.world.heal()
            self.wait()
            self.check()
            if self.world.trouble:
                raise self.world.trouble
        finally:
            self.world.end()

    def summary(self):
        exits = " ".join(f"{u.id}:{u.process.exit}" for u in self.workload.uploads if u.process)
        return (
            f"{len(self.schedule)} faults, {'four processes' if self.split else 'one process'}, "
            f"{self.settings['kafka']['partitions']} partitions, {self.rows} rows, {self.twice} batches twice, {exits}"
        )


def one(seed, options):
    """True when nothing differed."""
    began = time.monotonic()
    run = Run(seed, options.only)
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
        print(f"  {'four processes' if run.split else 'one process'}, {run.settings}")
        for u in run.workload.uploads:
            print(f"  {u.start_s:5.1f} s  upload {u.id} to {u.table}: {len(u.truths)} rows, for {u.trickle_s:.1f} s")
    if trouble or options.verbose:
        for fault in run.schedule:
            print(f"  {fault}")
    if trouble:
        print(f"difference: {trouble}", flush=True)
        if options.discard:
            shutil.rmtree(run.dir, ignore_errors=True)
    return trouble is None


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--keep-going", action="store_true", help="after a difference, too")
    parser.add_argument("--discard", action="store_true", help="keep no directory")
    parser.add_argument("--only", choices=sorted(KINDS), metavar="KIND", help="faults of this kind alone")
    parser.add_argument("--keep", action="store_true", help="keep all directories")
    parser.add_argument("-v", dest="verbose", action="store_true")
    options = parser.parse_args()

    os.chdir(ROOT)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    seed = options.seed if options.seed is not None else int(time.time())
    until = time.monotonic() + 60 * options.minutes if options.minutes else 0
    passed = failed = faults = 0
    while True:
        if one(seed, options):
            passed += 1
        else:
            failed += 1
            if not options.keep_going:
                break
        seed += 1
        if time.monotonic() >= until:
            break
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
