#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs unittest modules and counts: tests/run.py [--sanitizer asan|tsan] [-k PATTERN] [DIRECTORY | FILE.py]...

Without names, all of tests/e2e. With --sanitizer only the modules whose SANITIZERS hold that name; the others are
listed. The shared Kafka is started when the first test asks for it and always stopped. The last line is "N passed,
N failed", with ", N skipped" when there are any; the exit status is 0 only when something ran and nothing failed.
"""

import argparse
import importlib
import os
import pathlib
import signal
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from tests.lib import harness  # noqa: E402, the path comes first

TEST_SECONDS = 300


class Result(unittest.TestResult):
    """One line a test, as it ends; what went wrong right below it."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.failed = 0
        self.subtest_failed = False

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        self.subtest_failed = False
        signal.alarm(int(harness.scaled(TEST_SECONDS)))

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)

    def say(self, word, test, text=""):
        seconds = time.monotonic() - getattr(self, "started", time.monotonic())
        print(f"{word:4} {test.id().removeprefix('tests.')} ({seconds:.1f} s){text}", flush=True)

    def addSuccess(self, test):
        if not self.subtest_failed:
            self.passed += 1
            self.say("ok", test)

    def fail(self, test, error):
        self.failed += 1
        self.say("FAIL", test)
        print(self._exc_info_to_string(error, test))
        for note in getattr(test, "failure_notes", list)():
            print(note)
        sys.stdout.flush()

    def addFailure(self, test, err):
        self.fail(test, err)

    def addError(self, test, err):
        self.fail(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.subtest_failed = True
            self.fail(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("skip", test, f": {reason}")

    def addExpectedFailure(self, test, err):
        self.addSuccess(test)

    def addUnexpectedSuccess(self, test):
        self.failed += 1
        self.say("FAIL", test, ": was expected to fail")


def too_long(_number, _frame):
    raise AssertionError(f"the test takes longer than {harness.scaled(TEST_SECONDS)} s")


def interrupted(number, _frame):
    sys.exit(128 + number)


def modules(names):
    for name in names:
        path = pathlib.Path(name).resolve()
        files = sorted(path.glob("test_*.py")) if path.is_dir() else [path]
        for file in files:
            yield importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sanitizer", choices=("asan", "tsan"))
    parser.add_argument("-k", dest="patterns", action="append", metavar="PATTERN", help="only tests named so")
    parser.add_argument("names", nargs="*", default=[str(ROOT / "tests/e2e")])
    options = parser.parse_args()

    os.chdir(ROOT)
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGTERM, interrupted)
    loader = unittest.TestLoader()
    if options.patterns:
        loader.testNamePatterns = [p if "*" in p else f"*{p}*" for p in options.patterns]
    result = Result()
    try:
        for module in modules(options.names):
            if options.sanitizer and options.sanitizer not in getattr(module, "SANITIZERS", ()):
                print(f"not for {options.sanitizer}: {module.__name__.removeprefix('tests.')}", flush=True)
                continue
            loader.loadTestsFromModule(module).run(result)
    finally:
        signal.alarm(0)
        harness.stop_shared_kafka()
    skipped = len(result.skipped)
    print(f"{result.passed} passed, {result.failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
