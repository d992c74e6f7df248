# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs under test: started with a time bound, their output kept, their end told exactly."""

import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(ROOT, os.environ.get("BUILD", "build")).resolve()

SANITIZED = bool(os.environ.get("SANITIZE"))

SANITIZER_REPORTS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:")


def scaled(seconds):
    """What must not take longer than so many seconds takes several times as long under a sanitizer."""
    return seconds * (8 if SANITIZED else 1)


def fewer(rows):
    """A file of these takes about as long under a sanitizer as one of so many takes without."""
    return rows // (8 if SANITIZED else 1)


def patience(seconds):
    """What must come may take that much longer on a slow machine with others at work.

    Only what is broken waits so long in vain.
    """
    return seconds * (16 if SANITIZED else 4)


def wait_until(condition, timeout=30, what="a condition"):
    """Asks until condition() is true and returns what it gave; fails after so many seconds."""
    deadline = time.monotonic() + patience(timeout)
    pause = 0.01
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience(timeout)} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.2, 0.1)  # many wait at a time


def free_port():
    """A port of loopback that nobody listens at. It's not kept: use it soon."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def gone(pid):
    """Has the process ended? One that waits to be reaped has, but not while threads of it still hold its sockets."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            words = f.read().rpartition(")")[2].split()
            return words[0] in "ZX" and int(words[17]) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


class Process:
    """A program that runs. Its output goes to files, so that it never waits for the test to read."""

    def __init__(self, command, directory, name, env=None, stdin=subprocess.DEVNULL, cwd=None):
        self.command = [str(c) for c in command]
        self.stdout_path = os.path.join(directory, name + ".out")
        self.stderr_path = os.path.join(directory, name + ".err")
        self.lock = threading.Lock()
        self.exit = None  # the exit status; -N: ended by signal N
        self.max_rss = None  # bytes, once it has ended
        self.cpu = None  # seconds, user and system, likewise
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.popen = subprocess.Popen(
                self.command, stdin=stdin, stdout=out, stderr=err, cwd=cwd, env={**os.environ, **(env or {})}
            )
        self.pid = self.popen.pid
        self.stdin = self.popen.stdin

    def poll(self):
        """The exit status, None while it runs. Any thread."""
        with self.lock:
            if self.exit is None:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
                if pid:
                    self.exit = self.popen.returncode = os.waitstatus_to_exitcode(status)
                    self.max_rss = usage.ru_maxrss * 1024
                    self.cpu = usage.ru_utime + usage.ru_stime
            return self.exit

    def wait(self, timeout=60):
        """The exit status. A program that takes longer is ended, and the test fails."""
        deadline = time.monotonic() + patience(timeout)
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"still runs after {patience(timeout)} s: {self}")
            time.sleep(0.002)
        self.check_sanitizers()
        return self.exit

    def signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """As a crash would: SIGKILL."""
        self.signal(signal.SIGKILL)
        while self.poll() is None:
            time.sleep(0.002)

    def rss(self):
        """Bytes of memory that it has had at most so far, while it runs."""
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))

    @property
    def stdout_bytes(self):
        with open(self.stdout_path, "rb") as f:
            return f.read()

    @property
    def stdout(self):
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self):
        with open(self.stderr_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def check_sanitizers(self):
        text = self.stderr
        if any(word in text for word in SANITIZER_REPORTS):
            raise AssertionError(f"a sanitizer reports: {self}")

    def __str__(self):
        state = "running" if self.exit is None else f"exit {self.exit}"
        return f"{' '.join(self.command)}: {state}\n--- stdout\n{_tail(self.stdout)}--- stderr\n{_tail(self.stderr)}"


def _tail(text, limit=6000):
    text = text if len(text) <= limit else "[...]" + text[-limit:]
    return text if not text or text.endswith("\n") else text + "\n"
