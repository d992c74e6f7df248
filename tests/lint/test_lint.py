# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule of lint.py finds what it is for, and leaves what is right alone."""

import pathlib
import tempfile
import unittest

from tests.lint import lint

SPDX = "/* SPDX-License-Identifier: GPL-3.0-or-later */\n"


class Lint(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def header(self, path):
        self.write(path, SPDX + "#ifndef G_H\n#define G_H\n#endif\n")

    def found(self):
        return "\n".join(lint.lint(self.root))

    def assert_clean(self, path, text):
        self.write(path, text)
        self.assertEqual(self.found(), "")

    def assert_found(self, path, text, *words):
        self.write(path, text)
        found = self.found()
        for word in words:
            self.assertIn(word, found)

    def test_clean(self):
        self.header("shared/base/a.h")
        self.assert_clean(
            "cli/a.c",
            SPDX + '#include "shared/base/a.h"\n#include <readline/readline.h>\n'
            '/* sprintf( is only spoken of */\nint f(void)\n{\n    puts("atoi(x)");\n    return x.exit(1);\n}\n',
        )

    def test_layers(self):
        for path, name in (
            ("shared/a.c", "cli/h.h"),
            ("shared/a.c", "coordinatord/h.h"),
            ("cli/a.c", "coordinatord/h.h"),
            ("coordinatord/a.c", "cli/h.h"),
            ("coordinatord/sinks/sqlite/a.c", "coordinatord/pipeline/h.h"),
            ("coordinatord/pipeline/a.c", "coordinatord/http/h.h"),
            ("coordinatord/pipeline/a.c", "coordinatord/control/h.h"),
            ("coordinatord/control/a.c", "coordinatord/http/h.h"),
        ):
            with self.subTest(path=path, name=name):
                self.header(name)
                self.assert_found(path, f'{SPDX}#include "{name}"\n', f"{path}:2: ", f'may not include "{name}"')
                (self.root / path).unlink()

    def test_include_from_the_root(self):
        self.header("cli/b.h")
        self.assert_found("cli/a.c", SPDX + '#include "b.h"\n', "cli/a.c:2: ", "not a path from the root")

    def test_homes_of_third_party_headers(self):
        for name in (
            "librdkafka/rdkafka.h", "csv.h", "sqlite3.h", "microhttpd.h", "curl/curl.h", "ini.h", "xxhash.h",
            "readline/readline.h", "libpq-fe.h",
        ):
            with self.subTest(name=name):
                self.assert_found("shared/schema/a.c", f"{SPDX}#include <{name}>\n", f"<{name}> belongs")
        self.assert_clean("shared/schema/a.c", SPDX + "#include <jansson.h>\n")
        self.assert_clean("tests/unit/a.c", SPDX + "#include <sqlite3.h>\n")

    def test_banned_functions(self):
        for call in ("strcpy(a, b)", "sprintf (a, b)", "atoi(a)", "system(a)", "usleep(1)", "strtok(a, b)"):
            with self.subTest(call=call):
                self.assert_found("cli/a.c", f"{SPDX}void f(void)\n{{\n    {call};\n}}\n", "cli/a.c:4: ")

    def test_libraries_neither_print_nor_exit(self):
        for call in ("exit(1)", "abort()", "printf(a)", "perror(a)"):
            with self.subTest(call=call):
                text = f"{SPDX}void f(void)\n{{\n    {call};\n}}\n"
                self.assert_found("shared/a.c", text, "a library neither")
                (self.root / "shared/a.c").unlink()
                self.assert_clean("cli/a.c", text)

    def test_leftovers(self):
        for line in ("/* TODO: more */", "// FIXME", "#if 0", "# if 0"):
            with self.subTest(line=line):
                self.assert_found("cli/a.c", f"{SPDX}{line}\n", "left over")

    def test_size(self):
        self.assert_clean("cli/a.c", SPDX + "\n" * 599)
        self.assert_found("cli/a.c", SPDX + "\n" * 600, "601 lines")

    def test_form(self):
        self.assert_found("cli/a.c", "int a;\n", "no line SPDX")
        self.assert_found("cli/a.c", SPDX + "int a; \n", "a.c:2: blanks")
        self.assert_found("cli/a.c", SPDX + "int a;", "no newline")
        self.assert_found("cli/a.h", SPDX + "int a;\n", "no include guard")
        self.assert_found("tests/x", "#!/bin/sh\n", "no line SPDX")

    def test_top_level(self):
        self.assert_found("notes.md", "x\n", "notes.md:1: is not among")
