# SPDX-License-Identifier: GPL-3.0-or-later
"""What a table must hold after a file was loaded, by Python's csv module: no code of ours has a part in it."""

import csv
import datetime
import decimal
import re
from dataclasses import dataclass


@dataclass
class Record:
    line: int  # where it starts, from 1
    raw: str
    fields: list


def records(path, **dialect):
    """All records of a file, the header too; empty lines are none."""
    with open(path, newline="", encoding="utf-8") as f:
        taken = []

        def lines():
            for text in f:
                taken.append(text)
                yield text

        line = 1
        for fields in csv.reader(lines(), **dialect):
            if fields:
                yield Record(line, "".join(taken).removesuffix("\n").removesuffix("\r"), fields)
            line += len(taken)
            taken.clear()


class Reject(Exception):
    """A value that can't be used; its argument is the code."""


def integer(bits):
    def check(text):
        if not re.fullmatch(r"[+-]?[0-9]+", text.strip(" \t\r\n")):
            raise Reject("not_integer")
        if not -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1):
            raise Reject("out_of_range")
        return int(text)

    return check


def number(precision, scale):
    """As the embedded sink keeps a decimal of at most 15 digits: a float."""

    def check(text):
        if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text.strip()):
            raise Reject("not_number")
        value = decimal.Decimal(text.strip())
        if value.as_tuple().exponent < -scale and value != value.quantize(decimal.Decimal(1).scaleb(-scale)):
            raise Reject("scale")
        if abs(value) >= decimal.Decimal(10) ** (precision - scale):
            raise Reject("precision")
        return float(value)

    return check


def boolean(text):
    word = text.strip().lower()
    if word in ("t", "true", "y", "yes", "on", "1"):
        return 1
    if word in ("f", "false", "n", "no", "off", "0"):
        return 0
    raise Reject("not_boolean")


def date(text):
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text.strip()):
        raise Reject("not_date")
    try:
        return datetime.date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise Reject("not_date") from None


def timestamp(text):
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?", text.strip()):
        raise Reject("not_timestamp")
    try:
        return datetime.datetime.fromisoformat(text.strip()).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        raise Reject("not_timestamp") from None


def text_of(characters=None):
    def check(text):
        if characters is not None and len(text) > characters:
            raise Reject("too_long")
        return text

    return check


@dataclass
class Column:
    name: str
    check: object
    nullable: bool = True


class Table:
    """A table as it must be: read() files into it one after the other.

    rows: by key when there is one, else a list. rejected: (file, line, column, code, raw). Python's csv module can't
    tell a quoted empty field from an unquoted one, so files for this hold no quoted empty ones but where said.
    """

    def __init__(self, columns, key=None):
        self.columns = {c.name: c for c in columns}
        self.key = key
        self.rows = {} if key else []
        self.rejected = []
        self.read_rows = 0

    def check(self, names, fields):
        """A row as (column to value), or (column, code)."""
        if len(fields) != len(names):
            return None, (None, "too_few_fields" if len(fields) < len(names) else "too_many_fields")
        row = {}
        for name, text in zip(names, fields):
            column = self.columns[name]
            if text == "":
                if not column.nullable or name == self.key:
                    return None, (name, "null_value")
                row[name] = None
                continue
            try:
                row[name] = column.check(text)
            except Reject as why:
                return None, (name, why.args[0])
        return row, None

    def read(self, path, shown_name=None, **dialect):
        every = records(path, **dialect)
        names = next(every).fields
        for record in every:
            self.read_rows += 1
            row, why = self.check(names, record.fields)
            if why:
                self.rejected.append((shown_name or str(path), record.line, *why, record.raw))
            else:
                values = tuple(row.get(name) for name in self.columns)
                if self.key:
                    self.rows[row[self.key]] = values
                else:
                    self.rows.append(values)
        return self

    def sorted(self):
        return sorted(self.rows.values()) if self.key else sorted(self.rows, key=repr)
