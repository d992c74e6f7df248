# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what. What each route asks for is read from its table, so a new route is in the matrix by being there."""

import concurrent.futures
import http.client
import itertools
import json
import os
import pathlib
import re
import socket
import stat
import subprocess
import threading
import time
import unittest

from tests.lib.harness import (
    BUILD, ROOT, Process, Response, SharedTestCase, TestCase, patience, wait_until,
)

SECONDS = 70

# The roles, each may what those before it may; as in coordinatord/control/token_roles.def.
LEVELS = ("OPEN", "READER", "UPLOADER", "OWNER", "ADMIN")
ROLES = ("reader", "uploader", "owner", "admin")

OWN, OTHER, ABSENT = "acme", "globex", "nobody"
TABLE, UPLOAD = "orders", "u1"  # in both tenants
HIDDEN_TABLE, HIDDEN_UPLOAD = "plans", "u9"  # in the other one only
NO_TABLE, NO_UPLOAD, NO_TOKEN = "plant", "u8", "0123456789ab"

ROUTE = re.compile(r'^X\((\w+),\s*"([^"]+)",\s*"([^"]*)",\s*(\w+),\s*(\w+)\)', re.M)


class Route:
    def __init__(self, method, path, query, handler, access):
        self.method, self.path, self.query, self.handler, self.access = method, path, query, handler, access
        self.of_tenant = path.startswith("/v1/tenants/{tenant}")

    def __str__(self):
        return f"{self.method} {self.path}"


def routes():
    text = (ROOT / "coordinatord/http/routes.def").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    found = [Route(*match.groups()) for match in ROUTE.finditer(text)]
    if len(found) != len(re.findall(r"^X\(", text, re.M)) or not found:
        raise AssertionError("routes.def has lines that this test does not read")
    return found


def roles_of_the_product():
    text = (ROOT / "coordinatord/control/token_roles.def").read_text(encoding="utf-8")
    return re.findall(r'^X\((\w+),\s*"(\w+)"\)', text, re.M)


class Table(unittest.TestCase):
    """What the matrix takes from the tables, checked against what is meant."""

    def test_every_access_is_known(self):
        for route in routes():
            self.assertIn(route.access, LEVELS, route)

    def test_roles(self):
        self.assertEqual(roles_of_the_product(), [(level, level.lower()) for level in LEVELS[1:]])

    def test_open_is_what_tells_nothing(self):
        self.assertEqual({str(r) for r in routes() if r.access == "OPEN"}, {"GET /livez", "GET /readyz"})

    def test_a_reader_only_reads(self):
        for route in routes():
            if route.method != "GET":
                self.assertNotIn(route.access, ("OPEN", "READER"), route)
            if "/uploads" not in route.path and "/loaded" not in route.path and route.method != "GET":
                self.assertNotEqual(route.access, "UPLOADER", route)

    def test_what_is_of_no_tenant_is_not_for_tenants(self):
        for route in routes():
            if not route.of_tenant and route.access != "OPEN" and not route.path.startswith("/v1/tokens"):
                self.assertEqual(route.access, "ADMIN", route)


class TcpClient:
    """One connection that is kept alive, as one identity."""

    def __init__(self, address, token=None):
        self.address, self.token = address, token
        self.connection = None

    def __call__(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.token is not None:
            headers["Authorization"] = "Bearer " + self.token
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        for attempt in range(2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(*self.address, timeout=patience(60))
            try:
                self.connection.request(method, path, body, headers)
                response = self.connection.getresponse()
                return Response(response.status, response.headers, response.read())
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A refused body is not read: the connection is closed behind the answer.
                self.close()
                if attempt:
                    raise
        return None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def same(response):
    """All of an answer that somebody could tell it from another by."""
    headers = sorted((name.lower(), value) for name, value in response.headers.items() if name.lower() != "date")
    return response.status, headers, response.body


class IdentityCase(SharedTestCase):
    """A coordinatord that listens on TCP, too, with two tenants of which each has a table and an upload."""

    SETTINGS = {"coordinator": {"listen": "127.0.0.1:0"}}
    ENV = {"TLOAD_LOG": "debug"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Its log then has every request.
        cls.coordinator.stop()
        cls.coordinator.start(env=cls.ENV)
        cls.add_tenants(OWN, OTHER)
        for tenant, tables, uploads in (
            (OWN, (TABLE,), (UPLOAD,)),
            (OTHER, (TABLE, HIDDEN_TABLE), (UPLOAD, HIDDEN_UPLOAD)),
        ):
            for table in tables:
                cls.admin("POST", f"/v1/tenants/{tenant}/tables", {
                    "table": table, "columns": [{"name": "id", "type": "int"}], "key": ["id"]}, due=201)
            for upload in uploads:
                cls.admin("POST", f"/v1/tenants/{tenant}/uploads", {
                    "upload": upload, "table": TABLE, "files": [{"name": "a.csv"}]}, due=201)

    @classmethod
    def add_tenants(cls, *names):
        for name in names:
            cls.admin("POST", "/v1/tenants", {"tenant": name, "partitions": 2}, due=201)
            wait_until(lambda name=name: cls.admin("GET", f"/v1/tenants/{name}").json["state"] == "ready",
                       what=f"tenant {name}")

    @classmethod
    def admin(cls, method, path, body=None, due=None):
        """As root or the daemon's own user, on the Unix socket."""
        response = cls.coordinator.http(method, path, body)
        if due and response.status != due:
            raise AssertionError(f"{method} {path}: {response.status} {response.body}")
        return response

    def client(self, token=None):
        client = TcpClient(self.coordinator.tcp_address(), token)
        self.addCleanup(client.close)
        return client

    def token(self, role, tenant=None, **more):
        """A new token's object, with its secret."""
        body = {"role": role, **({"tenant": tenant or OWN} if role != "admin" else {}), **more}
        return self.admin("POST", "/v1/tokens", body, due=201).json

    def token_file(self, token, name="token", mode=0o600):
        path = self.write(name, token["secret"] + "\n")
        os.chmod(path, mode)
        return path


class Matrix(IdentityCase):
    """role × route × own, another's, absent."""

    def setUp(self):
        super().setUp()
        self.clients = {role: self.client(self.token(role)["secret"]) for role in ROLES}
        self.tokens = {"own": self.token("reader"), "other": self.token("reader", OTHER)}

    def path(self, route, scope, hidden=False, last=False):
        """The route's path. scope: whose tenant; hidden: an object that only the other tenant has; last: one that none has."""
        values = {
            "tenant": {"own": OWN, "other": OTHER, "absent": ABSENT}[scope],
            "table": HIDDEN_TABLE if hidden else TABLE,
            "upload": HIDDEN_UPLOAD if hidden else UPLOAD,
            "version": "1",
            "token": NO_TOKEN if scope == "absent" else self.tokens[scope]["token"],
        }
        if last:
            values.update(table=NO_TABLE, upload=NO_UPLOAD, token=NO_TOKEN)
            if not re.search(r"\{(table|upload|token)\}", route.path):
                values["tenant"] = ABSENT
        return re.sub(r"\{(\w+)\}", lambda match: values.get(match.group(1), "nothing"), route.path)

    def body(self, route):
        return b"{}" if route.method in ("POST", "PATCH") else None

    def may(self, role, route):
        return LEVELS.index(role.upper()) >= LEVELS.index(route.access)

    def test_nobody(self):
        """Without a token, and with one that nobody gave out: the same answer, whatever there is."""
        answers = set()
        for route, scope in itertools.product(routes(), ("own", "other", "absent")):
            with self.subTest(route=str(route), scope=scope):
                answer = self.client()(route.method, self.path(route, scope), self.body(route))
                if route.access == "OPEN":
                    self.assertEqual(answer.status, 200)
                    continue
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
                answers.add(answer.body)
        answers.add(self.client("tload_" + "0" * 64)("GET", f"/v1/tenants/{OWN}/tables").body)
        self.assertEqual(len(answers), 1, answers)

    def test_own(self):
        for role, route in itertools.product(ROLES, routes()):
            with self.subTest(role=role, route=str(route)):
                # What may delete it is tried on what is not there, so that all find the same.
                allowed = self.may(role, route)
                path = self.path(route, "own", last=allowed and route.method == "DELETE")
                answer = self.clients[role](route.method, path, self.body(route))
                if not allowed:
                    self.assertEqual(answer.status, 403, answer.body)
                    absent = self.clients[role](route.method, self.path(route, "own", hidden=True), self.body(route))
                    self.assertEqual(same(answer), same(absent), "403 tells nothing of what there is")
                    continue
                self.assertNotIn(answer.status, (401, 403, 405, 500), answer.body)
                if route.method == "GET":
                    self.assertIn(answer.status, (200, 404), answer.body)
                    self.assertNotIn(b"no such tenant", answer.body)

    def variants(self, route):
        """How somebody could ask to get a difference out of it: body, headers, query."""
        headers = ({}, {"If-Match": '"1-1"'}, {"If-None-Match": "*"}, {"Content-Type": "text/plain"},
                   {"Content-Length": "99999999"})
        queries = ("", "?cursor=a", "?limit=x", "?nonsense=1", *(f"?{name}=1" for name in route.query.split()))
        bodies = (None, b"{}", b"{", b"[" * 5000, b'{"a":1,"a":2}')
        methods = (route.method, "HEAD", "PUT", "OPTIONS") if route.method == "GET" else (route.method, "PUT")
        for method in methods:
            for query in queries:
                yield method, query, {}, self.body(route)
            for header, body in itertools.product(headers, bodies):
                if "Content-Length" not in header or body is None:
                    yield method, "", header, body

    def test_another_tenants_is_not_there(self):
        """Byte for byte, by path and by object, on every route."""
        for route in (r for r in routes() if r.of_tenant):
            for method, query, headers, body in self.variants(route):
                answers = {}
                for role in ROLES[:-1]:
                    ask = self.clients[role]
                    pair = [ask(method, self.path(route, scope) + query, body, headers)
                            for scope in ("other", "absent")]
                    with self.subTest(role=role, route=str(route), method=method, query=query, headers=headers,
                                      body=body and body[:20]):
                        self.assertEqual(same(pair[0]), same(pair[1]))
                        if method not in ("PUT", "OPTIONS"):
                            self.assertEqual(pair[0].status, 404)
                        answers[role] = same(pair[0])
                self.assertEqual(len(set(map(str, answers.values()))), 1, "nor does it depend on the role")

    def test_another_tenants_object_is_not_in_ones_own(self):
        names = ((HIDDEN_TABLE, NO_TABLE), (HIDDEN_UPLOAD, NO_UPLOAD))
        for route in (r for r in routes() if re.search(r"\{(table|upload)\}", r.path)):
            for role in ROLES[:-1]:
                with self.subTest(role=role, route=str(route)):
                    ask = self.clients[role]
                    there = ask(route.method, self.path(route, "own", hidden=True), self.body(route))
                    absent = ask(route.method, self.path(route, "own", last=True), self.body(route))
                    for hidden, none in names:
                        self.assertEqual(len(hidden), len(none))
                        there.body = there.body.replace(hidden.encode(), none.encode())
                    self.assertEqual(same(there), same(absent))
                    self.assertGreaterEqual(there.status, 400)

    def test_what_is_of_no_tenant(self):
        for role, route in itertools.product(ROLES[:-1], (r for r in routes() if not r.of_tenant)):
            if route.access == "OPEN" or (self.may(role, route) and "{" not in route.path):
                continue
            for method, query, headers, body in self.variants(route):
                with self.subTest(role=role, route=str(route), query=query, headers=headers):
                    ask = self.clients[role]
                    other, absent = (ask(method, self.path(route, scope) + query, body, headers)
                                     for scope in ("other", "absent"))
                    self.assertEqual(same(other), same(absent))
                    if method == route.method and not self.may(role, route):
                        self.assertEqual(other.status, 403)
                    elif method == route.method:
                        self.assertIn(other.status, (400, 404, 413, 415, 422))
        # Nothing of this was done.
        tokens = self.admin("GET", "/v1/tokens?limit=1000").json["tokens"]
        self.assertIn(self.tokens["other"]["token"], [t["token"] for t in tokens])

    def test_admin_sees_all(self):
        for route in (r for r in routes() if r.method == "GET"):
            with self.subTest(route=str(route)):
                self.assertIn(self.clients["admin"]("GET", self.path(route, "other")).status, (200, 404))
        self.assertEqual(self.clients["admin"]("GET", f"/v1/tenants/{OTHER}/tables/{HIDDEN_TABLE}").status, 200)
        self.assertEqual(self.clients["admin"]("GET", f"/v1/tenants/{ABSENT}/tables").status, 404)

    def test_paths_that_are_written_otherwise(self):
        ask = self.clients["owner"]
        for form in ("/v1/tenants/%s/tables", "/v1/tenants/%s/", "/v1/tenants//%s/tables", "/v1/tenants/./%s/tables",
                     "/v1/tenants/acme/../%s/tables", "/v1/tenants/acme%%2f..%%2f%s/tables", "/v1//tenants/%s/tables",
                     "/v1/tenants/%s%%00/tables", "/v1/tenants/acme%%00%s/tables", "/v1/tenants/%s./tables"):
            with self.subTest(form=form):
                # "%67lobex" is "globex"; the absent one is of the same length.
                for there, absent in ((OTHER, "nobody"), ("%67lobex", "%6eobody"), ("GLOBEX", "NOBODY")):
                    pair = [ask("GET", form % name) for name in (there, absent)]
                    self.assertEqual(same(pair[0]), same(pair[1]))
                    if pair[0].status == 200:  # the path ends at %00
                        self.assertEqual(pair[0].json["tenant"], OWN)


class Tokens(IdentityCase):
    def test_wrong_ones_are_all_alike(self):
        path = f"/v1/tenants/{OWN}/tables"
        good, expired, gone = self.token("reader"), self.token("reader", expires_in=1), self.token("reader")
        self.assertEqual(self.client(good["secret"])("GET", path).status, 200)
        self.admin("DELETE", f"/v1/tokens/{gone['token']}", due=204)
        wait_until(lambda: self.client(expired["secret"])("GET", path).status == 401, what="the expiry")
        last = "0" if good["secret"][-1] != "0" else "1"
        wrong = ["", " ", "x", "tload_", good["secret"][:-1], good["secret"] + "0", good["secret"][:-1] + last,
                 good["secret"].upper(), good["secret"].removeprefix("tload_"), good["token"], "x" * 4000,
                 expired["secret"], gone["secret"]]
        none = same(self.client()("GET", path))
        for secret in wrong:
            with self.subTest(secret=secret[:80]):
                self.assertEqual(same(self.client(secret)("GET", path)), none)
        for header in ("Basic " + good["secret"], good["secret"], "Bearer", "Bearer" + good["secret"]):
            with self.subTest(header=header[:20]):
                self.assertEqual(same(self.client()("GET", path, headers={"Authorization": header})), none)
        self.assertEqual(self.client()("GET", path, headers={"Authorization": "bearer  " + good["secret"]}).status, 200)

    def test_revoked_at_once(self):
        """Also on a connection that is kept alive, and for who asks in the same moment."""
        path = f"/v1/tenants/{OWN}/tables"
        for _ in range(20):
            token = self.token("reader")
            ask = self.client(token["secret"])
            self.assertEqual(ask("GET", path).status, 200)
            before = ask.connection.sock
            self.admin("DELETE", f"/v1/tokens/{token['token']}", due=204)
            self.assertEqual(ask("GET", path).status, 401)
            self.assertIs(ask.connection.sock, before)

    def test_long_poll_of_a_revoked_token(self):
        token = self.token("reader")
        upload = f"/v1/tenants/{OWN}/uploads/{UPLOAD}"
        seen = self.admin("GET", upload).json["change"]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = self.coordinator.log.count(f"GET {upload}\n")
            poll = pool.submit(self.client(token["secret"]), "GET", f"{upload}?wait_ms=30000&seen={seen}")
            wait_until(lambda: self.coordinator.log.count(f"GET {upload}\n") > asked, what="the poll")
            self.admin("DELETE", f"/v1/tokens/{token['token']}", due=204)
            self.admin("PATCH", upload, {"rows_read": 1}, due=200)
            self.assertEqual(poll.result().status, 401)

    def test_body_of_a_revoked_token(self):
        """Who began to send it before does nothing with it after."""
        token = self.token("owner")
        body = json.dumps({"table": "late", "columns": [{"name": "id", "type": "int"}]}).encode()
        head = (f"POST /v1/tenants/{OWN}/tables HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                f"Authorization: Bearer {token['secret']}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        with socket.create_connection(self.coordinator.tcp_address(), patience(30)) as s:
            s.sendall(head.encode())
            # The head was looked at when it says so.
            self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 100 "))
            self.admin("DELETE", f"/v1/tokens/{token['token']}", due=204)
            s.sendall(body)
            self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 401 "))
        self.assertEqual(self.admin("GET", f"/v1/tenants/{OWN}/tables/late").status, 404)

    def test_stream_of_a_revoked_token(self):
        """Rejected rows are read for as long as there are any; not with a token that is worth nothing any more."""
        table = self.define("id int", "v text")
        path = self.write("bad.csv", "id,v\n" + "".join(f"x{i},{'y' * 400}\n" for i in range(60000)))
        upload = self.upload(table, path, exit=3)["upload"]
        token = self.token("reader", "default")
        connection = http.client.HTTPConnection(*self.coordinator.tcp_address(), timeout=patience(60))
        self.addCleanup(connection.close)
        connection.request("GET", f"/v1/tenants/default/uploads/{upload}/errors",
                           headers={"Authorization": "Bearer " + token["secret"]})
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        began = time.monotonic()
        self.admin("DELETE", f"/v1/tokens/{token['token']}", due=204)
        read = len(response.read(65536))
        wait_until(lambda: time.monotonic() - began > 1.2, what="the next look")
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            while True:
                piece = response.read(1 << 20)
                read += len(piece)
                if not piece:
                    break
        self.assertGreater(read, 0)

    def test_trying_is_slow_and_holds_up_nobody(self):
        path = f"/v1/tenants/{OWN}/tables"
        began = time.monotonic()
        self.assertEqual(self.client("wrong")("GET", path).status, 401)
        self.assertGreaterEqual(time.monotonic() - began, 0.15)
        good = self.client(self.token("reader")["secret"])
        done = threading.Event()

        def try_on():
            ask = TcpClient(self.coordinator.tcp_address(), "wrong")
            while not done.is_set():
                ask("GET", path)
            ask.close()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            tries = [pool.submit(try_on) for _ in range(8)]
            try:
                times = []
                for _ in range(20):
                    began = time.monotonic()
                    self.assertEqual(good("GET", path).status, 200)
                    times.append(time.monotonic() - began)
            finally:
                done.set()
            for one in tries:
                one.result()
        self.assertLess(min(times), 0.15)

    def test_over_a_restart(self):
        token = self.token("reader", label="kept")
        self.coordinator.kill()
        self.coordinator.start(env=self.ENV)
        self.assertEqual(self.client(token["secret"])("GET", f"/v1/tenants/{OWN}/tables").status, 200)

    def test_tokens_end_with_their_tenant(self):
        """They are nobody's when another tenant gets the name."""
        self.add_tenants("brief")
        token = self.token("owner", "brief")
        ask = self.client(token["secret"])
        self.assertEqual(ask("GET", "/v1/tenants/brief/tables").status, 200)
        self.tload("tenant", "remove", "brief", "--yes")
        wait_until(lambda: ask("GET", "/v1/tenants/brief/tables").status == 401, what="the tenant's end")
        self.assertEqual(self.admin("DELETE", f"/v1/tokens/{token['token']}").status, 404)
        self.add_tenants("brief")
        self.assertEqual(ask("GET", "/v1/tenants/brief/tables").status, 401)

    def test_a_token_counts_on_the_socket_too(self):
        token = self.token("reader")
        headers = {"Authorization": "Bearer " + token["secret"]}
        ask = self.coordinator.http
        self.assertEqual(ask("GET", f"/v1/tenants/{OWN}/tables", headers=headers).status, 200)
        self.assertEqual(ask("GET", f"/v1/tenants/{OTHER}/tables", headers=headers).status, 404)
        self.assertEqual(ask("GET", "/v1/tenants", headers=headers).status, 403)
        self.assertEqual(ask("GET", "/v1/tenants", headers={"Authorization": "Bearer x"}).status, 401)

    def test_secrets_are_nowhere(self):
        """Not in the state directory, nor in a log that says everything, nor in an answer but the first."""
        tokens = [self.token(role) for role in ROLES]
        for token in tokens:
            ask = self.client(token["secret"])
            ask("GET", f"/v1/tenants/{OWN}/tables")
            ask("GET", "/v1/tokens")
            ask("POST", "/v1/tokens", b'{"role":"nonsense"}')
        owner = self.client(tokens[2]["secret"])
        made = owner("POST", "/v1/tokens", b'{"role":"reader","label":"of the owner"}').json
        answers = [owner("GET", "/v1/tokens").body, self.admin("GET", "/v1/tokens?limit=1000").body]
        self.assertIn(b"of the owner", answers[0])
        secrets = [token["secret"].encode() for token in [*tokens, made]]
        files = [p for p in pathlib.Path(self.coordinator.dir).rglob("*") if p.is_file()]
        names = {p.name for p in files}
        self.assertLessEqual({"control.db", "control.db-wal"}, names)
        self.assertIn(f"GET /v1/tenants/{OWN}/tables\n", self.coordinator.log)
        for name, content in [*((str(p), p.read_bytes()) for p in files), *(("answer", a) for a in answers)]:
            for secret in secrets:
                with self.subTest(file=name):
                    self.assertNotIn(secret, content)
                    self.assertNotIn(secret.removeprefix(b"tload_"), content)
                    self.assertNotIn(bytes.fromhex(secret.removeprefix(b"tload_").decode()), content)

    def test_who(self):
        """Metadata names the token."""
        token = self.token("owner", label="nightly load")
        ask = self.client(token["secret"])
        body = {"table": "named", "columns": [{"name": "id", "type": "int"}]}
        self.assertEqual(ask("POST", f"/v1/tenants/{OWN}/tables", json.dumps(body)).status, 201)
        who = f"token:{token['token']} nightly load"
        self.assertEqual(self.admin("GET", f"/v1/tenants/{OWN}/tables/named").json["changed_by"], who)
        body = {"table": "named", "files": [{"name": "a.csv"}]}
        upload = ask("POST", f"/v1/tenants/{OWN}/uploads", json.dumps(body)).json["upload"]
        self.assertEqual(self.admin("GET", f"/v1/tenants/{OWN}/uploads/{upload}").json["started_by"], who)
        self.assertIn(f"by {who}", self.log_of_making(ask))

    def log_of_making(self, ask):
        self.assertEqual(ask("POST", "/v1/tokens", b'{"role":"reader"}').status, 201)
        return self.coordinator.log


class CommandLine(IdentityCase):
    def create(self, *arguments, **options):
        return self.tload("token", "create", *arguments, **options)

    def url(self):
        return "http://%s:%d" % self.coordinator.tcp_address()

    def test_made_used_listed_revoked(self):
        made = self.create("--role", "owner", "--tenant", OWN, "--expires", "12h", "--label", "of a test")
        secret = made.stdout.strip()
        self.assertRegex(made.stdout, r"^tload_[0-9a-f]{64}\n$")
        self.assertIn(f"owner of tenant {OWN}", made.stderr)
        self.assertNotIn(secret, made.stderr)
        path = self.token_file({"secret": secret})
        over_tcp = ("--coordinator", self.url(), "--tenant", OWN, "--token-file", path)
        self.assertIn(TABLE, self.tload(*over_tcp, "tables").stdout)
        self.assertIn(TABLE, self.tload("--coordinator", self.url(), "--tenant", OWN, "tables",
                                        env={"TLOAD_TOKEN_FILE": path}).stdout)
        self.tload(*over_tcp, "define-table", "mine", "id int", "--key", "id")
        listed = [json.loads(line) for line in self.tload("--json", *over_tcp, "token", "list").stdout.splitlines()]
        mine = next(t for t in listed if t["label"] == "of a test")
        self.assertEqual({t["tenant"] for t in listed}, {OWN})
        self.assertIn(mine["token"], self.tload("describe", "mine", "--tenant", OWN, "--history").stdout)
        table = self.tload(*over_tcp, "token", "list").stdout
        for word in (mine["token"], "owner", OWN, "of a test", "EXPIRES", mine["expires_at"]):
            self.assertIn(word, table)
        self.assertNotIn(secret, table)
        self.tload("token", "revoke", mine["token"])
        done = self.tload(*over_tcp, "tables", exit=2)
        self.assertIn("a token is needed", done.stderr)
        self.tload("token", "revoke", mine["token"], exit=2)

    def test_into_a_file(self):
        path = os.path.join(self.dir, "new.token")
        made = self.create("--role", "reader", "--tenant", OWN, "-o", path)
        self.assertEqual(made.stdout, "")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.tload("--coordinator", self.url(), "--tenant", OWN, "--token-file", path, "tables")
        before = pathlib.Path(path).read_bytes()
        self.create("--role", "reader", "--tenant", OWN, "-o", path, exit=None)
        self.assertEqual(pathlib.Path(path).read_bytes(), before, "what is there is not written over")
        other = os.path.join(self.dir, "other.token")
        self.create("--role", "reader", "--tenant", ABSENT, "-o", other, exit=2)
        self.assertFalse(os.path.exists(other))
        shown = json.loads(self.tload("--json", "token", "create", "--role", "admin", "-o", other).stdout)
        self.assertNotIn("secret", shown)
        self.assertIsNone(shown["tenant"])

    def test_misused(self):
        for arguments in (("create",), ("create", "--role", "king"), ("create", "--role", "reader", "x"), ("make",),
                          ("create", "--role", "admin", "--tenant", OWN), ("revoke",), ("list", "x"), (),
                          ("create", "--role", "reader", "--expires", "soon"), ("list", "--role", "reader"),
                          ("create", "--role", "reader", "--expires", "0d"), ("revoke", "tload_0123")):
            with self.subTest(arguments=arguments):
                done = self.tload("token", *arguments, exit=2)
                self.assertEqual(done.stdout, "")
                self.assertNotIn("tload_0123", done.stderr)

    def test_a_file_that_everybody_can_read(self):
        path = self.token_file(self.token("reader"), mode=0o644)
        done = self.tload("--tenant", OWN, "--token-file", path, "tables", exit=2)
        self.assertIn("everybody", done.stderr)
        self.assertIn("chmod", done.stderr)
        os.chmod(path, 0o640)
        self.tload("--tenant", OWN, "--token-file", path, "tables")

    def test_each_role_at_work(self):
        """What the manual says of them, by the commands that they are for."""
        path = self.write("a.csv", "id\n1\n")
        self.tload("--tenant", OWN, "define-table", "scratch", "id int", "--key", "id")
        commands = {
            "reader": [("tables",), ("describe", TABLE), ("uploads",), ("status", UPLOAD), ("errors", UPLOAD)],
            "uploader": [("upload", path, "--table", TABLE), ("upload", path, "--table", TABLE, "--once")],
            "owner": [("define-table", "roles", "id int", "--key", "id"), ("alter", "roles", "--add", "v text"),
                      ("drop-table", "scratch", "--yes"), ("token", "list"), ("token", "create", "--role", "reader")],
        }
        for at, role in enumerate(commands):
            token = self.token_file(self.token(role), role)
            for needed, listed in enumerate(commands.values()):
                for command in listed:
                    with self.subTest(role=role, command=command):
                        done = self.tload("--coordinator", self.url(), "--tenant", OWN, "--token-file", token, *command,
                                          exit=0 if at >= needed else 2)
                        if at < needed:
                            self.assertIn(f"not for a token of role {role}", done.stderr)

    def test_not_among_the_processes(self):
        """While it is used, no other user sees it."""
        token = self.token("reader")
        path = self.token_file(token)
        waiting = self.tload_start("--coordinator", self.url(), "--tenant", OWN, "--token-file", path, "wait", UPLOAD)
        wait_until(lambda: waiting.stderr, what="the waiting")
        for name in ("cmdline", "environ"):
            content = pathlib.Path(f"/proc/{waiting.pid}/{name}").read_bytes()
            self.assertNotIn(token["secret"].encode(), content)


@unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
class OtherUser(IdentityCase):
    NOBODY = 65534

    def setUp(self):
        super().setUp()
        os.chmod(self.dir, 0o755)
        os.chmod(self.coordinator.dir, 0o755)

    def as_nobody(self, *arguments):
        env = {**os.environ, "HOME": "/nonexistent", "TLOAD_COORDINATOR": self.coordinator.url}
        return subprocess.run([BUILD / "tload", *arguments], env=env, capture_output=True, text=True, check=False,
                              cwd="/", user=self.NOBODY, group=self.NOBODY, extra_groups=[], timeout=patience(60))

    def test_with_and_without_a_token(self):
        done = self.as_nobody("--tenant", OWN, "tables")
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("token", done.stderr)
        path = self.token_file(self.token("reader"))
        os.chown(path, self.NOBODY, self.NOBODY)
        done = self.as_nobody("--tenant", OWN, "--token-file", path, "tables")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn(TABLE, done.stdout)
        done = self.as_nobody("--tenant", OTHER, "--token-file", path, "tables")
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("no such tenant", done.stderr)

    def test_strangers_do_not_shut_out_root(self):
        """One user opens more connections than there may be, and keeps them."""
        script = ("import resource, signal, socket, sys\n"
                  "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
                  "resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\n"
                  "signal.alarm(int(sys.argv[3]))\n"
                  "all = []\n"
                  "while len(all) < int(sys.argv[2]):\n"
                  "    s = socket.socket(socket.AF_UNIX)\n"
                  "    s.connect(sys.argv[1]); all.append(s)\n"  # waits while the queue of those that wait is full
                  "    if len(all) < 100:\n"
                  "        s.settimeout(30)\n"
                  "        s.sendall(b'GET /livez HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
                  "        assert s.recv(1000).startswith(b'HTTP/1.1 200')\n"
                  "print('open', flush=True); sys.stdin.read()")
        with open(f"{ROOT}/coordinatord/http/server.c", encoding="utf-8") as source:
            most = int(re.search(r"CONNECTIONS_MAX = (\d+)", source.read())[1])
        with subprocess.Popen(["python3", "-c", script, self.coordinator.socket, str(most + 100), str(patience(60))],
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, user=self.NOBODY,
                              group=self.NOBODY, extra_groups=[]) as stranger:
            try:
                self.assertEqual(stranger.stdout.readline(), "open\n")
                self.tload("tables", timeout=10)
            finally:
                stranger.communicate("")
        # Nor do they stay shut out themselves.
        self.assertIn("a token is needed", self.as_nobody("tables").stderr)

    def test_open_routes(self):
        script = ("import sys; sys.path.insert(0, sys.argv[1])\n"
                  "from tests.lib.harness import UnixHTTPConnection\n"
                  "c = UnixHTTPConnection(sys.argv[2], 30); c.request('GET', sys.argv[3]); print(c.getresponse().status)")
        for path, status in (("/livez", "200"), ("/readyz", "200"), ("/v1/tenants", "401"), ("/v1/tokens", "401")):
            done = subprocess.run(["python3", "-c", script, ROOT, self.coordinator.socket, path], capture_output=True,
                                  text=True, check=False, user=self.NOBODY, group=self.NOBODY, extra_groups=[],
                                  timeout=patience(60))
            self.assertEqual(done.stdout.strip(), status, done)


class Socket(TestCase):
    def test_its_mode_from_the_first_instant(self):
        """The calls that make it are held up, and the file is never seen to be anything else."""
        self.use_kafka()
        coordinator = self.new_coordinator()
        os.makedirs(coordinator.state)
        coordinator.write_config()
        modes, done = set(), threading.Event()

        def watch():
            """Until somebody listens: every further connection would be in the way of who waits for an answer."""
            while not done.is_set():
                try:
                    modes.add(stat.S_IMODE(os.stat(coordinator.socket).st_mode))
                except FileNotFoundError:
                    continue
                with socket.socket(socket.AF_UNIX) as s:
                    try:
                        s.connect(coordinator.socket)
                        return
                    except (ConnectionRefusedError, PermissionError) as e:
                        modes.add(str(e))
                    except FileNotFoundError:
                        pass

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            # -D: the daemon is ours, and strace its child, so that it ends as ever.
            coordinator.process = Process(
                ["strace", "-D", "-f", "-qq", "-o", os.path.join(self.dir, "strace"),
                 "-e", "trace=bind,chmod,fchmod,fchmodat,listen,rename",
                 "-e", "inject=chmod,fchmod,fchmodat,listen:delay_enter=200000",
                 BUILD / "coordinatord", "--config", coordinator.config_path], self.dir, "strace",
                # Leaks can't be looked for in what is traced.
                env={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"})
            wait_until(coordinator.ready, 60, "coordinatord to be ready")
        finally:
            done.set()
            watcher.join()
        self.assertEqual(modes, {0o666})
        coordinator.stop(20)

    def test_its_directory(self):
        """One that is made for it lets others through; the state's does not."""
        self.use_kafka()
        coordinator = self.new_coordinator()
        run = os.path.join(self.dir, "run")
        coordinator.socket = coordinator.settings["coordinator"]["socket"] = os.path.join(run, "c.sock")
        coordinator.start()
        self.assertEqual(stat.S_IMODE(os.stat(run).st_mode), 0o755)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(coordinator.state, "control.db")).st_mode) & 0o007, 0)
        coordinator.stop()
        self.assertEqual(os.listdir(run), [])

    def test_what_a_crash_left(self):
        self.use_kafka()
        coordinator = self.new_coordinator()
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(coordinator.socket + ".new")
        coordinator.start()
        coordinator.stop()
        self.assertFalse(os.path.exists(coordinator.socket + ".new"))


class Dev(TestCase):
    def test_a_token_that_is_given_counts(self):
        """Loopback trusts who gives none; not who gives a wrong one."""
        self.use_kafka()
        env = {"TLOAD_KAFKA_BOOTSTRAP": self.kafka.address, "TLOAD_COORDINATOR_LISTEN": "127.0.0.1:0"}
        daemon = Process([BUILD / "coordinatord", "--dev"], self.dir, "dev", env, cwd=self.dir)
        self.processes.append(daemon)
        log = pathlib.Path(self.dir, ".tload/coordinatord.log")
        found = wait_until(
            lambda: log.exists() and re.search(r" and ([\d.]+):(\d+)$", log.read_text(encoding="utf-8"), re.M),
            what="the address")
        address = found.group(1), int(found.group(2))
        ask = TcpClient(address)
        self.addCleanup(ask.close)
        made = ask("POST", "/v1/tokens", b'{"role":"reader","tenant":"default"}')
        self.assertEqual(made.status, 201, made.body)
        self.assertEqual(made.json["created_by"], "dev")
        for token, host, due in ((None, None, 200), ("x", None, 401), (made.json["secret"], None, 403),
                                 (None, "evil.example", 401)):
            with self.subTest(token=token, host=host):
                client = TcpClient(address, token)
                self.assertEqual(client("GET", "/v1/tenants", headers={"Host": host} if host else None).status, due)
                client.close()


class RolesElsewhere(TestCase):
    """The other roles reach control over TCP, with an admin's token."""

    def start_role(self, token, name):
        path = self.write(name, token["secret"] + "\n")
        os.chmod(path, 0o600)
        settings = {"coordinator": {"control": self.url, "token_file": path},
                    "sink": {"url": f"sqlite:{self.coordinator.state}/data"},
                    "errors": {"url": f"file:{self.coordinator.state}/errors"}}
        return self.new_coordinator(settings, "validate,sink,errors").start(ready=False)

    def test_admin_and_less(self):
        self.use_kafka()
        self.coordinator = self.new_coordinator({"coordinator": {"listen": "127.0.0.1:0"}}, "control").start()
        self.url = "http://%s:%d" % self.coordinator.tcp_address()
        tokens = {role: self.coordinator.http("POST", "/v1/tokens", {"role": role, **more}).json
                  for role, more in (("admin", {}), ("owner", {"tenant": "default"}))}
        less = self.start_role(tokens["owner"], "owner")
        wait_until(lambda: "this is not for a token of role owner" in less.log, what="a word about the role")
        less.stop()
        rest = self.start_role(tokens["admin"], "admin")
        table = self.define("id int")
        self.assertEqual(self.upload(table, self.write("a.csv", "id\n1\n2\n"))["rows_applied"], 2)
        self.assertNotIn(tokens["admin"]["secret"], rest.log + self.coordinator.log)
        with open(f"/proc/{rest.process.pid}/cmdline", "rb") as f:
            self.assertNotIn(tokens["admin"]["secret"].encode(), f.read())
        rest.stop()
        self.coordinator.stop()
