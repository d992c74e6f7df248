# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures as a table in the terminal, as JSON, and as RESULTS.md."""

import datetime
import json
import os
import platform
import re
import shlex
import subprocess

from tests.bench.goals import GOALS, described

COLUMNS = (
    # heading, figure, scale, format
    ("s", "seconds", 1, "{:.2f}"),
    ("rows/s", "rows_per_s", 1, "{:,.0f}"),
    ("MB/s", "mb_per_s", 1, "{:.0f}"),
    ("tload", "cpu_tload", 1, "{:.2f}"),
    ("coordinatord", "cpu_coordinatord", 1, "{:.2f}"),
    ("itself", "cpu_self", 1, "{:.2f}"),
    ("Kafka", "cpu_kafka", 1, "{:.2f}"),
    ("PostgreSQL", "cpu_postgresql", 1, "{:.2f}"),
    ("tload MB", "memory_tload", 1e-6, "{:.0f}"),
    ("coord. MB", "memory_coordinatord", 1e-6, "{:.0f}"),
)
ABOUT_COLUMNS = "Medians. tload, coordinatord, itself, Kafka and PostgreSQL: seconds of the processor, user and system; MB: memory at most."
ABOUT_GOALS = "Of medians; memory at most: of the run and the round that took most."


def output(*command):
    """The first line that a program says, None when it can't be had."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").partition("\n")[0]


def field(path, pattern):
    with open(path, encoding="utf-8", errors="replace") as f:
        found = re.search(pattern, f.read(), re.M)
    return found[1].strip() if found else None


def machine():
    memory = field("/proc/meminfo", r"^MemTotal:\s+(\d+) kB")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "CPU": field("/proc/cpuinfo", r"^model name\s*:\s*(.+)$") or platform.machine(),
        "memory": f"{int(memory) / 1048576:.0f} GiB" if memory else None,
        "kernel": platform.release(),
        "librdkafka": output("pkg-config", "--modversion", "rdkafka"),
        "sqlite3": (output("sqlite3", "--version") or "").partition(" ")[0] or None,
        "pgloader": (output("pgloader", "--version") or "").partition('"')[2].rstrip('"') or None,
    }


def grid(rows, markdown=False, left=1):
    """Rows of texts as lines, the first row above; columns as wide as they must be, the first `left` of them texts, the
    others numbers, to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for n, row in enumerate(rows):
        cells = [text.ljust(w) if i < left else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths))]
        lines.append(f"| {' | '.join(cells)} |" if markdown else "  ".join(cells).rstrip())
        if n == 0:
            rules = ["-" * w if i < left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
            lines.append(f"| {' | '.join(rules)} |" if markdown else "  ".join("-" * w for w in widths))
    return lines


class Report:
    def __init__(self, results, failed, versions, options, seconds):
        self.results = results
        self.failed = failed
        self.machine = {**machine(), **versions}
        self.options = options
        self.seconds = seconds
        self.date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")

    def goals(self):
        """Each with its value and whether it is reached; both None when it was not measured."""
        for goal in GOALS:
            value = goal.value(self.results, self.options.rows)
            yield goal, value, None if value is None else goal.reached(value)

    def write_json(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        document = {
            "date": self.date,
            "machine": self.machine,
            "rows": self.options.rows,
            "rounds": self.options.rounds,
            "seconds": self.seconds,
            "runs": self.results.summary(),
            "failed": self.failed,
            "goals": [
                {"goal": g.text, "at_most": g.at_most, "limit": g.limit, "unit": g.unit, "value": value, "reached": reached}
                for g, value, reached in self.goals()
            ],
        }
        with open(path, "w", encoding="utf-8") as f:
            json.dump(document, f, indent=1, ensure_ascii=False)
            f.write("\n")

    def _runs(self):
        used = [c for c in COLUMNS if any(self.results.median(name, c[1]) is not None for name in self.results.names())]
        rows = [["", *(heading for heading, *_ in used)]]
        for name in self.results.names():
            values = [(self.results.median(name, figure), scale, form) for _, figure, scale, form in used]
            rows.append([name, *("" if v is None else form.format(v * scale) for v, scale, form in values)])
        return rows

    def _goals(self):
        rows = [["goal", "of", "measured", "reached"]]
        for goal, value, reached in self.goals():
            limit = f"{'≤' if goal.at_most else '≥'} {goal.limit:.3g} {goal.unit}"
            if value is None:
                rows.append([goal.text, limit, "not measured", ""])
            else:
                rows.append([goal.text, limit, f"{value:.3g} {goal.unit}" if value < 100 else f"{value:.0f} {goal.unit}",
                             "yes" if reached else "no"])
        return rows

    def _size(self):
        rounds = self.options.rounds
        return f"{self.options.rows:,} rows, {rounds} round{'s' if rounds != 1 else ''}"

    def text(self):
        lines = ["", *grid(self._runs()), "", ABOUT_COLUMNS, "", *grid(self._goals()), ""]
        lines += [f"failed: {name}: {why.splitlines()[0]}" for name, why in self.failed.items()]
        lines.append(f"{self._size()}, {self.seconds:.0f} s")
        return "\n".join(lines)

    def write_markdown(self, path):
        command = ["make", "bench-results", f"ROWS={self.options.rows}", f"ROUNDS={self.options.rounds}"]
        command += [f"ONLY={shlex.quote(self.options.only)}"] if self.options.only else []
        command += ["BENCH_FULL=1"] if self.options.full else []
        command += ["BENCH_PEERS=1"] if self.options.peers else []
        lines = [
            "# How fast it is",
            "",
            f"{self.date}, by `{' '.join(command)}`: {self._size()}. Broker, database and tload share the machine:",
            "",
            *grid([["", ""], *([name, str(value)] for name, value in self.machine.items() if value)], True, 2),
            "",
            "## Goals",
            "",
            ABOUT_GOALS,
            "",
            *grid(self._goals(), True),
            "",
            "## Runs",
            "",
            ABOUT_COLUMNS,
            "",
            *grid(self._runs(), True),
            "",
            *grid([["run", "command"], *([f"`{name}`", described(name)] for name in self.results.names())], True, 2),
        ]
        lines += ["", *(f"`{name}` failed: {why.splitlines()[0]}" for name, why in self.failed.items())] if self.failed else []
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
