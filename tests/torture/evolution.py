# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a schema drawn from a seed, with what must come of them, and values for its columns."""

import copy
import random
from dataclasses import replace

from tests.torture.versions import Column, type_parts

COLUMN_TYPES = (
    "int", "int", "bigint", "double", "decimal(4,1)", "decimal(10,2)", "decimal(15,3)", "decimal(20,5)", "varchar(3)", "varchar(20)",
    "text", "date", "date", "timestamp", "boolean",
)
NAMES = [f"c{n}" for n in range(8)] + ["select", "value", "order"]
WORDS = ("fast", 'a "good" one', "Größe, M", "see\nbelow", "日本語", "😀😀", "tab\there", "back\\slash", "\\N", " x ", "it's", "")


def wider(rng, type_):
    """A type that holds all that this one does; None when there is none."""
    name, *args = type_parts(type_)
    if name == "int":
        return rng.choice(("bigint", "double", "decimal(10,0)", "decimal(13,3)", "decimal(24,4)"))
    if name == "bigint":
        return rng.choice(("decimal(19,0)", "decimal(25,6)", "decimal(38,19)"))
    if name == "decimal":
        p, s = args[0] + rng.randrange(0, 6), args[1]
        s += rng.randrange(0, p - args[0] + 1)
        return f"decimal({p},{s})" if p <= 38 and p > args[0] else None
    if name == "varchar":
        return rng.choice(("text", f"varchar({args[0] + rng.randrange(1, 9)})"))
    return "timestamp" if name == "date" else None


# --- values -------------------------------------------------------------------------------------------------------


def digits(rng, n, edge):
    return edge * n if rng.random() < 0.3 else "".join(rng.choice("0123456789") for _ in range(n))


def decimal_text(rng, precision, scale):
    before = digits(rng, precision - scale, "9").lstrip("0") or "0"
    behind = digits(rng, scale, "9")
    sign = "-" if rng.random() < 0.4 and (before + behind).strip("0") else ""
    return sign + before + (f".{behind}" if scale else "")


def good(rng, type_):
    """A text that is a value of the type."""
    name, *args = type_parts(type_)
    if name in ("int", "bigint"):
        top = 2 ** (31 if name == "int" else 63)
        return str(rng.choice((0, 1, -1, top - 1, -top, rng.randrange(-top, top))))
    if name == "decimal":
        return decimal_text(rng, *args)
    if name == "double":
        return rng.choice(("0.5", "-2.25", "1e10", "123456789.125", str(rng.randrange(10**9))))
    if name == "boolean":
        return rng.choice(("t", "f", "true", "false"))
    if name in ("date", "timestamp"):
        day = rng.choice(("0001-01-01", "9999-12-31", f"20{rng.randrange(10, 99)}-0{rng.randrange(1, 10)}-{rng.randrange(10, 29)}"))
        return day if name == "date" else f"{day} 1{rng.randrange(10)}:00:0{rng.randrange(10)}"
    if name == "varchar":
        return rng.choice(("😀" * args[0], "", "".join(rng.choice('ab"ä,') for _ in range(rng.randrange(args[0] + 1)))))
    return rng.choice(WORDS)


def faulty(rng, type_):
    """A text that is none; None when there is no such text."""
    name, *args = type_parts(type_)
    if name in ("int", "bigint"):
        return rng.choice(("x1", str(2 ** (31 if name == "int" else 63))))
    if name == "decimal":
        return "1" + "0" * (args[0] - args[1])
    return {"boolean": "maybe", "date": "2026-02-30", "timestamp": "2026-13-01 00:00:00", "varchar": "x" * (args[-1] + 1 if args else 1)}.get(name)


def written(text):
    """As a field of a file."""
    if text is None:
        return ""
    quotes = text == "" or any(c in text for c in '",\n\r')
    return '"' + text.replace('"', '""') + '"' if quotes else text


def cell(rng, column, schema, number, bad):
    if bad:
        text = faulty(rng, column.type)
        return written(text if text is not None else good(rng, column.type))
    if not schema.key and column.id == 1:
        return str(number)
    if column.name in schema.key:
        n = rng.randrange(12)
        return {"date": f"2026-01-{n % 3 + 10}", "text": f"k{n}"}.get(column.type, str(n))
    if column.nullable and rng.random() < 0.2:
        return ""
    return written(good(rng, column.type))


# --- changes ------------------------------------------------------------------------------------------------------


def canonical(type_, text):
    """A default as the product shows it in its canonical form."""
    name, *args = type_parts(type_)
    if text is None:
        return None
    if name == "decimal":
        before, _, behind = text.partition(".")
        return before + (f".{behind:0<{args[1]}}" if args[1] else "")
    if name == "boolean":
        return text[0]
    if name == "timestamp" and len(text) == 10:
        return text + " 00:00:00"
    return text


class Evolution:
    """Changes of one version, each of other columns, and the version that they make."""

    def __init__(self, schema):
        self.schema = schema
        self.columns = copy.deepcopy(schema.columns)
        self.key = [schema.named(n).id for n in schema.key]
        self.touched = set(self.key) if schema.key else {1}  # ids that are left alone, but for their names
        self.next_id = max(getattr(schema, "next_id", 0), max(c.id for c in schema.columns) + 1)
        self.changes = []

    @staticmethod
    def new_column(rng, name, may_lack_default=False):
        type_ = rng.choice(COLUMN_TYPES)
        column = {"name": name, "type": type_, "nullable": rng.random() < 0.6}
        if rng.random() < 0.5 or not column["nullable"] and not may_lack_default:
            column["default"] = Evolution.new_default(rng, type_)
        return column

    @staticmethod
    def new_default(rng, type_):
        text = good(rng, type_)
        return "0.5" if type_ == "double" else canonical(type_, text)

    def taken(self):
        return {c.name for c in self.columns}

    def free(self, rng):
        """Column that nothing was done to yet; None when there is none."""
        columns = [c for c in self.columns if c.id not in self.touched]
        column = rng.choice(columns) if columns else None
        if column:
            self.touched.add(column.id)
        return column

    def fixed(self, rng):
        """A column whose name alone may change, and did not yet."""
        columns = [c for c in self.columns if c.id in (self.key or [1]) and c.name == self.before(c)]
        return rng.choice(columns) if columns else None

    def before(self, column):
        return self.schema.by_id(column.id).name

    def draw(self, rng):
        kind = rng.choice(("add", "add", "drop", "rename", "rename", "swap", "widen", "widen", "default", "no_default", "nullable", "order"))
        getattr(self, kind)(rng)

    def add(self, rng, name=None):
        names = [n for n in NAMES if n not in self.taken()]
        if not name and not names:
            return
        column = self.new_column(rng, name or rng.choice(names))
        self.changes.append({"op": "add", "column": column})
        self.columns.append(Column(self.next_id, column["name"], column["type"], column["nullable"], column.get("default")))
        self.touched.add(self.next_id)
        self.next_id += 1

    def drop(self, rng):
        column = self.free(rng)
        if column:
            self.changes.append({"op": "drop", "column": self.before(column)})
            self.columns.remove(column)

    def rename(self, rng):
        column = self.free(rng) if rng.random() < 0.8 else self.fixed(rng)
        names = [n for n in NAMES if n not in self.taken()]
        if column and names:
            column.name = rng.choice(names)
            self.changes.append({"op": "rename", "column": self.before(column), "to": column.name})

    def swap(self, rng):
        a, b = self.free(rng), self.free(rng)
        if a and b:
            a.name, b.name = b.name, a.name
            for c in (a, b):
                self.changes.append({"op": "rename", "column": self.before(c), "to": c.name})

    def widen(self, rng):
        column = self.free(rng)
        type_ = column and wider(rng, column.type)
        if type_:
            column.type = type_
            column.default = canonical(type_, column.default)
            self.changes.append({"op": "type", "column": self.before(column), "type": type_})

    def default(self, rng):
        column = self.free(rng)
        value = column and self.new_default(rng, column.type)
        if column and value != column.default:
            self.default_of(column, value)

    def default_of(self, column, value):
        column.default = value
        self.changes.append({"op": "default", "column": self.before(column), "default": value})

    def no_default(self, rng):
        column = self.free(rng)
        if column and column.default is not None:
            if not column.nullable:
                column.nullable = True
                self.changes.append({"op": "nullable", "column": self.before(column)})
            self.default_of(column, None)

    def nullable(self, rng):
        column = self.free(rng)
        if column and not column.nullable:
            column.nullable = True
            self.changes.append({"op": "nullable", "column": self.before(column)})

    def order(self, rng):
        if len(self.columns) > 1 and not any(c["op"] == "order" for c in self.changes):
            self.changes.append({"op": "order", "columns": None, "first": rng.randrange(1, len(self.columns) + 1), "by": rng.random()})

    def result(self):
        """The version that is due; also fills in the names of an order, which are those of the end."""
        for change in self.changes:
            if change["op"] == "order" and change["columns"] is None:
                rng = random.Random(change.pop("by"))
                first = rng.sample(self.columns, min(change.pop("first"), len(self.columns)))
                if [c.id for c in first] == [c.id for c in self.columns[: len(first)]]:
                    first = list(reversed(self.columns))
                change["columns"] = [c.name for c in first]
                self.columns = first + [c for c in self.columns if c not in first]
        key = [next(c.name for c in self.columns if c.id == i) for i in self.key]
        made = replace(self.schema, version=self.schema.version + 1, columns=self.columns, key=key)
        made.next_id = self.next_id
        return made

    @staticmethod
    def bad(schema):
        """Changes each of which is to be refused."""
        first, last = schema.columns[0], schema.columns[-1]
        bad = [
            {"op": "add", "column": {"name": last.name, "type": "int"}},
            {"op": "add", "column": {"name": "fresh", "type": "int", "nullable": False}},
            {"op": "drop", "column": "not_there"},
            {"op": "rename", "column": first.name, "to": "1st"},
        ]
        if len(schema.columns) > 1:
            bad.append({"op": "rename", "column": first.name, "to": last.name})
        for name in schema.key:
            bad += [
                {"op": "drop", "column": name}, {"op": "nullable", "column": name},
                {"op": "type", "column": name, "type": "text" if schema.named(name).type != "text" else "int"},
            ]
        for c in schema.columns:
            if c.type not in ("boolean", "varchar(1)"):
                bad.append({"op": "type", "column": c.name, "type": "boolean"})
            if not c.nullable and c.default is not None:
                bad.append({"op": "default", "column": c.name, "default": None})
        return bad
