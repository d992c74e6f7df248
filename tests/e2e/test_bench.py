# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark, with few rows: that it measures all that it says, and leaves nothing."""

import glob
import json
import os
import signal

from tests.bench.bench import GROUPS
from tests.bench.goals import GOALS, described
from tests.lib.harness import ROOT, Process, TestCase, wait_until

SECONDS = 80

ROWS = 2000
# What each group measures, and figures of it.
MEASURED = {
    "psql": {"psql/copy": {"cpu_postgresql"}, "psql/upsert": {"cpu_postgresql"}},
    "postgresql": {
        f"postgresql/{name}": {"cpu_tload", "cpu_coordinatord", "cpu_kafka", "cpu_postgresql", "memory_tload", "memory_coordinatord"}
        for name in ("empty", "again", "half-new", "no-key")
    },
    "import": {"sqlite3/import": set()},
    "sqlite": {"sqlite/empty": {"cpu_coordinatord"}, "sqlite/again": set()},
    "kcat": {"kcat/lines": {"cpu_kafka"}},
    "commits": {f"commits/{n}": {"rows_per_s", "commits"} for n in (1, 2, 5)},
}


class Bench(TestCase):
    def start(self, *arguments):
        command = [ROOT / "tests/bench/bench.py", "--json", os.path.join(self.dir, "results.json"), *arguments]
        process = Process(command, self.dir, "bench", {"TMPDIR": self.dir})
        self.processes.append(process)
        return process

    def left(self):
        """Directories and processes."""
        found = glob.glob(os.path.join(self.dir, "tload-*"))
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as f:
                    command = f.read()
            except OSError:
                continue
            if os.path.join(self.dir, "tload-").encode() in command:
                found.append(command)
        return found

    def test_figures(self):
        process = self.start("--rows", str(ROWS), "--rounds", "1", "--only", ",".join([*MEASURED, "cores"]))
        self.assertEqual(process.wait(120), 0, process)
        with open(os.path.join(self.dir, "results.json"), encoding="utf-8") as f:
            results = json.load(f)
        self.assertEqual(results["failed"], {})
        runs = {name: run["median"] for name, run in results["runs"].items()}
        due = {name: figures for group in MEASURED.values() for name, figures in group.items()}
        self.assertEqual(set(runs), {*due, "cores/splitter", "cores/validator"})
        for name, figures in due.items():
            self.assertGreater(runs[name]["seconds"], 0, name)
            self.assertLessEqual(figures, set(runs[name]), name)
        self.assertGreater(runs["cores/validator"]["rows_per_s"], 0)
        self.assertGreater(runs["postgresql/empty"]["memory_tload"], 1e6)
        self.assertGreaterEqual(runs["commits/5"]["commits"], 1)
        goals = {goal["goal"]: goal["value"] for goal in results["goals"]}
        self.assertEqual(len(goals), len({goal.text for goal in GOALS}))
        self.assertIsNotNone(goals["into PostgreSQL, empty table, beside psql \\copy"])
        self.assertIsNone(goals["faster than Kafka Connect"])
        for name in runs:
            self.assertTrue(described(name), name)
            self.assertIn(name, process.stdout)
        self.assertEqual(self.left(), [])

    def test_a_signal_ends_all(self):
        process = self.start("--rows", str(ROWS), "--rounds", "1000", "--only", "postgresql")
        wait_until(lambda: glob.glob(os.path.join(self.dir, "tload-bench-*/daemon_*/c.sock")), 60, "coordinatord")
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 128 + signal.SIGTERM, process)
        wait_until(lambda: not self.left(), 10, "all that was started to be gone")

    def test_unknown_group(self):
        process = self.start("--only", "psql,nothing")
        self.assertEqual(process.wait(30), 1)
        self.assertIn("nothing", process.stderr)
        self.assertTrue(all(name in process.stderr for name in GROUPS))
