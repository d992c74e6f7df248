# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, drawn from a seed: when, what, to whom, for how long. Several at a time."""

import contextlib
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

from tests.lib.process import ROOT
from tests.torture.tenancy import TOPICS

FAILPOINTS = ROOT / "shared/base/failpoints.def"

# Past the session of a consumer, after which its partitions are somebody else's.
SESSION = (7.0, 13.0)
TAKEOVER_SECONDS = 20

VALIDATED = "validated-input"
VALIDATED_IS_OURS = re.compile(rf"{re.escape(TOPICS + VALIDATED)} \[(\d+)\] is ours")

# Where it stands still. Behind its begin it would have the whole file of SQLite to itself.
ZOMBIES = ("sink.before_begin:1", "sink.before_begin:3")
SERVER_ZOMBIES = ("sink.before_ledger:1", "sink.before_ledger:3")

# A sink that commits what it has in hand before it looks whether its partition is to go.
AT_ONCE = {"sink": {"commit_ms": 0}}


@dataclass
class Fault:
    at_s: float
    kind: str
    target: int  # taken modulo the number of targets that there are
    for_s: float
    detail: str = ""
    outcome: str = ""
    missed: bool = False  # there was nothing to do it to

    def __str__(self):
        what = f"{self.at_s:5.1f} s  {self.kind} {self.target} for {self.for_s:.1f} s {self.detail}"
        return what.rstrip() + (f": {self.outcome}" if self.outcome else "")


def failpoints():
    """The daemon's: name to whether it can fail."""
    found = re.findall(r"^X\(\w+,\s*\"([\w.]+)\",\s*(\w+)", FAILPOINTS.read_text(), re.M)
    return {name: kind == "CAN_FAIL" for name, kind in found if not name.startswith("send.")}


KINDS = {
    "kill_daemon": 6, "terminate_daemon": 2, "pause_daemon": 4, "kill_kafka": 2, "pause_kafka": 1, "kill_tload": 3, "pause_tload": 2,
    "storm": 2, "proxy_cut": 2, "proxy_refuse": 1, "proxy_delay": 1, "proxy_stall": 2, "front_cut": 2, "front_stall": 1,
    "front_delay": 1, "lock_sink": 2, "failpoint": 6, "fail_once": 4, "stand_still": 3, "zombie": 2, "disk_full": 2, "disk_error": 2,
    "few_descriptors": 1, "little_memory": 1,
}


def duration(rng, kind, long):
    if kind in ("pause_daemon", "pause_tload", "pause_kafka") and long and rng.random() < 0.1:
        return rng.uniform(20, 60)
    if kind.startswith("pause") and rng.random() < 0.2 or kind == "stand_still" and rng.random() < 0.5:
        return rng.uniform(*SESSION)
    if kind in ("storm", "proxy_stall"):
        return rng.uniform(0.5, 6)
    return rng.uniform(0.0, 3)


# The tenant moves to the other Kafka; they are drawn apart from the others.
MOVES = {"move": 1}
MOVE_SECONDS = 25  # for those before it: a move waits for whoever sends
HIT_SECONDS = 10
MOVE_STEPS = ("before_topics", "after_topics", "before_switch", "after_switch", "before_cleared")

# Of a sink that is a server.
SERVER_KINDS = {"stop_server": 2, "end_connections": 2, "sink_cut": 2, "sink_stall": 2, "sink_delay": 1, "lose_commit": 3}
ALL_KINDS = {**KINDS, **SERVER_KINDS, **MOVES}


def draw_moves(rng, seconds, count):
    moves = []
    for _ in range(count):
        how = rng.choice(("", "kill", "kill", "back", "lock", "lock", "step", "step", "step"))
        if how == "step":
            how = f"move.{rng.choice(MOVE_STEPS)}:1"
        moves.append(Fault(rng.uniform(0.05, 1) * seconds, "move", rng.randrange(1000), rng.choice((0, 0.1, rng.uniform(0, 3))), how))
        if how == "lock":
            moves[-1].for_s += 2
    return moves


def draw(rng, seconds, count, sink, only=None, long=False):
    """only: of this kind alone."""
    if only == "move":
        return sorted(draw_moves(rng, seconds, 2 + count % 3), key=lambda f: f.at_s)
    points = failpoints()
    kinds = [only] if only else list(KINDS if sink == "sqlite" else {**KINDS, **SERVER_KINDS})
    schedule = []
    for _ in range(count):
        kind = rng.choices(kinds, [ALL_KINDS[k] for k in kinds])[0]
        fault = Fault(rng.uniform(0.05, 1) * seconds, kind, rng.randrange(1000), duration(rng, kind, long))
        count_down = rng.choice((1, 1, 2, 5, 20))
        if kind == "failpoint":
            fault.detail = f"{rng.choice(list(points))}:{count_down}"
        elif kind == "fail_once":
            fault.detail = f"{rng.choice([p for p in points if points[p]])}:{count_down}=fail"
        elif kind == "stand_still":
            fault.detail = f"{rng.choice(list(points))}:{count_down}=stop"
        elif kind == "zombie":
            fault.detail = f"{rng.choice(ZOMBIES if sink == 'sqlite' else ZOMBIES + SERVER_ZOMBIES)}=stop"
        elif kind == "storm":
            fault.detail = rng.choice(("sink", "validate", "sink,validate,errors"))
        schedule.append(fault)
    if not only and rng.random() < 0.4:
        schedule += draw_moves(rng, seconds, rng.randrange(1, 4))
    return sorted(schedule, key=lambda f: f.at_s)


class Tormentor:
    """Carries out a schedule against a world, each fault in a thread of its own."""

    def __init__(self, world, schedule):
        self.world = world
        self.schedule = schedule
        self.threads = []
        self.storms = 0
        self.disk_lock = threading.Lock()
        self.moves = any(f.kind in MOVES for f in schedule)

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

    @staticmethod
    def miss(fault, why):
        fault.missed = True
        return why

    @staticmethod
    def last(fault):
        time.sleep(fault.for_s)

    @staticmethod
    def until(condition, seconds):
        """Whether it came true within that time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    # --- coordinatord

    def on_daemon(self, fault, what, d=None):
        d = d or self.world.daemons[fault.target % len(self.world.daemons)]
        if not d.lock.acquire(blocking=False):
            return self.miss(fault, f"{d.name} has another fault")
        try:
            if d.check_alive():
                return self.miss(fault, f"{d.name} had just ended")
            return f"{d.name} {what(d) or ''}".rstrip()
        finally:
            d.lock.release()

    def owner(self, fault):
        """The process that has the role of the failpoint; the errors role commits as the sink does."""
        role = fault.detail.partition(".")[0]
        if role == "sink" and fault.target % 4 == 0:
            role = "errors"
        return next((d for d in self.world.daemons if d.name == role), self.world.daemons[0])

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
            self.until(lambda: d.process.poll() is not None, 1 + fault.for_s)
            return "hit" if d.check_alive() else "not hit yet"

        return self.on_daemon(fault, what, self.owner(fault))

    def fail_once(self, fault):
        """Started again, and something fails there: a commit that was not made, or one whose answer is lost."""

        def what(d):
            d.kill()
            d.start(fault.detail)
            self.last(fault)

        return self.on_daemon(fault, what, self.owner(fault))

    def stand_still(self, fault):
        """It stops itself with that in hand, and comes back later."""

        def what(d):
            d.kill()
            d.start(fault.detail)
            hit = self.until(d.stands_still, 4)
            if hit:
                self.last(fault)
            d.process.signal(signal.SIGCONT)
            return "hit" if hit else "not hit"

        return self.on_daemon(fault, what, self.owner(fault))

    def extra(self, roles, failpoint=None, settings=None):
        self.storms += 1
        d = self.world.daemon(f"storm{self.storms}", roles, settings)
        d.start(failpoint)
        self.world.extra.append(d)
        return d

    def storm(self, fault):
        """Processes that come and go: the partitions go round."""
        d = self.extra(fault.detail)
        self.last(fault)
        if fault.target % 2:
            d.kill()
        else:
            d.terminate()
        return d.name

    def zombie(self, fault):
        """
        One more sink stands still with a message in hand until others have its partitions and have applied all that is in
        them; then it comes back, knows nothing of it, and commits that message at once.
        """

        def what(d):
            zombie = self.extra("sink", fault.detail, AT_ONCE)
            try:
                return self.overtake(fault, d, zombie)
            finally:
                zombie.process.signal(signal.SIGCONT)
                if zombie.process.poll() is None:
                    zombie.terminate()

        return self.on_daemon(fault, what, self.world.sink_daemon)

    def overtake(self, fault, d, zombie):
        if not self.until(lambda: VALIDATED_IS_OURS.search(zombie.coordinator.log), 5):
            d.leave_role("sink")  # there is but one partition, and the other one has it
        try:
            hit = self.until(zombie.stands_still, 8)
        finally:
            d.take_role()
        if not hit:
            return self.miss(fault, "has nothing in hand")
        partitions = sorted({int(p) for p in VALIDATED_IS_OURS.findall(zombie.coordinator.log)})
        taken = self.until(lambda: self.all_applied(partitions), TAKEOVER_SECONDS)
        zombie.process.signal(signal.SIGCONT)
        self.until(lambda: zombie.process.poll() is not None, 1)
        return f"of {partitions} is overtaken" if taken else f"of {partitions} is not overtaken"

    def all_applied(self, partitions):
        """Of what is in these: so nobody holds a lock either."""
        tenancy = self.world.tenancy
        topic = tenancy.topic(VALIDATED)
        try:
            ends = tenancy.site.kafka.end_offsets(topic, self.world.partitions)
            there = self.world.sink.offsets()
        except (AssertionError, OSError, subprocess.SubprocessError, *self.world.sink.busy):
            return False
        return bool(ends) and all(there.get(tenancy.position(VALIDATED, p), 0) == ends.get((topic, p)) for p in partitions)

    def hungry(self, fault, what):
        def starve(d):
            taken = d.starve(what)
            self.last(fault)
            d.feed(taken)

        return self.on_daemon(fault, starve)

    def few_descriptors(self, fault):
        return self.hungry(fault, "descriptors")

    def little_memory(self, fault):
        return self.hungry(fault, "memory")

    # --- the tenant

    def move(self, fault):
        """To the other Kafka, one after the other. Somebody may be killed meanwhile, or nothing be applied, or it is taken back."""
        tenancy = self.world.tenancy
        with tenancy.lock:
            if not self.until(self.tenant_rests, MOVE_SECONDS):
                return self.miss(fault, "the last one has not ended")
            if fault.detail.startswith("move."):
                return self.move_and_end_at(fault, self.world.daemons[0])
            with self.world.sink.locked() if fault.detail == "lock" else contextlib.nullcontext():
                tenancy.move()
                self.last(fault)
            outcome = f"to {tenancy.home}"
            if fault.detail == "kill":
                outcome += f", {self.kill_daemon(fault)}"
            elif fault.detail == "back" and tenancy.stay():
                outcome = f"stays at {tenancy.home}"
            return outcome

    def tenant_rests(self):
        self.world.revive(self.world.daemons[0])
        return self.world.tenancy.at_rest()

    def move_and_end_at(self, fault, control):
        """Control ends by itself at a step of the move."""
        with control.lock:
            control.check_alive()
            control.kill()
            control.start(fault.detail)
            process = control.process
        self.world.tenancy.move()
        outcome = f"to {self.world.tenancy.home}"
        if not self.until(lambda: process.poll() is not None or self.world.tenancy.at_rest(), HIT_SECONDS):
            return f"{outcome}, not hit yet"
        self.last(fault)
        self.world.revive(control)
        return f"{outcome}, {'hit' if process.poll() is not None else 'not hit'}"

    # --- the disk

    def bad_disk(self, fault, how):
        if not self.disk_lock.acquire(blocking=False):
            return self.miss(fault, "the disk has another fault")
        try:
            for d in self.world.daemons + self.world.extra:
                d.may_end += (1, 5)
            self.world.disk.set(how)
            self.last(fault)
            self.world.disk.set(" ")
        finally:
            self.disk_lock.release()
        return ""

    def disk_full(self, fault):
        return self.bad_disk(fault, "S")

    def disk_error(self, fault):
        return self.bad_disk(fault, "E")

    # --- the others

    def site(self, fault):
        """Whose turn it is: where the tenant lives; the other one more rarely, and only if it ever moves there."""
        tenancy = self.world.tenancy
        return tenancy.elsewhere if self.moves and fault.target % 3 == 0 else tenancy.site

    def on_kafka(self, fault, what):
        kafka = self.site(fault).kafka
        if not kafka.lock.acquire(blocking=False):
            return self.miss(fault, "Kafka has another fault")
        try:
            what(kafka)
        finally:
            kafka.lock.release()
        return ""

    def kill_kafka(self, fault):
        def what(kafka):
            kafka.kill()
            self.last(fault)
            kafka.start()

        return self.on_kafka(fault, what)

    def pause_kafka(self, fault):
        def what(kafka):
            kafka.pause()
            self.last(fault)
            kafka.resume()

        return self.on_kafka(fault, what)

    def upload_of(self, fault):
        running = [u for u in self.world.workload.uploads if u.process and u.process.poll() is None]
        return running[fault.target % len(running)] if running else None

    def kill_tload(self, fault):
        u = self.upload_of(fault)
        if not u:
            return self.miss(fault, "none runs")
        u.killed = True
        u.process.kill()
        return u.id

    def pause_tload(self, fault):
        u = self.upload_of(fault)
        if not u:
            return self.miss(fault, "none runs")
        process = u.process
        process.signal(signal.SIGSTOP)
        self.last(fault)
        process.signal(signal.SIGCONT)
        return u.id

    @staticmethod
    def cut(proxy):
        proxy.cut()

    def stall(self, fault, proxy):
        proxy.stall(True)
        self.last(fault)
        if fault.target % 2:
            proxy.cut()
        proxy.stall(False)

    def delay(self, fault, proxy):
        proxy.delay_s = 0.02
        self.last(fault)
        proxy.delay_s = 0

    def proxy_cut(self, fault):
        self.cut(self.site(fault).proxy)

    def proxy_refuse(self, fault):
        proxy = self.site(fault).proxy
        proxy.refuses = True
        proxy.cut()
        self.last(fault)
        proxy.refuses = False

    def proxy_delay(self, fault):
        self.delay(fault, self.site(fault).proxy)

    def proxy_stall(self, fault):
        self.stall(fault, self.site(fault).proxy)

    def front_cut(self, fault):
        """The way to control; every second time the next change is made there, and its answer is lost."""
        if fault.target % 2:
            self.world.front.swallow = b"POST" if fault.target % 4 == 1 else b"PATCH"
        else:
            self.cut(self.world.front)

    def front_stall(self, fault):
        self.stall(fault, self.world.front)

    def front_delay(self, fault):
        self.delay(fault, self.world.front)

    def on_server(self, fault, what):
        if not self.world.sink.lock.acquire(blocking=False):
            return self.miss(fault, "the sink's server has another fault")
        try:
            what(self.world.sink)
        finally:
            self.world.sink.lock.release()
        return ""

    def stop_server(self, fault):
        """Without order: what was not committed is gone, and the next start recovers."""

        def what(sink):
            sink.server.stop_immediate()
            self.last(fault)
            sink.server.start()

        return self.on_server(fault, what)

    def end_connections(self, fault):
        def what(sink):
            sink.database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tload%'")

        return self.on_server(fault, what)

    def sink_cut(self, _fault):
        self.cut(self.world.sink.proxy)

    def sink_stall(self, fault):
        self.stall(fault, self.world.sink.proxy)

    def sink_delay(self, fault):
        self.delay(fault, self.world.sink.proxy)

    def lose_commit(self, fault):
        """The next one is made, and its answer is lost with the connection."""
        proxy = self.world.sink.proxy
        proxy.swallow = b"COMMIT\0"
        lost = self.until(lambda: proxy.swallow is None, 2)
        proxy.swallow = None
        return "lost" if lost else self.miss(fault, "nothing was committed")

    def lock_sink(self, fault):
        with self.world.sink.locked() as why:
            self.last(fault)
        return f"not got: {why}" if why else ""
