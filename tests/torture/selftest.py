#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the torture find what it is there for? Each of mutants/*.patch breaks the product in a copy; it has to be caught,
and the product as it is must show nothing with the same seed.

    selftest.py [NAME]...      of mutants/NAME.patch; all by default

A patch says which seeds are tried, on a line "seeds: 1 2 3" ahead of the diff, with "only KIND" behind them when the faults
are all to be of one kind, and "on SINK..." behind that when it is not SQLite alone. The last line is "N passed, N failed".
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MUTANTS = ROOT / "tests/torture/mutants"
PATIENCE = 25  # seconds; a mutant that hangs is seen as well as one that loses
COPIED = ("Makefile", "cli", "coordinatord", "shared", "tests", "man")


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout.decode(errors='replace')}")


class Copy:
    """The product's source, and what is built of it. A patch costs what it changes; the product as it is stays in `whole`."""

    def __init__(self, directory):
        self.source = os.path.join(directory, "source")
        self.made = os.path.join(directory, "build")
        self.whole = os.path.join(directory, "whole")
        os.mkdir(self.source)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, os.path.join(self.source, name))
        self.make()
        shutil.copytree(self.made, self.whole)

    def make(self):
        targets = [f"{self.made}/{name}" for name in ("tload", "coordinatord", "tests/torture/iofault.so")]
        run("make", "-s", f"-j{os.cpu_count()}", f"BUILD={self.made}", *targets, cwd=self.source)

    @contextlib.contextmanager
    def mutant(self, patch):
        try:
            run("patch", "-p1", "--batch", "--fuzz=3", "-i", patch, cwd=self.source)
            self.make()
            yield self.made
        finally:
            for name in re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M):
                shutil.copy(ROOT / name, os.path.join(self.source, name))


def difference(made, sink, seed, only):
    """What the torture says of that product: None when nothing differs."""
    done = subprocess.run(
        [
            ROOT / "tests/torture/torture.py", "--discard", "--patience", str(PATIENCE), "--sink", sink, "--seed", seed,
            *(["--only", only] if only else []),
        ],
        env={**os.environ, "BUILD": made}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )
    found = re.search(r"^difference: (.*)$", done.stdout.decode(errors="replace"), re.M)
    return found.group(1)[:200] if done.returncode == 1 and found else None


class Selftest:
    def __init__(self, directory):
        self.copy = Copy(directory)
        self.sound = {}  # sink, seed and kind to what the product as it is shows with them

    def whole_shows(self, *how):
        """When that is anything, the mutant's difference says nothing."""
        if how not in self.sound:
            self.sound[how] = difference(self.copy.whole, *how)
        return self.sound[how]

    def try_sink(self, made, sink, seeds, only):
        """What gives it away; None when nothing does."""
        for seed in seeds:
            shown = difference(made, sink, seed, only)
            if not shown:
                continue
            why = self.whole_shows(sink, seed, only)
            if not why:
                return f"{sink}, seed {seed}: {shown}"
            print(f"     {sink}, seed {seed}: the product as it is shows: {why}", flush=True)
        return None

    def try_mutant(self, patch):
        """What gives it away on each of its sinks; None when nothing does on one of them."""
        seeds, only, sinks = re.search(r"^seeds:((?: \d+)+)(?: only (\w+))?(?: on ([\w ]+))?$", patch.read_text(), re.M).groups()
        given_away = []
        with self.copy.mutant(patch) as made:
            for sink in (sinks or "sqlite").split():
                shown = self.try_sink(made, sink, seeds.split(), only)
                if not shown:
                    print(f"     {sink}: nothing", flush=True)
                    return None
                given_away.append(shown)
        return "; ".join(given_away)


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    passed = failed = 0
    patches = [MUTANTS / f"{name}.patch" for name in sys.argv[1:]] or sorted(MUTANTS.glob("*.patch"))
    directory = tempfile.mkdtemp(prefix="tload-mutants-")
    try:
        selftest = Selftest(directory)
        for patch in patches:
            began = time.monotonic()
            try:
                outcome = selftest.try_mutant(patch)
            except RuntimeError as e:
                outcome = None
                print(e)
            passed += outcome is not None
            failed += outcome is None
            took = time.monotonic() - began
            print(f"ok   {patch.stem} ({took:.0f} s): {outcome}" if outcome else f"FAIL {patch.stem} ({took:.0f} s) is not caught", flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
