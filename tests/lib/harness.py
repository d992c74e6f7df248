# SPDX-License-Identifier: GPL-3.0-or-later
"""What an end-to-end test is made of.

    from tests.lib.harness import TestCase, wait_until

    class Upload(TestCase):
        def test_three_rows(self):
            self.start()                                    # Kafka, and a coordinatord of this test's own
            self.tload("define-table", "t", "id bigint", "--key", "id")
            path = self.write("t.csv", "id\\n1\\n2\\n3\\n")
            self.tload("upload", path, "--table", "t")      # fails unless it exits 0
            self.assertEqual(self.query("select count(*) from t"), [(3,)])

Most tests need no coordinatord of their own: SharedTestCase starts one for all tests of a class, and each test takes
tables of its own (self.define). That is much faster.

Kafka is shared by all tests of a run, since it takes longest to start: TEST_KAFKA names one that runs already,
otherwise tests/run.py starts and stops one. A test finds it without topics and groups of ours. Tests that kill Kafka, or
need two, take some of their own, self.start(kafka=self.own_kafka()); the next test that does has the same ones, if they
were never stopped. A module that is to run under the sanitizers too says
SANITIZERS = {"asan", "tsan"}.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import unittest
from dataclasses import dataclass

from tests.lib.kafka import Kafka, Message
from tests.lib.process import BUILD, ROOT, Process, fewer, free_port, gone, patience, scaled, wait_until

__all__ = [
    "BUILD", "ROOT", "Coordinator", "Kafka", "Message", "Process", "Response", "SharedTestCase", "TestCase",
    "UnixHTTPConnection", "fewer", "free_port", "gone", "patience", "scaled", "shared_kafka", "stop_shared_kafka", "wait_until",
]

_shared = None
_spare = []  # of one node: tests had them for themselves, and left them in order


def shared_kafka():
    """The Kafka of this run, started when first asked for."""
    global _shared
    if _shared is None:
        if "TEST_KAFKA" in os.environ:
            _shared = Kafka(None)
            _shared.address = os.environ["TEST_KAFKA"]
        else:
            _shared = Kafka(tempfile.mkdtemp(prefix="tload-kafka-"))
            _shared.start()
    return _shared


def stop_shared_kafka():
    global _shared
    if _shared is not None and _shared.dir:
        _shared.stop()
        shutil.rmtree(_shared.dir, ignore_errors=True)
    _shared = None
    while _spare:
        _end_kafka(_spare.pop())


def _end_kafka(kafka):
    kafka.stop()
    shutil.rmtree(kafka.dir, ignore_errors=True)


class UnixHTTPConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Coordinator:
    """A coordinatord with a directory for its configuration, state, socket and log; it listens on the socket alone.

    settings: {"kafka": {"partitions": 2}, ...} over what is written here; None leaves a key out. roles: for --roles.
    """

    def __init__(self, directory, kafka_address, settings=None, roles=None, name="coordinatord"):
        self.dir = directory
        self.name = name
        self.roles = roles
        self.socket = os.path.join(directory, "c.sock")
        self.state = os.path.join(directory, "state")
        self.config_path = os.path.join(directory, name + ".conf")
        self.settings = {
            "coordinator": {"state": self.state, "socket": self.socket, "listen": ""},
            "kafka": {"bootstrap": kafka_address},
        }
        for section, keys in (settings or {}).items():
            self.settings.setdefault(section, {}).update(keys)
        self.process = None
        self.starts = 0

    @property
    def url(self):
        return "unix:" + self.socket

    @property
    def log(self):
        return self.process.stderr if self.process else ""

    def tcp_address(self):
        """(host, port) of where it listens beside its socket. It answers a moment before it says so."""
        found = wait_until(lambda: re.search(r" and ([\d.]+):(\d+)$", self.log, re.M), what="the address")
        return found[1], int(found[2])

    def write_config(self):
        with open(self.config_path, "w", encoding="utf-8") as f:
            for section, keys in self.settings.items():
                f.write(f"[{section}]\n")
                f.writelines(f"{key} = {value}\n" for key, value in keys.items() if value is not None)

    def start(self, ready=True, timeout=30, env=None):
        """Returns once GET /readyz answers 200, or at once with ready=False."""
        os.makedirs(self.state, exist_ok=True)
        self.write_config()
        self.starts += 1
        command = [BUILD / "coordinatord", "--config", self.config_path]
        command += ["--roles", self.roles] if self.roles else []
        self.process = Process(command, self.dir, f"{self.name}-{self.starts}", env=env)
        if ready:
            wait_until(self.ready, timeout, "coordinatord to be ready")
        return self

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"coordinatord ended: {self.process}")
        try:
            return self.http("GET", "/readyz", timeout=5).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self, timeout=5):
        """By SIGTERM, as contracts have it: exit 0 within 5 s."""
        if self.process is None:
            return
        self.process.signal(15)
        status = self.process.wait(timeout)
        if status != 0:
            raise AssertionError(f"coordinatord should have ended with 0: {self.process}")

    def kill(self):
        self.process.kill()

    def http(self, method, path, body=None, headers=None, timeout=30):
        connection = UnixHTTPConnection(self.socket, patience(timeout))
        try:
            headers = dict(headers or {})
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
                headers.setdefault("Content-Type", "application/json")
            # It may answer before all has come, and close.
            with contextlib.suppress(BrokenPipeError):
                connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()


class TestCase(unittest.TestCase):
    """Each test has a directory of its own, self.dir. Whatever it starts by these methods is ended with it."""

    maxDiff = 10000
    coordinator = None
    kafka = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="tload-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.processes = []
        self.coordinators = []
        self.tables_defined = 0
        # Cleanups run last one first; what was left running by a failed test is ended without more complaint.
        self.addCleanup(self._end_processes)

    def _end_processes(self):
        for process in self.processes + [c.process for c in self.coordinators if c.process]:
            process.kill()

    def failure_notes(self):
        """What tests/run.py shows beside a failure."""
        return [str(c.process) for c in self.coordinators if c.process]

    # --- starting

    def own_kafka(self, nodes=1):
        """A Kafka that only this test has, started, with nothing of ours on it."""
        if nodes == 1 and _spare:
            kafka = _spare.pop()
            kafka.purge()
        else:
            kafka = Kafka(tempfile.mkdtemp(prefix="tload-kafka-"), nodes).start()
        self.addCleanup(self._give_back, kafka)
        return kafka

    @staticmethod
    def _give_back(kafka):
        """To start one takes longer than most tests do."""
        if kafka.nodes == 1 and not kafka.disturbed:
            _spare.append(kafka)
        else:
            _end_kafka(kafka)

    def new_coordinator(self, settings=None, roles=None, directory=None):
        """Not started yet. self.kafka must be there. With a directory it shares state and socket with others there."""
        directory = directory or os.path.join(self.dir, f"c{len(self.coordinators)}")
        os.makedirs(directory, exist_ok=True)
        name = f"coordinatord-{len(self.coordinators)}"
        coordinator = Coordinator(directory, self.kafka.address, settings, roles, name)
        self.coordinators.append(coordinator)
        return coordinator

    def use_kafka(self, kafka=None):
        """Takes the given Kafka, or the shared one without anything of ours on it."""
        if kafka is None:
            kafka = shared_kafka()
            kafka.purge()
        self.kafka = kafka
        return kafka

    def start(self, settings=None, kafka=None):
        """A coordinatord with all roles, ready, as self.coordinator. At the end it must stop as it should."""
        self.use_kafka(kafka)
        self.coordinator = self.new_coordinator(settings).start()
        self.addCleanup(self._stop_coordinator)
        return self.coordinator

    def _stop_coordinator(self):
        if self.coordinator.process.poll() is None:
            self.coordinator.stop()

    # --- acting

    def tload_start(self, *arguments, env=None, stdin=subprocess.DEVNULL, coordinator=None, cwd=None):
        """Starts tload and returns the Process. stdin: a file, or subprocess.PIPE to write to process.stdin."""
        coordinator = coordinator or self.coordinator
        # Nothing of the user's own settings may reach a test.
        env = {"HOME": self.dir, "XDG_CONFIG_HOME": os.path.join(self.dir, "config"), **(env or {})}
        if coordinator:
            env.setdefault("TLOAD_COORDINATOR", coordinator.url)
        command = [BUILD / "tload", *arguments]
        process = Process(command, self.dir, f"tload-{len(self.processes)}", env, stdin, cwd)
        self.processes.append(process)
        return process

    def tload(self, *arguments, exit=0, timeout=60, input=None, **options):
        """Runs tload to its end; fails unless it exits so (None: any way). input: bytes or text for its stdin."""
        if input is not None:
            path = os.path.join(self.dir, f"tload-{len(self.processes)}.in")
            with open(path, "wb") as f:
                f.write(input.encode() if isinstance(input, str) else input)
            with open(path, "rb") as f:
                process = self.tload_start(*arguments, stdin=f, **options)
        else:
            process = self.tload_start(*arguments, **options)
        status = process.wait(timeout)
        if exit is not None and status != exit:
            self.fail(f"exit {status} where {exit} is due: {process}")
        return process

    def define(self, *columns, key="id", name=None):
        """Defines a table, named after the test unless said otherwise; returns its name."""
        self.tables_defined += 1
        name = name or f"{re.sub('[^a-z0-9]', '_', self._testMethodName.removeprefix('test_'))}_{self.tables_defined}"
        self.tload("define-table", name, *columns, *(["--key", key] if key else []))
        return name

    def upload(self, table, *arguments, exit=0, **options):
        """Runs tload --json upload to its end; returns the upload's object."""
        done = self.tload("--json", "upload", *arguments, "--table", table, exit=exit, **options)
        lines = done.stdout.splitlines()
        if len(lines) != 1:
            self.fail(f"one object is due on stdout: {done}")
        return json.loads(lines[0])

    def rejected(self, upload):
        """The rejected rows' objects."""
        return [json.loads(line) for line in self.tload("--json", "errors", upload).stdout.splitlines()]

    def write(self, name, content):
        """A file in self.dir; returns its path."""
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        return path

    def query(self, sql, parameters=(), tenant="default"):
        """Rows of the embedded sink's database, as a reader beside the daemon sees them."""
        path = os.path.join(self.coordinator.state, "data", tenant + ".db")
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=patience(30))
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()


class SharedTestCase(TestCase):
    """All tests of the class share one coordinatord, and with it topics, ledger and list of uploads."""

    SETTINGS = None

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="tload-")
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.kafka = shared_kafka()
        cls.kafka.purge()
        cls.coordinator = Coordinator(directory, cls.kafka.address, cls.SETTINGS)
        cls.addClassCleanup(lambda: cls.coordinator.process and cls.coordinator.process.kill())
        cls.coordinator.start()
        cls.addClassCleanup(cls.coordinator.stop)

    def failure_notes(self):
        return [*super().failure_notes(), str(self.coordinator.process)]
