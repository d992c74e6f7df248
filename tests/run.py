#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs unittest modules and counts: tests/run.py [-j JOBS] [--sanitizer asan|tsan] [-k PATTERN] [DIRECTORY | FILE.py]...

Without names, all of tests/e2e. With --sanitizer only the modules whose SANITIZERS hold that name; the others are
listed. The shared Kafka is started when the first test asks for it and always stopped. The last line is "N passed,
N failed", with ", N skipped" when there are any; the exit status is 0 only when something ran and nothing failed.

With -j so many modules run at a time, each in a process of its own: most tests wait most of the time. A module's lines come
when it has ended, and each job has a Kafka for its modules, one after the other. A module that takes over a minute says so,
as "SECONDS = 90", since what takes long has to begin early.
"""

import argparse
import importlib
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
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
        signal.alarm(int(harness.patience(TEST_SECONDS)))

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
        self.say("FAIL", test, ": " + (str(error[1]) or error[0].__name__).partition("\n")[0][:200])
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
    raise AssertionError(f"the test takes longer than {harness.patience(TEST_SECONDS)} s")


def interrupted(number, _frame):
    sys.exit(128 + number)


def files(names):
    for name in names:
        path = pathlib.Path(name).resolve()
        yield from sorted(path.glob("test_*.py")) if path.is_dir() else [path]


def seconds(file):
    """About how long the module takes."""
    said = re.search(r"^SECONDS = (\d+)", file.read_text(encoding="utf-8"), re.M)
    return int(said[1]) if said else 0


def module(file):
    return importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


class Jobs:
    """Modules in processes of their own, some at a time."""

    def __init__(self, options):
        self.arguments = ["--sanitizer", options.sanitizer] if options.sanitizer else []
        self.arguments += [word for p in options.patterns or () for word in ("-k", p)]
        self.waiting = queue.SimpleQueue()
        for file in sorted(files(options.names), key=seconds, reverse=True):
            self.waiting.put(file)
        self.processes = set()
        self.lock = threading.Lock()
        self.counts = [0, 0, 0]
        self.over = False

    def run_one(self, file, kafka):
        command = [sys.executable, __file__, *self.arguments, str(file)]
        with self.lock:
            if self.over:
                return
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**os.environ, "TEST_KAFKA": kafka.address},
            )
            self.processes.add(process)
        text = process.communicate()[0].decode(errors="replace")
        found = re.search(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\n?\Z", text, re.M)
        with self.lock:
            self.processes.discard(process)
            print(text[: found.start()] if found else text, end="", flush=True)
            counts = [int(n or 0) for n in found.groups()] if found else [0, 1, 0]
            if not found:
                print(f"FAIL {file.name} ended with {process.returncode}", flush=True)
            self.counts = [a + b for a, b in zip(self.counts, counts)]

    def job(self, directory):
        kafka = harness.Kafka(directory).start()
        try:
            while not self.over:
                self.run_one(self.waiting.get_nowait(), kafka)
        except queue.Empty:
            pass
        finally:
            kafka.stop()

    def end(self):
        with self.lock:
            self.over = True
            for process in self.processes:
                process.terminate()

    def run(self, n):
        place = tempfile.mkdtemp(prefix="tload-jobs-")
        threads = [threading.Thread(target=self.job, args=(os.path.join(place, str(i)),)) for i in range(n)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self.end()
            for thread in threads:
                thread.join()
            shutil.rmtree(place, ignore_errors=True)
        return self.counts


def run_here(options):
    loader = unittest.TestLoader()
    if options.patterns:
        loader.testNamePatterns = [p if "*" in p else f"*{p}*" for p in options.patterns]
    result = Result()
    signal.signal(signal.SIGALRM, too_long)
    try:
        for tests in map(module, files(options.names)):
            if options.sanitizer and options.sanitizer not in getattr(tests, "SANITIZERS", ()):
                print(f"not for {options.sanitizer}: {tests.__name__.removeprefix('tests.')}", flush=True)
                continue
            loader.loadTestsFromModule(tests).run(result)
    finally:
        signal.alarm(0)
        harness.stop_shared_kafka()
    return result.passed, result.failed, len(result.skipped)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sanitizer", choices=("asan", "tsan"))
    parser.add_argument("-j", dest="jobs", type=int, default=1)
    parser.add_argument("-k", dest="patterns", action="append", metavar="PATTERN", help="only tests named so")
    parser.add_argument("names", nargs="*", default=[str(ROOT / "tests/e2e")])
    options = parser.parse_args()

    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, interrupted)
    passed, failed, skipped = Jobs(options).run(options.jobs) if options.jobs > 1 else run_here(options)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
