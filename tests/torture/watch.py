# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold at every moment of a run, looked at again and again in a thread of its own."""

import http.client

from tests.torture.oracle import Difference

GROWS = ("rows_applied", "rows_rejected", "rows_read", "bytes_sent")
DONE = ("done", "done_with_errors")


class Watcher:
    """Runs until world.stopping; the first difference goes to world.blame."""

    def __init__(self, world):
        self.world = world
        self.marks = {}  # upload to the highest counts seen
        self.final = {}
        self.offsets = {}
        self.samples = 0

    def run(self):
        looks = (self.uploads, self.positions, self.counted, self.guard)
        while not self.world.stopping.wait(0.1):
            for look in looks:
                try:
                    look()
                    self.samples += 1
                except Difference as e:
                    self.world.blame(e)
                except (OSError, http.client.HTTPException, ValueError, *self.world.sink.busy):
                    pass  # what is asked is down just now

    def uploads(self):
        answer = self.world.control.http("GET", "/v1/tenants/default/uploads", timeout=2)
        if answer.status != 200:
            return
        for u in answer.json["uploads"]:
            self.progress(u)
            state = self.final.get(u["upload"])
            if state and state != u["state"]:
                raise Difference(f"state of upload {u['upload']} was {state} and is {u['state']}")
            if u["state"] in DONE and not state:
                self.final[u["upload"]] = u["state"]
                self.queryable(u)

    def progress(self, u):
        known = self.marks.setdefault(u["upload"], {})
        for name in GROWS:
            if (u[name] or 0) < known.get(name, 0):
                raise Difference(f"{name} of upload {u['upload']} fell from {known[name]} to {u[name]}")
            known[name] = u[name] or 0
        if u["rows_applied"] + u["rows_rejected"] > u["rows_read"] or (u["bytes_total"] or u["bytes_sent"]) < u["bytes_sent"]:
            raise Difference(f"more than 100 %: {u}")

    def queryable(self, u):
        """It is said to be done: so it is there."""
        upload = next(x for x in self.world.workload.uploads if x.id == u["upload"])
        rows = [row for row in self.world.sink.ledger() if row[0] == upload.id]
        there = (sum(row[4] for row in rows), sum(row[5] for row in rows), sum(row[6] for row in rows))
        due = (u["rows_applied"], u["rows_rejected"], self.world.partitions)
        if there != due:
            raise Difference(f"upload {upload.id} is done, and the ledger has (applied, rejected, ended) {there} where {due} is due")
        if upload.table.keyed:
            keys = {t.values[0] for t in upload.truths if t.values and not upload.table.refused(t.values)}
            missing = keys - self.world.sink.keys(upload.table.name)
            if missing:
                raise Difference(f"upload {upload.id} is done, and key {min(missing)} is not in table {upload.table.name}")

    def positions(self):
        for where, at in self.world.sink.offsets().items():
            if at < self.offsets.get(where, 0):
                raise Difference(f"offset of {where} went back from {self.offsets[where]} to {at}")
            self.offsets[where] = at

    def counted(self):
        """Rows and ledger are to be seen together, or not at all."""
        for table in self.world.workload.tables:
            if table.keyed:
                continue
            rows, said = self.world.sink.counted(table.name)
            if rows != said:
                raise Difference(f"table {table.name} has {rows} rows at a moment when the ledger says {said}")

    def guard(self):
        found = self.world.sink.guard_found()
        if found:
            raise Difference(f"in the ledger there went back: {found[0]}")
