# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that are loaded: made from a seed, so that every run and every machine has the same.

Eight columns, about 97 bytes a row; a fifth of the names is quoted, with commas and doubled quotes, a third of the
notes is empty. A row depends on its id and the seed alone.
"""

import os

COLUMNS = {
    "id": "bigint", "name": "text", "email": "text", "qty": "int", "price": "decimal(10,2)",
    "active": "boolean", "created_at": "timestamp", "note": "text",
}
KEY = "id"
HEADER = ",".join(COLUMNS)
CHUNK = 10000
FIRST = "Ada Bruno Chiara Dmitri Elif Fatima Goran Hana Ivo Jana Kofi Lena Mateo Nour Olga Pedro".split()
LAST = "Abel Bauer Costa Dubois Eriksen Fischer Garcia Horvath Ito Jensen Kowalski Moreau Novak Okafor Petit Quist".split()
NOTES = ("left at the door", '"call first, please"', "express", '"says ""fragile"" on it"')


def table_sql(name, key=True):
    """The same table as tload makes, for those who are compared with it."""
    columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
    return f"create table {name} ({columns}{f', primary key ({KEY})' if key else ''})"


def definitions():
    """As arguments of tload define-table."""
    return [f"{column} {kind}" for column, kind in COLUMNS.items()]


def fields(i, seed):
    """The fields of row i as CSV has them."""
    x = (i * 2654435761 + seed * 40503) & 0xFFFFFFFF
    x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
    x ^= x >> 15
    first, last = FIRST[x & 15], LAST[x >> 4 & 15]
    return (
        str(i),
        f'"{last}, {first} ""{x >> 20}"""' if i % 5 == 0 else f"{first} {last} {x >> 16}",
        f"user{x >> 8}@example.com",
        str(x % 1000),
        f"{x % 99999}.{i % 100:02}",
        "false" if i % 3 == 0 else "true",
        f"2026-{1 + x % 12:02}-{1 + x % 28:02} {x % 24:02}:{x % 60:02}:{i % 60:02}",
        "" if i % 3 == 0 else NOTES[x >> 6 & 3],
    )


def rows(first, count, seed):
    return (fields(i, seed) for i in range(first, first + count))


def spoilt(all_rows, every):
    """Each so-manyth row gets a quantity that is no number."""
    for n, row in enumerate(all_rows):
        yield row[:3] + ("12x",) + row[4:] if n % every == 0 else row


def write(path, all_rows):
    """Returns the path."""
    chunk = [HEADER]
    with open(path, "w", encoding="ascii", newline="\n") as f:
        for row in all_rows:
            chunk.append(",".join(row))
            if len(chunk) == CHUNK:
                f.write("\n".join(chunk) + "\n")
                chunk = []
        f.write("\n".join(chunk) + ("\n" if chunk else ""))
    return path


class Data:
    """Files in a directory, each made when it is asked for first."""

    def __init__(self, directory, count, seed):
        self.dir = directory
        self.count = count
        self.seed = seed

    def _file(self, name, all_rows):
        path = os.path.join(self.dir, name + ".csv")
        return path if os.path.exists(path) else write(path, all_rows)

    def full(self):
        """Ids from 1 to the number of rows."""
        return self._file("full", rows(1, self.count, self.seed))

    def half_new(self):
        """As many; the first half has ids that full() has, too, with other values."""
        return self._file("half-new", rows(self.count // 2 + 1, self.count, self.seed + 1))

    def ten(self):
        """Ten rows that no other file has."""
        return self._file("ten", rows(10 * self.count + 1, 10, self.seed))

    def slice_rows(self, files):
        return max(1, self.count // 2 // files)

    def slices(self, files):
        """Half of full(), in so many files of slice_rows() rows."""
        each = self.slice_rows(files)
        return [self._file(f"slice-{files}-{n}", rows(1 + n * each, each, self.seed)) for n in range(files)]

    def a_fifth_bad(self, times):
        """So many times the rows, a fifth of which is rejected."""
        return self._file(f"a-fifth-bad-{times}", spoilt(rows(1, times * self.count, self.seed), 5))
