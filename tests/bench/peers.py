# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs with the same file: psql, sqlite3, pgloader, kcat. The tables are like tload's own."""

import os
import shutil

from tests.bench import data as made

PARTITIONS = 4
CHANGED = ", ".join(f"{c} = excluded.{c}" for c in made.COLUMNS if c != made.KEY)
COPY = "\\copy {table} from '{path}' with (format csv, header)"


def psql(services, database, *statements):
    """A psql with all of them, in one session; its figures."""
    database.execute("checkpoint")
    command = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", database.url]
    for statement in statements:
        command += ["-c", statement]
    return services.timed(command, {"postgresql": services.postgres_cpu})


def psql_copy(bench):
    """Into the empty table; then, as it is full, the same file by way of a staging table."""
    path = bench.data.full()
    with bench.services.database() as database:
        database.execute(made.table_sql("public.orders"))
        bench.add("psql/copy", **psql(bench.services, database, COPY.format(table="public.orders", path=path)))
        bench.add("psql/upsert", **psql(
            bench.services, database,
            "create temporary table staged (like public.orders)",
            COPY.format(table="staged", path=path),
            f"insert into public.orders select * from staged on conflict ({made.KEY}) do update set {CHANGED}",
        ))
        bench.check("psql", [database.count("public.orders")], [bench.data.count])


def sqlite_import(bench):
    """What sqlite3 itself does with the file."""
    path = bench.services.path(bench.services.fresh("import") + ".db")
    load = f".import --csv --skip 1 {bench.data.full()} orders"
    bench.add("sqlite3/import", **bench.services.timed(["sqlite3", path, made.table_sql("orders"), load], {}))
    os.unlink(path)


def pgloader(bench):
    """Two workers."""
    columns = ", ".join(made.COLUMNS)
    script = bench.services.path(bench.services.fresh("pgloader") + ".load")
    with bench.services.database() as database:
        database.execute(made.table_sql("public.orders"))
        database.execute("checkpoint")
        with open(script, "w", encoding="utf-8") as f:
            f.write(
                f"LOAD CSV FROM '{bench.data.full()}' ({columns})\n"
                f"INTO {database.url}?sslmode=disable TARGET TABLE public.orders ({columns})\n"
                "WITH skip header = 1, workers = 2, concurrency = 2, fields terminated by ',',\n"
                "fields optionally enclosed by '\"', fields escaped by double-quote;\n"
            )
        command = ["pgloader", "--root-dir", bench.services.path("pgloader"), script]
        bench.add("pgloader/copy", **bench.services.timed(command, {"postgresql": bench.services.postgres_cpu}))
        bench.check("pgloader", [database.count("public.orders")], [bench.data.count])
    shutil.rmtree(bench.services.path("pgloader"), ignore_errors=True)
    os.unlink(script)


def kcat(bench):
    """A message a line, nothing looked at."""
    kafka = bench.services.kafka
    topic = bench.services.fresh("bench.lines")
    kafka.create(topic, PARTITIONS)
    command = ["kcat", "-P", "-b", kafka.address, "-t", topic, "-l", bench.data.full()]
    bench.add("kcat/lines", **bench.services.timed(command, {"kafka": bench.services.kafka_cpu}))
    kafka.purge(r"bench\.")
