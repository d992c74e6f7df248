# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tortures: a Kafka and a coordinator behind proxies, a disk that may fail, uploads that are fed and gone on with."""

import collections
import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

from tests.lib.harness import Coordinator
from tests.lib.kafka import SERVICE, Kafka
from tests.lib.postgres import Postgres
from tests.lib.process import BUILD, Process, free_port, gone, wait_until
from tests.torture.daemon import Daemon, Disk
from tests.torture.oracle import FINAL, Difference
from tests.torture.proxy import Proxy
from tests.torture.recorder import Recorder
from tests.torture.sinks import PostgresSink
from tests.torture.watch import Watcher
from tests.torture.workload import COLUMNS

RAW = "tload.default.raw-input"
TEMPORARY, REFUSED = 5, 2  # exit statuses of tload
STARTS = 300  # of one upload, at most


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


class Cluster:
    """One Kafka, one PostgreSQL and their proxies for all runs of a process."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="tload-torture-kafka-")
        port = free_port()
        self.kafka = ProxiedKafka(os.path.join(self.dir, "kafka"), port).start()
        self.proxy = Proxy(port, int(self.kafka.direct.rsplit(":", 1)[1])).start()
        self.postgres = self.postgres_proxy = None  # started when first asked for

    def postgres_sink(self, name, connections):
        if not self.postgres:
            self.postgres = Postgres(os.path.join(self.dir, "postgres")).start()
            self.postgres_proxy = Proxy(free_port(), self.postgres.port).start()
        return PostgresSink(self.postgres, name, connections, self.postgres_proxy)

    def heal(self):
        self.proxy.heal()
        if not gone(self.kafka.pid()):
            self.kafka.resume()
        else:
            self.kafka.start()

    def clean(self):
        """As if it were new."""
        self.heal()
        self.kafka.purge()

    def stop(self):
        try:
            self.kafka.resume()
        except (OSError, IndexError):
            pass
        self.kafka.stop()
        self.proxy.stop()
        if self.postgres:
            self.postgres.stop()
            self.postgres_proxy.stop()


class World:
    def __init__(self, directory, workload, settings, split, cluster, sink):
        """sink: gives the sink for a state directory."""
        self.dir = directory
        self.workload = workload
        self.partitions = settings["kafka"]["partitions"]
        self.trouble = None  # the first difference that was found while it ran
        self.stopping = threading.Event()
        self.feeders = []
        self.runs = 0
        self.kafka, self.proxy = cluster.kafka, cluster.proxy
        self.cluster = cluster
        self.place = os.path.join(directory, "c")
        os.mkdir(self.place)
        self.disk = Disk(directory, os.path.join(self.place, "state"))
        self.sink = sink(os.path.join(self.place, "state"))
        self.settings = {section: {**keys, **self.sink.settings().get(section, {})} for section, keys in settings.items()}
        # Senders come through a proxy of their own, and so do the roles that are apart.
        self.front = Proxy(os.path.join(directory, "front.sock"), os.path.join(self.place, "c.sock")).start()
        names = ["control", "validate", "sink", "errors"] if split else ["coordinatord"]
        self.daemons = [self.daemon(n, n if split else None) for n in names]
        self.extra = []
        self.recorder = None
        self.watcher = Watcher(self)

    def daemon(self, name, roles, more=None):
        """more: settings over those of the run."""
        settings = {section: {**keys, **(more or {}).get(section, {})} for section, keys in self.settings.items()}
        if roles and "control" not in roles:
            settings.setdefault("coordinator", {})["control"] = "unix:" + self.front.here
        return Daemon(Coordinator(self.place, self.kafka.address, settings, roles, name), self.disk)

    @property
    def control(self):
        return self.daemons[0].coordinator

    @property
    def sink_daemon(self):
        return self.daemons[2] if len(self.daemons) > 1 else self.daemons[0]

    def start(self):
        for d in self.daemons:
            d.start()
        wait_until(self.ready, 40, "coordinatord to be ready")
        wait_until(lambda: RAW in self.kafka.topics(), what="the topics")
        self.recorder = Recorder(self.kafka, RAW).start()
        for table in self.workload.tables:
            self.tload("define-table", table.name, *COLUMNS, *(["--key", "id"] if table.keyed else []))
        self.sink.guard()
        for table in self.workload.tables:
            if table.refuses:
                self.sink.refuse(table)
        wait_until(self.shared_out, 40, "all partitions to be somebody's")
        for d in self.daemons:
            d.note_first_use()

    def shared_out(self):
        """Each role that is there is at work on all partitions, so all that is there from the beginning is."""
        return len(set().union(*(d.lanes() for d in self.daemons))) == 3 * self.partitions

    def ready(self):
        for d in self.daemons:
            if d.process.poll() is not None:
                raise AssertionError(f"it does not start: {d.process}")
        try:
            return self.control.http("GET", "/readyz", timeout=5).status == 200
        except (OSError, http.client.HTTPException):
            return False

    # --- tload

    def environment(self, failpoint=None):
        environment = {
            "HOME": self.dir, "XDG_CONFIG_HOME": os.path.join(self.dir, "config"), "TLOAD_COORDINATOR": "unix:" + self.front.here,
        }
        if failpoint:
            environment["TLOAD_FAILPOINT"] = failpoint
        return environment

    def run_tload(self, *arguments, failpoint=None, stdin=subprocess.DEVNULL):
        self.runs += 1
        return Process([BUILD / "tload", *arguments], self.dir, f"tload-{self.runs}", self.environment(failpoint), stdin)

    def tload(self, *arguments, timeout=60):
        process = self.run_tload(*arguments)
        status = process.wait(timeout)
        if status != 0:
            raise Difference(f"exit {status} where 0 is due: {process}")
        return process

    # --- uploads, each in a thread of its own

    def begin_upload(self, upload):
        feeder = threading.Thread(target=self.load, args=(upload,), daemon=True)
        self.feeders.append(feeder)
        feeder.start()

    def load(self, upload):
        try:
            if upload.resumable:
                self.load_file(upload)
            else:
                self.load_stream(upload)
        except Exception as e:  # noqa: BLE001, it is told at the end of the run
            self.blame(e)
        upload.loaded = True

    def load_file(self, upload):
        """Again and again until it has ended otherwise than by being killed, whoever did that."""
        failpoints = list(upload.endings)
        while upload.starts < STARTS and not self.stopping.is_set():
            failpoint = failpoints.pop(0) if failpoints else None
            self.start_tload(upload, failpoint)
            if upload.twin and upload.starts == 1:
                upload.twin_process = self.run_tload(*self.arguments(upload))
            self.await_tload(upload, failpoint)
            again = upload.process.exit in (TEMPORARY, -signal.SIGKILL, -signal.SIGABRT)
            if upload.twin_process and upload.process.exit == REFUSED:
                again = True  # the other one was just making it
            if not again:
                break
            self.stopping.wait(0.25)
        if upload.twin_process:
            while upload.twin_process.poll() is None and not self.stopping.wait(0.05):
                pass

    def load_stream(self, upload):
        """Standard input is read once: an upload that found the coordinator down is begun again, and no other."""
        while upload.starts < STARTS and not self.stopping.is_set():
            self.start_tload(upload)
            self.await_tload(upload)
            if upload.process.exit != TEMPORARY or self.known(upload):
                break

    def await_tload(self, upload, failpoint=None):
        stopped_at = None
        while upload.process.poll() is None:
            time.sleep(0.02)
            if failpoint and "stop" in failpoint:
                # It stands still for a while: everybody takes it for dead.
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at > 1.5:
                    upload.process.signal(signal.SIGCONT)

    def known(self, upload):
        """Does control know it? Waits until control answers."""
        while not self.stopping.wait(0.1):
            try:
                return self.upload_object(upload) is not None
            except (OSError, http.client.HTTPException):
                pass
        return True

    def arguments(self, upload):
        if upload.starts > 1 and upload.goes_on_by == "resume" and self.known(upload):
            return ["--json", "resume", upload.id]
        path = upload.path if upload.resumable else "-"
        return ["--json", "upload", path, "--table", upload.table.name, "--id", upload.id]

    def start_tload(self, upload, failpoint=None):
        upload.starts += 1
        upload.killed = False
        stdin = subprocess.DEVNULL if upload.resumable else subprocess.PIPE
        upload.process = self.run_tload(*self.arguments(upload), failpoint=failpoint, stdin=stdin)
        if not upload.resumable:
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

    def begin_cancel(self, upload):
        feeder = threading.Thread(target=self.cancel, args=(upload,), daemon=True)
        self.feeders.append(feeder)
        feeder.start()

    def cancel(self, upload):
        """Once; whether it comes in time, or at all, is part of the game."""
        try:
            upload.cancelled = True
            self.run_tload("cancel", upload.id, "--detach").wait(60)
        except Exception as e:  # noqa: BLE001
            self.blame(e)

    def end_orphans(self):
        """Uploads whose sender was killed and can't be gone on with are ended as a user would."""
        # Control may have met its failpoint late, and be starting again.
        wait_until(lambda: self.all_alive() and self.ready(), 40, "coordinatord to be ready")
        for upload in self.workload.uploads:
            if upload.resumable or upload.process.exit in (0, 3):
                continue
            status = self.upload_object(upload)
            if status is None or status["state"] in FINAL:
                continue
            upload.cancelled = True
            process = self.run_tload("cancel", upload.id)
            wait_until(lambda p=process: self.all_alive() and p.poll() is not None, 60, f"upload {upload.id} to be cancelled")
            if process.exit == TEMPORARY:  # control had just met its failpoint
                wait_until(self.ready, 40, "coordinatord to be ready")
                process = self.run_tload("cancel", upload.id)
                process.wait(60)
            if process.exit not in (0, 1, 2, 3):
                raise Difference(f"upload {upload.id} can't be cancelled: {process}")

    # --- watching

    def blame(self, why):
        if self.trouble is None:
            self.trouble = why

    # --- the end

    def heal(self):
        self.disk.set(" ")
        self.front.heal()
        self.cluster.heal()
        self.sink.heal()
        for u in self.workload.uploads:
            for process in (u.process, u.twin_process):
                if process:
                    process.signal(signal.SIGCONT)
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

    def all_alive(self):
        """Whoever met a failpoint late is started again."""
        for d in self.daemons:
            d.check_alive()
        return True

    def settled(self):
        """All that was written was applied."""
        self.all_alive()
        try:
            # In this order: what is owed was owed when its offset was passed.
            offsets, owed = self.sink.offsets(), self.sink.owed()
        except self.sink.busy:
            return False
        if owed:
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

    def place_of_errors(self):
        return os.path.join(self.place, "state")

    def raw_input(self):
        """All that was ever in it."""
        return self.recorder.read({p: end for (_, p), end in self.kafka.end_offsets(RAW, self.partitions).items()})

    def errors_of(self, upload):
        return [json.loads(line) for line in self.tload("--json", "errors", upload.id).stdout.splitlines()]

    def leave(self):
        """In peace: they leave their groups, and end as they should."""
        for d in reversed(self.daemons):
            d.terminate()

    def end(self):
        """Ends all that was started, whatever state it is in; the cluster stays."""
        self.stopping.set()
        for u in self.workload.uploads:
            for process in (u.process, u.twin_process):
                if process:
                    process.kill()
        for d in self.daemons + self.extra:
            if d.process:
                d.process.kill()
        for feeder in self.feeders:
            feeder.join(10)
        if self.recorder:
            self.recorder.stop()
        self.front.stop()
        self.sink.end()
