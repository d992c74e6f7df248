# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, in words, and the goals that it is held against."""

from dataclasses import dataclass
from typing import Callable

# Megabytes.
LARGEST_TLOAD = 64
LARGEST_COORDINATORD = 256
# The goals in seconds of the processor are of a machine on which psql \copy takes so long. Beside it, as they are listed,
# too, they mean the same on one that is slower, or that others use at the same time.
COPY_SECONDS = 2.7
MEGA = 1e6
MIB = 1 << 20

# Each measurement and the command, as it is typed.
RUNS = {
    "psql/copy": "psql: \\copy into the empty table with a key",
    "psql/upsert": "psql: \\copy into a staging table, insert … on conflict do update into the full table",
    "postgresql/empty": "tload upload full.csv --table orders, which is empty",
    "postgresql/again": "tload upload full.csv --table orders, where all its rows are",
    "postgresql/half-new": "tload upload half-new.csv --table orders, which has half of its keys, with other values",
    "postgresql/no-key": "tload upload full.csv --table log, without a key",
    "uncompressed/empty": "tload upload --compression none, [kafka] compression = none",
    "sqlite3/import": "sqlite3: .import --csv into the empty table with a key",
    "sqlite/empty": "tload upload full.csv --table orders, embedded sink, empty",
    "sqlite/again": "tload upload full.csv --table orders, embedded sink, where all its rows are",
    "upload/none": "tload upload --detach --compression none, coordinatord --roles control",
    "upload/lz4": "tload upload --detach --compression lz4, coordinatord --roles control",
    "kcat/lines": "kcat -P -l full.csv, a message a line",
    "pgloader/copy": "pgloader, 2 workers, into the empty table with a key",
    "connect/upsert": "Kafka Connect, Debezium JDBC sink, upsert, 4 tasks, from a topic that is filled",
    "cores/splitter": "bench_splitter full.csv, one core",
    "cores/validator": "bench_validator full.csv, one core",
    "latency/ten-rows": "tload upload ten.csv, from start to exit",
    "latency/ten-rows-sqlite": "tload upload ten.csv, embedded sink, from start to exit",
    "latency/first-rows": "tload upload full.csv, from start until another session sees rows of it",
    "partitions/": "tload upload of half of full.csv, [kafka] partitions = N",
    "commits/": "tload upload of half of full.csv, 10 partitions, each answer to COMMIT 20 ms late, each batch a transaction, "
                "[sink] connections = N",
    "uploads/": "N × tload upload at the same time into one table, together half of the rows",
    "fairness/alone": "tload upload ten.csv of a tenant that is alone, embedded sink, from start to exit",
    "fairness/beside": "… beside others' 30 uploads at once, locked table, data sink that never answers, and endless tload alter",
    "idle/": "so many tenants of 4 partitions that do nothing, embedded sink, 60 s",
    "rejected/": "tload upload of N times the rows, a fifth of which is rejected",
}


def described(name):
    return RUNS.get(name) or RUNS.get(name.split("/")[0] + "/", "")


@dataclass
class Goal:
    """value(results, rows) is None when something that it is made of was not measured."""

    text: str
    at_most: bool
    limit: float
    unit: str
    value: Callable

    def reached(self, value):
        return value <= self.limit if self.at_most else value >= self.limit


def median(name, figure="seconds"):
    return lambda results: results.median(name, figure)


def worst(name, figure):
    return lambda results: results.worst(name, figure)


def ratio(over, under):
    def value(results, _rows):
        a, b = over(results), under(results)
        return a / b if a is not None and b else None

    return value


def figure_of(name, figure):
    return lambda results, _rows: results.median(name, figure)


def cpu_per_million(name):
    def value(results, rows):
        used = results.median(name, "cpu_ours")
        return None if used is None else used * 1e6 / rows

    return value


def later(over, under):
    """By how many seconds the slowest is."""
    def value(results, _rows):
        a, b = results.worst(over, "seconds"), results.median(under, "seconds")
        return a - b if a is not None and b is not None else None

    return value


def largest(figure):
    """Of all runs and rounds, in megabytes: what must never be more is not a matter of medians."""
    def value(results, _rows):
        values = [results.worst(name, figure) for name in results.names()]
        values = [v for v in values if v is not None]
        return max(values) / MEGA if values else None

    return value


def more_memory(over, under, tenants):
    """Of each of so many tenants more, in megabytes."""
    def value(results, _rows):
        a, b = results.median(over, "memory_mib"), results.median(under, "memory_mib")
        return (a - b) * MIB / MEGA / tenants if a is not None and b is not None else None

    return value


GOALS = (
    Goal("into PostgreSQL, empty table, beside psql \\copy", True, 1.3, "×",
         ratio(median("postgresql/empty"), median("psql/copy"))),
    Goal("… nothing compressed", True, 1.3, "×", ratio(median("uncompressed/empty"), median("psql/copy"))),
    Goal("the same file again, beside staging and upsert in psql", True, 0.7, "×",
         ratio(median("postgresql/again"), median("psql/upsert"))),
    Goal("faster than Kafka Connect", False, 6, "×", ratio(median("connect/upsert"), median("postgresql/empty"))),
    Goal("faster than pgloader", False, 8, "×", ratio(median("pgloader/copy"), median("postgresql/empty"))),
    Goal("into SQLite, empty table, beside .import", True, 1.3, "×",
         ratio(median("sqlite/empty"), median("sqlite3/import"))),
    Goal("CSV read and split, one core", False, 400, "MB/s", figure_of("cores/splitter", "mb_per_s")),
    Goal("tload upload alone into Kafka, nothing compressed", False, 150, "MB/s", figure_of("upload/none", "mb_per_s")),
    Goal("… lz4", False, 150, "MB/s", figure_of("upload/lz4", "mb_per_s")),
    Goal("CPU of tload and coordinatord per million rows, nothing compressed", True, 1.0, "s",
         cpu_per_million("uncompressed/empty")),
    Goal("… lz4", True, 1.4, "s", cpu_per_million("postgresql/empty")),
    Goal("… beside the time of psql \\copy, nothing compressed", True, 1.0 / COPY_SECONDS, "×",
         ratio(median("uncompressed/empty", "cpu_ours"), median("psql/copy"))),
    Goal("… lz4", True, 1.4 / COPY_SECONDS, "×", ratio(median("postgresql/empty", "cpu_ours"), median("psql/copy"))),
    Goal("memory of tload, at most, any file", True, LARGEST_TLOAD, "MB", largest("memory_tload")),
    Goal("memory of coordinatord, at most, any run", True, LARGEST_COORDINATORD, "MB", largest("memory_coordinatord")),
    Goal("memory of tload, at most, ten times the rows, a fifth rejected, beside five times", True, 1.1, "×",
         ratio(worst("rejected/10", "memory_tload"), worst("rejected/5", "memory_tload"))),
    Goal("… of coordinatord", True, 1.1, "×",
         ratio(worst("rejected/10", "memory_coordinatord"), worst("rejected/5", "memory_coordinatord"))),
    Goal("first rows visible after the start", True, 1.0, "s", figure_of("latency/first-rows", "seconds")),
    Goal("ten rows, from start to exit", True, 0.3, "s", figure_of("latency/ten-rows", "seconds")),
    Goal("… embedded sink", True, 0.3, "s", figure_of("latency/ten-rows-sqlite", "seconds")),
    Goal("a small upload beside others' flood, locked sink and broken sink: later by at most", True, 1.0, "s",
         later("fairness/beside", "fairness/alone")),
    Goal("memory of an idle coordinatord, a tenant more", True, 1.0, "MB", more_memory("idle/100", "idle/1", 99)),
    Goal("processor of an idle coordinatord with 100 tenants", True, 1.0, "%", figure_of("idle/100", "cpu_percent")),
)
