# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL of the tests: the service, queries by psql, a session that holds a lock, a cable that is cut at a COMMIT,
a pooler."""

import csv
import io
import os
import re
import signal
import socket
import subprocess
import threading

from tests.lib.process import ROOT, Process, free_port, gone, patience, wait_until

SERVICE = ROOT / "tests/services/postgres"
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


def field(text):
    """A field of COPY's text form; None is null."""
    return None if text == "\\N" else re.sub(r"\\(.)", lambda m: ESCAPES[m[1]], text, flags=re.S)


class Postgres:
    """A server in a directory of its own. start() and stop() may be called in turn: the data stays."""

    def __init__(self, directory):
        self.dir = directory
        self.url = None

    def start(self):
        done = subprocess.run(
            [SERVICE, "start", self.dir], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120, check=True
        )
        self.url = done.stdout.decode().strip()
        return self

    def stop(self):
        subprocess.run([SERVICE, "stop", self.dir], timeout=60, check=True)

    def stop_immediate(self):
        """As "pg_ctl stop -m immediate": without order; the next start recovers."""
        with open(os.path.join(self.dir, "pid"), encoding="ascii") as f:
            pid = int(f.read())
        os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: gone(pid), what="the end of PostgreSQL")

    def standby(self, directory):
        """A server more, which has every commit before this one answers it; started."""
        standby = Postgres(directory)
        data = os.path.join(directory, "data")
        subprocess.run(
            ["/usr/lib/postgresql/15/bin/pg_basebackup", "-d", self.url, "-D", data, "-R", "-c", "fast"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120, check=True,
        )
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres:postgres", directory], timeout=60, check=True)
        standby.start()
        own = Database(self, "postgres", there=True)
        own.execute("alter system set synchronous_standby_names = '*'")
        own.execute("select pg_reload_conf()")
        synchronous = "select count(*) from pg_stat_replication where sync_state = 'sync'"
        wait_until(lambda: own.value(synchronous) == "1", what="the standby")
        return standby

    @property
    def port(self):
        return int(re.search(r":(\d+)/", self.url)[1])


    def unread(self):
        """How many of its connections have got something that it has not taken in."""
        with open("/proc/net/tcp", encoding="ascii") as f:
            lines = [line.split() for line in f.readlines()[1:]]
        return sum(fields[1].endswith(f":{self.port:04X}") and fields[4][-8:] != "00000000" for fields in lines)


class Database:
    def __init__(self, server, name, there=False):
        """It is made, unless it is there."""
        self.server = server
        self.name = name
        if not there:
            self._psql(server.url, f'create database "{name}"')

    @property
    def url(self):
        return self.server.url.rpartition("/")[0] + "/" + self.name

    def drop(self):
        self._psql(self.server.url, f'drop database "{self.name}" with (force)')

    def execute(self, sql):
        self._psql(self.url, sql)

    def query(self, sql):
        """Rows of texts, exactly as the server writes them, None for null."""
        text = self._psql(self.url, f"copy ({sql}) to stdout")
        return [tuple(field(f) for f in row.split("\t")) for row in text.split("\n")[:-1]]

    def value(self, sql):
        ((value,),) = self.query(sql)
        return value

    def count(self, table):
        return int(self.value(f"select count(*) from {table}"))

    def session(self):
        return Session(self.url)

    def _psql(self, url, sql):
        done = subprocess.run(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", url, "-f", "-"],
            input=f"set search_path to \"default\", public;\nset timezone to 'UTC';\n{sql};\n".encode(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(60), check=False,
        )
        if done.returncode:
            raise AssertionError(f"psql: {sql}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()


class Pooler:
    """A pgbouncer in transaction mode before a server: a connection of the server is a client's for one transaction."""

    CONNECTIONS = 2

    def __init__(self, directory, server):
        self.dir = directory
        self.server = server
        self.port = free_port()
        self.process = None

    def start(self):
        config, users = (os.path.join(self.dir, name) for name in ("pgbouncer.ini", "pgbouncer.users"))
        with open(users, "w", encoding="ascii") as f:
            f.write('"postgres" ""\n')
        with open(config, "w", encoding="ascii") as f:
            f.write(
                f"[databases]\n* = host=127.0.0.1 port={self.server.port} user=postgres\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
                f"auth_type = trust\nauth_file = {users}\nadmin_users = postgres\n"
                f"pool_mode = transaction\ndefault_pool_size = {self.CONNECTIONS}\nserver_login_retry = 1\n"
            )
        # It refuses to run as root.
        as_user = ["-u", "postgres"] if os.geteuid() == 0 else []
        self.process = Process(["/usr/sbin/pgbouncer", *as_user, config], self.dir, "pgbouncer")
        wait_until(self._answers, what="pgbouncer to answer")
        return self

    def url(self, database):
        return database.url.replace(f":{self.server.port}/", f":{self.port}/")

    def kill(self):
        self.process.kill()

    def reconnect(self):
        """Each connection of the server is made anew, once it is free."""
        self._console("reconnect")

    def clients(self):
        """How many clients there are of tload's."""
        return sum(client["application_name"] == "tload" for client in self._console("show clients"))

    def servers(self):
        """The process ids of its connections of the server."""
        return {connection["remote_pid"] for connection in self._console("show servers")}

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"pgbouncer ended: {self.process}")
        try:
            return bool(self._console("show version"))
        except AssertionError:
            return False

    def _console(self, command):
        done = subprocess.run(
            ["psql", "-Xq", "--csv", f"postgresql://postgres@127.0.0.1:{self.port}/pgbouncer", "-c", command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(30), check=False, text=True,
        )
        if done.returncode:
            raise AssertionError(f"pgbouncer: {command}: {done.stderr}")
        return list(csv.DictReader(io.StringIO(done.stdout)))


class Session:
    """A psql that stays: what it has locked is locked until close()."""

    def __init__(self, url):
        self.process = subprocess.Popen(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def execute(self, sql):
        self.process.stdin.write(f'set search_path to "default", public;\n{sql};\n\\echo done\n')
        self.process.stdin.flush()
        if self.process.stdout.readline() != "done\n":
            raise AssertionError(f"psql: {sql}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(patience(10))
        self.process.stdout.close()


class Cable:
    """Forwards to a server at a port of its own. While it is `armed`, a connection is cut when the server answers to
    COMMIT: the answer is lost, what it is about is not."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.port = free_port()
        self.armed = False
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, database):
        return database.url.replace(f":{self.target_port}/", f":{self.port}/")

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target_port))
            committing = threading.Event()
            for pump in (self._to_server, self._to_client):
                threading.Thread(target=pump, args=(client, server, committing), daemon=True).start()

    def _to_server(self, client, server, committing):
        self._pump(client, server, lambda data: b"COMMIT\0" in data and committing.set())

    def _to_client(self, client, server, committing):
        def look(_data):
            if committing.is_set():
                committing.clear()
                if self.armed:
                    self.cuts += 1
                    raise OSError

        self._pump(server, client, look)

    @staticmethod
    def _pump(source, target, look):
        try:
            while data := source.recv(65536):
                look(data)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
