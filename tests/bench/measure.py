# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run took: seconds by the clock, seconds of the processor by process, memory."""

import os
import pathlib
import statistics
import time

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.003


def _stat(pid):
    """The fields of /proc/PID/stat from the state on; None when the process is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def cpu(pid):
    """Seconds of the processor, user and system, of the process alone."""
    stat = _stat(pid)
    return sum(map(int, stat[11:13])) / TICKS if stat else 0.0


def cpu_with_children(pid):
    """The same with its children, those that have ended included: a PostgreSQL by its postmaster."""
    stat = _stat(pid)
    if not stat:
        return 0.0
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        children = []
    return sum(map(int, stat[11:15])) / TICKS + sum(cpu_with_children(child) for child in children)


def memory(pid):
    """Bytes that it has had at most so far; 0 when it is gone. (What wait4 says begins with the size of who started it.)"""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


class Peak:
    """The most memory of processes, looked at while they run."""

    def __init__(self):
        self.bytes = 0

    def wait(self, processes, timeout):
        """Returns when all have ended."""
        deadline = time.monotonic() + timeout
        for process in processes:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    process.kill()
                    raise AssertionError(f"still runs after {timeout} s: {process}")
                self.bytes = max(self.bytes, memory(process.pid))
                time.sleep(SAMPLE_SECONDS)


class Clock:
    """From start to stop: seconds, and what each of `watched` (name to a function that gives seconds) has used."""

    def __init__(self, /, **watched):
        self.watched = watched
        self.before = {name: used() for name, used in watched.items()}
        self.began = time.monotonic()
        self.seconds = None

    def stop(self):
        """Returns the figures: seconds, and cpu_NAME for each."""
        self.seconds = time.monotonic() - self.began
        used = {f"cpu_{name}": ask() - self.before[name] for name, ask in self.watched.items()}
        return {"seconds": self.seconds, **used}


class Results:
    """Figures by the name of what was measured, one value a round."""

    def __init__(self):
        self.values = {}

    def add(self, name, **figures):
        for figure, value in figures.items():
            self.values.setdefault(name, {}).setdefault(figure, []).append(value)

    def extend(self, other):
        for name, figures in other.values.items():
            for figure, values in figures.items():
                self.values.setdefault(name, {}).setdefault(figure, []).extend(values)

    def median(self, name, figure="seconds"):
        """None when it was not measured."""
        values = self.values.get(name, {}).get(figure)
        return statistics.median(values) if values else None

    def worst(self, name, figure):
        values = self.values.get(name, {}).get(figure)
        return max(values) if values else None

    def names(self):
        return list(self.values)

    def summary(self):
        """For JSON: medians, and the values that they are of."""
        return {
            name: {
                "median": {figure: statistics.median(values) for figure, values in figures.items()},
                "rounds": figures,
            }
            for name, figures in self.values.items()
        }
