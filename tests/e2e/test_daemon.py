# SPDX-License-Identifier: GPL-3.0-or-later
"""coordinatord as a program: its options and configuration, its sockets, signals, and two at once."""

import contextlib
import http.client
import os
import signal
import socket
import stat
import time

from tests.lib.harness import BUILD, Process, TestCase, free_port, patience, scaled, wait_until

SANITIZERS = {"tsan"}


class DaemonCase(TestCase):
    def run_daemon(self, *arguments, exit=0, env=None):
        """coordinatord with these options, to its end."""
        done = Process([BUILD / "coordinatord", *arguments], self.dir, f"run-{len(self.processes)}", env, cwd=self.dir)
        self.processes.append(done)
        self.assertEqual(done.wait(20), exit, done)
        return done

    def tcp(self, port, path, headers=None, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience(10))
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


class Configuration(DaemonCase):
    def check(self, text, exit=0, env=None):
        return self.run_daemon("--config", self.write("c.conf", text), "--check-config", exit=exit, env=env)

    def test_good(self):
        state = os.path.join(self.dir, "state")
        done = self.check(
            f"[coordinator]\nstate = {state} ; comment\nsocket = {state}/c.sock\nlisten =\n"
            "[kafka]\nbootstrap = 127.0.0.1:1\npartitions = 3\nmax_partitions = 9\nsocket.timeout.ms = 5000\n"
            "[sink]\nurl = sqlite:/var/lib/x\n[errors]\nurl = file:/var/lib/y\n"
        )
        self.assertEqual(done.stderr, "")
        self.assertFalse(os.path.exists(state), "a check touches nothing")

    def test_bad(self):
        for text, said in (
            ("[coordinator]\nsocet = /x\n", ("c.conf:2", '"socket"')), ("[kafkaa]\nx = 1\n", ("c.conf:2", "[kafka]")),
            ("[kafka]\npartitions = many\n", ("c.conf:2", "partitions", "many")),
            ("[kafka]\npartitions = 0\n", ("c.conf:2",)),
            ("[kafka]\nbootstrap.serverss = x\n", ("[kafka]", "bootstrap.serverss")),
            ("[kafka]\npartitions = 100\nmax_partitions = 10\n", ("max_partitions",)),
            ("[sink]\nurl = oracle:/x\n", ("sqlite",)), ("[errors]\nurl = ftp://x\n", ("file",)),
            ("[coordinator]\nstate = relative\n", ("state", "absolute")),
            ("[coordinator]\nsocket = /" + "x" * 120 + "\n", ("socket",)),
            ("[coordinator]\nlisten = nowhere\n", ("listen",)),
            ("state = /x\n", ("c.conf:1", "state")), ("[coordinator\nstate = /x\n", ("c.conf:",)),
        ):
            with self.subTest(text=text):
                done = self.check(text, exit=2)
                self.assertEqual(done.stdout, "")
                for word in said:
                    self.assertIn(word, done.stderr)

    def test_no_file(self):
        done = self.run_daemon("--config", "/nonexistent/c.conf", "--check-config", exit=2)
        self.assertIn("/nonexistent/c.conf", done.stderr)

    def test_environment(self):
        good = {"TLOAD_KAFKA_PARTITIONS": "5", "TLOAD_KAFKA_SOCKET_TIMEOUT_MS": "5000", "TLOAD_COORDINATOR_LISTEN": ""}
        self.check("[kafka]\npartitions = 3\n", env=good)
        done = self.check("", exit=2, env={"TLOAD_KAFKA_PARTITIONS": "x"})
        self.assertIn("TLOAD_KAFKA_PARTITIONS", done.stderr)

    def test_a_bad_configuration_does_not_start(self):
        self.run_daemon("--config", self.write("c.conf", "[kafka]\npartitions = x\n"), exit=2)
        self.assertEqual(sorted(n for n in os.listdir(self.dir) if not n.startswith("run-")), ["c.conf"])

    def test_usage(self):
        self.assertIn("--check-config", self.run_daemon("--help").stdout)
        self.assertRegex(self.run_daemon("--version").stdout, r"^coordinatord \d+\.\d+\.\d+\n$")
        self.run_daemon("--nonsense", exit=2)
        self.run_daemon("more", exit=2)


class Running(DaemonCase):
    def test_second_on_the_same_state_is_refused(self):
        first = self.start()
        other = os.path.join(self.dir, "second.sock")
        second = self.new_coordinator({"coordinator": {"state": first.state, "socket": other}})
        second.start(ready=False)
        self.assertEqual(second.process.wait(10), 1, second.process)
        self.assertIn(str(first.process.pid), second.log)
        self.assertIn(first.state, second.log)
        self.assertTrue(first.ready())
        self.tload("tables")

    def test_second_on_the_same_socket_is_refused(self):
        first = self.start()
        second = self.new_coordinator({"coordinator": {"socket": first.socket}})
        second.start(ready=False)
        self.assertEqual(second.process.wait(10), 2, second.process)
        self.assertIn(first.socket, second.log)
        self.tload("tables")

    def test_stale_socket(self):
        self.start()
        self.coordinator.kill()
        self.assertTrue(os.path.exists(self.coordinator.socket))
        self.coordinator.start()
        self.tload("tables")
        self.coordinator.stop()
        self.assertFalse(os.path.exists(self.coordinator.socket))

    def test_what_is_no_socket_stays(self):
        self.use_kafka()
        coordinator = self.new_coordinator()
        with open(coordinator.socket, "w", encoding="ascii") as f:
            f.write("precious")
        coordinator.start(ready=False)
        self.assertEqual(coordinator.process.wait(10), 2, coordinator.process)
        with open(coordinator.socket, encoding="ascii") as f:
            self.assertEqual(f.read(), "precious")

    def test_terminated_and_interrupted(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self.start()
            self.tload("tables")
            began = time.monotonic()
            self.coordinator.process.signal(number)
            self.assertEqual(self.coordinator.process.wait(5), 0, self.coordinator.process)
            self.assertLess(time.monotonic() - began, scaled(5))

    def test_terminated_while_somebody_waits(self):
        self.start()
        table = self.define("id int")
        body = {"table": table, "files": [{"name": "a.csv"}], "dialect": "csv", "header": "id"}
        made = self.coordinator.http("POST", "/v1/tenants/default/uploads", body)
        self.assertEqual(made.status, 201, made.body)
        waiting = self.tload_start("wait", made.json["upload"])
        wait_until(lambda: waiting.stderr, what="the waiting")
        self.coordinator.stop(5)
        self.coordinator.start()
        self.assertIsNone(waiting.poll(), "it waits for the coordinator to come back")
        waiting.signal(signal.SIGINT)
        self.assertEqual(waiting.wait(10), 130, waiting)

    def test_hangup(self):
        log = os.path.join(self.dir, "daemon.log")
        self.start({"coordinator": {"log": log}})
        os.rename(log, log + ".1")
        self.coordinator.settings["coordinator"]["log_level"] = "debug"
        self.coordinator.settings["kafka"]["partitions"] = "7"
        self.coordinator.write_config()
        self.coordinator.process.signal(signal.SIGHUP)
        wait_until(lambda: os.path.exists(log) and "configuration read again" in self.read(log), what="the new log")
        self.assertIn("needs a restart", self.read(log))
        self.tload("tables")
        wait_until(lambda: " debug " in self.read(log), what="lines for debugging")
        with open(self.coordinator.config_path, "w", encoding="utf-8") as f:
            f.write("[kafka]\nnonsense\n")
        self.coordinator.process.signal(signal.SIGHUP)
        wait_until(lambda: "stays as it is" in self.read(log), what="the refusal")
        self.tload("tables")

    def read(self, path):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def test_state_survives(self):
        self.start()
        table = self.define("id int", "v text")
        upload = self.upload(table, self.write("a.csv", "id,v\n1,x\nq,y\n"), exit=3)
        self.coordinator.stop()
        self.coordinator.start()
        self.assertEqual(self.coordinator.http("GET", f"/v1/tenants/default/uploads/{upload['upload']}").json, upload)
        self.assertEqual(len(self.rejected(upload["upload"])), 1)
        self.assertEqual(self.upload(table, self.write("b.csv", "id,v\n2,z\n"))["rows_applied"], 1)
        self.assertEqual(self.query(f"select * from {table} order by id"), [(1, "x"), (2, "z")])

    def test_files_are_not_for_everybody(self):
        self.start()
        self.upload(self.define("id int"), self.write("a.csv", "id\n1\nx\n"), exit=3)
        for directory, _, names in os.walk(self.coordinator.state):
            for name in names:
                mode = stat.S_IMODE(os.lstat(os.path.join(directory, name)).st_mode)
                self.assertEqual(mode & 0o007, 0, f"{name} has mode {mode:o}")

    def test_partitions(self):
        self.start({"kafka": {"partitions": 7}})
        self.define("id int")
        self.assertEqual(
            {name: n for name, n in self.kafka.topics().items() if name.startswith("tload.")},
            {f"tload.default.{t}": 7 for t in ("raw-input", "validated-input", "import-error")},
        )
        self.coordinator.stop()
        self.coordinator.settings["kafka"]["partitions"] = 3
        self.coordinator.start()
        self.assertEqual(self.coordinator.http("GET", "/v1/tenants/default").json["partitions"], 7)


class Access(DaemonCase):
    def test_tcp_needs_a_token(self):
        port = free_port()
        self.start({"coordinator": {"listen": f"127.0.0.1:{port}"}})
        for path in ("/v1/tenants", "/v1/tenants/default/tables", "/v1/tenants/nobody"):
            status, headers, body = self.tcp(port, path)
            self.assertEqual(status, 401, path)
            self.assertTrue(headers["WWW-Authenticate"].startswith("Bearer"), headers)
            self.assertEqual(headers["Content-Type"], "application/problem+json")
            self.assertIn(b'"unauthorized"', body)
        self.assertEqual(self.tcp(port, "/v1/tenants", {"Authorization": "Bearer x"})[0], 401)
        for path in ("/livez", "/readyz"):
            self.assertEqual(self.tcp(port, path)[0], 200)
        done = self.tload("--coordinator", f"http://127.0.0.1:{port}", "tables", exit=2)
        self.assertIn("token", done.stderr)

    def test_dev(self):
        """State, socket and log below ./.tload; loopback is trusted."""
        self.use_kafka()
        port = free_port()
        env = {"TLOAD_KAFKA_BOOTSTRAP": self.kafka.address, "TLOAD_COORDINATOR_LISTEN": f"127.0.0.1:{port}"}
        daemon = Process([BUILD / "coordinatord", "--dev"], self.dir, "dev", env, cwd=self.dir)
        self.processes.append(daemon)
        directory = os.path.join(self.dir, ".tload")

        def ready():
            self.assertIsNone(daemon.poll(), daemon)
            try:
                return self.tcp(port, "/readyz")[0] == 200
            except OSError:
                return False

        wait_until(ready, what="coordinatord --dev")
        self.assertEqual(self.tcp(port, "/v1/tenants")[0], 200)
        self.assertIn("coordinatord.sock", os.listdir(directory))
        self.assertIn("coordinatord.log", os.listdir(directory))
        for url in (f"unix:{directory}/coordinatord.sock", f"http://127.0.0.1:{port}"):
            self.tload("--coordinator", url, "define-table", "t", "id int", "--key", "id")
            self.tload("--coordinator", url, "upload", self.write("a.csv", "id\n1\n"), "--table", "t")
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(5), 0, daemon)
        self.assertEqual(os.listdir(self.dir).count("state"), 0)

    def test_answers(self):
        self.start()
        table = self.define("id int")
        for method, path, status in (
            ("GET", "/nothing", 404), ("GET", "/v1/tenants/nobody", 404),
            ("GET", "/v1/tenants/default/tables/nothing", 404),
            ("GET", "/v1/tenants/default/tables/..%2fx", 404), ("DELETE", "/v1/tenants", 405),
            ("GET", f"/v1/tenants/default/tables/{table}", 200),
            ("GET", f"/v1/tenants/default/tables/{table}/versions/1", 200),
            ("GET", f"/v1/tenants/default/tables/{table}/versions/2", 404),
            ("GET", "/v1/tenants/default/uploads?limit=0", 422),
            ("GET", "/v1/tenants/default/uploads?state=asleep", 422),
        ):
            with self.subTest(method=method, path=path):
                answer = self.coordinator.http(method, path)
                self.assertEqual(answer.status, status, answer.body)
                if status >= 400:
                    self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
                    self.assertEqual(answer.json["status"], status)
                    self.assertLessEqual({"type", "title", "status", "code", "detail"}, set(answer.json))
        odd = {"table": "x", "columns": [], "nonsense": 1}
        answer = self.coordinator.http("POST", "/v1/tenants/default/tables", odd)
        self.assertEqual(answer.status, 422)
        json_type = {"Content-Type": "application/json"}
        self.assertEqual(self.coordinator.http("POST", "/v1/tenants/default/tables", "{", json_type).status, 400)
        self.assertEqual(self.coordinator.http("POST", "/v1/tenants/default/tables", "{}").status, 415)

    def test_etag(self):
        self.start()
        table = self.define("id int")
        path = f"/v1/tenants/default/tables/{table}"
        first = self.coordinator.http("GET", path)
        self.assertEqual(first.headers["ETag"], f'"{first.json["table_id"]}-1"')
        tag = first.headers["ETag"]
        self.assertEqual(self.coordinator.http("GET", path, headers={"If-None-Match": tag}).status, 304)
        self.assertEqual(self.coordinator.http("DELETE", path, headers={"If-Match": '"999-1"'}).status, 412)
        self.assertEqual(self.coordinator.http("DELETE", path, headers={"If-Match": tag}).status, 204)
        self.assertEqual(self.coordinator.http("GET", path).status, 404)

    def test_garbage_on_the_socket(self):
        self.start()
        endless = b"POST /v1/tenants HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"
        for garbage in (b"\0" * 1000, b"GET / HTTP/1.1\r\n" * 1000, endless, b"x"):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(patience(10))
                s.connect(self.coordinator.socket)
                s.sendall(garbage)
        # It may answer before all has come, and close.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            big = self.coordinator.http(
                "POST", "/v1/tenants/default/tables", b"x" * (5 << 20), {"Content-Type": "application/json"}
            )
            self.assertEqual(big.status, 413)
        self.tload("tables")

    def test_paging(self):
        self.start()
        names = [self.define("id int") for _ in range(5)]
        got, path = [], "/v1/tenants/default/tables?limit=2"
        while path:
            page = self.coordinator.http("GET", path).json
            self.assertLessEqual(len(page["tables"]), 2)
            got += [t["table"] for t in page["tables"]]
            path = page["next"] and f"/v1/tenants/default/tables?limit=2&cursor={page['next']}"
        self.assertEqual(sorted(got), sorted(names))
