#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs cmocka programs, eight at a time, and adds up their tests: tests/run_unit.py PROGRAM...

A program that ends in any other way than by cmocka's own count (a crash, a sanitizer's report, no end within the time)
counts as one failed test more. The last line is "N passed, N failed", with ", N skipped" when there are any.

The data sinks' tests need a PostgreSQL. TEST_POSTGRESQL names one that runs already, as the URL of a superuser; else
one is started for them, and where there is none to start, they fail.
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
from concurrent.futures import ThreadPoolExecutor

POSTGRES = pathlib.Path(__file__).parent / "services/postgres"
SECONDS = 600
COUNT = re.compile(r"^\[\s*(PASSED|SKIPPED|FAILED)\s*\] .*?(\d+) test\(s\)", re.M)


def run(program):
    try:
        done = subprocess.run(
            [program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=SECONDS, check=False, env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "stdout"},
        )
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as e:
        status, output = f"no end within {SECONDS} s", e.stdout or b""
    output = output.decode(errors="replace")
    counts = {"PASSED": 0, "SKIPPED": 0, "FAILED": 0}
    for word, number in COUNT.findall(output):
        counts[word] += int(number)
    # cmocka's exit status is the number of failed tests of one group.
    if status != 0 and (counts["FAILED"] == 0 or status not in range(1, counts["FAILED"] + 1)):
        counts["FAILED"] += 1
        output += f"{program} ended with {status}\n"
    elif sum(counts.values()) == 0:
        counts["FAILED"] = 1
        output += f"{program} ran no test\n"
    return program, counts, output


def named(word, output):
    """The tests of which cmocka said so."""
    return sorted(set(re.findall(rf"^\[\s*{word}\s*\] ([^\d\s]\S*)$", output, re.M)))


@contextlib.contextmanager
def postgresql(programs):
    """For as long as the tests run, when any of these needs it."""
    if "TEST_POSTGRESQL" in os.environ or not any(os.path.basename(p).startswith("test_sink_") for p in programs):
        yield
        return
    directory = tempfile.mkdtemp(prefix="tload-postgres-")
    try:
        started = subprocess.run([POSTGRES, "start", directory], stdout=subprocess.PIPE, text=True, check=False)
        if started.returncode == 0:
            os.environ["TEST_POSTGRESQL"] = started.stdout.strip()
        yield
    finally:
        subprocess.run([POSTGRES, "stop", directory], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def main():
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # what was started is ended
    with postgresql(sys.argv[1:]):
        return run_all()


def run_all():
    total = {"PASSED": 0, "SKIPPED": 0, "FAILED": 0}
    with ThreadPoolExecutor(8) as pool:  # those that take long wait most of the time
        for program, counts, output in pool.map(run, sys.argv[1:]):
            word = "FAIL" if counts["FAILED"] else "ok"
            print(f"{word:4} {os.path.basename(program)} ({counts['PASSED']})", *named("FAILED", output), flush=True)
            for name in named("SKIPPED", output):
                print(f"skip {os.path.basename(program)} {name}")
            if counts["FAILED"]:
                print(output)
            for name, number in counts.items():
                total[name] += number
    skipped = f", {total['SKIPPED']} skipped" if total["SKIPPED"] else ""
    print(f"{total['PASSED']} passed, {total['FAILED']} failed{skipped}")
    return 1 if total["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
