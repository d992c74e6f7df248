# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tables, the ledger, the error store and the statuses must be, worked out from raw-input alone.

    raw-input ──kcat──► messages in the order of their offsets ──Model──► rows, counts, rejected rows   ──compare──► differences
    files of the run ──what the generator knows of each record──────────────────────────────────────────┘

Nothing of the product has a part in it: records are parsed here, by the rules of tload-wire(7), and the embedded sink is
read by Python's own sqlite3. A difference is raised as Difference, the first one only.
"""

import collections
import datetime
import decimal
import json
import os
import re
from dataclasses import dataclass, field

from tests.torture.sinks import TENANT
from tests.torture.workload import NAMES

FINAL = ("done", "done_with_errors", "failed", "cancelled", "aborted")

FIELD = re.compile(rb'(?:"([^"]*(?:""[^"]*)*)"|((?!")[^,\n]*))(,|\n)')


REFUSED = "sink_refused"


class Difference(Exception):
    pass


def differ(what, due, there):
    """Says where two values that should be equal begin to differ."""
    if due == there:
        return
    if isinstance(due, list) and isinstance(there, list):
        for i, (a, b) in enumerate(zip(due, there)):
            if a != b:
                raise Difference(f"{what}, item {i} of {len(due)} (there: {len(there)}): {a!r} is due, {b!r} is there")
        longer, word = (due, "missing") if len(due) > len(there) else (there, "too many")
        at = min(len(due), len(there))
        raise Difference(f"{what}: {len(due)} are due, {len(there)} are there; the first one {word}: {longer[at]!r}")
    raise Difference(f"{what}: {due!r} is due, {there!r} is there")


# --- values -------------------------------------------------------------------------------------------------------


class Reject(Exception):
    pass


def integer(bits):
    def check(text):
        if not re.fullmatch(r"[+-]?[0-9]+", text):
            raise Reject("not_integer")
        if not -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1):
            raise Reject("out_of_range")
        return int(text)

    return check


def cents(text):
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", text):
        raise Reject("not_number")
    value = decimal.Decimal(text) * 100
    if value != int(value):
        raise Reject("scale")
    if abs(value) >= 10**10:
        raise Reject("precision")
    return int(value)


def boolean(text):
    if text in ("t", "true", "1", "yes"):
        return 1
    if text in ("f", "false", "0", "no"):
        return 0
    raise Reject("not_boolean")


def day(text):
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise Reject("not_date") from None


CHECKS = dict(zip(NAMES, (integer(64), str, integer(32), cents, boolean, day)))
NOT_NULL = ("id", "qty")


def judge(fields):
    """fields: texts, None for null. Returns (values, None, None) or (None, column, code)."""
    if len(fields) != len(NAMES):
        return None, None, "too_few_fields" if len(fields) < len(NAMES) else "too_many_fields"
    values = []
    for name, text in zip(NAMES, fields):
        if text is None and name in NOT_NULL:
            return None, name, "null_value"
        try:
            values.append(None if text is None else CHECKS[name](text))
        except Reject as why:
            return None, name, why.args[0]
    return tuple(values), None, None


# --- raw-input ----------------------------------------------------------------------------------------------------


@dataclass
class Record:
    line: int
    raw: bytes
    values: tuple
    column: str
    code: str


def parse_batch(message):
    """The records of a message of type rows."""
    value, h = message.value, message.headers
    malformed = {}
    for item in filter(None, h.get("tl-malformed", "").split(",")):
        at, length, code = re.fullmatch(r"(\d+)\+(\d+):(\w+)", item).groups()
        malformed[int(at)] = int(length), code
    if h["tl-format"] != "csv" or h["tl-columns"] != ",".join(NAMES):
        raise Difference(f"format {h['tl-format']!r}, columns {h['tl-columns']!r} of a batch")
    records, at = [], 0
    while at < len(value):
        tab = value.index(b"\t", at)
        line, start = int(value[at:tab]), tab + 1
        if start in malformed:
            length, code = malformed.pop(start)
            records.append(Record(line, value[start : start + length], None, None, code))
            at = start + length + 1
            continue
        fields, at, stop, stray = [], start, None, False
        while stop != b"\n":
            found = FIELD.match(value, at)
            if not found:
                raise Difference(f"record of line {line} at byte {start} of batch @{message.offset} can't be read")
            inner, plain, stop = found.groups()
            stray |= b'"' in (plain or b"")
            text = inner.replace(b'""', b'"') if inner is not None else plain or None
            fields.append(text if text is None else text.decode())
            at = found.end()
        # A quote may stand within quotes only.
        verdict = (None, None, "bad_quoting") if stray else judge(fields)
        records.append(Record(line, value[start : at - 1], *verdict))
    if malformed or len(records) != int(h["tl-rows"]):
        raise Difference(f"batch @{message.offset} says {h['tl-rows']} rows, has {len(records)}; left: {malformed}")
    return records


@dataclass
class Part:
    """An upload in one partition."""

    table: str
    last_seq: int = 0
    applied: int = 0
    rejected: int = 0  # by either stage
    refused: int = 0  # by the sink
    ended: bool = False
    rows_read: int = 0
    stopped: bool = False
    batches: dict = field(default_factory=dict)  # seq to bytes
    records: list = field(default_factory=list)  # of all batches that counted
    errors_seq: int = 0  # the last batch with rows that the validator rejected
    refused_seq: int = 0


class Model:
    """All of raw-input, applied."""

    def __init__(self, messages, tables):
        """messages: all of raw-input, by partition and offset."""
        self.tables = {t.name: t for t in tables}
        self.rows = {t.name: {} if t.keyed else [] for t in tables}
        self.homes = {t.name: {} for t in tables}  # key to the partition that has it
        self.parts = {}
        for message in messages:
            self.apply(message)

    def apply(self, message):
        h = message.headers
        kind = h["tl-type"]
        if kind == "schema":
            return
        part = self.parts.setdefault((h["tl-upload"], message.partition), Part(h["tl-table"]))
        where = f"upload {h['tl-upload']} in partition {message.partition} of raw-input @{message.offset}"
        if kind == "cancel":
            part.stopped = part.stopped or not part.ended
            return
        seq = int(h["tl-seq"])
        if part.stopped:
            return
        if seq <= part.last_seq:
            differ(f"{where}: batch {seq} that was sent twice", part.batches[seq], (kind, message.value))
            return
        differ(f"{where}: number of the batch", part.last_seq + 1, seq)
        if part.ended:
            raise Difference(f"{where}: batch {seq} follows the end marker")
        part.last_seq = seq
        part.batches[seq] = kind, message.value
        if kind == "end":
            self.end(part, json.loads(message.value), where)
        else:
            self.rows_of(part, message, where)

    def end(self, part, value, where):
        differ(f"{where}: end marker", {"batches": part.last_seq - 1, "rows": len(part.records)}, value)
        part.ended = True
        part.rows_read = value["rows"]

    def rows_of(self, part, message, where):
        table = self.tables[part.table]
        for record in parse_batch(message):
            if part.records and record.line <= part.records[-1].line:
                raise Difference(f"{where}: line {record.line} comes behind line {part.records[-1].line}")
            part.records.append(record)
            if record.values is None:
                part.rejected += 1
                part.errors_seq = part.last_seq
                continue
            if table.refused(record.values):
                part.rejected += 1
                part.refused += 1
                part.refused_seq = part.last_seq
                record.code = REFUSED
                continue
            part.applied += 1
            if not table.keyed:
                self.rows[table.name].append(record.values)
                continue
            key = record.values[0]
            differ(f"{where}: partition of key {key}", self.homes[table.name].setdefault(key, message.partition), message.partition)
            self.rows[table.name][key] = record.values

    def of_upload(self, upload):
        return {p: part for (u, p), part in sorted(self.parts.items()) if u == upload}

    def complete(self, upload, partitions):
        parts = self.of_upload(upload)
        return len(parts) == partitions and all(p.ended for p in parts.values())


# --- comparing ----------------------------------------------------------------------------------------------------


def as_cents(value):
    return None if value is None else round(value * 100) if isinstance(value, (int, float)) else cents(value)


def check_tables(model, sink):
    for name, table in model.tables.items():
        there = [(*r[:3], as_cents(r[3]), *r[4:]) for r in sink.rows(name)]
        due = list(model.rows[name].values()) if table.keyed else model.rows[name]
        by = lambda r: tuple((v is not None, v) for v in r)  # noqa: E731
        differ(f"table {name}", sorted(due, key=by), sorted(there, key=by))


def check_ledger(model, sink):
    there = {(u, p): tuple(rest) for u, p, *rest in sink.ledger()}
    due = {
        k: (p.table, p.last_seq, p.applied, p.rejected, int(p.ended), p.rows_read, int(p.stopped)) for k, p in model.parts.items()
    }
    differ("ledger (table, last_seq, applied, rejected, ended, read, stopped)", sorted(due.items()), sorted(there.items()))
    # What is stored of batches that came after an upload's end is not shown, and does no harm.
    stopped = {k for k, p in model.parts.items() if p.stopped}
    due = [(u, i, 0, p.errors_seq, p.rejected - p.refused) for (u, i), p in model.parts.items() if p.rejected - p.refused]
    due += [(u, i, 1, p.refused_seq, p.refused) for (u, i), p in model.parts.items() if p.refused]
    there = [row for row in sink.errors() if row[:2] not in stopped]
    differ("ledger of errors", sorted(row for row in due if row[:2] not in stopped), sorted(there))
    differ("messages that are owed", [], sink.owed())
    differ("what went back in the ledger", [], sink.guard_found())


def describe(row):
    return row["line"], row["column"], row["code"], row["raw"]


def check_errors(model, state, upload, shown):
    """shown: what `tload errors` says, objects."""
    parts = model.of_upload(upload.id)
    due = sorted(
        (r.line, r.column or "", r.code, r.raw.decode()) for part in parts.values() for r in part.records if r.code
    )
    stored = []
    for directory, _, names in os.walk(os.path.join(state, "errors", TENANT, upload.id)):
        for name in names:
            if name.endswith(".jsonl"):
                with open(os.path.join(directory, name), encoding="utf-8") as f:
                    stored += [describe(json.loads(line)) for line in f]
    if not any(p.stopped for p in parts.values()):
        differ(f"error store of upload {upload.id}", due, sorted((l, c or "", *rest) for l, c, *rest in stored))
    differ(f"tload errors {upload.id}", due, [(l, c or "", *rest) for l, c, *rest in map(describe, shown)])


def check_status(model, upload, status, partitions):
    """status: the upload's object, None when control does not know it."""
    parts = model.of_upload(upload.id)
    if status is None:
        differ(f"upload {upload.id}, which control does not know: partitions with its batches", 0, len(parts))
        return
    applied = sum(p.applied for p in parts.values())
    rejected = sum(p.rejected for p in parts.values())
    differ(f"rows_applied of upload {upload.id}", applied, status["rows_applied"])
    differ(f"rows_rejected of upload {upload.id}", rejected, status["rows_rejected"])
    complete = model.complete(upload.id, partitions)
    if complete:
        due = "done_with_errors" if rejected else "done"
        differ(f"state of upload {upload.id}", due, status["state"])
        differ(f"rows_read of upload {upload.id}", applied + rejected, status["rows_read"])
    elif status["state"] not in FINAL:
        raise Difference(f"upload {upload.id} has not ended: {status}")
    elif status["state"] in ("done", "done_with_errors"):
        raise Difference(f"upload {upload.id} is {status['state']}, but not all of its end markers are in raw-input")


def check_file(model, upload, complete):
    """What is in raw-input of an upload against its file."""
    truths = {t.line: t for t in upload.truths}
    lines = []
    for number, part in model.of_upload(upload.id).items():
        for r in part.records:
            t = truths.get(r.line)
            if t is None:
                raise Difference(f"upload {upload.id}: line {r.line} in raw-input is the begin of no record of the file")
            differ(
                f"upload {upload.id}, line {r.line}, partition {number}", (t.raw, t.values, t.column, t.code),
                (r.raw, r.values, r.column, None if r.code == REFUSED else r.code),
            )
            lines.append(r.line)
    if len(set(lines)) != len(lines):
        twice = next(line for line, n in collections.Counter(lines).items() if n > 1)
        raise Difference(f"upload {upload.id}: line {twice} is in two partitions")
    if complete:
        differ(f"lines of upload {upload.id} in raw-input", sorted(truths), sorted(lines))
