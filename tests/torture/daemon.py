# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of coordinatord that is killed, stopped, starved and started again."""

import os
import resource
import signal
import threading
import time

from tests.lib.process import BUILD, gone, scaled
from tests.torture.oracle import Difference

STOP_SECONDS = 5  # within which coordinatord has to end by SIGTERM
MAX_DESCRIPTORS, MAX_THREADS, MAX_MEMORY = 200, 90, 700 * 1024 * 1024
SHIM = BUILD / "tests/torture/iofault.so"


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
        while self.process.poll() is None and time.monotonic() < began + 30:
            if self.stands_still():  # at a point on its way out
                self.process.signal(signal.SIGCONT)
            time.sleep(0.01)
        status = self.process.wait(1)
        took = time.monotonic() - began
        if status == -signal.SIGTERM and began - self.started < 1:
            return  # it was not listening for signals yet
        if status != 0:
            self.check_end(status)
        elif took > scaled(STOP_SECONDS) + 1:
            raise Difference(f"{self.name} takes {took:.1f} s to end by SIGTERM; its log: {self.process.stderr_path}")

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

    def check_resources(self):
        pid = self.process.pid
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        threads = len(os.listdir(f"/proc/{pid}/task"))
        memory = self.process.rss()
        for what, there, most in (
            ("descriptors", descriptors, MAX_DESCRIPTORS), ("threads", threads, MAX_THREADS), ("bytes of memory", memory, MAX_MEMORY),
        ):
            if there > most and not os.environ.get("SANITIZE"):
                raise Difference(f"{self.name} has {there} {what}; at most {most} are due")
