# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables whose schema changes while rows come: what they must hold, worked out from raw-input alone.

    raw-input ──kcat──► schema messages ──► versions of each table ──┐
                   └──► batches, each read by the version it names ──┴─► rows: value by column id ──compare──► differences

A row is kept as what was written of it, by the ids of the columns, and only at the end looked at through the table's last
version: columns that are gone fall away, names do not matter, values take on the type that the column has then. A column
that no batch ever wrote has its default; which one, when that was changed on the way, depends on when the row came, so each
that it can have been is right. Nothing of the product has a part in it.
"""

import datetime
import decimal
import json
import re
from dataclasses import dataclass, field

from tests.torture.oracle import FIELD, Difference, differ

DIGITS = decimal.Context(prec=100)  # more than any value has
DAY = len("2026-01-31")
# Of what files here have; values of one type are also read as another's, when two columns have swapped their names.
TRUE, FALSE = ("t", "true", "1"), ("f", "false", "0")
NUMERIC_DIGITS = 15  # decimals with more are kept as text


# --- types --------------------------------------------------------------------------------------------------------


class Reject(Exception):
    """The value is none of the type."""


def type_parts(type_):
    """'decimal(10,2)' as ('decimal', 10, 2)."""
    name, _, inside = type_.partition("(")
    return (name, *map(int, inside.rstrip(")").split(","))) if inside else (name,)


def whole(text, bits):
    if not re.fullmatch(r"[+-]?[0-9]+", text) or not -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1):
        raise Reject(text)
    return int(text)


def number(text):
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?(e[0-9]+)?", text):
        raise Reject(text)
    return decimal.Decimal(text)


def exact(text, precision, scale):
    value = number(text)
    units = DIGITS.scaleb(value, scale)
    if units != int(units) or abs(int(units)) >= 10**precision:
        raise Reject(text)
    return value


def moment(text, form):
    try:
        datetime.datetime.strptime(text, form)
        return text
    except ValueError:
        raise Reject(text) from None


def read(type_, text):
    """The value that the text is: an int, a Decimal, a float, a bool or a text."""
    name, *args = type_parts(type_)
    if name in ("int", "bigint"):
        return whole(text, 32 if name == "int" else 64)
    if name == "decimal":
        return exact(text, *args)
    if name == "double":
        return float(number(text))
    if name == "boolean":
        if text not in TRUE + FALSE:
            raise Reject(text)
        return text in TRUE
    if name == "date":
        return moment(text, "%Y-%m-%d")
    if name == "timestamp":
        return moment(text + " 00:00:00" if len(text) == DAY else text, "%Y-%m-%d %H:%M:%S")
    if name == "varchar" and len(text) > args[0]:
        raise Reject(text)
    return text


def kept(type_, value):
    """A value, also of a narrower type, as the embedded sink has it in a column of this one."""
    name, *args = type_parts(type_)
    if value is None:
        return None
    if name == "double":
        return float(value)
    if name == "decimal":
        return decimal.Decimal(value) if args[0] <= NUMERIC_DIGITS else f"{decimal.Decimal(value):.{args[1]}f}"
    if name == "boolean":
        return int(value)
    if name == "timestamp" and len(value) == DAY:
        return value + " 00:00:00"
    return value


def found(type_, value):
    """What a sink gave, so that it can be compared with what kept() says. SQLite gives numbers as such, PostgreSQL texts."""
    name, *args = type_parts(type_)
    if value is None:
        return None
    if name == "decimal" and args[0] <= NUMERIC_DIGITS:
        return decimal.Decimal(value if isinstance(value, str) else repr(value))
    if not isinstance(value, str):
        return value
    if name in ("int", "bigint"):
        return int(value)
    if name == "double":
        return float(value)
    if name == "boolean":
        return {"t": 1, "f": 0}[value]
    return value


# --- versions -----------------------------------------------------------------------------------------------------


@dataclass
class Column:
    id: int
    name: str
    type: str
    nullable: bool
    default: str = None  # canonical

    @property
    def default_value(self):
        return None if self.default is None else read(self.type, self.default)


@dataclass
class Schema:
    table: str
    table_id: int
    version: int
    columns: list
    key: list  # names
    dropped: bool = False

    @staticmethod
    def of(value):
        columns = [Column(c["id"], c["name"], c["type"], c["nullable"], c["default"]) for c in value["columns"]]
        return Schema(value["table"], value["table_id"], value["version"], columns, value["key"], value.get("dropped", False))

    def named(self, name):
        return next((c for c in self.columns if c.name == name), None)

    def by_id(self, id_):
        return next((c for c in self.columns if c.id == id_), None)

    def shape(self):
        return [(c.id, c.name, c.type, c.nullable, c.default) for c in self.columns], self.key


@dataclass
class Row:
    born: int  # the version of the batch that made it
    values: dict  # column id to value


class Table:
    """One table_id, in all of its versions."""

    def __init__(self, first):
        self.name = first.table
        self.table_id = first.table_id
        self.versions = {}
        self.rows = {}
        self.homes = {}

    @property
    def last(self):
        return self.versions[max(self.versions)]

    def add(self, schema, where):
        known = self.versions.setdefault(schema.version, schema)
        differ(f"{where}: version {schema.version} of {self.name}, as another partition has it", known, schema)

    def identity(self, schema):
        """Ids of what tells rows apart; in a table without a key the generator numbers its rows in the first column."""
        return [schema.named(n).id for n in schema.key] if schema.key else [1]

    def put(self, schema, values, partition, where):
        key = tuple(values[i] for i in self.identity(schema))
        differ(f"{where}: partition of key {key}", self.homes.setdefault(key, partition) if schema.key else partition, partition)
        row = self.rows.setdefault(key, Row(schema.version, {}))
        row.values.update(values)

    def possible(self, row, column):
        """The values that the row may have in this column of the last version."""
        if column.id in row.values:
            return [kept(column.type, row.values[column.id])]
        having = [v for v, s in self.versions.items() if not s.dropped and s.by_id(column.id)]
        since = max(row.born, min(having))
        defaults = [self.versions[v].by_id(column.id).default_value for v in having if v >= since]
        return [kept(column.type, d) for d in defaults]


# --- raw-input ----------------------------------------------------------------------------------------------------


def records(message):
    """(line, texts) of each record of a batch; a text is None for null."""
    value, at = message.value, 0
    while at < len(value):
        tab = value.index(b"\t", at)
        line, at, texts, stop = int(value[at:tab]), tab + 1, [], None
        while stop != b"\n":
            field_ = FIELD.match(value, at)
            if not field_:
                raise Difference(f"record of line {line} of batch @{message.offset} can't be read")
            inner, plain, stop = field_.groups()
            text = inner.replace(b'""', b'"') if inner is not None else plain or None
            texts.append(text if text is None else text.decode())
            at = field_.end()
        yield line, texts


def judge(schema, names, texts):
    """Values by column id; Reject when the row is none of this version."""
    if len(texts) != len(names):
        raise Reject(texts)
    values = {}
    for name, text in zip(names, texts):
        column = schema.named(name)
        if text is None and (not column.nullable or name in schema.key):
            raise Reject(name)
        values[column.id] = None if text is None else read(column.type, text)
    return values


@dataclass
class Part:
    """An upload in one partition."""

    last_seq: int = 0
    applied: int = 0
    rejected: int = 0
    ended: bool = False
    stopped: bool = False


@dataclass
class Upload:
    id: str
    table_id: int
    version: int
    parts: dict = field(default_factory=dict)

    def total(self, what):
        return sum(getattr(p, what) for p in self.parts.values())


class Model:
    """All of raw-input, applied; partition by partition, as nothing else has an order."""

    def __init__(self, messages):
        self.tables = {}
        self.uploads = {}
        self.batches = 0
        self.old_batches = 0  # of versions that were not the last any more
        self.known = {}  # partition to {table_id: the version that its last schema message says}
        for m in messages:
            where = f"partition {m.partition} of raw-input @{m.offset}"
            if m.headers["tl-type"] == "schema":
                self.schema(m, where)
            else:
                self.of_upload(m, where)
        for partition, known in self.known.items():
            differ(f"partition {partition}: versions", {i: t.last.version for i, t in self.tables.items()}, known)

    def schema(self, m, where):
        schema = Schema.of(json.loads(m.value))
        differ(f"{where}: headers", (schema.table, str(schema.version)), (m.headers["tl-table"], m.headers["tl-version"]))
        known = self.known.setdefault(m.partition, {})
        last = known.get(schema.table_id, 0)
        # What a crash interrupted is written again.
        if schema.version not in (last, last + 1):
            raise Difference(f"{where}: version {schema.version} of {schema.table} follows version {last}")
        known[schema.table_id] = schema.version
        self.tables.setdefault(schema.table_id, Table(schema)).add(schema, where)

    def of_upload(self, m, where):
        h = m.headers
        table_id, version = int(h["tl-table-id"]), int(h["tl-version"])
        known = self.known.get(m.partition, {}).get(table_id, 0)
        if known < version:
            raise Difference(f"{where}: {h['tl-type']} of version {version} of {h['tl-table']} precedes its schema message")
        table = self.tables[table_id]
        upload = self.uploads.setdefault(h["tl-upload"], Upload(h["tl-upload"], table_id, version))
        differ(f"{where}: version of upload {upload.id}", upload.version, version)
        part = upload.parts.setdefault(m.partition, Part())
        if h["tl-type"] == "cancel":
            part.stopped = part.stopped or not part.ended
        # Behind the table's end nothing counts.
        elif not part.stopped and int(h["tl-seq"]) > part.last_seq and not table.versions[known].dropped:
            differ(f"{where}: number of the batch", part.last_seq + 1, int(h["tl-seq"]))
            part.last_seq += 1
            if h["tl-type"] == "end":
                part.ended = True
            else:
                self.batches += 1
                self.old_batches += known > version
                self.rows(table, table.versions[version], m, part, where)

    def rows(self, table, schema, m, part, where):
        names = m.headers["tl-columns"].split(",")
        for line, texts in records(m):
            try:
                values = judge(schema, names, texts)
            except Reject:
                part.rejected += 1
                continue
            part.applied += 1
            table.put(schema, values, m.partition, f"{where}, line {line}")


# --- comparing ----------------------------------------------------------------------------------------------------


def check_table(table, sink):
    """sink: one of sinks.py."""
    last = table.last
    names = [c.name for c in last.columns]
    columns = sink.columns(table.name)
    if sink.keeps_order:
        differ(f"columns of {table.name}", names, columns)
    differ(f"columns of {table.name}, sorted", sorted(names), sorted(columns))
    listed = ",".join(f'"{n}"' for n in names)
    identity = [names.index(last.by_id(i).name) for i in table.identity(last)]
    there = {}
    for cells in sink.query(f'SELECT {listed} FROM "{table.name}"'):
        row = [found(c.type, value) for c, value in zip(last.columns, cells)]
        key = tuple(row[i] for i in identity)
        if key in there:
            raise Difference(f"table {table.name}: key {key} is there twice")
        there[key] = row
    differ(f"keys of {table.name}", sorted(table.rows), sorted(there))
    for key, row in table.rows.items():
        for column, value in zip(last.columns, there[key]):
            possible = table.possible(row, column)
            if value not in possible:
                due = possible[0] if len(possible) == 1 else possible
                raise Difference(
                    f"table {table.name}, version {last.version}, row {key}, column {column.name} ({column.type}): "
                    f"{due!r} is due, {value!r} is there; the row was made by version {row.born}"
                )


def check_upload(upload, table, status, partitions):
    """status: the upload's object."""
    complete = len(upload.parts) == partitions and all(p.ended for p in upload.parts.values())
    if table.last.dropped:
        if status["state"] not in ("done", "done_with_errors", "failed"):
            raise Difference(f"upload {upload.id} into {table.name}, which was dropped: {status}")
        if status["state"] == "failed":
            differ(f"reason of upload {upload.id}", f'table "{table.name}" was dropped', status["reason"])
        return
    differ(f"rows_applied of upload {upload.id}", upload.total("applied"), status["rows_applied"])
    differ(f"rows_rejected of upload {upload.id}", upload.total("rejected"), status["rows_rejected"])
    if complete:
        due = "done_with_errors" if upload.total("rejected") else "done"
        differ(f"state of upload {upload.id}", due, status["state"])
