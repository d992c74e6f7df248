#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that no compiler knows: tests/lint/lint.py [ROOT]

Each finding is one line, FILE:LINE: what; the exit status is 1 when there is one. The rules are the tables below.
"""

import pathlib
import re
import subprocess
import sys

MAX_LINES = 600

# Where an include may point, by the directory that the including file is in: the longest matching row decides.
# Ours are the paths from the root; tests may use all.
LAYERS = {
    "shared/": ("shared/",),
    "cli/": ("cli/", "shared/"),
    "coordinatord/": ("coordinatord/", "shared/"),
    "coordinatord/control/": ("coordinatord/control/", "coordinatord/config.h", "coordinatord/sinks/",
                              "coordinatord/errors/", "shared/"),
    "coordinatord/sinks/": ("coordinatord/sinks/", "shared/"),
    "coordinatord/errors/": ("coordinatord/errors/", "shared/"),
    "coordinatord/pipeline/": ("coordinatord/pipeline/", "coordinatord/sinks/", "coordinatord/errors/",
                               "coordinatord/config.h", "shared/"),
    "coordinatord/http/": ("coordinatord/http/", "coordinatord/control/", "coordinatord/sinks/",
                           "coordinatord/errors/", "coordinatord/config.h", "shared/"),
    "tests/": ("tests/", "cli/", "coordinatord/", "shared/"),
}

# A third-party header has one home. Tests may include what they test with.
HOMES = {
    r"librdkafka/": ("shared/kafka/",),
    r"csv\.h$": ("tests/unit/",),
    r"sqlite3\.h$": ("coordinatord/control/", "coordinatord/sinks/sqlite/", "coordinatord/sinks/sqlite.c"),
    r"microhttpd\.h$": ("coordinatord/http/",),
    r"curl/": ("shared/http/",),
    r"ini\.h$": ("shared/base/",),
    r"xxhash\.h$": ("shared/wire/",),
    r"readline/": ("cli/",),
    r"libpq-fe\.h$": ("coordinatord/sinks/",),
    r"openssl/": ("coordinatord/control/secret.c",),
    r"systemd/": ("coordinatord/",),
}

# Never, anywhere; and what only a program, not a library, or only a test may do.
BANNED = {
    "strcpy strcat strncpy strncat stpcpy sprintf vsprintf gets strtok atoi atol atoll atof": "use tl_buf, snprintf or a checked parser",
    "system popen tmpnam tempnam mktemp alloca setjmp longjmp rand srand": "there is a safer way",
    "sleep usleep": "wait for a condition, with a bound",
    "localtime gmtime asctime ctime strerror getpwnam getpwuid": "not safe with threads",
}
LIBRARY_BANNED = {
    "exit _exit abort printf puts putchar perror": "a library neither prints nor exits",
}
EXCEPTIONS = {
    "shared/base/compiler.h": "abort",
    "shared/base/banned.h": "*",
    "shared/base/failpoint.c": "abort",
}

SPDX = "SPDX-License-Identifier: GPL-3.0-or-later"
C_SUFFIXES = (".c", ".h", ".def")
SPDX_SUFFIXES = C_SUFFIXES + (".py", ".sh", ".mk")


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def without(text, pattern):
    """text with what matches blanked, so that positions and lines stay."""
    return re.sub(pattern, blank, text, flags=re.S)


STRING = r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
COMMENT = r"/\*.*?\*/|//[^\n]*"


def code_only(text):
    """C text without its comments and without what is inside of strings."""
    return re.sub(f"({COMMENT})|({STRING})", blank, text, flags=re.S)


def words(table):
    return {word: why for names, why in table.items() for word in names.split()}


class Lint:
    def __init__(self, root):
        self.root = root
        self.findings = []

    def say(self, path, line, what):
        self.findings.append(f"{path}:{line}: {what}")

    def each(self, path, pattern, text):
        for match in re.finditer(pattern, text, re.M):
            yield text.count("\n", 0, match.start()) + 1, match

    def includes(self, path, text):
        layer = max((p for p in LAYERS if path.startswith(p)), key=len, default=None)
        for line, match in self.each(path, r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', text):
            form, name = match.groups()
            if form == '"':
                if not (self.root / name).exists():
                    self.say(path, line, f'"{name}" is not a path from the root')
                elif layer and not any(name.startswith(allowed) for allowed in LAYERS[layer]):
                    self.say(path, line, f'{layer} may not include "{name}"')
            for header, homes in HOMES.items():
                if re.match(header, name) and not path.startswith(homes + ("tests/",)):
                    self.say(path, line, f"<{name}> belongs into {' or '.join(homes)} alone")

    def banned(self, path, code):
        table = words(BANNED)
        library = path.startswith(("shared/", "coordinatord/")) and path != "coordinatord/main.c"
        if library:
            table |= words(LIBRARY_BANNED)
        allowed = EXCEPTIONS.get(path, "").split()
        for line, match in self.each(path, r"(?<![\w.>])([a-z_]\w*)\s*\(", code):
            word = match.group(1)
            if word in table and word not in allowed and "*" not in allowed:
                self.say(path, line, f"{word}(): {table[word]}")

    def leftovers(self, path, text):
        for line, match in self.each(path, r"\b(TODO|FIXME|XXX|HACK)\b|^[ \t]*#[ \t]*if[ \t]+0\b", text):
            self.say(path, line, f"{match.group().strip()} left over")

    def c_file(self, path, text):
        self.includes(path, without(text, COMMENT))
        code = code_only(text)
        self.banned(path, code)
        lines = text.count("\n")
        if lines > MAX_LINES:
            self.say(path, lines, f"{lines} lines: a file over {MAX_LINES} is two files")
        if path.endswith(".h"):
            guard = re.sub(r"\W", "_", path).upper()
            if not re.search(r"^#ifndef \w+_H\n#define \w+_H$", text, re.M):
                self.say(path, 1, f"no include guard, such as {guard}")

    def file(self, path):
        raw = (self.root / path).read_bytes()
        if b"\0" in raw:
            return
        text = raw.decode("utf-8", errors="replace")
        script = text.startswith("#!")
        if path.endswith(SPDX_SUFFIXES) or script or path == "Makefile":
            if SPDX not in "\n".join(text.split("\n")[:3]):
                self.say(path, 1, f"no line {SPDX} on top")
            # The rules themselves name what they look for.
            if not path.startswith("tests/lint/"):
                self.leftovers(path, text)
        if path.endswith((".c", ".h")):
            self.c_file(path, text)
        if path.endswith(C_SUFFIXES + (".py", ".sh", ".mk", ".md")) or script:
            for line, _ in self.each(path, r"[ \t]+$", text):
                self.say(path, line, "blanks at the end of the line")
            if text and not text.endswith("\n"):
                self.say(path, text.count("\n") + 1, "no newline at the end of the file")

    def top_level(self, paths):
        allowed = set(
            "Makefile README.md HACKING.md CHANGELOG.md LICENSE cli coordinatord shared man completions tests .ci "
            "debian examples .clang-format .editorconfig .gitignore .gitattributes".split()
        )
        for name in sorted({p.split("/")[0] for p in paths} - allowed):
            self.say(name, 1, "is not among the names of the top level")


def files(root):
    """What git has or would take in; a tree without git: everything."""
    git = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
    )
    if git.returncode == 0:
        names = [n for n in git.stdout.decode().split("\0") if n]
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*")]
        names = [n for n in names if n.split("/")[0] not in ("build", ".tload") and "__pycache__" not in n]
    return sorted(n for n in names if (root / n).is_file())


def lint(root):
    run = Lint(root)
    paths = files(root)
    run.top_level(paths)
    for path in paths:
        run.file(path)
    return run.findings


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    findings = lint(root)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
