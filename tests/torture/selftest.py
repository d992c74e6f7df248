#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the torture find what it is there for? Each of mutants/*.patch breaks the product in a copy; it has to be caught,
and the product as it is must show nothing with the same seed.

    selftest.py [NAME]...      of mutants/NAME.patch; all by default

A patch says which seeds are tried, on a line "seeds: 1 2 3" ahead of the diff, with "only KIND" behind them when the faults
are all to be of one kind. The last line is "N passed, N failed".
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MUTANTS = ROOT / "tests/torture/mutants"
COPIED = ("Makefile", "cli", "coordinatord", "shared", "tests", "man")


def build(directory, patch=None):
    """Builds the product, with the patch, in directory."""
    source = os.path.join(directory, "source")
    os.mkdir(source)
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, os.path.join(source, name))
    made = os.path.join(directory, "build")
    commands = [["patch", "-p1", "--batch", "--fuzz=3", "-i", str(patch)]] if patch else []
    commands.append(["make", "-s", f"BUILD={made}", f"{made}/tload", f"{made}/coordinatord"])
    for command in commands:
        done = subprocess.run(command, cwd=source, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout.decode(errors='replace')}")
    return made


def difference(made, seed, only):
    """What the torture says of that product: None when nothing differs."""
    done = subprocess.run(
        [ROOT / "tests/torture/torture.py", "--discard", "--sink", "sqlite", "--seed", seed, *(["--only", only] if only else [])],
        env={**os.environ, "BUILD": made}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )
    found = re.search(r"^difference: (.*)$", done.stdout.decode(errors="replace"), re.M)
    return found.group(1)[:200] if done.returncode == 1 and found else None


class Selftest:
    def __init__(self, directory):
        self.directory = directory
        self.whole = None
        self.sound = {}  # seed to what the product as it is shows with it

    def product_fails(self, seed, only):
        """A seed with which the product as it is differs as well says nothing."""
        if (seed, only) not in self.sound:
            if self.whole is None:
                self.whole = build(tempfile.mkdtemp(dir=self.directory))
            self.sound[seed, only] = difference(self.whole, seed, only)
        return self.sound[seed, only]

    def try_mutant(self, patch):
        """What gives it away; None when nothing does."""
        made = build(tempfile.mkdtemp(dir=self.directory), patch)
        seeds, only = re.search(r"^seeds:((?: \d+)+)(?: only (\w+))?$", patch.read_text(), re.M).groups()
        for seed in seeds.split():
            shown = difference(made, seed, only)
            if shown and not self.product_fails(seed, only):
                return f"seed {seed}: {shown}"
        return None


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
            try:
                outcome = selftest.try_mutant(patch)
            except RuntimeError as e:
                outcome = None
                print(e)
            passed += outcome is not None
            failed += outcome is None
            print(f"ok   {patch.stem}: {outcome}" if outcome else f"FAIL {patch.stem} is not caught", flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
