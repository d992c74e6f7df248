# SPDX-License-Identifier: GPL-3.0-or-later
"""Kafka Connect with Debezium's JDBC sink: from a topic that is filled into a table with a key.

The worker runs and waits before the clock starts: its own start is not counted, nor is filling the topic. Values are
JSON without a schema in each message; batches are larger than by default, and the driver may send several rows at once.
"""

import contextlib
import datetime
import http.client
import json
import os
import pathlib
import shutil
import tarfile

from tests.bench import data as made
from tests.bench.measure import Clock, cpu
from tests.bench.services import pinned
from tests.lib.process import ROOT, free_port, wait_until

POM = ROOT / "tests/bench/connect.pom.xml"
LOGGING = ROOT / "tests/services/kafka.log4j2.properties"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tload/connect"
TASKS = 4
BATCH = 3000
EPOCH = datetime.datetime(1970, 1, 1)
SECOND = datetime.timedelta(seconds=1)
LOGICAL = "org.apache.kafka.connect.data."
TYPES = {
    "bigint": {"type": "int64"},
    "int": {"type": "int32"},
    "text": {"type": "string"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "int64", "name": LOGICAL + "Timestamp"},
    "decimal(10,2)": {"type": "bytes", "name": LOGICAL + "Decimal", "parameters": {"scale": "2"}},
}


def versions():
    return {"Kafka Connect": pinned(POM, "kafka"), "Debezium": pinned(POM, "debezium")}


def schema():
    fields = [{"field": name, "optional": name != made.KEY, **TYPES[kind]} for name, kind in made.COLUMNS.items()]
    return json.dumps({"type": "struct", "optional": False, "fields": fields})


def message(row):
    """A row's fields, as CSV has them, as a value."""
    text = {at: json.dumps(row[at].strip('"').replace('""', '"')) if row[at] else "null" for at in (1, 2, 7)}
    when = (datetime.datetime.fromisoformat(row[6]) - EPOCH) // SECOND * 1000
    return (
        f'{{"id":{row[0]},"name":{text[1]},"email":{text[2]},"qty":{row[3]},"price":{row[4]},"active":{row[5]},'
        f'"created_at":{when},"note":{text[7]}}}\n'
    )


def fetch(services):
    """The jars, once for all; returns the directory."""
    mark = CACHE / "pom.xml"
    if mark.exists() and mark.read_bytes() == POM.read_bytes():
        return CACHE
    shutil.rmtree(CACHE, ignore_errors=True)
    jars = f"-DoutputDirectory={CACHE}/jars"
    services.run(["mvn", "--batch-mode", "--quiet", "--file", POM, "dependency:copy-dependencies", jars])
    (archive,) = (CACHE / "jars").glob("*-plugin.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(CACHE / "plugins", filter="data")
    archive.unlink()
    shutil.copy(POM, mark)
    return CACHE


class Worker:
    """Kafka Connect, without a connector yet."""

    def __init__(self, services):
        jars = fetch(services)
        self.port = free_port()
        self.offsets = services.path(services.fresh("offsets"))
        settings = {
            "bootstrap.servers": services.kafka.address,
            "listeners": f"http://127.0.0.1:{self.port}",
            "plugin.path": jars / "plugins",
            "plugin.discovery": "service_load",
            "offset.storage.file.filename": self.offsets,
            "connector.client.config.override.policy": "All",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        }
        path = services.path("connect.properties")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"{key}={value}\n" for key, value in settings.items())
        self.process = services.start([
            "java", "-Xmx1g", "-XX:-UsePerfData", f"-Dlog4j2.configurationFile={LOGGING}", "-cp", f"{jars}/jars/*",
            "org.apache.kafka.connect.cli.ConnectStandalone", path,
        ])
        self.services = services

    def request(self, method, path, body=None):
        """The answer's status and text; None while nobody answers."""
        if self.process.poll() is not None:
            raise AssertionError(f"Kafka Connect ended: {self.process}")
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            try:
                connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except OSError:
                return None

    def ready(self):
        return (self.request("GET", "/connectors") or (0,))[0] == 200

    def create(self, config):
        status, text = self.request("POST", "/connectors", {"name": "orders", "config": config}) or (0, "no answer")
        if status != 201:
            raise AssertionError(f"the connector was not made: {status} {text}")

    def failures(self):
        """What a task says that has failed."""
        status, text = self.request("GET", "/connectors/orders/status") or (0, "")
        return text if status == 200 and "FAILED" in text else None

    def __enter__(self):
        try:
            wait_until(self.ready, 120, "Kafka Connect to be ready")
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()


def fill(bench, topic):
    """Rows in turn to the partitions, in order; returns the last id of each."""
    kafka = bench.services.kafka
    kafka.create(topic, TASKS)
    last = []
    for partition in range(TASKS):
        path = bench.services.path("messages")
        with open(path, "w", encoding="utf-8") as f:
            ids = range(1 + partition, bench.data.count + 1, TASKS)
            f.writelines(message(made.fields(i, bench.data.seed)) for i in ids)
        last.append(str(ids[-1]))
        command = ["kcat", "-P", "-b", kafka.address, "-t", topic, "-p", str(partition), "-l", path]
        bench.services.run(command)
        os.unlink(path)
    return last


def debezium(bench):
    services = bench.services
    topic = services.fresh("bench.rows")
    last = fill(bench, topic)
    with services.database() as database, Worker(services) as worker:
        database.execute(made.table_sql("public.orders"))
        database.execute("checkpoint")
        asked = f"select count(*) from public.orders where id in ({', '.join(last)})"

        def full():
            if int(database.value(asked)) == len(last):
                return True
            failures = worker.failures()
            if failures:
                raise AssertionError(f"Kafka Connect: {failures}")
            return False

        clock = Clock(
            self=lambda: cpu(worker.process.pid), kafka=services.kafka_cpu, postgresql=services.postgres_cpu
        )
        worker.create({
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "tasks.max": str(TASKS),
            "topics": topic,
            "connection.url": f"jdbc:postgresql://127.0.0.1:{services.postgres.port}/{database.name}"
                              "?reWriteBatchedInserts=true",
            "connection.username": "postgres",
            "connection.password": "postgres",
            "insert.mode": "upsert",
            "primary.key.mode": "record_value",
            "primary.key.fields": made.KEY,
            "schema.evolution": "none",
            "collection.name.format": "public.orders",
            "batch.size": str(BATCH),
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "true",
            "value.converter.schema.content": schema(),
            "consumer.override.max.poll.records": str(BATCH),
            "consumer.override.auto.offset.reset": "earliest",
        })
        wait_until(full, bench.timeout, "all rows by way of Kafka Connect")
        bench.add("connect/upsert", **clock.stop())
        bench.check("Kafka Connect", [database.count("public.orders")], [bench.data.count])
    services.kafka.purge(r"bench\.")
