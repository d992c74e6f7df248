# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made from the table of commands, and kept in the tree, is as the table has it now: else run "make docs"."""

import subprocess
import unittest

from tests.lib.harness import BUILD, ROOT


class Docs(unittest.TestCase):
    def made(self, what, stdin=None):
        program = BUILD / "tests/docs/tload-docs"
        return subprocess.run(
            [program, what], stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=30
        ).stdout.decode()

    def assert_current(self, path, made):
        self.assertTrue(made)
        self.assertEqual((ROOT / path).read_text(encoding="utf-8"), made, f'{path} is stale: run "make docs"')

    def test_completions(self):
        for shell, path in (("bash", "tload.bash"), ("zsh", "_tload"), ("fish", "tload.fish")):
            with self.subTest(shell=shell):
                self.assert_current("completions/" + path, self.made(shell))

    def test_completions_are_in_the_shell_s_language(self):
        for shell, path in (("bash", "tload.bash"), ("zsh", "_tload"), ("fish", "tload.fish")):
            with self.subTest(shell=shell):
                subprocess.run([shell, "-n", ROOT / "completions" / path], check=True, timeout=30)

    def test_manual_page(self):
        with open(ROOT / "man/tload.1", "rb") as page:
            self.assert_current("man/tload.1", self.made("man", page))

    def test_each_command_has_an_example(self):
        self.assertEqual(self.made("examples"), "")
