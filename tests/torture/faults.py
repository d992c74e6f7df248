# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, drawn from a seed: when, what, to whom, for how long. Several at a time."""

import contextlib
import re
import signal
import sqlite3
import threading
import time
from dataclasses import dataclass

from tests.lib.process import ROOT

FAILPOINTS = ROOT / "shared/base/failpoints.def"


@dataclass
class Fault:
    at_s: float
    kind: str
    target: int  # taken modulo the number of targets that there are
    for_s: float
    detail: str = ""
    outcome: str = ""

    def __str__(self):
        what = f"{self.at_s:5.1f} s  {self.kind} {self.target} for {self.for_s:.1f} s {self.detail}"
        return what.rstrip() + (f": {self.outcome}" if self.outcome else "")


def failpoints():
    return re.findall(r"^X\(\w+,\s*\"([\w.]+)\"", FAILPOINTS.read_text(), re.M) if FAILPOINTS.exists() else []


def duration(rng, kind):
    if kind.startswith("pause") and rng.random() < 0.2:
        return rng.uniform(10.5, 14)  # past the session of a consumer
    if kind == "zombie":
        return rng.uniform(10.5, 13)
    if kind in ("storm", "proxy_stall"):
        return rng.uniform(0.5, 6)
    return rng.uniform(0.0, 3)


KINDS = {
    "kill_daemon": 6, "terminate_daemon": 2, "pause_daemon": 4, "kill_kafka": 2, "pause_kafka": 1, "kill_tload": 1, "pause_tload": 1,
    "storm": 2, "proxy_cut": 2, "proxy_refuse": 1, "proxy_delay": 1, "proxy_stall": 2, "lock_database": 2, "failpoint": 6,
    "zombie": 2,
}


def draw(rng, seconds, count, only=None):
    """only: of this kind alone."""
    points = failpoints()
    kinds = [only] if only else [k for k in KINDS if k != "failpoint" or points]
    schedule = []
    for _ in range(count):
        kind = rng.choices(kinds, [KINDS[k] for k in kinds])[0]
        fault = Fault(rng.uniform(0.05, 1) * seconds, kind, rng.randrange(1000), duration(rng, kind))
        if kind == "failpoint":
            fault.detail = f"{rng.choice(points)}:{rng.choice((1, 1, 2, 5, 20))}"
        elif kind == "storm":
            fault.detail = rng.choice(("sink", "validate", "sink,validate,errors"))
        schedule.append(fault)
    return sorted(schedule, key=lambda f: f.at_s)


class Tormentor:
    """Carries out a schedule against a world, each fault in a thread of its own."""

    def __init__(self, world, schedule):
        self.world = world
        self.schedule = schedule
        self.threads = []
        self.over = threading.Event()  # faults that last are cut short
        self.storms = 0

    def begin(self, fault):
        thread = threading.Thread(target=self.run, args=(fault,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def run(self, fault):
        try:
            fault.outcome = getattr(self, fault.kind)(fault) or "done"
        except Exception as e:  # noqa: BLE001, whatever it was: the run has to tell
            fault.outcome = repr(e)
            self.world.blame(e)

    def join(self):
        for t in self.threads:
            t.join()

    def last(self, fault):
        time.sleep(fault.for_s)

    # --- coordinatord

    def on_daemon(self, fault, what):
        d = self.world.daemons[fault.target % len(self.world.daemons)]
        if not d.lock.acquire(blocking=False):
            return f"{d.name} has another fault"
        try:
            if d.check_alive():
                return f"{d.name} had ended at a failpoint"
            what(d)
        finally:
            d.lock.release()
        return d.name

    def kill_daemon(self, fault):
        def what(d):
            d.kill()
            self.last(fault)
            d.start()

        return self.on_daemon(fault, what)

    def terminate_daemon(self, fault):
        def what(d):
            d.terminate()
            self.last(fault)
            d.start()

        return self.on_daemon(fault, what)

    def pause_daemon(self, fault):
        def what(d):
            d.process.signal(signal.SIGSTOP)
            self.last(fault)
            d.process.signal(signal.SIGCONT)

        return self.on_daemon(fault, what)

    def failpoint(self, fault):
        """Started again with a point armed; it ends there, or is still armed at the end of the run."""

        def what(d):
            d.kill()
            d.start(fault.detail)
            until = time.monotonic() + 1 + fault.for_s
            while d.process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            fault.detail += " hit" if d.check_alive() else " not hit yet"

        return self.on_daemon(fault, what)

    def storm(self, fault):
        self.storms += 1
        d = self.world.daemon(f"storm{self.storms}", fault.detail)
        d.start()
        self.world.extra.append(d)
        self.last(fault)
        if fault.target % 2:
            d.kill()
        else:
            d.terminate()
        return d.name

    def zombie(self, fault):
        """
        Stopped with work in hand, as the sink is locked just then, until others have taken over its partitions; then it
        comes back, and they stay for a while.
        """
        self.storms += 1
        other = self.world.daemon(f"storm{self.storms}", "validate,sink,errors")

        def what(d):
            with self.locked_database():
                time.sleep(1.5)
                d.process.signal(signal.SIGSTOP)
            self.last(fault)
            d.process.signal(signal.SIGCONT)
            time.sleep(1)

        other.start()
        self.world.extra.append(other)
        time.sleep(3)  # until it has its share
        outcome = self.on_daemon(fault, what)
        other.terminate()
        return outcome

    # --- the others

    def on_kafka(self, what):
        if not self.world.kafka.lock.acquire(blocking=False):
            return "Kafka has another fault"
        try:
            what(self.world.kafka)
        finally:
            self.world.kafka.lock.release()
        return ""

    def kill_kafka(self, fault):
        def what(kafka):
            kafka.kill()
            self.last(fault)
            kafka.start()

        return self.on_kafka(what)

    def pause_kafka(self, fault):
        def what(kafka):
            kafka.pause()
            self.last(fault)
            kafka.resume()

        return self.on_kafka(what)

    def upload_of(self, fault):
        running = [u for u in self.world.workload.uploads if u.process and u.process.poll() is None]
        return running[fault.target % len(running)] if running else None

    def kill_tload(self, fault):
        u = self.upload_of(fault)
        if not u:
            return "none runs"
        u.process.kill()
        return u.id

    def pause_tload(self, fault):
        u = self.upload_of(fault)
        if not u:
            return "none runs"
        u.process.signal(signal.SIGSTOP)
        self.last(fault)
        u.process.signal(signal.SIGCONT)
        return u.id

    def proxy_cut(self, _fault):
        self.world.proxy.cut()

    def proxy_refuse(self, fault):
        self.world.proxy.refuses = True
        self.world.proxy.cut()
        self.last(fault)
        self.world.proxy.refuses = False

    def proxy_delay(self, fault):
        self.world.proxy.delay_s = 0.02
        self.last(fault)
        self.world.proxy.delay_s = 0

    def proxy_stall(self, fault):
        self.world.proxy.stall(True)
        self.last(fault)
        if fault.target % 2:
            self.world.proxy.cut()
        self.world.proxy.stall(False)

    @contextlib.contextmanager
    def locked_database(self):
        """Gives why not, or None when it is locked."""
        why = connection = None
        try:
            connection = sqlite3.connect(f"file:{self.world.database.path}?mode=rw", uri=True, timeout=2, isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as e:
            why = e
        try:
            yield why
        finally:
            if connection:
                connection.close()  # rolls back

    def lock_database(self, fault):
        with self.locked_database() as why:
            self.last(fault)
        return f"not got: {why}" if why else ""
