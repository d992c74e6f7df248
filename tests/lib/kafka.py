# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kafka of the tests: the service, and what tests ask of its topics by kcat and by the few requests that kcat lacks."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
from dataclasses import dataclass, field

from tests.lib.process import ROOT, gone, patience, wait_until

SERVICE = ROOT / "tests/services/kafka"

OFFSET_COMMIT, FIND_COORDINATOR, LIST_GROUPS, CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS, SETTINGS = 8, 10, 16, 19, 20, 21, 32
COORDINATOR_NOT_READY = (14, 15, 16)
CREATE_PARTITIONS, DELETE_GROUPS, ALTER_SETTINGS = 37, 42, 44


@dataclass
class Message:
    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    headers: dict = field(default_factory=dict)


class Kafka:
    """A cluster in a directory of its own. start() and stop() may be called in turn: the data stays."""

    def __init__(self, directory, nodes=1):
        self.dir = directory
        self.nodes = nodes
        self.address = None
        self.disturbed = False  # it was stopped, killed or paused, ever

    def start(self, port=None):
        command = [SERVICE, "start", self.dir] + ([str(port)] if port else [])
        command += ["--nodes", str(self.nodes)] if self.nodes > 1 else []
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300, check=True)
        self.address = done.stdout.decode().strip()
        return self

    def stop(self):
        self.disturbed = True
        subprocess.run([SERVICE, "stop", self.dir], timeout=120, check=True)

    def pid(self, node=1):
        with open(os.path.join(self.dir, "pid"), encoding="ascii") as f:
            return int(f.read().split()[node - 1])

    def kill(self, node=1):
        """As a crash would: SIGKILL. start() brings the node back."""
        self.disturbed = True
        pid = self.pid(node)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: gone(pid), what=f"end of Kafka's node {node}")

    def pause(self, node=1):
        """The node hangs: connections stay open and nothing answers, until resume()."""
        self.disturbed = True
        os.kill(self.pid(node), signal.SIGSTOP)

    def resume(self, node=1):
        os.kill(self.pid(node), signal.SIGCONT)

    # --- topics

    def kcat(self, *arguments, stdin=b"", timeout=60):
        done = subprocess.run(
            ["kcat", "-b", self.address, *arguments],
            input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(timeout), check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"kcat {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def topics(self):
        """Name to number of partitions, without Kafka's own."""
        metadata = json.loads(self.kcat("-L", "-J"))
        return {
            t["topic"]: len(t["partitions"]) for t in metadata["topics"] if not t["topic"].startswith("__")
        }

    def read(self, topic, partition=None):
        """All messages that are there now, by partition and offset."""
        which = ["-C", "-t", topic, "-o", "beginning", "-e", "-q", "-X", "fetch.wait.max.ms=10"]
        which += [] if partition is None else ["-p", str(partition)]
        # JSON shows headers whose values hold commas; the bytes of a value are had exactly only without it.
        described = self.kcat(*which, "-J").decode(errors="replace").splitlines()
        raw = self.kcat(*which, "-f", "%p %o %S\n%s")
        values, at = {}, 0
        while at < len(raw):
            end = raw.index(b"\n", at)
            part, offset, size = map(int, raw[at:end].split())
            at = end + 1 + max(size, 0)
            values[part, offset] = raw[end + 1 : at]
        messages = []
        for line in described:
            m = json.loads(line)
            where = m["partition"], m["offset"]
            if where in values:
                pairs = m.get("headers", [])
                headers = dict(zip(pairs[::2], pairs[1::2]))
                messages.append(Message(topic, *where, m.get("key"), values[where], headers))
        return sorted(messages, key=lambda m: (m.partition, m.offset))

    def produce(self, topic, value, partition=0, headers=None):
        """One message, its value exactly these bytes."""
        arguments = ["-P", "-t", topic, "-p", str(partition), "-D", "\x1d"]
        for name, text in (headers or {}).items():
            arguments += ["-H", f"{name}={text}"]
        self.kcat(*arguments, stdin=value)

    def create(self, topic, partitions=1, copies=1, **settings):
        """A topic, with settings such as max_message_bytes=1000."""
        pairs = _array(_text(k.replace("_", ".")) + _text(str(v)) for k, v in settings.items())
        body = _array([_text(topic) + struct.pack(">ihi", partitions, copies, 0) + pairs])
        answer = self._request(CREATE_TOPICS, 2, body + struct.pack(">i?", 30000, False))
        (error,) = struct.unpack_from(">h", answer, 4 + 4 + len(_text(topic)))
        if error:
            raise AssertionError(f"topic {topic} can't be made: Kafka's error {error}")
        wait_until(lambda: topic in self.topics(), what=f"topic {topic}")

    def add_partitions(self, topic, partitions):
        """Gives a topic so many partitions, more than it has."""
        body = _array([_text(topic) + struct.pack(">ii", partitions, -1)]) + struct.pack(">i?", 30000, False)
        answer = self._request(CREATE_PARTITIONS, 1, body)
        (error,) = struct.unpack_from(">h", answer, 4 + 4 + len(_text(topic)))
        if error:
            raise AssertionError(f"topic {topic} can't have {partitions} partitions: Kafka's error {error}")

    def alter(self, topic, **settings):
        """Changes settings of a topic, such as max_message_bytes=1000."""
        of_topic, set_to = 2, 0
        changes = _array(
            _text(k.replace("_", ".")) + struct.pack(">b", set_to) + _text(str(v)) for k, v in settings.items()
        )
        body = _array([struct.pack(">b", of_topic) + _text(topic) + changes])
        answer = self._request(ALTER_SETTINGS, 0, body + struct.pack(">?", False))
        (error,) = struct.unpack_from(">h", answer, 8)
        if error:
            raise AssertionError(f"topic {topic} can't be changed: Kafka's error {error}")

    def setting(self, topic, name):
        """The value of a topic's setting, such as min.insync.replicas."""
        body = _array([struct.pack(">b", 2) + _text(topic) + _array([_text(name)])]) + b"\0"
        answer = self._request(SETTINGS, 1, body)
        at = answer.index(_text(name)) + len(_text(name))
        (size,) = struct.unpack_from(">h", answer, at)
        return answer[at + 2 : at + 2 + size].decode()

    def delete_records(self, topic, partition, before):
        """What stands before that offset, which must be within the partition."""
        body = _array([_text(topic) + _array([struct.pack(">iq", partition, before)])]) + struct.pack(">i", 30000)
        answer = self._request(DELETE_RECORDS, 0, body)
        (error,) = struct.unpack_from(">h", answer, len(answer) - 2)
        if error:
            raise AssertionError(f"records of {topic} can't be deleted: Kafka's error {error}")

    def watermarks(self, topic, partition):
        """First offset that is there, and the next one to be written."""
        asked = [word for at in ("-2", "-1") for word in ("-Q", "-t", f"{topic}:{partition}:{at}")]
        low, high = (int(re.search(r"offset (\d+)", self.kcat(*asked[i : i + 3]).decode()).group(1)) for i in (0, 3))
        return low, high

    def purge(self, pattern=r"tload\."):
        """Deletes the topics and consumer groups whose names begin so."""
        topics = [t for t in self.topics() if re.match(pattern, t)]
        if topics:
            self._request(DELETE_TOPICS, 1, _array(_text(t) for t in topics) + struct.pack(">i", 30000))
            wait_until(lambda: not set(topics) & set(self.topics()), what="deletion of the topics")
        groups = [g for g in self.groups() if re.match(pattern, g)]
        if groups:
            self._request(DELETE_GROUPS, 0, _array(_text(g) for g in groups))

    def commit(self, group, topic, partition, offset):
        """For a group that nobody is in."""
        body = _text(group) + struct.pack(">i", -1) + _text("") + struct.pack(">q", -1)
        body += _array([_text(topic) + _array([struct.pack(">iq", partition, offset) + _text("")])])

        def committed():
            # Asking makes the topic that groups are kept in.
            self._request(FIND_COORDINATOR, 0, _text(group))
            answer = self._request(OFFSET_COMMIT, 2, body)
            (error,) = struct.unpack_from(">h", answer, len(answer) - 2)
            if error not in (0, *COORDINATOR_NOT_READY):
                raise AssertionError(f"no offset can be committed for group {group}: Kafka's error {error}")
            return error == 0

        wait_until(committed, what=f"group {group} to be served")

    def groups(self):
        answer = self._request(LIST_GROUPS, 0, b"")
        (count,), at, names = struct.unpack_from(">i", answer, 2), 6, []
        for _ in range(count):
            for is_name in (True, False):
                (size,) = struct.unpack_from(">h", answer, at)
                if is_name:
                    names.append(answer[at + 2 : at + 2 + size].decode())
                at += 2 + size
        return names

    def _request(self, api, version, body):
        """One request of Kafka's protocol; returns the answer behind its header."""
        host, port = self.address.split(",")[0].rsplit(":", 1)
        frame = struct.pack(">hhi", api, version, 1) + _text("tests") + body
        with socket.create_connection((host, int(port)), timeout=patience(40)) as s, s.makefile("rb") as stream:
            s.sendall(struct.pack(">i", len(frame)) + frame)
            (size,) = struct.unpack(">i", stream.read(4))
            return stream.read(size)[4:]


def _text(text):
    return struct.pack(">h", len(text.encode())) + text.encode()


def _array(items):
    items = list(items)
    return struct.pack(">i", len(items)) + b"".join(items)
