# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tortures: a Kafka behind a proxy, the processes of coordinatord, uploads that are fed, and who watches them."""

import collections
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time

from tests.lib.harness import Coordinator
from tests.lib.kafka import SERVICE, Kafka
from tests.lib.process import BUILD, Process, free_port, gone, scaled, wait_until
from tests.torture.oracle import Database, Difference
from tests.torture.proxy import Proxy

STOP_SECONDS = 5  # within which coordinatord has to end by SIGTERM
MAX_DESCRIPTORS, MAX_THREADS, MAX_MEMORY = 200, 90, 700 * 1024 * 1024
TEMPORARY = 5  # exit status of tload: the coordinator or Kafka is out of reach
COUNTS = ("rows_applied", "rows_rejected")  # what a sender tells is not durable


class ProxiedKafka(Kafka):
    """A Kafka whose clients are sent to a proxy. `address` is the proxy's; the tests' own reading goes there as well."""

    def __init__(self, directory, proxy_port):
        super().__init__(directory)
        self.proxy_port = proxy_port
        self.lock = threading.Lock()

    def start(self, port=None):
        command = [SERVICE, "start", self.dir, "--advertise", str(self.proxy_port)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300, check=True)
        self.direct = done.stdout.decode().strip()
        self.address = f"127.0.0.1:{self.proxy_port}"
        return self

    def end_offsets(self, topic, partitions):
        asked = [word for p in range(partitions) for word in ("-t", f"{topic}:{p}:-1")]
        found = re.findall(r"\[(\d+)\] offset (\d+)", self.kcat("-Q", *asked).decode())
        return {(topic, int(p)): int(offset) for p, offset in found}


class Daemon:
    """A process of coordinatord that is started again when it ends. One fault at a time: it takes the lock."""

    def __init__(self, coordinator):
        self.coordinator = coordinator
        self.name = coordinator.name
        self.lock = threading.Lock()
        self.armed = False  # with a failpoint: it may abort
        self.started = 0.0

    @property
    def process(self):
        return self.coordinator.process

    def start(self, failpoint=None):
        self.armed = bool(failpoint)
        self.started = time.monotonic()
        self.coordinator.start(ready=False, env={"TLOAD_LOG": "debug", **({"TLOAD_FAILPOINT": failpoint} if failpoint else {})})

    def kill(self):
        if self.process.poll() is not None:
            self.check_end(self.process.exit)
        self.process.kill()

    def terminate(self):
        began = time.monotonic()
        self.process.signal(signal.SIGTERM)
        status = self.process.wait(30)
        took = time.monotonic() - began
        if status == -signal.SIGTERM and began - self.started < 1:
            return  # it was not listening for signals yet
        if status != 0 and not (self.armed and status == -signal.SIGABRT):
            raise Difference(f"{self.name} ends with {status} by SIGTERM; its log: {self.process.stderr_path}")
        if took > scaled(STOP_SECONDS) + 1:
            raise Difference(f"{self.name} takes {took:.1f} s to end by SIGTERM; its log: {self.process.stderr_path}")

    def check_end(self, status):
        if not (self.armed and status == -signal.SIGABRT):
            raise Difference(f"{self.name} ended by itself, with {status}; its log: {self.process.stderr_path}")

    def check_alive(self):
        """Not in the middle of a fault. True when it had ended at a failpoint and was started again."""
        status = self.process.poll()
        if status is None:
            return False
        self.check_end(status)
        self.start()
        return True

    def check_resources(self):
        pid = self.process.pid
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        threads = len(os.listdir(f"/proc/{pid}/task"))
        memory = self.process.rss()
        for what, there, most in (
            ("descriptors", descriptors, MAX_DESCRIPTORS), ("threads", threads, MAX_THREADS), ("bytes of memory", memory, MAX_MEMORY),
        ):
            if there > most and not os.environ.get("SANITIZE"):
                raise Difference(f"{self.name} has {there} {what}; at most {most} are due")


class World:
    def __init__(self, directory, workload, settings, split):
        self.dir = directory
        self.workload = workload
        self.partitions = settings["kafka"]["partitions"]
        self.settings = settings
        self.trouble = None  # the first difference that was found while it ran
        self.stopping = threading.Event()
        self.feeders = []
        self.samples = 0
        self.restarted = 0
        port = free_port()
        self.kafka = ProxiedKafka(os.path.join(directory, "kafka"), port).start()
        self.proxy = Proxy(port, int(self.kafka.direct.rsplit(":", 1)[1])).start()
        names = ["control", "validate", "sink", "errors"] if split else ["coordinatord"]
        self.daemons = [self.daemon(n, n if split else None) for n in names]
        self.extra = []
        self.state = self.daemons[0].coordinator.state
        self.database = Database(self.state)

    def daemon(self, name, roles):
        directory = os.path.join(self.dir, "c")
        os.makedirs(directory, exist_ok=True)
        return Daemon(Coordinator(directory, self.kafka.address, self.settings, roles, name))

    @property
    def control(self):
        return self.daemons[0].coordinator

    def start(self):
        for d in self.daemons:
            d.start()
        wait_until(self.ready, 40, "coordinatord to be ready")
        for table in self.workload.tables:
            key = ["--key", "id"] if table.keyed else []
            self.tload("define-table", table.name, *self.columns(), *key)

    @staticmethod
    def columns():
        from tests.torture.workload import COLUMNS

        return COLUMNS

    def ready(self):
        for d in self.daemons:
            if d.process.poll() is not None:
                raise AssertionError(f"it does not start: {d.process}")
        try:
            return self.control.http("GET", "/readyz", timeout=5).status == 200
        except (OSError, http.client.HTTPException):
            return False

    # --- tload

    def environment(self):
        return {"HOME": self.dir, "XDG_CONFIG_HOME": os.path.join(self.dir, "config"), "TLOAD_COORDINATOR": self.control.url}

    def tload(self, *arguments, timeout=60):
        self.runs = getattr(self, "runs", 0) + 1
        process = Process([BUILD / "tload", *arguments], self.dir, f"tload-{self.runs}", self.environment())
        status = process.wait(timeout)
        if status != 0:
            raise Difference(f"exit {status} where 0 is due: {process}")
        return process

    def begin_upload(self, upload):
        """In a thread of its own: an upload that found the coordinator down is begun again."""
        feeder = threading.Thread(target=self.load, args=(upload,), daemon=True)
        self.feeders.append(feeder)
        feeder.start()

    def load(self, upload):
        try:
            self.start_tload(upload)
            while upload.process.poll() is None:
                time.sleep(0.05)
            while upload.process.poll() == TEMPORARY and not self.stopping.is_set() and not self.known(upload):
                self.start_tload(upload)
                while upload.process.poll() is None:
                    time.sleep(0.05)
        except Exception as e:  # noqa: BLE001, it is told at the end of the run
            self.blame(e)
        upload.loaded = True

    def known(self, upload):
        """Does control know it? Waits until control answers."""
        while not self.stopping.wait(0.1):
            try:
                return self.upload_object(upload) is not None
            except (OSError, http.client.HTTPException):
                pass
        return True

    def start_tload(self, upload):
        upload.starts += 1
        arguments = [BUILD / "tload", "--json", "upload", "-" if upload.trickle_s else upload.path]
        arguments += ["--table", upload.table.name, "--id", upload.id]
        stdin = subprocess.PIPE if upload.trickle_s else subprocess.DEVNULL
        upload.process = Process(arguments, self.dir, f"upload-{upload.id}-{upload.starts}", self.environment(), stdin)
        if upload.trickle_s:
            self.feed(upload)

    @staticmethod
    def feed(upload):
        """Writes the content in pieces, over trickle_s seconds."""
        pieces = max(1, int(upload.trickle_s * 10))
        size = len(upload.content) // pieces + 1
        began = time.monotonic()
        try:
            for i in range(pieces):
                upload.process.stdin.write(upload.content[i * size : (i + 1) * size])
                upload.process.stdin.flush()
                time.sleep(max(0.0, began + (i + 1) * upload.trickle_s / pieces - time.monotonic()))
        except BrokenPipeError:
            pass
        try:
            upload.process.stdin.close()
        except BrokenPipeError:
            pass

    # --- watching, in a thread of its own

    def blame(self, why):
        if self.trouble is None:
            self.trouble = why

    def watch(self):
        marks, final = {}, {}
        offsets = {}
        while not self.stopping.wait(0.15):
            try:
                self.look_at_uploads(marks, final)
                self.look_at_offsets(offsets)
                self.samples += 1
            except Difference as e:
                self.blame(e)
            except (OSError, http.client.HTTPException, sqlite3.Error, ValueError):
                pass  # what is asked is down just now

    def look_at_uploads(self, marks, final):
        answer = self.control.http("GET", "/v1/tenants/default/uploads", timeout=2)
        if answer.status != 200:
            return
        for u in answer.json["uploads"]:
            known = marks.setdefault(u["upload"], {})
            for name in COUNTS:
                if (u[name] or 0) < known.get(name, 0):
                    raise Difference(f"{name} of upload {u['upload']} fell from {known[name]} to {u[name]}")
                known[name] = u[name] or 0
            if u["rows_applied"] + u["rows_rejected"] > u["rows_read"]:
                raise Difference(f"more than 100 %: {u}")
            state = final.get(u["upload"])
            if state and state != u["state"]:
                raise Difference(f"state of upload {u['upload']} was {state} and is {u['state']}")
            if u["state"] in ("done", "done_with_errors"):
                final[u["upload"]] = u["state"]

    def look_at_offsets(self, offsets):
        for where, at in self.database.offsets().items():
            if at < offsets.get(where, 0):
                raise Difference(f"offset of {where} went back from {offsets[where]} to {at}")
            offsets[where] = at

    # --- the end

    def heal(self):
        self.proxy.heal()
        if not gone(self.kafka.pid()):
            self.kafka.resume()
        else:
            self.kafka.start()
        for u in self.workload.uploads:
            if u.process:
                u.process.signal(signal.SIGCONT)
        for d in self.daemons:
            d.process.signal(signal.SIGCONT)
            d.check_alive()
        for d in self.extra:
            d.process.kill()

    def upload_object(self, upload):
        answer = self.control.http("GET", f"/v1/tenants/default/uploads/{upload.id}")
        if answer.status not in (200, 404):
            raise Difference(f"upload {upload.id}: control answers {answer.status} {answer.body!r}")
        return answer.json if answer.status == 200 else None

    def settled(self):
        """All that was written was applied."""
        for d in self.daemons:
            self.restarted += d.check_alive()
        try:
            offsets = self.database.offsets()
        except sqlite3.Error:
            return False
        for kind in ("validated-input", "import-error"):
            for where, end in self.kafka.end_offsets(f"tload.default.{kind}", self.partitions).items():
                if end != offsets.get(where, 0):
                    return False
        return True

    def sent_twice(self):
        """Batches that stand in validated-input more than once."""
        out = self.kafka.kcat("-C", "-t", "tload.default.validated-input", "-o", "beginning", "-e", "-q", "-J").decode(errors="replace")
        seen = collections.Counter()
        for line in out.splitlines():
            m = json.loads(line)
            h = dict(zip(m["headers"][::2], m["headers"][1::2]))
            if "tl-seq" in h:
                seen[m["partition"], h["tl-upload"], h["tl-seq"]] += 1
        return sum(n - 1 for n in seen.values())

    def errors_of(self, upload):
        return [json.loads(line) for line in self.tload("--json", "errors", upload.id).stdout.splitlines()]

    def end(self):
        """Ends all that was started, whatever state it is in."""
        self.stopping.set()
        for u in self.workload.uploads:
            if u.process:
                u.process.kill()
        for d in self.daemons + self.extra:
            if d.process:
                d.process.kill()
        for feeder in self.feeders:
            feeder.join(10)
        try:
            self.kafka.resume()
        except (OSError, IndexError):
            pass
        self.kafka.stop()
        self.proxy.stop()
