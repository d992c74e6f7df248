# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that the tests stand on: start, stop, status, and data that stays."""

import os
import signal
import subprocess

from tests.lib.harness import ROOT, TestCase, free_port, gone, wait_until
from tests.lib.kafka import Kafka as KafkaClient

SECONDS = 160


class ServiceTestCase(TestCase):
    service = None

    def call(self, *arguments, exit=0):
        done = subprocess.run(
            [ROOT / "tests/services" / self.service, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240, check=False,
        )
        self.assertEqual(done.returncode, exit, done.stderr.decode())
        return done.stdout.decode()

    def start(self, name, *arguments):
        """Returns the directory and the address, which is the only line on stdout."""
        directory = os.path.join(self.dir, name)
        self.addCleanup(self.call, "stop", directory)
        out = self.call("start", directory, *arguments)
        self.assertRegex(out, r"\A\S+\n\Z")
        return directory, out.strip()

    def pids(self, directory):
        with open(os.path.join(directory, "pid"), encoding="ascii") as f:
            return [int(pid) for pid in f.read().split()]


class Common:
    """What holds for each service. Subclasses write and read a word by the address."""

    def test_data_and_address_outlive_a_stop(self):
        directory, address = self.start("a")
        self.put(address, "kept")
        self.call("stop", directory)
        self.assertEqual(self.start("a"), (directory, address))
        self.assertEqual(self.get(address), ["kept"])

    def test_data_outlives_a_crash(self):
        directory, address = self.start("a")
        self.put(address, "kept")
        (pid,) = self.pids(directory)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: gone(pid), what="end of the service")
        self.call("status", directory, exit=3)
        self.assertEqual(self.start("a"), (directory, address))
        self.assertEqual(self.get(address), ["kept"])

    def test_stop_ends_what_start_started(self):
        directory, address = self.start("a")
        (pid,) = self.pids(directory)
        self.assertEqual(self.call("status", directory).strip(), address)
        self.call("stop", directory)
        self.assertTrue(gone(pid))
        self.call("status", directory, exit=3)
        self.call("stop", directory)

    def test_stop_leaves_a_stranger_with_the_same_number(self):
        directory, _ = self.start("a")
        self.call("stop", directory)
        with subprocess.Popen(["sleep", "60"]) as stranger:
            with open(os.path.join(directory, "pid"), "w", encoding="ascii") as f:
                f.write(f"{stranger.pid}\n")
            self.call("status", directory, exit=3)
            self.call("stop", directory)
            self.assertIsNone(stranger.poll())
            stranger.kill()

    def test_two_side_by_side(self):
        (a, address_a), (_, address_b) = self.start("a"), self.start("b")
        self.assertNotEqual(address_a, address_b)
        self.put(address_a, "a")
        self.put(address_b, "b")
        self.assertEqual((self.get(address_a), self.get(address_b)), (["a"], ["b"]))
        self.call("stop", a)
        self.assertEqual(self.get(address_b), ["b"])

    def test_port_is_taken_as_given(self):
        port = free_port()
        _, address = self.start("a", str(port))
        self.assertIn(f"127.0.0.1:{port}", address)

    def test_start_again_is_harmless(self):
        directory, address = self.start("a")
        pids = self.pids(directory)
        self.assertEqual(self.start("a"), (directory, address))
        self.assertEqual(self.pids(directory), pids)

    def test_start_says_why_it_failed_and_leaves_nothing(self):
        _, address = self.start("a")
        directory = os.path.join(self.dir, "b")
        self.call("start", directory, self.port_of(address), exit=1)
        self.call("status", directory, exit=3)

    def test_usage(self):
        for arguments in ([], ["start"], ["start", self.dir, "x"], ["start", self.dir, "70000"], ["stop"], ["go", "d"]):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.call(*arguments, exit=2), "")


class Kafka(Common, ServiceTestCase):
    service = "kafka"

    @staticmethod
    def port_of(address):
        return address.rpartition(":")[2]

    @staticmethod
    def client(address):
        kafka = KafkaClient(None)
        kafka.address = address
        return kafka

    def put(self, address, word):
        kafka = self.client(address)
        kafka.create("words")
        kafka.produce("words", word.encode(), headers={"tl-columns": "a,b"})

    def get(self, address):
        messages = self.client(address).read("words")
        self.assertEqual([m.headers for m in messages], [{"tl-columns": "a,b"}] * len(messages))
        return [m.value.decode() for m in messages]

    def test_no_topic_by_accident(self):
        _, address = self.start("a")
        with self.assertRaises(AssertionError):
            self.client(address).kcat("-P", "-t", "typo", "-X", "message.timeout.ms=1000", stdin=b"x")
        self.assertEqual(self.client(address).topics(), {})

    def test_purge(self):
        _, address = self.start("a")
        kafka = self.client(address)
        kafka.create("tload.default.raw-input", 3)
        kafka.create("other")
        kafka.produce("tload.default.raw-input", b"x\0\n\xff", partition=2)
        (message,) = kafka.read("tload.default.raw-input")
        self.assertEqual((message.partition, message.value), (2, b"x\0\n\xff"))
        kafka.kcat("-G", "tload.g", "tload.default.raw-input", "-e", "-q")
        self.assertEqual(kafka.groups(), ["tload.g"])
        kafka.purge()
        self.assertEqual((kafka.topics(), kafka.groups()), ({"other": 1}, []))

    def test_three_nodes_go_on_without_one(self):
        directory, addresses = self.start("a", "--nodes", "3")
        self.assertEqual(len(addresses.split(",")), 3)
        kafka = self.client(addresses)
        kafka.create("words", copies=3)
        os.kill(self.pids(directory)[1], signal.SIGKILL)
        kafka.produce("words", b"written by two of three")
        self.call("status", directory, exit=3)
        self.assertEqual(self.start("a")[1], addresses)
        self.assertEqual([m.value for m in kafka.read("words")], [b"written by two of three"])


class Postgres(Common, ServiceTestCase):
    service = "postgres"

    @staticmethod
    def port_of(address):
        return address.rpartition(":")[2].partition("/")[0]

    def psql(self, address, *arguments):
        return subprocess.run(
            ["psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", *arguments, address],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=60,
        ).stdout.decode()

    def put(self, address, word):
        self.psql(address, "-c", f"create table words as select '{word}' as word")

    def get(self, address):
        return self.psql(address, "-c", "select word from words").split()

    def test_unix_socket_and_durability(self):
        directory, address = self.start("a")
        by_socket = f"postgresql:///postgres?host={directory}&port={self.port_of(address)}&user=postgres"
        self.assertEqual(self.psql(by_socket, "-c", "show fsync"), "on\n")
