# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and files of a run, drawn from a seed, with what is true of each record: its line, its bytes, its values or its fault."""

import os
from dataclasses import dataclass, field

COLUMNS = ("id bigint not null", "name text", "qty int not null", "price decimal(10,2)", "ok boolean", "day date")
NAMES = ("id", "name", "qty", "price", "ok", "day")

WORDS = ("fast", "blue", 'a "good" one', "Größe, M", "see\nbelow", "1;2", "日本語", "😀", "tab\there", "back\\slash", "\\N", " x ")


@dataclass
class Truth:
    """What a record of a file is."""

    line: int
    raw: bytes
    values: tuple = None  # in the order of NAMES; None when it is to be rejected
    column: str = None
    code: str = None


@dataclass
class Table:
    name: str
    keyed: bool
    refuses: int = 0  # the sink has a constraint of its own: rows whose qty is a multiple of it; 0: none

    def refused(self, values):
        return self.refuses != 0 and values[NAMES.index("qty")] % self.refuses == 0


@dataclass
class Upload:
    id: str
    table: Table
    path: str
    content: bytes
    truths: list
    trickle_s: float  # 0: tload reads the file; else it is fed from standard input for so long
    start_s: float
    # What its starts before the last one meet: TLOAD_FAILPOINT of each. Files only: nothing else can be gone on with.
    endings: list = field(default_factory=list)
    goes_on_by: str = "upload"  # the command that goes on with it
    twin: bool = False  # somebody else runs the same command at the same time
    cancel_s: float = None  # when somebody cancels it

    # While it runs.
    process: object = None
    twin_process: object = None
    starts: int = 0
    killed: bool = False  # its last tload was
    loaded: bool = False  # tload has ended, and is not begun again
    cancelled: bool = False  # somebody asked for its end

    @property
    def resumable(self):
        return not self.trickle_s


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def good(rng, number, pad):
    """Fields as they are written, and the values that they mean."""
    name = rng.choice((None, "", rng.choice(WORDS), f"{rng.choice(WORDS)} {rng.randrange(10**6)}"))
    if name and pad:
        name += rng.choice("abcdef") * rng.randrange(pad)
    qty = rng.randrange(-(10**6), 10**6)
    cents = rng.choice((None, rng.randrange(-(10**7), 10**7)))
    ok = rng.choice((None, True, False))
    day = rng.choice((None, f"20{rng.randrange(100):02}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"))
    needs_quotes = name is not None and (name == "" or any(c in name for c in '",\n\r') or rng.random() < 0.2)
    price = "" if cents is None else f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
    if price.endswith("0") and rng.random() < 0.5:
        price = price[:-1]
    fields = [
        rng.choice((str(number), str(number), f"0{number}", f'"{number}"')),
        "" if name is None else quoted(name) if needs_quotes else name,
        str(qty), price,
        "" if ok is None else rng.choice(("t", "true", "1", "yes") if ok else ("f", "false", "0", "no")),
        day or "",
    ]
    return fields, (number, name, qty, cents, None if ok is None else int(ok), day)


def _set(at, text, column, code):
    def spoil(fields):
        fields[at] = text
        return column, code

    return spoil


def _drop(fields):
    fields.pop()
    return None, "too_few_fields"


def _add(fields):
    fields.append("one more")
    return None, "too_many_fields"


FAULTS = (
    _set(0, "x1", "id", "not_integer"), _set(0, "", "id", "null_value"), _set(2, "12x", "qty", "not_integer"),
    _set(2, "", "qty", "null_value"), _set(2, "2147483648", "qty", "out_of_range"), _set(3, "1.005", "price", "scale"),
    _set(4, "perhaps", "ok", "not_boolean"), _set(5, "2026-02-30", "day", "not_date"), _drop, _add,
    _set(1, '"ab"c', None, "bad_quoting"),
)


def make_file(rng, rows, keys, bad, pad, newline):
    """Returns content, truths. keys: ids are drawn from so many."""
    out = [",".join(NAMES).encode() + newline]
    truths = []
    line = 2

    def add(text, **known):
        nonlocal line
        raw = text.encode()
        truths.append(Truth(line, raw, **known))
        out.append(raw + newline)
        line += raw.count(b"\n") + 1

    for _ in range(rows):
        fields, values = good(rng, rng.randrange(keys), pad)
        if rng.random() >= bad:
            add(",".join(fields), values=values)
        elif rng.random() < 0.1:
            # A quoted field that goes over two lines and ends wrong: each line is a record of its own.
            add(f'{rng.randrange(keys)},"ab', code="bad_quoting")
            add('cd"x,1,,,', code="bad_quoting")
        else:
            column, code = rng.choice(FAULTS)(fields)
            add(",".join(fields), column=column, code=code)
    if bad and rng.random() < 0.3:
        add('1,"never ends', code="unterminated_quote")
    return b"".join(out), truths


SENDER_POINTS = ("send.before_first", "send.before_batch", "send.after_ack", "send.before_end", "send.after_end")


def endings(rng):
    """How the starts of a tload before its last one end, most often none."""
    specs = []
    while rng.random() < 0.4 and len(specs) < 4:
        action = rng.choice(("", "", "=stop"))
        specs.append(f"{rng.choice(SENDER_POINTS)}:{rng.choice((1, 1, 2, 3, 5))}{action}")
    return specs


class Workload:
    """There is always a table with a key, and one without, whose rows can be counted at any time."""

    def __init__(self, rng, directory, seconds, row_by_row=True):
        """row_by_row: the sink looks at each row of a key; else only the last one in a batch is sure to meet constraints."""
        refuses = rng.choice((0, 0, 7, 40)) if row_by_row else 0
        self.tables = [Table("t1", True, refuses), Table("log", False, rng.choice((0, 0, 0, 11)))]
        if rng.random() < 0.4:
            self.tables.append(Table("t2", True))
        keys = rng.choice((50, 1000, 20000))
        self.uploads = []
        for n in range(rng.randrange(2, 6)):
            trickles = rng.random() < 0.5
            rows = rng.randrange(200, 4000) if trickles else rng.choice((0, 10, 2000, 6000, 20000))
            pad = rng.choice((0, 20, 300)) if trickles or rows < 100 or rows > 6000 else rng.choice((300, 3000))
            bad = rng.choice((0, 0.005, 0.05, 0.3))
            content, truths = make_file(rng, rows, keys, bad, pad, rng.choice((b"\n", b"\n", b"\r\n")))
            path = os.path.join(directory, f"u{n}.csv")
            with open(path, "wb") as f:
                f.write(content)
            start = rng.uniform(0, 0.2 * seconds) if trickles else rng.uniform(0, 0.7 * seconds)
            length = rng.uniform(0.2, 0.9) * seconds if trickles else 0
            table = rng.choice(self.tables)
            upload = Upload(f"u{n}", table, path, content, truths, length, start)
            if upload.resumable:
                upload.endings = endings(rng)
                upload.goes_on_by = rng.choice(("upload", "resume"))
                upload.twin = rng.random() < 0.2
            if rng.random() < 0.1:
                upload.cancel_s = start + rng.uniform(0.1, 0.5) * seconds
            self.uploads.append(upload)
