# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measured programs stand on: Kafka and PostgreSQL, each started when it is first asked for, a coordinatord for
as long as one group of runs takes, and everything ended at the end."""

import contextlib
import os
import re
import shutil
import tempfile
from functools import cached_property

from tests.bench import measure
from tests.lib.harness import Coordinator
from tests.lib.kafka import Kafka
from tests.lib.postgres import Database, Postgres
from tests.lib.process import BUILD, ROOT, Process

TIMEOUT = 900  # seconds that one program may take


def pinned(pom, what):
    """The version of it that a pom.xml names."""
    return re.search(rf"<{what}\.version>(.*)</{what}\.version>", pom.read_text(encoding="utf-8"))[1]


class Services:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="tload-bench-")
        os.chmod(self.dir, 0o755)  # PostgreSQL reads nothing here, but its user passes through
        self.processes = []
        self.count = 0

    def close(self):
        for process in self.processes:
            process.kill()
        # Only what was started: these are properties that come into being when first used.
        for name in ("kafka", "postgres"):
            if name in self.__dict__:
                self.__dict__[name].stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def fresh(self, name):
        """A name that nothing had before."""
        self.count += 1
        return f"{name}_{self.count}"

    @cached_property
    def kafka(self):
        # Not the quick start that tests want, but the compiler that a broker has which runs for long.
        os.environ.setdefault("TEST_KAFKA_JAVA_OPTS", "-XX:TieredStopAtLevel=4")
        kafka = Kafka(self.path("kafka"))
        self.__dict__["kafka"] = kafka  # a start that is interrupted is ended, too
        return kafka.start()

    @cached_property
    def postgres(self):
        postgres = Postgres(self.path("postgres"))
        self.__dict__["postgres"] = postgres
        return postgres.start()

    def kafka_cpu(self):
        return measure.cpu(self.kafka.pid())

    def postgres_cpu(self):
        with open(os.path.join(self.postgres.dir, "pid"), encoding="ascii") as f:
            return measure.cpu_with_children(int(f.read()))

    def versions(self):
        """Of what was started."""
        found = {}
        if "kafka" in self.__dict__:
            found["Kafka"] = pinned(ROOT / "tests/services/pom.xml", "kafka")
        if "postgres" in self.__dict__:
            with self.database() as database:
                found["PostgreSQL"] = database.value("select split_part(current_setting('server_version'), ' ', 1)")
        return found

    # --- programs

    def start(self, command, stdin_path=os.devnull, env=None):
        with open(stdin_path, "rb") as stdin:
            process = Process(command, self.dir, self.fresh("process"), stdin=stdin, env=env)
        self.processes.append(process)
        return process

    def end(self, process, exits=(0,)):
        """Waits for it; fails unless it ends so."""
        if process.wait(TIMEOUT) not in exits:
            raise AssertionError(f"exit {process.exit} is not due: {process}")
        self.processes.remove(process)
        os.unlink(process.stdout_path)
        os.unlink(process.stderr_path)

    def run(self, command, **options):
        process = self.start(command, **options)
        self.end(process)
        return process

    def timed(self, command, watched, exits=(0,), **options):
        """Runs it to its end; its figures, with cpu_self and memory_self for its own."""
        peak = measure.Peak()
        clock = measure.Clock(**watched)
        process = self.start(command, **options)
        peak.wait([process], TIMEOUT)
        figures = clock.stop()
        self.end(process, exits)
        return {**figures, "cpu_self": process.cpu, "memory_self": peak.bytes}

    # --- databases and daemons

    @contextlib.contextmanager
    def database(self):
        database = Database(self.postgres, self.fresh("bench"))
        try:
            yield database
        finally:
            database.drop()

    @contextlib.contextmanager
    def daemon(self, sink_url=None, roles=None, settings=None):
        """A coordinatord that finds nothing of an earlier one in Kafka. sink_url: None is SQLite."""
        self.kafka.purge()
        directory = self.path(self.fresh("daemon"))
        os.mkdir(directory)
        settings = {section: dict(keys) for section, keys in (settings or {}).items()}
        if sink_url:
            settings.setdefault("sink", {})["url"] = sink_url
        coordinator = Coordinator(directory, self.kafka.address, settings, roles)
        try:
            coordinator.start()
            yield Daemon(self, coordinator, bool(sink_url))
            coordinator.stop()
        finally:
            if coordinator.process:
                coordinator.process.kill()
            shutil.rmtree(directory, ignore_errors=True)

    @contextlib.contextmanager
    def postgres_daemon(self, settings=None):
        """Beside a database of its own; gives both."""
        with self.database() as database, self.daemon(database.url, settings=settings) as daemon:
            daemon.database = database
            yield daemon


class Daemon:
    """A coordinatord that runs, and tload beside it."""

    def __init__(self, services, coordinator, on_postgres):
        self.services = services
        self.coordinator = coordinator
        self.on_postgres = on_postgres
        self.database = None
        # Nothing of the user's own settings may reach a measurement.
        self.env = {"HOME": services.dir, "XDG_CONFIG_HOME": services.dir, "TLOAD_COORDINATOR": coordinator.url}

    def define(self, table, definitions, key=True):
        arguments = ["define-table", table, *definitions, *(["--key", "id"] if key else [])]
        self.services.run([BUILD / "tload", *arguments], env=self.env)
        return table

    def upload_command(self, table, path, *options):
        return [BUILD / "tload", "upload", path, "--table", table, *options]

    def upload_start(self, table, path, *options):
        return self.services.start(self.upload_command(table, path, *options), env=self.env)

    def watched(self):
        watched = {"coordinatord": lambda: measure.cpu(self.coordinator.process.pid), "kafka": self.services.kafka_cpu}
        if self.on_postgres:
            watched["postgresql"] = self.services.postgres_cpu
        return watched

    def upload(self, table, path, *options, exits=(0,)):
        """Runs tload upload to its end; its figures, with cpu_ours for tload and coordinatord together."""
        if self.database:
            self.database.execute("checkpoint")
        figures = self.services.timed(self.upload_command(table, path, *options), self.watched(), exits, env=self.env)
        figures["cpu_tload"] = figures.pop("cpu_self")
        figures["memory_tload"] = figures.pop("memory_self")
        figures["cpu_ours"] = figures["cpu_tload"] + figures["cpu_coordinatord"]
        figures["memory_coordinatord"] = self.coordinator.process.rss()
        return figures
