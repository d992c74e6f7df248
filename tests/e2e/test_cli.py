# SPDX-License-Identifier: GPL-3.0-or-later
"""tload as a program, beside a coordinator that is only played: exit codes, signals, terminals, and output that can't be
written."""

import http.server
import json
import os
import pty
import select
import shutil
import signal
import socketserver
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

from tests.lib.process import BUILD, patience, scaled

SANITIZERS = {"asan"}

TABLE = {"table": "orders", "version": 1, "columns": 1, "key": ["id"], "state": "active", "created_at": "-"}


def upload(state, change=1, **members):
    return {
        "upload": "u1", "table": "orders", "version": 1, "state": state, "rows_read": 4, "rows_applied": 2,
        "rows_rejected": 2, "bytes_sent": 9, "bytes_total": 9, "reason": None, "waiting": None, "files": ["a.csv"],
        "change": change, **members,
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def address_string(self):
        return "client"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        parts = url.path.split("/")[4:]
        query = dict(urllib.parse.parse_qsl(url.query))
        if parts == ["tables"]:
            self.answer({"tables": [TABLE] * self.server.tables, "next": None})
        elif parts == ["tables", "orders"]:
            self.answer({**TABLE, "adopted": self.server.adopted})
        elif parts == ["uploads", "u1"]:
            with self.server.changed:
                self.server.changed.wait_for(
                    lambda: str(self.server.upload["change"]) != query.get("seen"), int(query.get("wait_ms", 0)) / 1000
                )
                self.answer(self.server.upload)
        elif parts == ["uploads", "u1", "errors"]:
            row = {"file": "a.csv", "line": 7, "column": "qty", "reason": "is not an integer", "value": "12x"}
            self.answer(None, (json.dumps(row) + "\n").encode() * self.server.rejected)
        else:
            self.answer({"code": "not_found", "detail": "no such thing"}, status=404)

    def do_DELETE(self):
        self.server.dropped.append(self.path)
        self.answer(None, b"", 204)

    def answer(self, value, body=None, status=200):
        body = json.dumps(value).encode() if body is None else body
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    tables = 1
    adopted = False
    rejected = 2

    def __init__(self, path):
        super().__init__(path, Handler)
        self.changed = threading.Condition()
        self.upload = upload("processing")
        self.dropped = []

    def set(self, value):
        with self.changed:
            self.upload = value
            self.changed.notify_all()


class Cli(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.server = Server(f"{self.dir}/socket")
        self.addCleanup(self.server.server_close)
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TLOAD_")},
            "TLOAD_COORDINATOR": f"unix:{self.dir}/socket", "XDG_CONFIG_HOME": self.dir, "TERM": "xterm",
        }

    def start(self, *arguments, **options):
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen([BUILD / "tload", *arguments], env=self.env, text=True, **settings)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def tload(self, *arguments, exit=0, **options):
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=patience(30))
        self.assertEqual(process.returncode, exit, err)
        return out, err

    def await_line(self, stream, part):
        for line in stream:
            if part in line:
                return line
        raise AssertionError(f"{part!r} did not come")

    def test_outcomes(self):
        for state, code in (("done", 0), ("failed", 1), ("cancelled", 1), ("done_with_errors", 3), ("aborted", 4)):
            with self.subTest(state=state):
                self.server.set(upload(state))
                out, err = self.tload("wait", "u1", exit=code)
                self.assertEqual(out, "")
                self.assertIn("orders: ", err)
                out, _ = self.tload("--json", "wait", "u1", exit=code)
                self.assertEqual(json.loads(out)["state"], state)
                self.tload("status", "u1", "--follow", exit=code)
                self.tload("status", "u1")

    def test_rejected_rows_are_told_with_what_to_do(self):
        self.server.set(upload("done_with_errors"))
        _, err = self.tload("wait", "u1", exit=3)
        self.assertIn("2 rows applied, 2 rejected", err)
        self.assertIn("'tload errors u1 --csv > rejected.csv'", err)
        _, err = self.tload("-q", "wait", "u1", exit=3)
        self.assertEqual(err, "")

    def test_usage_and_refusals(self):
        _, err = self.tload("upload", "--delimeter", ";", exit=2)
        self.assertIn("unknown option '--delimeter' of upload; did you mean '--delimiter'?", err)
        _, err = self.tload(exit=2)
        self.assertIn("tload help", err)
        _, err = self.tload("describe", "nope", exit=2)
        self.assertIn("no such thing", err)

    def test_coordinator_out_of_reach(self):
        _, err = self.tload("--coordinator", f"unix:{self.dir}/nobody", "tables", exit=5)
        self.assertIn("no coordinator answers at unix:", err)

    def test_time_is_over(self):
        out, err = self.tload("--json", "wait", "u1", "--timeout", "0", exit=124)
        self.assertEqual(json.loads(out)["state"], "processing")
        self.assertIn("tload wait u1", err)

    def test_signals_end_the_wait_only(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            for arguments in (("wait", "u1"), ("status", "u1", "--follow")):
                with self.subTest(signal=number, arguments=arguments):
                    process = self.start(*arguments)
                    self.await_line(process.stderr, "processing")
                    began = time.monotonic()
                    process.send_signal(number)
                    _, err = process.communicate(timeout=patience(30))
                    self.assertEqual(process.returncode, code)
                    self.assertIn("the upload goes on", err)
                    self.assertLess(time.monotonic() - began, scaled(5))

    def test_follow_gives_each_change(self):
        process = self.start("--json", "status", "u1", "--follow")
        self.assertEqual(json.loads(process.stdout.readline())["change"], 1)
        self.server.set(upload("processing", 2, waiting="sink: no room"))
        self.assertEqual(json.loads(process.stdout.readline())["waiting"], "sink: no room")
        self.server.set(upload("done", 3))
        out, err = process.communicate(timeout=patience(30))
        self.assertEqual([json.loads(line)["state"] for line in out.splitlines()], ["done"])
        self.assertIn("orders: processing, 100%, 2 rows, 2 rejected, waiting: sink: no room", err)

    def test_reader_that_goes_away(self):
        self.server.rejected = 100000
        process = self.start("errors", "u1")
        self.assertEqual(process.stdout.readline(), 'a.csv:7: column "qty": "12x" is not an integer\n')
        process.stdout.close()
        err = process.stderr.read()
        self.assertEqual(process.wait(timeout=patience(30)), -signal.SIGPIPE)
        self.assertEqual(err, "")

    def test_output_that_can_not_be_written(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            for arguments in (("tables",), ("errors", "u1"), ("help",), ("--json", "wait", "u1", "--timeout", "0")):
                with self.subTest(arguments=arguments):
                    _, err = self.tload(*arguments, exit=1, stdout=full)
                    self.assertIn("standard output: No space left on device", err)
        closed = subprocess.run(["sh", "-c", '"$0" tables >&-', BUILD / "tload"], env=self.env, text=True,
                                capture_output=True, check=False)
        self.assertEqual((closed.returncode, closed.stderr), (1, "tload: standard output: Bad file descriptor\n"))

    def test_dropping_asks(self):
        _, err = self.tload("drop-table", "orders", exit=2)
        self.assertIn("add '--yes'", err)
        self.assertIn("and all of its rows", self.on_terminal("drop-table", "orders", typed=b"n\n", exit=2))
        self.assertEqual(self.server.dropped, [])
        self.on_terminal("drop-table", "orders", typed=b"y\n")
        self.tload("drop-table", "orders", "--yes")
        self.assertEqual(self.server.dropped, ["/v1/tenants/default/tables/orders"] * 2)
        self.server.adopted = True
        self.assertIn("It stays in the data sink.", self.on_terminal("drop-table", "orders", typed=b"n\n", exit=2))

    def on_terminal(self, *arguments, typed=b"", exit=0, when=b""):
        """Runs tload on a terminal, types once `when` is shown, and returns all that was shown."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(BUILD / "tload", ["tload", *arguments], self.env)
        shown = b""
        until = time.monotonic() + patience(30)
        while time.monotonic() < until:
            if typed and when in shown:
                os.write(fd, typed)
                typed = b""
            if not select.select([fd], [], [], 0.05)[0]:
                continue
            try:
                read = os.read(fd, 65536)
            except OSError:
                read = b""
            if not read:
                break
            shown += read
        os.close(fd)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), exit, shown)
        return shown.decode()

    def test_bar_on_a_terminal(self):
        shown = self.on_terminal("wait", "u1", typed=b"\x03", exit=130, when=b"100% [###")
        self.assertIn("\rorders  100% [########################################] 2 rows, 2 rejected\033[K", shown)
        self.assertIn("\r\033[Ktload: interrupted: the upload goes on", shown)
        self.assertNotIn("\033[", self.on_terminal("-q", "--json", "wait", "u1", "--timeout", "0", exit=124))

    def test_colours(self):
        self.assertIn("\033[1mTABLE", self.on_terminal("tables"))
        self.env["NO_COLOR"] = "1"
        self.assertNotIn("\033", self.on_terminal("tables"))
        del self.env["NO_COLOR"]
        self.assertNotIn("\033", self.tload("tables")[0])

    def test_long_list(self):
        self.server.tables = 3000
        self.assertEqual(len(self.tload("tables")[0].splitlines()), 3001)
        self.assertEqual(len(self.tload("--json", "tables")[0].splitlines()), 3000)


if __name__ == "__main__":
    unittest.main()
