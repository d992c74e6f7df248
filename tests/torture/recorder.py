# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps all that was ever written into a topic, for an oracle that comes when control has trimmed it."""

import json
import subprocess
import threading

from tests.lib.kafka import Message
from tests.lib.process import wait_until


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
        while not self.stopping.is_set():
            with self.lock:
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

    def read(self, ends):
        """All of it in order, up to these ends by partition."""
        due = [(p, offset) for p, end in sorted(ends.items()) for offset in range(end)]
        wait_until(lambda: all(where in self.messages for where in due), what=f"the recorder to have seen all of {self.topic}")
        return [self.messages[where] for where in due]
