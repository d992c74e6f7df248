# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps all that was ever written into a topic, for an oracle that comes when it was trimmed, or deleted and made again."""

import json
import subprocess
import threading
import time

from tests.lib.kafka import Message
from tests.lib.process import wait_until

CATCH_UP_SECONDS = 3  # less than who waits for the deletion of a topic has patience
UNREACHABLE = (AssertionError, OSError, ValueError, subprocess.SubprocessError)


class Recorder:
    """Reads the topic from its beginning until stop(), by kcat, which is started again whenever it gives up."""

    def __init__(self, kafka, topic):
        self.kafka = kafka
        self.topic = topic
        self.messages = {}
        self.stopping = threading.Event()
        self.process = None
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        with self.lock:
            if self.process:
                self.process.kill()
        self.thread.join(10)

    def _run(self):
        command = ["kcat", "-C", "-b", self.kafka.address, "-t", self.topic, "-o", "beginning", "-q", "-u", "-J"]
        command += ["-X", "fetch.wait.max.ms=50", "-X", "reconnect.backoff.max.ms=500", "-X", "topic.metadata.refresh.interval.ms=1000"]
        while True:
            with self.lock:
                if self.stopping.is_set():
                    return
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            for line in self.process.stdout:
                self._take(line)
            self.process.wait()
            self.stopping.wait(0.2)

    def _take(self, line):
        try:
            m = json.loads(line)
        except ValueError:
            return  # cut off where kcat ended
        pairs = m.get("headers") or []
        headers = dict(zip(pairs[::2], pairs[1::2]))
        where = m["partition"], m["offset"]
        self.messages[where] = Message(self.topic, *where, m.get("key"), (m["payload"] or "").encode(), headers)

    def has(self, ends):
        """All of it, up to these ends by partition?"""
        return all((p, offset) in self.messages for p, end in ends.items() for offset in range(end))

    def read(self, ends):
        """All of it in order, up to these ends by partition."""
        wait_until(lambda: self.has(ends), what=f"the recorder to have seen all of {self.topic}")
        return [self.messages[p, offset] for p, end in sorted(ends.items()) for offset in range(end)]


class Lives:
    """
    A topic that is deleted and made again: a recorder for each of its lives.

        recorded ──may_delete(): all of it is there──► let go ──the topic is gone──► recorded, from offset 0
    """

    def __init__(self, kafka, topic, partitions, over):
        """over: a list that gets what was in each life that had anything, when it ends, in order."""
        self.kafka = kafka
        self.topic = topic
        self.partitions = partitions
        self.over = over
        self.lock = threading.Lock()
        self.let_go = False
        self.stopping = threading.Event()
        self.recorder = Recorder(kafka, topic).start()

    def stop(self):
        self.stopping.set()
        with self.lock:
            self.recorder.stop()

    def ends(self, timeout=60):
        """By partition; none when it is not there."""
        if self.topic not in self.kafka.topics():
            return {}
        return {p: end for (_, p), end in self.kafka.end_offsets(self.topic, self.partitions, timeout).items()}

    def read(self):
        return self.recorder.read(self.ends())

    def may_delete(self):
        """Somebody wants to delete it: whether he may. From then on nothing of this life is read any more."""
        with self.lock:
            if self.let_go:
                return True  # asked once more
            try:
                ends = self.ends(CATCH_UP_SECONDS)
            except UNREACHABLE:
                return False
            deadline = time.monotonic() + CATCH_UP_SECONDS
            while not self.recorder.has(ends):
                if time.monotonic() > deadline or self.stopping.wait(0.02):
                    return False
            self.recorder.stop()
            if self.recorder.messages:
                self.over.append(self.recorder.read(ends))
            self.let_go = True
        threading.Thread(target=self._await_gone, daemon=True).start()
        return True

    def _await_gone(self):
        while not self.stopping.wait(0.1):
            try:
                if self.topic in self.kafka.topics():
                    continue
            except UNREACHABLE:
                continue
            with self.lock:
                if not self.stopping.is_set():
                    self.recorder = Recorder(self.kafka, self.topic).start()
                    self.let_go = False
            return
