# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in Kafka, read by kcat, and what another program makes of it: psql's \\copy."""

import collections
import csv
import json
import os
import re
import subprocess

from tests.lib.harness import ROOT, SharedTestCase
from tests.oracle import orders

RAW, VALIDATED, ERRORS = (f"tload.default.{name}" for name in ("raw-input", "validated-input", "import-error"))
POSTGRES = ROOT / "tests/services/postgres"

# tl-table-id and tl-file are beside what others rely on.
ROWS_RAW = {
    "tl-type", "tl-table", "tl-table-id", "tl-version", "tl-upload", "tl-seq", "tl-rows", "tl-format", "tl-columns",
    "tl-file",
}
ROWS_VALIDATED = {
    "tl-type", "tl-table", "tl-table-id", "tl-version", "tl-upload", "tl-seq", "tl-rows", "tl-columns", "tl-rejected",
    "tl-raw-offset",
}
ROWS_ERRORS = {
    "tl-type", "tl-table", "tl-table-id", "tl-version", "tl-upload", "tl-seq", "tl-rows", "tl-raw-offset", "tl-part",
    "tl-stage",
    "tl-file",
}


class Wire(SharedTestCase):
    def messages(self, topic, table, upload=None, kind=None):
        return [
            m for m in self.kafka.read(topic)
            if m.headers.get("tl-table") == table and upload in (None, m.headers.get("tl-upload"))
            and kind in (None, m.headers["tl-type"])
        ]

    def large(self):
        """A file of 16 MB, one row in a hundred of which is wrong."""
        rows = (f"{i}{'x' if i % 100 == 7 else ''},{str(i) * 200}"[:1000] + "\n" for i in range(16000))
        return self.write("large.csv", "id,v\n" + "".join(rows))

    def test_schema(self):
        table = self.define("id bigint", "price decimal(10,2) not null default 0", "note varchar(9)", key="id")
        due = {
            "table": table, "version": 1, "key": ["id"],
            "columns": [
                {"id": 1, "name": "id", "type": "bigint", "nullable": False, "default": None},
                {"id": 2, "name": "price", "type": "decimal(10,2)", "nullable": False, "default": "0.00"},
                {"id": 3, "name": "note", "type": "varchar(9)", "nullable": True, "default": None},
            ],
        }
        self.upload(table, self.write("a.csv", "id\n1\n"))
        for topic in (RAW, VALIDATED):
            found = self.messages(topic, table, kind="schema")
            self.assertEqual([m.partition for m in found], [0, 1, 2, 3])
            for m in found:
                # Values of validated-input are rows and nothing else.
                value = json.loads(m.value if topic == RAW else m.headers["tl-control"])
                self.assertEqual({k: value[k] for k in due}, due)
                self.assertEqual((m.headers["tl-table"], m.headers["tl-version"]), (table, "1"))
                self.assertEqual(int(m.headers["tl-table-id"]), value["table_id"])

    def test_raw_input(self):
        table = self.define("id int", "v text")
        content = 'id,v\r\n1,x\r\n007,"a\nb"\n\n2x,bad\n3,"say ""hi"""\n4,"open\n5,last'
        path = self.write("Größe 1%.csv", content)
        upload = self.upload(table, path, exit=3)
        lines = {2: "1,x", 3: '007,"a\nb"', 6: "2x,bad", 7: '3,"say ""hi"""', 8: '4,"open', 9: "5,last"}
        found = self.messages(RAW, table, upload["upload"], "rows")
        got = {}
        for m in found:
            self.assertEqual(set(m.headers) - {"tl-malformed"}, ROWS_RAW)
            self.assertEqual(m.headers["tl-format"], "csv")
            self.assertEqual(m.headers["tl-columns"], "id,v")
            self.assertEqual(m.headers["tl-version"], "1")
            self.assertTrue(m.headers["tl-file"].isascii())
            self.assertTrue(m.headers["tl-file"].endswith("%2FGr%C3%B6%C3%9Fe%201%25.csv"), m.headers["tl-file"])
            # LINE TAB RECORD LF; a record may hold an LF itself, so it is looked for where it must be.
            rest, count = m.value.decode(), 0
            while rest:
                line, _, rest = rest.partition("\t")
                record = lines[int(line)]
                self.assertTrue(rest.startswith(record + "\n"), rest)
                rest = rest[len(record) + 1 :]
                got[int(line)] = record
                count += 1
            self.assertEqual(m.headers["tl-rows"], str(count))
        self.assertEqual(got, lines)
        marked = [m for m in found if "tl-malformed" in m.headers]
        self.assertEqual(len(marked), 1)
        offset, length, code = re.fullmatch(r"(\d+)\+(\d+):(\w+)", marked[0].headers["tl-malformed"]).groups()
        self.assertEqual(marked[0].value[int(offset) : int(offset) + int(length)], b'4,"open')
        self.assertEqual(code, "unterminated_quote")

    def test_numbers_and_end_markers(self):
        table = self.define("id int", "v text")
        upload = self.upload(table, self.large(), exit=3)
        every = self.messages(RAW, table, upload["upload"])
        total = 0
        for partition in range(4):
            mine = [m for m in every if m.partition == partition]
            rows, end = mine[:-1], mine[-1]
            self.assertGreater(len(rows), 2, "the file is to have several batches in each partition")
            self.assertEqual([m.headers["tl-type"] for m in rows], ["rows"] * len(rows))
            self.assertEqual([int(m.headers["tl-seq"]) for m in rows], list(range(1, len(rows) + 1)))
            self.assertEqual(end.headers["tl-type"], "end")
            self.assertEqual(int(end.headers["tl-seq"]), len(rows) + 1)
            count = sum(int(m.headers["tl-rows"]) for m in rows)
            self.assertEqual(json.loads(end.value), {"batches": len(rows), "rows": count})
            for m in rows:
                self.assertLessEqual(len(m.value), 1024 * 1024)
            total += count
            schema = self.messages(RAW, table, kind="schema")
            self.assertLess([m.offset for m in schema if m.partition == partition][0], mine[0].offset)
        self.assertEqual(total, 16000)

        # One validated message for every raw one, in the same partition, with what became of its rows.
        validated = self.messages(VALIDATED, table, upload["upload"])
        self.assertEqual(
            [(m.partition, m.headers["tl-type"], m.headers["tl-seq"]) for m in validated],
            [(m.partition, m.headers["tl-type"], m.headers["tl-seq"]) for m in every],
        )
        for raw, m in zip(every, validated):
            self.assertEqual(int(m.headers["tl-raw-offset"]), raw.offset)
            if m.headers["tl-type"] == "rows":
                self.assertEqual(set(m.headers), ROWS_VALIDATED)
                self.assertEqual(int(m.headers["tl-rows"]), m.value.count(b"\n"))
                self.assertEqual(int(m.headers["tl-rows"]) + int(m.headers["tl-rejected"]), int(raw.headers["tl-rows"]))
            else:
                self.assertEqual((m.value, json.loads(m.headers["tl-control"])), (b"", json.loads(raw.value)))

    def test_a_batch_of_which_no_row_is_valid(self):
        table = self.define("id int")
        upload = self.upload(table, self.write("a.csv", "id\nx\ny\n"), exit=3)
        found = self.messages(VALIDATED, table, upload["upload"], "rows")
        self.assertEqual(sum(int(m.headers["tl-rejected"]) for m in found), 2)
        self.assertEqual([(m.value, m.headers["tl-rows"]) for m in found], [(b"", "0")] * len(found))

    def test_validated_rows(self):
        table = self.define("id int", "a text", "b boolean", "c decimal(6,2)", "d bytea", "e timestamptz", key="id")
        content = (
            'e,id,a,b,c,d\n2026-01-31 12:00+02,007,"tab\there\nand ""back\\slash""\r",TRUE,1.5,\\xAB\n'
            ',8,,,,\n,9,"",no,-0,\\x\n'
            ",10,\\N,,,\n"
        )
        upload = self.upload(table, self.write("a.csv", content))
        lines = []
        for m in self.messages(VALIDATED, table, upload["upload"], "rows"):
            self.assertEqual(m.headers["tl-columns"], "e,id,a,b,c,d")
            lines += m.value.decode().split("\n")[:-1]
        self.assertEqual(
            sorted(lines),
            sorted([
                '2026-01-31 10:00:00+00\t7\ttab\\there\\nand "back\\\\slash"\\r\tt\t1.50\t\\\\xab',
                "\\N\t8\t\\N\t\\N\t\\N\t\\N", "\\N\t9\t\tf\t0.00\t\\\\x", "\\N\t10\t\\\\N\t\\N\t\\N\t\\N",
            ]),
        )

    def test_import_error(self):
        table = self.define(*orders.DEFINITION)
        path = orders.write(os.path.join(self.dir, "orders.csv"), 5000, wrong=0.1)
        due = orders.expected(path)
        upload = self.upload(table, path, exit=3)
        rows = []
        for m in self.messages(ERRORS, table, upload["upload"]):
            self.assertEqual(set(m.headers), ROWS_ERRORS)
            self.assertEqual((m.headers["tl-type"], m.headers["tl-stage"]), ("rows", "validate"))
            lines = [json.loads(line) for line in m.value.splitlines()]
            self.assertEqual(len(lines), int(m.headers["tl-rows"]))
            raw = next(
                r for r in self.messages(RAW, table, upload["upload"])
                if (r.partition, r.offset) == (m.partition, int(m.headers["tl-raw-offset"]))
            )
            self.assertEqual(raw.headers["tl-seq"], m.headers["tl-seq"])
            for row in lines:
                self.assertEqual(list(row), ["upload", "file", "line", "column", "code", "reason", "value", "raw"])
                self.assertIn(f"{row['line']}\t{row['raw']}\n".encode(), raw.value)
            rows += lines
        got = sorted((r["file"], r["line"], r["column"], r["code"], r["raw"]) for r in rows if r["column"])
        self.assertEqual(got, sorted(r for r in due.rejected if r[2]))
        self.assertEqual(len(rows), len(due.rejected))
        self.assertEqual({r["upload"] for r in rows}, {upload["upload"]})

    def test_the_same_file_gives_the_same_batches(self):
        table = self.define("id int", "v text")
        path = self.large()
        kept = []
        for _ in range(2):
            upload = self.upload(table, path, exit=3)["upload"]
            kept.append([
                (m.partition, {k: v for k, v in m.headers.items() if k != "tl-upload"}, m.value)
                for m in self.messages(RAW, table, upload)
            ])
        self.assertGreater(len(kept[0]), 8)
        self.assertEqual(kept[0], kept[1])

    def test_all_versions_of_a_row_are_in_one_partition(self):
        table = self.define("a int", "b decimal(8,2)", "v int", key="a,b")
        forms = ("{0},{0}.50,{1}", "+{0},{0}.5,{1}", "00{0},{0}.500,{1}", '"{0}","{0}5e-1",{1}')
        rows = (forms[n].format(i, n) for n in range(4) for i in range(1, 200) if n < 3 or i < 10)
        content = "a,b,v\n" + "".join(row + "\n" for row in rows)
        content = content.replace('5e-1"', '.5"')
        upload = self.upload(table, self.write("a.csv", content))
        partitions = collections.defaultdict(set)
        for m in self.messages(VALIDATED, table, upload["upload"], "rows"):
            for line in m.value.decode().splitlines():
                a, b, _ = line.split("\t")
                partitions[a, b].add(m.partition)
        self.assertEqual(len(partitions), 199)
        self.assertEqual({len(p) for p in partitions.values()}, {1})
        self.assertEqual(set().union(*partitions.values()), {0, 1, 2, 3})
        self.assertEqual(self.query(f"select count(*), sum(v) from {table}"), [(199, 9 * 3 + 190 * 2)])

    def test_without_a_key_batches_go_round(self):
        table = self.define("v text", key=None)
        path = self.write("a.csv", "v\n" + ("x" * 1000 + "\n") * 6000)
        upload = self.upload(table, path)
        rows = self.messages(RAW, table, upload["upload"], "rows")
        first_lines = sorted((int(m.value.split(b"\t")[0]), m.partition) for m in rows)
        self.assertEqual([p for _, p in first_lines], [i % 4 for i in range(len(first_lines))])
        self.assertGreater(len(first_lines), 4)

    def test_drop(self):
        table = self.define("id int")
        self.tload("drop-table", table, "--yes")
        dropped = [json.loads(m.value) for m in self.messages(RAW, table, kind="schema")]
        self.assertEqual(sum(bool(v.get("dropped")) for v in dropped), 4)

    def test_other_formats(self):
        table = self.define("id int", "v text")
        upload = self.upload(
            table, self.write("a.csv", "id;v\n1;NULL\n"), "--delimiter", ";", "--quote", "'", "--null", "NULL"
        )
        (m,) = self.messages(RAW, table, upload["upload"], "rows")
        self.assertEqual(m.headers["tl-format"], "csv;delimiter=3b;quote=27;null=4e554c4c")
        upload = self.upload(table, self.write("a.tsv", "id\tv\n1\tx\n"), "--format", "tsv", "--compression", "zstd")
        (m,) = self.messages(RAW, table, upload["upload"], "rows")
        self.assertEqual((m.headers["tl-format"], m.value), ("tsv", b"2\t1\tx\n"))

    def test_what_is_not_ours_is_passed_over(self):
        table = self.define("id int")
        self.kafka.produce(RAW, b"hello", 0)
        self.kafka.produce(RAW, b"1\t2\n", 1, {"tl-type": "rows", "tl-table": table})
        self.kafka.produce(VALIDATED, b"hello", 2)
        self.kafka.produce(ERRORS, b"{", 3)
        upload = self.upload(table, self.write("a.csv", "id\n" + "".join(f"{i}\n" for i in range(100)) + "x\n"), exit=3)
        self.assertEqual(upload["rows_applied"], 100)
        self.assertIn("passed over", self.coordinator.log)


class IntoPostgres(SharedTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = os.path.join(cls.coordinator.dir, "postgres")
        cls.addClassCleanup(subprocess.run, [POSTGRES, "stop", directory], check=True)
        done = subprocess.run(
            [POSTGRES, "start", directory], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
        )
        cls.url = done.stdout.decode().strip()

    def psql(self, *arguments, stdin=b""):
        done = subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", self.url, *arguments], input=stdin, capture_output=True,
            timeout=60, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def test_copy(self):
        """kcat's output of one table, piped into psql -c '\\copy t from stdin'."""
        columns = (
            "id bigint not null", "a boolean", "b int", "c double", "d decimal(12,4)", "e varchar(20)", "f text",
            "g date",
            "h timestamp", "i timestamptz", "j uuid", "k json", "l bytea",
        )
        table = self.define(*columns)
        with open(os.path.join(self.dir, "a.csv"), "w", newline="", encoding="utf-8") as f:
            out = csv.writer(f)
            out.writerow("id a b c d e f g h i j k l".split())
            for n in range(3000):
                out.writerow([
                    n, "yes" if n % 2 else "F", f"{n - 1500:+}", n / 7, f"{n / 8:.4f}", f"größe {n}",
                    f"tab\t, \\back\\slash \\N \\. \"quote\"\r\n{n} 😀\b\f\v", "2024-02-29",
                    f"2026-01-{n % 28 + 1:02}T12:34:56.{n:06}",
                    f"2026-01-31 12:00:{n % 60:02}-05:30", f"{n:032x}", json.dumps({"n": n, "ä": [None, "\\"]}),
                    f"\\x{n:08X}",
                ] if n % 10 else [n] + [""] * 12)
        upload = self.upload(table, os.path.join(self.dir, "a.csv"))
        self.assertEqual(upload["rows_applied"], 3000)

        values = b"".join(
            m.value for m in self.kafka.read(VALIDATED)
            if m.headers["tl-type"] == "rows" and m.headers["tl-upload"] == upload["upload"]
        )
        types = [c.replace("double", "double precision") for c in columns]
        self.psql("-c", f"create table {table} ({', '.join(types)})")
        self.psql("-c", f"\\copy {table} from stdin", stdin=values)
        got = json.loads(self.psql(
            "-At", "-c",
            f"""set timezone = 'UTC'; select json_agg(json_build_array(id, a::int, b, c::text, d::text, e, f, g::text,
                h::text, i::text, j::text, k::text, encode(l, 'hex')) order by id) from {table}""",
        ))
        ours = self.query(f"select * from {table} order by id")
        self.assertEqual(len(got), 3000)
        for pg, row in zip(got, ours):
            due = list(row)
            if due[3] is not None:
                due[3], pg[3] = float(due[3]), float(pg[3])
                due[4], pg[4] = float(due[4]), float(pg[4])
                due[12] = due[12].hex()
            self.assertEqual(pg, due)

    def test_kcat_itself(self):
        """kcat -C -t tload.default.validated-input -f '%s' | psql -c '\\copy t from stdin', as the manual has it."""
        self.coordinator.stop()
        self.start()
        table = self.define("id int", "v text")
        self.upload(table, self.write("a.csv", 'id,v\n1,"a\nb"\n2,\n3,x\nq,\n'), exit=3)
        self.upload(table, self.write("b.csv", "id,v\n"))
        rows = self.kafka.kcat("-C", "-t", VALIDATED, "-o", "beginning", "-e", "-q", "-f", "%s")
        self.psql("-c", f"create table {table} (id int, v text)")
        self.psql("-c", f"\\copy {table} from stdin", stdin=rows)
        self.assertEqual(
            self.psql("-At", "-F", "|", "-c", f"select id, replace(v, chr(10), '/') from {table} order by id"),
            "1|a/b\n2|\n3|x\n",
        )
