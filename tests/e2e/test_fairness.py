# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of a tenant, turns to send, and that what one tenant does delays another by next to nothing."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from tests.lib.harness import TestCase, fewer, scaled, wait_until
from tests.lib.postgres import Database, Postgres

SANITIZERS = {"tsan"}
SECONDS = 80

COLUMNS = ("id int", "v text")
RAW = "tload.default.raw-input"
UPLOADS = "/v1/tenants/default/uploads"
MEGA = 1000000


class Fairness(TestCase):
    def uploads(self, state=None):
        """As they all are at one moment, newest first."""
        path = f"{UPLOADS}?limit=1000" + (f"&state={state}" if state else "")
        return self.coordinator.http("GET", path).json["uploads"]

    def look(self, upload):
        return json.loads(self.tload("--json", "status", upload).stdout)

    def state(self, upload):
        return self.coordinator.http("GET", f"{UPLOADS}/{upload}").json.get("state")

    def limit(self, **limits):
        self.tload("tenant", "set", "default", *[f"--{k.replace('_', '-')}={v}" for k, v in limits.items()])

    def file(self, name, rows, value="x"):
        return self.write(f"{name}.csv", "id,v\n" + "".join(f"{i},{value}\n" for i in range(rows)))

    def load_start(self, name, rows=10, *options):
        """An upload of that id, in a process of its own."""
        return self.tload_start("upload", self.file(name, rows), "--table", self.table, "--id", name, *options)

    def feed(self, name):
        """An upload that goes on until its standard input is closed."""
        process = self.tload_start("upload", "-", "--table", self.table, "--id", name, stdin=subprocess.PIPE)
        process.stdin.write(b"id,v\n1,x\n")
        process.stdin.flush()
        wait_until(lambda: self.state(name), what=f"upload {name}")
        return process

    def await_state(self, name, state):
        wait_until(lambda: self.state(name) == state, what=f"{name} to be {state}")

    def end(self, process, status=0):
        self.assertEqual(process.wait(60), status, process)


class Turns(Fairness):
    def begin(self, uploads):
        self.start()
        self.table = self.define(*COLUMNS)
        self.limit(max_uploads=uploads)

    def check_order(self):
        """Of those that are there none is past its queue before an older one. Returns how many send."""
        by_age = [u["state"] for u in reversed(self.uploads())]
        if "queued" in by_age:
            first = by_age.index("queued")
            self.assertEqual(set(by_age[first:]), {"queued"}, by_age)
        return by_age.count("sending")

    def test_no_more_than_the_limit_send_at_once(self):
        self.begin(3)
        held = [self.feed(f"held{n}") for n in range(3)]
        waiting = []
        for n in range(17):
            waiting.append(self.load_start(f"u{n:02}", 2000))
            wait_until(lambda n=n: len(self.uploads()) == 4 + n, what="the upload")
        self.assertEqual(len(self.uploads("queued")), 17)
        self.assertEqual(
            self.look("u16")["waiting"], "queued: 3 uploads of tenant default are sending, its limit is 3; 16 are before it"
        )
        for process in held:
            process.stdin.close()
        most = 0
        while any(p.poll() is None for p in held + waiting):
            most = max(most, self.check_order())
            self.assertLessEqual(most, 3)
        self.assertGreater(most, 0)
        for process in held + waiting:
            self.end(process)
        self.assertEqual({u["state"] for u in self.uploads()}, {"done"})
        self.assertIn("queued", waiting[-1].stderr)

    def test_raising_the_limit(self):
        self.begin(1)
        held = self.feed("held")
        queued = self.load_start("queued")
        self.await_state("queued", "queued")
        self.assertEqual([u["upload"] for u in self.uploads("queued")], ["queued"])
        self.limit(max_uploads=2)
        self.end(queued)
        held.stdin.close()
        self.end(held)

    def test_the_order_outlives_the_coordinator(self):
        self.begin(1)
        held = self.feed("held")
        queued = []
        for n in range(4):
            queued.append(self.load_start(f"u{n}", 1000))
            self.await_state(f"u{n}", "queued")
        # Each has its answer: one that had not would rightly say that no coordinator is there.
        wait_until(lambda: all("queued" in p.stderr for p in queued), what="word that all are queued")
        self.coordinator.kill()
        self.coordinator.start()
        self.assertEqual(self.check_order(), 1)
        held.stdin.close()
        while any(p.poll() is None for p in queued):
            self.assertLessEqual(self.check_order(), 1)
        for process in [held, *queued]:
            self.end(process)

    def test_one_whose_client_is_gone_is_passed_by(self):
        self.begin(1)
        held = self.feed("held")
        gone = self.load_start("gone")
        self.await_state("gone", "queued")
        other = self.load_start("other")
        self.await_state("other", "queued")
        gone.kill()
        wait_until(lambda: "nothing heard" in (self.look("gone")["waiting"] or ""), what="its absence")
        held.stdin.close()
        self.end(held)
        self.end(other)
        self.assertEqual(self.state("gone"), "queued")
        self.tload("resume", "gone")
        self.assertEqual(self.look("gone")["state"], "done")

    def test_ways_to_end_a_queued_one(self):
        self.begin(1)
        held = self.feed("held")
        interrupted = self.load_start("interrupted")
        wait_until(lambda: "queued" in interrupted.stderr, what="word that it is queued")
        interrupted.signal(signal.SIGINT)
        self.end(interrupted, 130)
        self.assertIn("its place is kept: go on with 'tload resume interrupted'", interrupted.stderr)
        timed = self.load_start("timed", 10, "--timeout", "1")
        self.end(timed, 124)
        self.assertEqual(self.state("timed"), "queued")
        # Nothing of it is in Kafka: it is over at once, whatever goes on there.
        before = self.kafka.watermarks(RAW, 0)
        self.tload("cancel", "timed")
        self.assertEqual(self.state("timed"), "cancelled")
        self.assertEqual(self.kafka.watermarks(RAW, 0), before)
        told = self.load_start("told")
        self.await_state("told", "queued")
        self.tload("cancel", "told")
        self.end(told, 1)
        dropped = self.load_start("dropped")
        self.await_state("dropped", "queued")
        self.tload("drop-table", self.table, "--yes")
        self.end(dropped, 1)
        self.assertIn("was dropped", dropped.stderr)
        self.assertNotEqual(held.wait(60), 0)
        self.assertEqual(self.state("interrupted"), "failed")

    def test_standard_input_waits_for_its_turn_too(self):
        self.begin(1)
        held = self.feed("held")
        other = self.feed("other")
        self.await_state("other", "queued")
        other.stdin.write(b"2,y\n")
        other.stdin.close()
        held.stdin.close()
        self.end(held)
        self.end(other)
        self.assertEqual(self.look("other")["rows_applied"], 2)


class Rate(Fairness):
    def begin(self, rate):
        self.start()
        self.table = self.define(*COLUMNS, key=None)
        self.limit(max_bytes=rate)

    def big(self, name, megabytes):
        line = "y" * 990
        with open(os.path.join(self.dir, f"{name}.csv"), "w", encoding="ascii") as f:
            f.write("id,v\n")
            f.writelines(f"{i:07},{line}\n" for i in range(megabytes * 1000))
        return f.name

    def sent(self):
        """When each batch was sent, in seconds, and its bytes."""
        shown = self.kafka.kcat("-C", "-t", RAW, "-o", "beginning", "-e", "-q", "-f", "%T %S %h\n").decode().splitlines()
        rows = [line.split() for line in shown if "tl-type=rows" in line]
        return sorted((int(ms) / 1000, int(size)) for ms, size, *_ in rows)

    def check_rate(self, rate, sent):
        """In no stretch of time more than the rate and a second's more."""
        for first, (began, _) in enumerate(sent):
            bytes_since = 0
            for at, size in sent[first:]:
                bytes_since += size
                self.assertLessEqual(bytes_since, rate * (at - began + 1) + MEGA)

    def test_a_file_takes_as_long_as_the_rate_says(self):
        self.begin("5M")
        began = time.monotonic()
        done = self.tload("upload", self.big("big", 20), "--table", self.table)
        took = time.monotonic() - began
        sent = self.sent()
        lasted = sent[-1][0] - sent[0][0]
        self.assertGreater(sum(size for _, size in sent), 19 * MEGA)
        self.assertGreater(lasted, 3)
        print(f"20 MB at 5 MB/s: sent within {lasted:.1f} s, done after {took:.1f} s", flush=True)
        self.assertLess(lasted, scaled(12))
        self.check_rate(5 * MEGA, sent)
        self.assertIn("limited to 5.24 MB/s", done.stderr)

    def test_two_share_it(self):
        self.begin("4M")
        processes = [self.tload_start("upload", self.big(f"f{n}", 6), "--table", self.table, "--id", f"f{n}") for n in range(2)]
        wait_until(lambda: len(self.uploads("sending")) == 2, what="both to send")
        shares = [u["bytes_per_second"] for u in self.uploads("sending")]
        self.assertTrue(all(s == 2 * 2**20 for s in shares) or len(shares) < 2, shares)
        self.assertIn("limited to", self.tload("status", "f0").stdout)
        for process in processes:
            self.end(process)
        self.check_rate(4 * 2**20, self.sent())


class Neighbours(Fairness):
    """What A to D do, and how long E's ten rows take beside it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Postgres(tempfile.mkdtemp(prefix="tload-postgres-")).start()
        cls.addClassCleanup(shutil.rmtree, cls.server.dir, ignore_errors=True)
        cls.addClassCleanup(cls.server.stop)

    def tenant(self, name, *options):
        self.tload("tenant", "create", name, "--partitions", "1", *options)
        self.tload("--tenant", name, "define-table", "t", *COLUMNS, "--key", "id")

    def ten_rows(self):
        """The median of some, in seconds."""
        path = self.file("ten", 10)
        took = []
        for _ in range(5):
            began = time.monotonic()
            self.tload("--tenant", "e", "upload", path, "--table", "t")
            took.append(time.monotonic() - began)
        return sorted(took)[len(took) // 2], max(took)

    def test_quiet_tenant(self):
        self.start()
        db = Database(self.server, f"tload_fair_{os.getpid()}")
        self.addCleanup(db.drop)
        # It takes connections, and never answers.
        hung = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(hung.close)
        for name in ("a", "d", "e"):
            self.tenant(name)
        self.tenant("b", "--sink", db.url)
        self.tenant("c", "--sink", f"postgresql://x@127.0.0.1:{hung.getsockname()[1]}/x")
        self.tload("--tenant", "b", "upload", self.file("b0", 10), "--table", "t")
        alone, _ = self.ten_rows()

        session = db.session()
        self.addCleanup(session.close)
        session.execute("begin; lock table b.t in access exclusive mode")
        stop = threading.Event()
        self.addCleanup(stop.set)
        locked = self.tload_start("--tenant", "b", "upload", self.file("b1", 5000), "--table", "t", "--id", "b1")
        broken = [
            self.tload_start("--tenant", "c", "upload", self.file(f"c{n}", 5000), "--table", "t", "--detach")
            for n in range(5)
        ]
        altered = threading.Thread(target=self.alter, args=(stop,))
        altered.start()
        self.addCleanup(altered.join)
        flood_path = self.file("flood", fewer(100000))
        flood = [self.tload_start("--tenant", "a", "upload", flood_path, "--table", "t") for _ in range(30)]
        wait_until(lambda: any(u["state"] == "sending" for u in self.of("a")), what="the flood")
        beside, worst = self.ten_rows()
        print(f"ten rows: {alone:.2f} s alone, {beside:.2f} s beside others, {worst:.2f} s at worst", flush=True)
        self.assertTrue(any(p.poll() is None for p in flood), "the flood was over before")
        self.assertIsNone(locked.poll())
        stop.set()
        session.close()
        self.assertLess(beside - alone, scaled(5))
        for process in flood:
            self.end(process)
        self.end(locked)
        for process in broken:
            process.kill()

    def test_connections_of_one_tenant(self):
        """More clients wait for news of an upload than there are connections."""
        self.start()
        self.tenant("e")
        self.table = self.define(*COLUMNS)
        held = self.feed("held")
        change = self.coordinator.http("GET", f"{UPLOADS}/held").json["change"]
        request = f"GET {UPLOADS}/held?wait_ms=30000&seen={change} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
        clients = []
        self.addCleanup(lambda: [client.close() for client in clients])
        for _ in range(1500):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            clients.append(client)
            client.connect(self.coordinator.socket)
            client.send(request)
        began = time.monotonic()
        self.assertEqual(self.coordinator.http("GET", "/v1/tenants/e").status, 200)
        took = time.monotonic() - began
        print(f"beside {len(clients)} clients of another tenant: an answer after {took:.2f} s", flush=True)
        self.assertLess(took, scaled(5))
        self.tload("--tenant", "e", "upload", self.file("ten", 10), "--table", "t")
        held.stdin.close()
        self.end(held)

    def of(self, tenant):
        return self.coordinator.http("GET", f"/v1/tenants/{tenant}/uploads").json["uploads"]

    def alter(self, stop):
        n = 0
        while not stop.is_set():
            n += 1
            self.tload("--tenant", "d", "alter", "t", "--add", f"c{n} int", exit=None)
            self.tload("--tenant", "d", "alter", "t", "--drop", f"c{n}", exit=None)
