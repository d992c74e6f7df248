# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tortures: Kafkas and a coordinator behind proxies, a disk that may fail, uploads that are fed and gone on with."""

import collections
import http.client
import json
import os
import signal
import subprocess
import threading
import time

from tests.lib.harness import Coordinator
from tests.lib.process import BUILD, Process, wait_until
from tests.torture.daemon import Daemon, Disk
from tests.torture.oracle import FINAL, Difference
from tests.torture.proxy import Proxy
from tests.torture.sites import SITES
from tests.torture.tenancy import RAW, Tenancy
from tests.torture.watch import Watcher
from tests.torture.workload import COLUMNS

TEMPORARY, REFUSED = 5, 2  # exit statuses of tload
STARTS = 300  # of one upload, at most


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
        self.cluster = cluster
        self.tenancy = Tenancy(self)
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
        self.watcher = Watcher(self)

    def daemon(self, name, roles, more=None):
        """more: settings over those of the run."""
        settings = {section: {**keys, **(more or {}).get(section, {})} for section, keys in self.settings.items()}
        if roles and "control" not in roles:
            settings.setdefault("coordinator", {})["control"] = "unix:" + self.front.here
        first = self.cluster.sites[SITES[0]].kafka
        return Daemon(Coordinator(self.place, first.address, settings, roles, name), self.disk)

    @property
    def control(self):
        return self.daemons[0].coordinator

    @property
    def sink_daemon(self):
        return self.daemons[2] if len(self.daemons) > 1 else self.daemons[0]

    def start(self):
        self.tenancy.record()
        for d in self.daemons:
            d.start()
        wait_until(self.ready, 40, "coordinatord to be ready")
        wait_until(lambda: RAW in self.tenancy.site.kafka.topics(), what="the topics")
        for name in SITES[1:]:
            where = {"bootstrap.servers": self.cluster.sites[name].kafka.address}
            answer = self.control.http("POST", "/v1/clusters", {"cluster": name, "max_partitions": 100, "kafka": where})
            if answer.status != 201:
                raise Difference(f"cluster {name} is answered {answer.status}: {answer.body!r}")
        for table in self.workload.tables:
            self.tload("define-table", table.name, *COLUMNS, *(["--key", "id"] if table.keyed else []))
        self.sink.guard()
        for table in self.workload.tables:
            if table.refuses:
                self.sink.refuse(table)
        wait_until(self.shared_out, 40, "all partitions to be somebody's")
        wait_until(lambda: not any(d.workers() for d in self.daemons), 40, "all workers to park")
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
            self.stopping.wait(0.25)

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

    def end_orphans(self, uploads):
        """Those of these whose sender was killed and can't be gone on with are ended as a user would."""
        for upload in uploads:
            # Control may have met its failpoint late, and be starting again.
            wait_until(lambda: self.all_alive() and self.ready(), 40, "coordinatord to be ready")
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

    def revive(self, d):
        """If it has ended as it might, and nobody is about to start it."""
        if d.lock.acquire(blocking=False):
            try:
                d.check_alive()
            finally:
                d.lock.release()

    def settled(self):
        """The tenant is where it should be, and all that was written was applied."""
        self.all_alive()
        if not self.tenancy.at_rest():
            return False
        try:
            # In this order: what is owed was owed when its offset was passed.
            offsets, owed = self.sink.offsets(), self.sink.owed()
        except self.sink.busy:
            return False
        if owed:
            return False
        for kind in ("validated-input", "import-error"):
            ends = self.tenancy.site.kafka.end_offsets(self.tenancy.topic(kind), self.partitions)
            for (_, partition), end in ends.items():
                if end != offsets.get(self.tenancy.position(kind, partition), 0):
                    return False
        return True

    def sent_twice(self):
        """Batches that stand in validated-input more than once, where the tenant lives now."""
        topic = self.tenancy.topic("validated-input")
        out = self.tenancy.site.kafka.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J").decode(errors="replace")
        seen = collections.Counter()
        for line in out.splitlines():
            m = json.loads(line)
            h = dict(zip(m["headers"][::2], m["headers"][1::2]))
            if "tl-seq" in h:
                seen[m["partition"], h["tl-upload"], h["tl-seq"]] += 1
        return sum(n - 1 for n in seen.values())

    def place_of_errors(self):
        return os.path.join(self.place, "state")

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
        self.tenancy.stop()
        self.front.stop()
        self.sink.end()
