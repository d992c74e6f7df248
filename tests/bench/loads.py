# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of tload from the file to the table, and the parts of that way alone."""

import re

from tests.bench import data as made
from tests.lib.process import BUILD

REJECTS = (3,)  # tload's exit status when rows were rejected


def postgresql(bench):
    """An empty table, the same file again, a file half of whose keys are new; then a table without a key."""
    with bench.services.postgres_daemon() as daemon:
        table = daemon.define("orders", made.definitions())
        bench.add("postgresql/empty", **daemon.upload(table, bench.data.full()))
        bench.add("postgresql/again", **daemon.upload(table, bench.data.full()))
        bench.add("postgresql/half-new", **daemon.upload(table, bench.data.half_new()))
        log = daemon.define("log", made.definitions(), key=False)
        bench.add("postgresql/no-key", **daemon.upload(log, bench.data.full()))
        rows = [daemon.database.count(f'"default".{name}') for name in (table, log)]
        bench.check("tload into PostgreSQL", rows, [bench.data.count * 3 // 2, bench.data.count])


def uncompressed(bench):
    """Likewise, nothing compressed on the way through Kafka."""
    with bench.services.postgres_daemon({"kafka": {"compression": "none"}}) as daemon:
        table = daemon.define("orders", made.definitions())
        bench.add("uncompressed/empty", **daemon.upload(table, bench.data.full(), "--compression", "none"))


def sqlite(bench):
    with bench.services.daemon() as daemon:
        table = daemon.define("orders", made.definitions())
        bench.add("sqlite/empty", **daemon.upload(table, bench.data.full()))
        bench.add("sqlite/again", **daemon.upload(table, bench.data.full()))


def upload(bench):
    """Nobody takes the batches out of Kafka: the sender and the broker alone."""
    size = bench.size(bench.data.full())
    for compression in ("none", "lz4"):
        with bench.services.daemon(roles="control") as daemon:
            table = daemon.define("orders", made.definitions())
            options = ("--detach", "--compression", compression)
            figures = daemon.upload(table, bench.data.full(), *options)
            bench.add(f"upload/{compression}", **figures, mb_per_s=size / 1e6 / figures["seconds"])


def rejected(bench):
    """A fifth of the rows is rejected: how much memory that takes, and whether twice as many rows take more."""
    for times in (5, 10):
        with bench.services.postgres_daemon() as daemon:
            table = daemon.define("orders", made.definitions())
            path = bench.data.a_fifth_bad(times)
            bench.add(f"rejected/{times}", **daemon.upload(table, path, exits=REJECTS))
            rows = daemon.database.count('"default".orders')
            bench.check("rows with a fifth rejected", [rows], [times * bench.data.count // 5 * 4])


def cores(bench):
    """The splitter and the validator on one core, with nobody behind them."""
    for name, pattern in (
        ("splitter", r"(?P<mb_per_s>\d+) MB/s read and split, (?P<fields_mb_per_s>\d+) MB/s scanned"),
        ("validator", r"(?P<rows_per_s>\d+) rows/s, (?P<mb_per_s>\d+) MB/s checked"),
    ):
        process = bench.services.start([BUILD / f"tests/bench/bench_{name}", bench.data.full()])
        process.wait(bench.timeout)
        found = re.search(pattern, process.stdout)
        if not found:
            raise AssertionError(f"no figures: {process}")
        bench.services.end(process)
        bench.add(f"cores/{name}", **{figure: float(value) for figure, value in found.groupdict().items()})
