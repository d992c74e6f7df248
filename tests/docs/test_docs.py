# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made from the commands' tables, and committed, is what they make now; manual pages are clean; completions
load in the shells that they are for, and offer what they should."""

import difflib
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from tests.lib.process import BUILD, ROOT

TLOAD_DOCS = BUILD / "tests/docs/tload-docs"


def run(*command, **options):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, **options)


def output(*command, **options):
    done = run(*command, **options)
    if done.returncode:
        raise AssertionError(f"{command} exits {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def commands():
    return json.loads(output(BUILD / "tload", "--json", "help"))["commands"]


class UpToDate(unittest.TestCase):
    def check(self, name, made):
        committed = (ROOT / name).read_text(encoding="utf-8")
        difference = "".join(
            difflib.unified_diff(committed.splitlines(True), made.splitlines(True), name, "from the tables", n=0)
        )
        self.assertEqual(difference, "", "run \"make docs\"")

    def test_bash(self):
        self.check("completions/tload.bash", output(TLOAD_DOCS, "bash"))

    def test_zsh(self):
        self.check("completions/_tload", output(TLOAD_DOCS, "zsh"))

    def test_fish(self):
        self.check("completions/tload.fish", output(TLOAD_DOCS, "fish"))

    def test_manual_page(self):
        page = (ROOT / "man/tload.1").read_text(encoding="utf-8")
        self.check("man/tload.1", output(TLOAD_DOCS, "man", input=page))


class Pages(unittest.TestCase):
    def test_mandoc_finds_nothing(self):
        pages = sorted(ROOT.glob("man/*.[1-9]"))
        self.assertGreaterEqual(len(pages), 2)
        for page in pages:
            with self.subTest(page=page.name):
                self.assertEqual(output("mandoc", "-T", "lint", "-W", "warning", page), "")

    def test_every_command_has_an_example(self):
        for command in commands():
            with self.subTest(command=command["command"]):
                self.assertTrue(command["examples"])
                self.assertTrue(any(f"tload {command['command']} " in example.replace(" --json", "") + " "
                                    for example in command["examples"]))

    def test_help_and_page_agree(self):
        page = (ROOT / "man/tload.1").read_text(encoding="utf-8")
        sections = dict(re.findall(r"^\.Ss (.+?)\n(.*?)(?=^\.S[sh] )", page, re.M | re.S))
        for command in commands():
            name = command["command"]
            with self.subTest(command=name):
                text = output(BUILD / "tload", "help", *name.split())
                self.assertEqual(output(BUILD / "tload", *name.split(), "--help"), text)
                for line in command["usage"].split("\n"):
                    self.assertIn(f"tload {name} {line}".rstrip(), text)
                on_page = re.findall(r"^\.It .*?Fl -([a-z-]+)", sections[name], re.M)
                self.assertEqual(on_page, [o["option"] for o in command["options"]])
                for option in on_page:
                    self.assertRegex(text, rf"--{option}\b")

    def test_every_variable_and_exit_code_is_on_the_page(self):
        page = (ROOT / "man/tload.1").read_text(encoding="utf-8")
        settings = (ROOT / "cli/settings.def").read_text(encoding="utf-8")
        conf = (ROOT / "man/tload.conf.5").read_text(encoding="utf-8")
        for key, variable in re.findall(r'^X\((\w+), *"(\w+)"', settings, re.M):
            self.assertIn(f".It Ev {variable}\n", page)
            self.assertIn(f".Ev {variable}", conf)
            self.assertIn(f".It Ic {key}\n", conf)
        for code in ("0", "1", "2", "3", "4", "5", "124", "130 , 143"):
            self.assertIn(f"\n.It {code}\n", page)


class Bash(unittest.TestCase):
    COMPLETE = """
        . completions/tload.bash
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _tload
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def offers(self, *words):
        return output("bash", "-c", self.COMPLETE, "-", "tload", *words).split()

    def test_loads(self):
        self.assertEqual(output("bash", "-n", "completions/tload.bash"), "")

    def test_commands(self):
        self.assertEqual(self.offers("upl"), ["upload", "uploads"])
        self.assertEqual(self.offers("help", "drop"), ["drop-table"])

    def test_two_words(self):
        self.assertEqual(self.offers("clus"), ["cluster"])
        self.assertEqual(self.offers("cluster", "dr"), ["drain"])
        self.assertEqual(self.offers("-q", "tenant", "s"), ["show", "set"])
        self.assertEqual(self.offers("tenant", "--js"), ["--json"])
        self.assertEqual(self.offers("cluster", "add", "--max"), ["--max-partitions"])
        self.assertEqual(self.offers("cluster", "show", ""), [])
        self.assertEqual(self.offers("token", "create", "--role", "u"), ["uploader"])

    def test_options(self):
        self.assertEqual(self.offers("-q", "upload", "--del"), ["--delimiter"])
        self.assertEqual(self.offers("--ten"), ["--tenant"])
        self.assertEqual(self.offers("--coordinator", "=", "unix:/x", "describe", "--js"), ["--json"])
        self.assertEqual(self.offers("--coordinator", "unix:/x", "describe", "--js"), ["--json"])

    def test_arguments(self):
        self.assertEqual(self.offers("upload", "--header", "=", "n"), ["none"])
        self.assertEqual(self.offers("upload", "--header", "=")[:2], ["match", "skip"])
        self.assertEqual(self.offers("upload", "--format", "t"), ["tsv"])
        self.assertIn("cli/commands", self.offers("upload", "cli/comm"))
        self.assertEqual(self.offers("wait", "--timeout", ""), [])


@unittest.skipUnless(shutil.which("zsh"), "no zsh here")
class Zsh(unittest.TestCase):
    def test_loads(self):
        self.assertEqual(output("zsh", "-n", "completions/_tload"), "")
        output("zsh", "-fc", "fpath=($PWD/completions $fpath); autoload -Uz compinit && compinit -D -u && "
                             "[[ $_comps[tload] == _tload ]] && autoload +X _tload")


@unittest.skipUnless(shutil.which("fish"), "no fish here")
class Fish(unittest.TestCase):
    def offers(self, line):
        with tempfile.TemporaryDirectory() as home:
            lines = output("fish", "--no-config", "-c", f"source completions/tload.fish; complete -C '{line}'",
                           env={**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home})
        return [line.split("\t")[0] for line in lines.splitlines()]

    def test_loads(self):
        self.assertEqual(output("fish", "-n", "completions/tload.fish"), "")

    def test_offers(self):
        self.assertIn("upload", self.offers("tload upl"))
        self.assertIn("--delimiter", self.offers("tload upload --del"))
        self.assertIn("none", self.offers("tload upload --header "))
        self.assertIn("cluster", self.offers("tload clu"))
        self.assertEqual(self.offers("tload cluster dr"), ["drain"])
        self.assertIn("--max-partitions", self.offers("tload cluster add --max"))
        self.assertNotIn("drain", self.offers("tload cluster show "))


if __name__ == "__main__":
    unittest.main()
