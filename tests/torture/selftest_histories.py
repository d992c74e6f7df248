#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the histories find what they are there for? Each of mutants_histories/*.patch breaks the product in a copy; they have to
show a difference, and with the product as it is the same seeds must show none.

    selftest_histories.py [NAME]...      of mutants_histories/NAME.patch; all by default

The last line is "N passed, N failed".
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from tests.torture.selftest import Copy, interrupted  # noqa: E402, the path comes first

MUTANTS = ROOT / "tests/torture/mutants_histories"
HISTORIES, SEED, PATIENCE = 12, 1, 15


def difference(made):
    """What the histories say of that product: None when nothing differs."""
    done = subprocess.run(
        [
            ROOT / "tests/torture/histories.py", "--discard", "--histories", str(HISTORIES), "--seed", str(SEED),
            "-j", str(HISTORIES), "--patience", str(PATIENCE),
        ],
        env={**os.environ, "BUILD": made}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )
    shown = re.findall(r"^difference: (.*)$", done.stdout.decode(errors="replace"), re.M)
    # What is wrong in a table says more than that something does not come to its end.
    shown.sort(key=lambda text: "is due" not in text)
    return shown[0][:300] if done.returncode == 1 and shown else None


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    patches = [MUTANTS / f"{name}.patch" for name in sys.argv[1:]] or sorted(MUTANTS.glob("*.patch"))
    directory = tempfile.mkdtemp(prefix="tload-mutants-")
    outcomes = {}
    try:
        copy = Copy(directory)
        sound = difference(copy.whole)
        outcomes["the product as it is"] = f"nothing differs in {HISTORIES} histories" if sound is None else None
        for patch in patches:
            with copy.mutant(patch) as made:
                outcomes[patch.stem] = difference(made)
        for name, outcome in outcomes.items():
            print(f"ok   {name}: {outcome}" if outcome else f"FAIL {name}: {sound if name.startswith('the') else 'is not caught'}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    passed = sum(o is not None for o in outcomes.values())
    print(f"{passed} passed, {len(outcomes) - passed} failed")
    return 0 if passed == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
