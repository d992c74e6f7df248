# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of orders, as people have them: quotes, commas and line ends in fields, gaps, and a few rows that are wrong."""

import copy
import csv
import functools
import hashlib
import io
import random

from tests.oracle.records import Column, Table, boolean, integer, number, text_of, timestamp

DEFINITION = (
    "id bigint not null", "customer varchar(40) not null", "qty int not null", "price decimal(10,2)",
    "active boolean",
    "created_at timestamp", "note text",
)

COLUMNS = (
    Column("id", integer(64), False), Column("customer", text_of(40), False), Column("qty", integer(32), False),
    Column("price", number(10, 2)), Column("active", boolean), Column("created_at", timestamp),
    Column("note", text_of()),
)

NAMES = [c.name for c in COLUMNS]

WRONG = (
    lambda row: row.__setitem__(0, "x" + row[0]),
    lambda row: row.__setitem__(0, ""),
    lambda row: row.__setitem__(1, "n" * 41),
    lambda row: row.__setitem__(1, ""),
    lambda row: row.__setitem__(2, "12x"),
    lambda row: row.__setitem__(2, "2147483648"),
    lambda row: row.__setitem__(3, "1.005"),
    lambda row: row.__setitem__(3, "100000000.00"),
    lambda row: row.__setitem__(3, "1,50"),
    lambda row: row.__setitem__(4, "perhaps"),
    lambda row: row.__setitem__(5, "2026-02-30 10:00:00"),
    lambda row: row.pop(),
    lambda row: row.append("one more"),
)


_tables = {}  # by the digest of the file: many tests have the same rows


def expected(path, shown_name=None):
    """The table that the file makes."""
    with open(path, "rb") as f:
        digest = hashlib.file_digest(f, "sha256").digest()
    if digest not in _tables:
        _tables[digest] = Table(COLUMNS, key="id").read(path)
    table = copy.copy(_tables[digest])
    table.rejected = [(shown_name or str(path), *row[1:]) for row in table.rejected]
    return table


def write(path, rows, wrong=0.0, seed=1, first_id=1, ids=None):
    """A file of so many rows, a share of which is wrong. ids: how many different ones there are (all of them)."""
    with open(path, "wb") as f:
        f.write(_content(rows, wrong, seed, first_id, ids))
    return path


@functools.lru_cache(8)
def _content(rows, wrong, seed, first_id, ids):
    rng = random.Random(seed)
    words = ("fast", "blue", "a \"good\" one", "Größe, M", "see\nbelow", "1;2", "日本語", "😀", "tab\there", "back\\slash")
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(NAMES)
    for i in range(rows):
        number_of = first_id + (i if ids is None else rng.randrange(ids))
        row = [
            str(number_of), f"customer {rng.randrange(5000)}", str(rng.randrange(-5, 1000)),
            f"{rng.randrange(0, 10000000) / 100:.2f}" if rng.random() < 0.9 else "",
            rng.choice(("true", "false", "t", "f", "1", "0", "yes", "no", "")),
            f"2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02} {rng.randrange(24):02}:00:59",
            f"{rng.choice(words)} {i}" if rng.random() < 0.6 else "",
        ]
        if wrong and rng.random() < wrong:
            rng.choice(WRONG)(row)
        out.writerow(row)
    return text.getvalue().encode()
