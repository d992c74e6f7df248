# SPDX-License-Identifier: GPL-3.0-or-later
"""How the rate changes: with partitions, with connections to a sink that is far away, with uploads side by side; and how
long it takes until something is seen."""

import subprocess
import time

from tests.bench import data as made
from tests.bench.delay import DelayedCommits
from tests.bench.measure import Clock, Peak
from tests.lib.process import wait_until

PARTITIONS = (1, 2, 4, 8)
CONNECTIONS = (1, 2, 5)
COMMIT_DELAY = 0.02
UPLOADS = (1, 10, 100)
SMALL_FILES = 20


def half(bench):
    """Half of full(), and its number of rows: enough for a curve."""
    (path,) = bench.data.slices(1)
    return path, bench.data.slice_rows(1)


def partitions(bench):
    path, rows = half(bench)
    for n in PARTITIONS:
        with bench.services.postgres_daemon({"kafka": {"partitions": n}}) as daemon:
            table = daemon.define("orders", made.definitions())
            figures = daemon.upload(table, path)
            bench.add(f"partitions/{n}", **figures, rows_per_s=rows / figures["seconds"])


def commits(bench):
    """Each answer to COMMIT comes 20 ms late, and each batch is a transaction of its own."""
    path, rows = half(bench)
    for n in CONNECTIONS:
        with bench.services.database() as database, DelayedCommits(bench.services.postgres.port, COMMIT_DELAY) as cable:
            settings = {"kafka": {"partitions": 10}, "sink": {"connections": n, "commit_rows": 1}}
            with bench.services.daemon(cable.url(database), settings=settings) as daemon:
                table = daemon.define("orders", made.definitions())
                figures = daemon.upload(table, path)
                bench.add(f"commits/{n}", **figures, rows_per_s=rows / figures["seconds"], commits=cable.commits)


def uploads(bench):
    """So many at the same time into one table, each with a file of its own, together half of the rows."""
    for n in UPLOADS:
        paths = bench.data.slices(n)
        with bench.services.postgres_daemon() as daemon:
            table = daemon.define("orders", made.definitions())
            daemon.database.execute("checkpoint")
            peak = Peak()
            clock = Clock(**daemon.watched())
            processes = [daemon.upload_start(table, path) for path in paths]
            peak.wait(processes, bench.timeout)
            figures = clock.stop()
            for process in processes:
                bench.services.end(process)
            rows = daemon.database.count('"default".orders')
            bench.check(f"{n} uploads", [rows], [bench.data.slice_rows(n) * n])
            figures["cpu_tload"] = sum(process.cpu for process in processes)
            figures["memory_coordinatord"] = daemon.coordinator.process.rss()
            bench.add(f"uploads/{n}", **figures, memory_tload=peak.bytes, rows_per_s=rows / figures["seconds"])


class Reader:
    """A psql that stays, asked over and over whether it sees rows of full()."""

    def __init__(self, database):
        self.process = subprocess.Popen(
            ["psql", "-XqAt", database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def sees(self, last_id):
        self.process.stdin.write(f'select exists (select from "default".orders where id between 1 and {last_id});\n')
        self.process.stdin.flush()
        return self.process.stdout.readline() == "t\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def latency(bench):
    """A small file from start to exit; then a large one until its first rows are there for others."""
    with bench.services.postgres_daemon() as daemon:
        table = daemon.define("orders", made.definitions())
        for _ in range(SMALL_FILES):
            bench.add("latency/ten-rows", **daemon.upload(table, bench.data.ten()))
        with Reader(daemon.database) as reader:
            path = bench.data.full()
            began = time.monotonic()
            process = daemon.upload_start(table, path)
            wait_until(lambda: reader.sees(bench.data.count), bench.timeout, "the first rows")
            bench.add("latency/first-rows", seconds=time.monotonic() - began)
        bench.services.end(process)
    with bench.services.daemon() as daemon:
        table = daemon.define("orders", made.definitions())
        for _ in range(SMALL_FILES):
            bench.add("latency/ten-rows-sqlite", **daemon.upload(table, bench.data.ten()))
