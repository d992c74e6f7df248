# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of coordinatord that is killed, stopped, starved and started again."""

import contextlib
import os
import re
import resource
import signal
import threading
import time

from tests.lib.process import BUILD, gone, scaled, wait_until
from tests.torture.oracle import Difference

STOP_SECONDS = 5  # within which coordinatord has to end by SIGTERM
ROLES = "control,validate,sink,errors"
WORKER = re.compile(r"(vali|sink|erro)/")
LANES = re.compile(r" (?:(validate): (\S+ \[\d+\]) is ours|(sink|errors): (\S+ \[\d+\]) goes on at)")

# What a process may have more, when all is over, than when it was new and had nothing to do.
MORE = {
    "files": 1,
    "pipes": 0,
    "sockets": 4,  # requests, and connections of Kafka's client that come and go by themselves
    "threads": 1,
    "HTTP connections": 0,
    "clients of Kafka": 0,
    "bytes of memory": 300 * 1024 * 1024,  # of the queues and the allocator
}
# The data sink is opened, the way to Kafka is made when there is something to trim, and the roles keep their connections.
MORE_OF_CONTROL = {"files": 6, "HTTP connections": 12, "clients of Kafka": 3}
CLIENTS_OF_CONNECTION = 3  # that the sink makes when a row is refused or owed
CALM_SECONDS = 10  # within which what is on its way ends
SHIM = BUILD / "tests/torture/iofault.so"


def threads_of(pid):
    """Their names."""
    names = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as f:
            names.append(f.read().strip())
    return names


def use_of(process):
    """What MORE names. Threads, pipes and sockets of a client of Kafka go with its brokers, so they are left out."""
    pid, names, targets = process.pid, threads_of(process.pid), []
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            targets.append(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    pipes, sockets = (sum(t.startswith(kind) for t in targets) for kind in ("pipe:", "socket:"))
    brokers = sum(n.startswith("rdk:broker") for n in names)
    clients, served = names.count("rdk:main"), names.count("MHD-connection")
    return {
        "files": len(targets) - pipes - sockets,
        "pipes": pipes - 2 * brokers,
        "sockets": sockets - brokers - served,
        "threads": len(names) - brokers - clients - served,
        "HTTP connections": served,
        "clients of Kafka": clients,
        "bytes of memory": process.rss(),
    }


class Disk:
    """What the shim lets happen to writes below a directory, for all processes of a run."""

    def __init__(self, directory, below):
        self.control = os.path.join(directory, "disk")
        self.below = below
        self.ever = False
        self.set(" ")

    def set(self, what):
        """ "S": full, "E": broken, " ": fine."""
        self.ever = self.ever or what != " "
        with open(self.control, "r+b" if os.path.exists(self.control) else "wb") as f:
            f.write(what.encode())

    def environment(self):
        if os.environ.get("SANITIZE"):
            return {}  # a sanitizer's runtime has to come first
        return {"LD_PRELOAD": str(SHIM), "IOFAULT_CONTROL": self.control, "IOFAULT_DIR": self.below}


class Daemon:
    """One fault at a time: it takes the lock."""

    def __init__(self, coordinator, disk):
        self.coordinator = coordinator
        self.disk = disk
        self.name = coordinator.name
        self.lock = threading.Lock()
        self.may_end = ()  # statuses with which it may end by itself
        self.started = 0.0
        self.first = None  # what it used when it was new
        self.left = None  # the roles that it had before it left one

    @property
    def process(self):
        return self.coordinator.process

    def start(self, failpoint=None):
        self.may_end = (-signal.SIGABRT,) if failpoint else ()
        if failpoint and failpoint.endswith("=fail"):
            self.may_end += (1, 5)  # what fails may be its start
        if self.disk.ever:
            self.may_end += (1, 5)  # where there is no room for its state it can't start
        self.started = time.monotonic()
        environment = {"TLOAD_LOG": "debug", **self.disk.environment()}
        if failpoint:
            environment["TLOAD_FAILPOINT"] = failpoint
        self.coordinator.start(ready=False, env=environment)

    def kill(self):
        if self.process.poll() is not None:
            self.check_end(self.process.exit)
        self.process.kill()

    def terminate(self):
        began = time.monotonic()
        self.process.signal(signal.SIGTERM)

        def ended():
            if self.process.poll() is not None:
                return True
            if self.stands_still():  # at a point on its way out
                self.process.signal(signal.SIGCONT)
            return False

        wait_until(ended, what=f"{self.name} to end by SIGTERM")
        status = self.process.wait(1)
        took = time.monotonic() - began
        if status == -signal.SIGTERM and began - self.started < 1:
            return  # it was not listening for signals yet
        if status != 0:
            self.check_end(status)
        elif took > scaled(STOP_SECONDS) + 1:
            raise Difference(f"{self.name} takes {took:.1f} s to end by SIGTERM; its log: {self.process.stderr_path}")

    def leave_role(self, role):
        """Ends, and goes on with its other roles, if it has any, until take_role."""
        self.terminate()
        self.left = (self.coordinator.roles,)
        self.coordinator.roles = ",".join(r for r in (self.coordinator.roles or ROLES).split(",") if r != role)
        if self.coordinator.roles:
            self.start()

    def take_role(self):
        if not self.left:
            return
        if self.coordinator.roles:
            self.terminate()
        (self.coordinator.roles,) = self.left
        self.left = None
        self.start()

    def check_end(self, status):
        if status not in self.may_end:
            raise Difference(f"{self.name} ended by itself, with {status}; its log: {self.process.stderr_path}")

    def check_alive(self):
        """Not in the middle of a fault. True when it had ended as it might and was started again."""
        status = self.process.poll()
        if status is None:
            if self.stands_still():  # at a point that it came to late
                self.process.signal(signal.SIGCONT)
            return False
        self.check_end(status)
        self.start()
        return True

    def stands_still(self):
        """Has it stopped at a failpoint?"""
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as f:
                return f.read().rpartition(")")[2].split()[0] == "T"
        except (FileNotFoundError, ProcessLookupError):
            return False

    # --- resources

    def starve(self, what):
        """Takes descriptors ("descriptors") or memory ("memory") away from it, but for very little."""
        pid = self.process.pid
        if what == "descriptors":
            limit = resource.RLIMIT_NOFILE
            least = len(os.listdir(f"/proc/{pid}/fd"))
        else:
            limit = resource.RLIMIT_AS
            with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                least = next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmSize:")) + (1 << 20)
            # What can't be had without which nothing goes ends the process: librdkafka asserts that it has memory.
            self.may_end += (-signal.SIGABRT, 1)
        before = resource.prlimit(pid, limit)
        resource.prlimit(pid, limit, (least, before[1]))
        return limit, before

    def feed(self, taken):
        limit, before = taken
        if not gone(self.process.pid):
            resource.prlimit(self.process.pid, limit, before)

    def lanes(self):
        """That it was ever at work on: role and partition."""
        return {tuple(filter(None, found)) for found in LANES.findall(self.coordinator.log)}

    def workers(self):
        """The threads of roles that have something to do, or have had just now: those of the others park."""
        return [name for name in threads_of(self.process.pid) if WORKER.match(name)]

    def note_first_use(self):
        """It is new, and at rest: all of its workers are parked."""
        self.first = use_of(self.process)

    def allowance(self, connections):
        roles = (self.coordinator.roles or ROLES).split(",")
        more = dict(MORE)
        for what, n in MORE_OF_CONTROL.items() if "control" in roles else ():
            more[what] += n
        if "sink" in roles:
            more["clients of Kafka"] += connections * CLIENTS_OF_CONNECTION
        return more

    def check_resources(self, connections):
        """connections: of the sink. Later processes of this name are compared with the first one as well."""
        due = {what: self.first[what] + more for what, more in self.allowance(connections).items()}

        def at_rest():
            now = use_of(self.process)
            return all(now[what] <= most for what, most in due.items()) or os.environ.get("SANITIZE")

        try:
            wait_until(at_rest, CALM_SECONDS, f"{self.name} to be at rest")
        except AssertionError as error:
            now = use_of(self.process)
            much = [f"{now[what]} {what}, at most {most} are due" for what, most in due.items() if now[what] > most]
            raise Difference(f"{self.name}, when all is over: {'; '.join(much)}; at first it had {self.first}, now {now}: "
                             f"{sorted(threads_of(self.process.pid))}") from error
