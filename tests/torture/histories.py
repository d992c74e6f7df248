#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random histories of schemas with uploads under way, and an oracle that says what must be in the tables.

    histories.py [--histories N] [--seed S] [--kills] [-j JOBS]

A history is one table: defined, changed some ten times, at times dropped and defined anew, while uploads into it begin, go on
and end by whatever version they began with. Each is drawn from a seed of its own, S, S+1, ...; how they interleave is not.
All of them share one Kafka and one coordinatord, which --kills ends time and again, at a step of a change or anywhere. At the
end raw-input is read once and everything compared (versions.py). The last line is "N passed, N failed".
"""

import argparse
import concurrent.futures
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import replace

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from tests.lib.harness import Coordinator, Kafka  # noqa: E402, the path comes first
from tests.lib.postgres import Postgres  # noqa: E402
from tests.lib.process import BUILD, Process, wait_until  # noqa: E402
from tests.torture import versions  # noqa: E402
from tests.torture.evolution import Evolution, cell  # noqa: E402
from tests.torture.oracle import Difference, differ  # noqa: E402
from tests.torture.sinks import PostgresSink, SqliteSink  # noqa: E402
from tests.torture.versions import Schema  # noqa: E402

PARTITIONS = 3
TABLES = "/v1/tenants/default/tables"
UPLOADS = "/v1/tenants/default/uploads"
AWAY = (OSError, http.client.HTTPException)
FAILPOINTS = (
    "control.before_commit", "control.after_commit", "control.before_schema", "control.partly_written", "control.before_activate",
    "sink.before_commit", "sink.after_commit",
)
TEMPORARY, REFUSED, FAILED = 5, 2, 1
PATIENCE = 60  # seconds for what takes one at most


class World:
    """Kafka and coordinatord of all histories."""

    def __init__(self, directory, options):
        self.dir = directory
        self.kills = options.kills
        self.patience = options.patience
        self.kafka = Kafka(os.path.join(directory, "kafka")).start()
        # The oracle reads raw-input from its beginning.
        settings = {"kafka": {"partitions": PARTITIONS, "trim_records": 1000000000}, "sink": {"commit_ms": 20}}
        self.postgres = Postgres(os.path.join(directory, "postgres")).start() if options.sink == "postgresql" else None
        place = os.path.join(directory, "c")
        self.sink = PostgresSink(self.postgres, "histories") if self.postgres else SqliteSink(os.path.join(place, "state"))
        settings["sink"].update(self.sink.settings().get("sink", {}))
        self.coordinator = Coordinator(place, self.kafka.address, settings)
        os.makedirs(place)
        self.coordinator.start()
        self.stopping = threading.Event()
        self.killed = 0
        self.trouble = None
        self.killer = None

    def begin_kills(self, rng):
        self.killer = threading.Thread(target=self.kill, args=(rng,), daemon=True)
        self.killer.start()

    def kill(self, rng):
        """SIGKILL, or a crash at a step of a change; then it is started again."""
        try:
            while not self.stopping.is_set():
                until = time.monotonic() + rng.uniform(3, 8)
                while time.monotonic() < until and not self.ended() and not self.stopping.wait(0.05):
                    pass
                self.coordinator.kill()
                self.killed += 1
                name = rng.choice((None, *FAILPOINTS))
                env = {"TLOAD_FAILPOINT": f"{name}:{rng.randrange(1, 30)}"} if name else None
                self.coordinator.start(ready=False, env=env)
            self.coordinator.kill()
            self.coordinator.start()
        except Exception as e:  # noqa: BLE001, the histories have to hear of it
            self.trouble = e

    def ended(self):
        """It came to its failpoint."""
        return self.coordinator.process.poll() is not None

    def end_kills(self):
        self.stopping.set()
        if self.killer:
            self.killer.join()
        if self.trouble:
            raise self.trouble

    def stop(self):
        self.stopping.set()
        if self.coordinator.process:
            self.coordinator.process.kill()
        self.kafka.stop()
        if self.postgres:
            self.postgres.stop()

    def http(self, method, path, body=None, headers=None):
        """An answer; None when the coordinator was away, so that nobody knows whether it was done."""
        try:
            answer = self.coordinator.http(method, path, body, headers)
        except AWAY:
            if not self.kills:
                raise
            time.sleep(0.05)
            return None
        return None if answer.status == 503 and self.kills else answer

    def get(self, path):
        """Asks until there is an answer."""
        return wait_until(lambda: self.http("GET", path), 60, f"an answer to GET {path}")


class Feeding:
    """A tload that reads what the history writes to it, piece by piece."""

    def __init__(self, process, rows, names, raced):
        self.process = process
        self.rows = rows
        self.names = names
        self.raced = raced  # it may have found another version than its file is for
        self.table_id = None

    def write(self, n):
        lines, self.rows = self.rows[:n], self.rows[n:]
        try:
            self.process.stdin.write("".join(lines).encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def close(self):
        self.write(len(self.rows))
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass


class History:
    def __init__(self, world, seed):
        self.world = world
        self.seed = seed
        self.rng = random.Random(seed)
        self.table = f"t{seed}"
        self.path = f"{TABLES}/{self.table}"
        self.dir = os.path.join(world.dir, self.table)
        os.makedirs(self.dir)
        self.log = []
        self.schema = None  # as the history has it: by its own rules, checked against the product's at each step
        self.expected = []  # all of it, for the comparison with raw-input
        self.number = 0  # of the last row made
        self.uploads = []  # all Processes with what is known of them
        self.open = []
        self.dropped = 0

    def note(self, text):
        self.log.append(text)

    # --- the table

    def define(self):
        rng = self.rng
        keyed = rng.random() < 0.8
        first = rng.choice(("int", "bigint", "text")) if keyed else "bigint"
        request = {"table": self.table, "columns": [{"name": "k", "type": first, "nullable": False}], "key": ["k"] if keyed else []}
        if keyed and rng.random() < 0.3:
            request["columns"].append({"name": "k2", "type": "date", "nullable": False})
            request["key"].append("k2")
        for n in range(rng.randrange(1, 6)):
            request["columns"].append(Evolution.new_column(rng, f"c{n}", may_lack_default=True))
        self.note(f"define {request}")
        while True:
            answer = self.world.http("POST", TABLES, request)
            if answer is not None and answer.status in (200, 201):
                break
            if answer is not None:
                raise Difference(f"define {request}: {answer.status} {answer.body}")
        self.schema = Schema.of(answer.json)
        self.expected.append(self.schema)
        differ("version of a table that was defined", 1, self.schema.version)

    def settled(self):
        """The table once no change of it is pending."""

        def now():
            answer = self.world.get(self.path)
            if answer.status != 200:
                return answer
            return None if answer.json.get("pending") or answer.json["state"] != "active" else answer

        return wait_until(now, 60, f"{self.table} to be settled")

    def alter(self):
        evolution = Evolution(self.schema)
        for _ in range(self.rng.choice((1, 1, 2, 3, 5))):
            evolution.draw(self.rng)
        if not evolution.changes:
            return
        due = evolution.result()
        body = {"changes": evolution.changes}
        headers = {}
        if self.rng.random() < 0.3:
            body["if_version"] = self.schema.version
        if self.rng.random() < 0.3:
            headers["If-Match"] = f'"{self.schema.table_id}-{self.schema.version}"'
        self.note(f"version {due.version}: {evolution.changes}")
        answer = self.world.http("PATCH", self.path, body, headers)
        if answer is None:
            there = Schema.of(self.settled().json)
            self.note(f"nobody answered; it is at version {there.version}")
            if there.version == self.schema.version:
                due = self.schema
        elif answer.status == 200:
            there = Schema.of(answer.json)
        else:
            raise Difference(f"{evolution.changes} to {self.schema}: {answer.status} {answer.body}")
        differ(f"{self.table} after {evolution.changes}", due, there)
        self.take(due)

    def take(self, schema):
        if schema is not self.schema:
            self.expected.append(schema)
        self.schema = schema

    def race(self):
        """Two changes at once, both of this version: one is made, the other told that it came too late."""
        evolutions = [Evolution(self.schema) for _ in range(2)]
        for n, e in enumerate(evolutions):
            e.add(self.rng, f"race_{self.schema.version}_{n}")
        self.note(f"race of {[e.changes for e in evolutions]}")
        ask = lambda e: self.world.http("PATCH", self.path, {"changes": e.changes, "if_version": self.schema.version})  # noqa: E731
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(ask, evolutions))
        there = Schema.of(self.settled().json)
        if None in answers:
            results = [self.schema] + [e.result() for e in evolutions]
            self.take(next((s for s in results if s == there), None) or self.schema)
        else:
            differ("answers of a race", [200, 409], sorted(a.status for a in answers))
            self.take(evolutions[[a.status for a in answers].index(200)].result())
        differ(f"{self.table} after a race", self.schema, there)

    def refused(self):
        """What could lose data changes nothing, together with what could not."""
        good, bad = Evolution(self.schema), self.rng.choice(Evolution.bad(self.schema))
        good.add(self.rng, "never")
        self.note(f"to be refused: {bad}")
        answer = self.world.http("PATCH", self.path, {"changes": good.changes + [bad]})
        if answer is not None:
            differ(f"{self.table}: status of {bad}", 422, answer.status)
        differ(f"{self.table} after {bad}", self.schema, Schema.of(self.settled().json))

    def drop(self):
        self.note("drop")
        while True:
            answer = self.world.http("DELETE", self.path)
            if answer is not None and answer.status in (204, 404):
                break
            if answer is not None and answer.status != 409:
                raise Difference(f"drop: {answer.status} {answer.body}")
        self.expected.append(replace(self.schema, version=self.schema.version + 1, dropped=True))
        self.dropped += 1
        self.define()

    # --- uploads

    def file(self):
        """Header and lines for the version that the table is at."""
        rng, schema = self.rng, self.schema
        columns = [
            c for c in schema.columns
            if c.name in schema.key or not c.nullable and c.default is None or not schema.key and c.id == 1 or rng.random() < 0.7
        ]
        rng.shuffle(columns)
        lines = [",".join(c.name for c in columns) + "\n"]
        for _ in range(rng.randrange(1, 30)):
            self.number += 1
            bad = rng.choice(columns) if rng.random() < 0.06 else None
            lines.append(",".join(cell(rng, c, schema, self.number, c is bad) for c in columns) + "\n")
        return lines

    def begin(self):
        rng = self.rng
        lines = self.file()
        name = f"u{self.seed}-{len(self.uploads)}"
        trickles = rng.random() < 0.6
        path = os.path.join(self.dir, f"{name}.csv")
        if not trickles:
            with open(path, "w", encoding="utf-8", newline="") as f:
                f.writelines(lines)
        command = [BUILD / "tload", "-q", "upload", "-" if trickles else path, "--table", self.table, "--id", name]
        env = {"HOME": self.dir, "XDG_CONFIG_HOME": self.dir, "TLOAD_COORDINATOR": self.world.coordinator.url}
        process = Process(command, self.dir, name, env, subprocess.PIPE if trickles else subprocess.DEVNULL)
        upload = Feeding(process, lines, name, raced=False)
        self.uploads.append(upload)
        self.note(f"{'feed' if trickles else 'load'} {name}, {len(lines) - 1} rows: {lines[0].strip()}")
        if trickles:
            upload.write(1 + rng.randrange(len(lines)))
            self.open.append(upload)
        if rng.random() < 0.8:
            self.await_begun(upload)
        else:
            upload.raced = True

    def await_begun(self, upload):
        path = f"{UPLOADS}/{upload.names}"
        wait_until(
            lambda: upload.process.poll() is not None or self.world.get(path).status == 200, 60, f"upload {upload.names} to begin"
        )

    def feed(self):
        if self.open:
            upload = self.rng.choice(self.open)
            upload.write(self.rng.randrange(1, 10))
            if not upload.rows or self.rng.random() < 0.3:
                self.note(f"end of {upload.names}")
                upload.close()
                self.open.remove(upload)

    def pause(self):
        """Long enough for a batch of what trickles to go out."""
        time.sleep(self.rng.uniform(0.1, 0.7))

    def play(self):
        self.define()
        steps = (
            [self.alter] * 9 + [self.begin] * 6 + [self.feed] * 6 + [self.refused] * 2 + [self.race] + [self.pause] * 2 + [self.drop]
        )
        for _ in range(self.rng.randrange(10, 26)):
            step = self.rng.choice(steps)
            if step != self.drop or self.rng.random() < 0.5:
                step()
        for upload in self.open:
            self.note(f"end of {upload.names}")
            upload.close()
        for upload in self.uploads:
            self.check_exit(upload)

    def check_exit(self, upload):
        try:
            code = upload.process.wait(self.world.patience)
        except AssertionError:
            status = self.world.get(f"{UPLOADS}/{upload.names}")
            raise Difference(f"upload {upload.names} does not come to its end: {status.body.decode()}") from None
        allowed = {0, 3}
        # Its namesake may be just being made.
        allowed |= {FAILED, REFUSED, TEMPORARY} if self.dropped else set()
        allowed |= {REFUSED} if upload.raced or self.world.kills else set()
        allowed |= {TEMPORARY} if self.world.kills else set()
        if code not in allowed:
            raise Difference(f"tload ended with {code}: {upload.process}")

    # --- the end

    def check(self, model):
        ours = {t.table_id: t for t in model.tables.values() if t.name == self.table}
        for schema in self.expected:
            there = ours[schema.table_id].versions.get(schema.version)
            differ(f"version {schema.version} of {self.table} in raw-input", schema, there)
        differ(f"versions of {self.table} in raw-input", len(self.expected), sum(len(t.versions) for t in ours.values()))
        versions.check_table(ours[self.schema.table_id], self.world.sink)
        for upload in self.uploads:
            self.check_upload(upload, model)

    def check_upload(self, upload, model):
        known = model.uploads.get(upload.names)
        answer = self.world.get(f"{UPLOADS}/{upload.names}")
        if known is None:
            if answer.status == 200 and answer.json["state"] in ("done", "done_with_errors"):
                raise Difference(f"upload {upload.names} is done, and nothing of it in raw-input: {answer.json}")
            return
        differ(f"status of GET for upload {upload.names}", 200, answer.status)
        versions.check_upload(known, model.tables[known.table_id], answer.json, PARTITIONS)


class Run:
    def __init__(self, directory, options):
        self.options = options
        self.world = World(directory, options)
        self.histories = [History(self.world, options.seed + i) for i in range(options.histories)]
        self.failures = {}  # history to what differs

    def attempt(self, history, act, *arguments):
        if history in self.failures:
            return
        try:
            act(*arguments)
        except Difference as e:
            self.failures[history] = str(e)
        except Exception:  # noqa: BLE001, the others have to go on
            self.failures[history] = traceback.format_exc()

    def caught_up(self):
        """Everything in validated-input is applied, and raw-input is in validated-input."""
        ends = {(m["t"], m["p"]): m["o"] for m in self.ends()}
        return all(self.world.sink.offsets().get(k, 0) >= end for k, end in ends.items())

    def ends(self):
        text = self.world.kafka.kcat(
            "-Q", *(x for p in range(PARTITIONS) for x in ("-t", f"tload.default.validated-input:{p}:-1"))
        ).decode()
        for topic, p, o in re.findall(r"^(\S+) \[(\d+)\] offset (\d+)", text, re.M):
            yield {"t": topic, "p": int(p), "o": int(o)}

    def settled(self):
        """The sink has the last version of every table."""
        there = self.world.sink.versions()
        return all(
            there.get(h.table) == (h.schema.table_id, h.schema.version) for h in self.histories if h not in self.failures and h.schema
        ) and self.caught_up()

    def run(self):
        if self.options.kills:
            self.world.begin_kills(random.Random(self.options.seed))
        try:
            with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
                list(pool.map(lambda h: self.attempt(h, h.play), self.histories))
        finally:
            self.world.end_kills()
        try:
            wait_until(self.settled, self.options.patience, "the sink to have the last version of every table, and all rows")
        except AssertionError as e:
            print(e)
        model = None
        try:
            model = versions.Model(self.world.kafka.read("tload.default.raw-input"))
        except Difference as e:
            self.failures.setdefault(self.histories[0], str(e))
        for h in self.histories if model else ():
            self.attempt(h, h.check, model)
        return model

    def report(self, model, took):
        for h, what in self.failures.items():
            print(f"FAIL seed {h.seed}")
            for line in h.log:
                print(f"  {line}")
            print(f"difference: {what}", flush=True)
        if model:
            print(
                f"{len(self.histories)} histories in {took:.0f} s: {sum(len(t.versions) for t in model.tables.values())} versions of "
                f"{len(model.tables)} tables, {len(model.uploads)} uploads, {model.batches} batches, {model.old_batches} of them "
                f"of a version that was not the last any more, {sum(u.total('applied') for u in model.uploads.values())} rows"
                + (f"; coordinatord was ended {self.world.killed} times" if self.options.kills else "")
            )
        print(f"{len(self.histories) - len(self.failures)} passed, {len(self.failures)} failed")


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--histories", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--sink", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--kills", action="store_true", help="coordinatord is ended time and again")
    parser.add_argument("-j", dest="jobs", type=int, default=8, help="histories at a time")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds that an upload may take to its end")
    parser.add_argument("--discard", action="store_true", help="keep nothing, also after a difference")
    options = parser.parse_args()
    options.seed = options.seed if options.seed is not None else int(time.time())

    os.chdir(ROOT)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    directory = tempfile.mkdtemp(prefix="tload-histories-")
    began = time.monotonic()
    print(f"seeds {options.seed} to {options.seed + options.histories - 1}", flush=True)
    run = None
    try:
        run = Run(directory, options)
        model = run.run()
        run.report(model, time.monotonic() - began)
    finally:
        if run:
            for h in run.histories:
                for upload in h.uploads:
                    upload.process.kill()
            run.world.stop()
        if run is None or not run.failures or options.discard:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"everything is in {directory}")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
