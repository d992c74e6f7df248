# SPDX-License-Identifier: GPL-3.0-or-later
"""Each column type from file to table, with its edge values, and each code of a rejected row."""

from tests.lib.harness import SharedTestCase

SANITIZERS = {"asan"}

ACCENTS = "äöü"

# type: what stands in the file, as it stands there, and what the table then has.
TAKEN = {
    "boolean": [
        ("t", 1), ("TRUE", 1), ("yes", 1), ("on", 1), ("1", 1), (" y ", 1), ("f", 0), ("False", 0), ("no", 0),
        ("off", 0),
        ("0", 0), ("", None),
    ],
    "int": [
        ("0", 0), ("-0", 0), ("007", 7), ("+7", 7), (" 12 ", 12), ("2147483647", 2147483647),
        ("-2147483648", -2147483648), ("00000000002147483647", 2147483647), ("", None),
    ],
    "bigint": [
        ("9223372036854775807", 9223372036854775807), ("-9223372036854775808", -9223372036854775808), ("00", 0),
        ("", None),
    ],
    "double": [
        ("0", 0.0), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-12.250", -12.25),
        ("0.30000000000000004", 0.30000000000000004), ("1.7976931348623157e308", 1.7976931348623157e308),
        ("5e-324", 5e-324), ("Infinity", float("inf")), ("-inf", float("-inf")), ("nan", "NaN"), ("", None),
    ],
    "decimal(10,2)": [
        ("0", 0.0), ("-0.00", 0.0), ("1.000", 1.0), ("99999999.99", 99999999.99), ("-99999999.99", -99999999.99),
        ("1e3", 1000.0), ("125e-2", 1.25), (".5", 0.5), ("0.10", 0.1), ("", None),
    ],
    "decimal(38,0)": [
        ("9" * 38, "9" * 38), ("-" + "9" * 38, "-" + "9" * 38), ("1e37", "1" + "0" * 37), ("7.000", "7"), ("-0", "0"),
    ],
    "decimal(38,38)": [("0." + "9" * 38, "0." + "9" * 38), ("1e-38", "0." + "0" * 37 + "1"), ("0", "0." + "0" * 38)],
    "decimal(38,10)": [("1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789")],
    "varchar(3)": [
        ("abc", "abc"), (ACCENTS, ACCENTS), ("😀😀😀", "😀😀😀"), (" a ", " a "), ('"a\nb"', "a\nb"), ('""', ""),
        ("", None),
    ],
    "text": [
        ("x", "x"), ('"a,b"', "a,b"), ('"say ""hi"""', 'say "hi"'), ("back\\slash\\N", "back\\slash\\N"),
        ("\\N", "\\N"),
        ("tab\there", "tab\there"), ('"\r\n"', "\r\n"), ("€ 😀 \U0010ffff", "€ 😀 \U0010ffff"), ("  ", "  "),
        ("\x01\x7f\x0b\x0c\x08", "\x01\x7f\x0b\x0c\x08"), ('""', ""), ("", None), ("x" * 100000, "x" * 100000),
    ],
    "date": [
        ("2026-01-31", "2026-01-31"), ("2024-02-29", "2024-02-29"), ("2000-02-29", "2000-02-29"),
        ("0001-01-01", "0001-01-01"), ("9999-12-31", "9999-12-31"), (" 2026-12-01 ", "2026-12-01"), ("", None),
    ],
    "timestamp": [
        ("2026-01-31 12:34:56", "2026-01-31 12:34:56"), ("2026-01-31T12:34", "2026-01-31 12:34:00"),
        ("2026-01-31", "2026-01-31 00:00:00"), ("2026-01-31 12:34:56.500", "2026-01-31 12:34:56.5"),
        ("9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"), ("", None),
    ],
    "timestamptz": [
        ("2026-01-31 12:34:56+00", "2026-01-31 12:34:56+00"), ("2026-01-31T12:34:56Z", "2026-01-31 12:34:56+00"),
        ("2026-01-01 00:30:00+01:00", "2025-12-31 23:30:00+00"),
        ("2024-03-01 00:00:00+00:01", "2024-02-29 23:59:00+00"),
        ("2026-06-15 12:00:00-15:59", "2026-06-16 03:59:00+00"), ("", None),
    ],
    "uuid": [
        ("0123ABCD-89ef-4012-8345-6789ABCDEF01", "0123abcd-89ef-4012-8345-6789abcdef01"),
        ("{0123abcd89ef401283456789abcdef01}", "0123abcd-89ef-4012-8345-6789abcdef01"), ("", None),
    ],
    "json": [
        ('"{""a"": [1, 2, {""b"": null}]}"', '{"a": [1, 2, {"b": null}]}'), ("null", "null"), ('"""x"""', '"x"'),
        ("123456789012345678901234567890", "123456789012345678901234567890"), ('"{""ä"":""😀""}"', '{"ä":"😀"}'),
        ("", None),
    ],
    "bytea": [("\\x", b""), ("\\x00ff", b"\0\xff"), ("\\xDEADbeef", b"\xde\xad\xbe\xef"), ("", None)],
}

# type: what stands in the file, and the code.
REJECTED = {
    "boolean": [("perhaps", "not_boolean"), ("2", "not_boolean"), ('""', "not_boolean"), ("wahr", "not_boolean")],
    "int": [
        ("12x", "not_integer"), ("1.0", "not_integer"), ("1e3", "not_integer"), ('""', "not_integer"),
        ('"1,000"', "not_integer"),
        ("2147483648", "out_of_range"), ("-2147483649", "out_of_range"), ("99999999999999999999", "out_of_range"),
    ],
    "bigint": [("9223372036854775808", "out_of_range"), ("-9223372036854775809", "out_of_range"), ("x", "not_integer")],
    "double": [("1e309", "out_of_range"), ("1e-400", "out_of_range"), ("0x10", "not_number"), ('"1,5"', "not_number")],
    "decimal(10,2)": [
        ("0.001", "scale"), ("1.005", "scale"), ("100000000", "precision"), ("1e8", "precision"),
        ("NaN", "not_number"),
        ("1.2.3", "not_number"),
    ],
    "decimal(38,0)": [("1" + "0" * 38, "precision"), ("0.5", "scale")],
    "decimal(38,38)": [("1", "precision"), ("1e-39", "scale")],
    "varchar(3)": [("abcd", "too_long"), ("äöüx", "too_long"), ("abc ", "too_long")],
    "date": [
        ("2026-02-29", "not_date"), ("1900-02-29", "not_date"), ("2026-04-31", "not_date"),
        ("31.01.2026", "not_date"),
        ("0000-01-01", "out_of_range"), ("10000-01-01", "not_date"),
    ],
    "timestamp": [
        ("2026-01-31 24:00:00", "not_timestamp"), ("2026-01-31 23:59:60", "not_timestamp"),
        ("2026-01-31 12:34:56Z", "not_timestamp"), ("2026-01-31 12:34:56.1234567", "scale"),
    ],
    "timestamptz": [
        ("2026-01-31 12:34:56", "not_timestamp"), ("2026-01-31 12:34:56+16:00", "not_timestamp"),
        ("0001-01-01 00:00:00+00:01", "out_of_range"),
    ],
    "uuid": [("0123abcd", "not_uuid"), ("0123gbcd-89ef-4012-8345-6789gbcdef01", "not_uuid")],
    "json": [
        ('"{""a"":}"', "not_json"), ("{a:1}", "not_json"), ("01", "not_json"), ('""', "not_json"),
        ("1e400", "out_of_range"),
    ],
    "bytea": [("\\x0", "not_bytea"), ("deadbeef", "not_bytea"), ("\\x0g", "not_bytea")],
}


class Types(SharedTestCase):
    def test_each_type(self):
        for n, (kind, values) in enumerate(TAKEN.items()):
            with self.subTest(type=kind):
                wrong = REJECTED.get(kind, [])
                table = self.define("n int", f"v {kind}", key="n", name=f"type_{n}")
                lines = [f"{i},{text}" for i, (text, _) in enumerate(values + wrong)]
                path = self.write("a.csv", "n,v\n" + "\n".join(lines) + "\n")
                upload = self.upload(table, path, exit=3 if wrong else 0)
                self.assertEqual(upload["rows_applied"], len(values))
                got = self.query(f"select n, v, typeof(v) from {table} order by n")
                self.assertEqual([row[:2] for row in got], [(i, due) for i, (_, due) in enumerate(values)])
                for (_, value, stored), (_, due) in zip(got, values):
                    # In a column of type DECIMAL a number without a fraction is an integer to SQLite.
                    kinds = (int, float) if kind == "decimal(10,2)" and due is not None else (type(due),)
                    self.assertIn(type(value), kinds, f"{value!r} is stored as {stored}")
                self.assertEqual(
                    [(r["raw"].partition(",")[0], r["code"], r["column"]) for r in self.rejected(upload["upload"])],
                    [(str(len(values) + i), code, "v") for i, (_, code) in enumerate(wrong)],
                )

    def test_codes_of_any_type(self):
        table = self.define("n int", "v varchar(9) not null", "w int", key="n")
        cases = [
            (b"1,ok,1", None), (b"2,,1", "null_value"), (b",x,1", "null_value"), (b"4,x", "too_few_fields"),
            (b"5", "too_few_fields"),
            (b"6,x,1,2", "too_many_fields"), (b"7,a\0b,1", "nul_byte"), (b"8,x,1\0", "nul_byte"),
            (b"9,Stra\xdfe,1", "invalid_utf8"),
            (b"10,\xed\xa0\x80,1", "invalid_utf8"), (b"11,\xc0\x80,1", "invalid_utf8"),
            (b'12,5" disk,1', "bad_quoting"),
            (b'13,"a"b,1', "bad_quoting"), (b'14,"",2', None), (b"15,x,9999999999", "out_of_range"),
        ]
        path = self.write("a.csv", b"n,v,w\n" + b"".join(text + b"\n" for text, _ in cases))
        upload = self.upload(table, path, exit=3)
        self.assertEqual(
            [(r["line"], r["code"]) for r in self.rejected(upload["upload"])],
            [(i + 2, code) for i, (_, code) in enumerate(cases) if code],
        )
        self.assertEqual(self.query(f"select * from {table} order by n"), [(1, "ok", 1), (14, "", 2)])
        again = self.tload("errors", upload["upload"], "--csv").stdout_bytes
        self.assertEqual(again, b"n,v,w\n" + b"".join(text + b"\n" for text, code in cases if code))

    def test_keys_of_each_type_that_can_be_one(self):
        keys = {
            "boolean": ("t", "TRUE"), "int": ("7", "007"), "bigint": ("-7", "-0007"),
            "decimal(9,3)": ("1.5", "1.500"),
            "varchar(9)": ("x", '"x"'), "text": ("ä", '"ä"'), "date": ("2026-01-31", " 2026-01-31"),
            "timestamp": ("2026-01-31", "2026-01-31 00:00:00.0"),
            "timestamptz": ("2026-01-31 00:00Z", "2026-01-31 01:00+01"),
            "uuid": ("0123abcd89ef401283456789abcdef01", "0123ABCD-89EF-4012-8345-6789ABCDEF01"),
        }
        for n, (kind, (one, other)) in enumerate(keys.items()):
            with self.subTest(type=kind):
                table = self.define(f"k {kind}", "v int", key="k", name=f"key_{n}")
                self.upload(table, self.write("a.csv", f"k,v\n{one},1\n{other},2\n"))
                self.assertEqual(self.query(f"select v from {table}"), [(2,)])
                self.upload(table, self.write("a.csv", f"v,k\n3,{one}\n"))
                self.assertEqual(self.query(f"select v from {table}"), [(3,)])

    def test_types_that_cannot_be_a_key(self):
        for kind in ("double", "json", "bytea"):
            self.assertIn("key", self.tload("define-table", "t", f"k {kind}", "--key", "k", exit=2).stderr)

    def test_defaults(self):
        table = self.define(
            "k int", "b boolean default yes", "i int default 007", "d decimal(20,2) default 1",
            "f double default 1e3",
            "t text default ''", "s timestamp default '2026-01-31'", "y bytea default '\\x00FF'",
            "j json default '[1]'",
            "e decimal(5,1) not null default 2.5", key="k",
        )
        self.upload(table, self.write("a.csv", "k\n1\n"))
        self.assertEqual(
            self.query(f"select * from {table}"),
            [(1, 1, 7, "1.00", 1000.0, "", "2026-01-31 00:00:00", b"\0\xff", "[1]", 2.5)],
        )
        self.upload(table, self.write("a.csv", "k,i\n2,\n"))
        self.assertEqual(self.query(f"select i, b from {table} where k = 2"), [(None, 1)])
