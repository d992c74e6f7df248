# SPDX-License-Identifier: GPL-3.0-or-later
"""The data sinks as the torture sees them: read, locked, guarded and given constraints beside the daemon, by Python alone.

A guard is a trigger on the ledger's own tables that writes down whatever goes back: it sees each commit, where looking at
times would miss what is put right again a moment later.
"""

import contextlib
import os
import sqlite3
import subprocess
import threading

from tests.lib.postgres import Database
from tests.lib.process import wait_until
from tests.torture.workload import NAMES

TENANT = "default"

GUARDED = {
    "offsets": (("topic", "partition"), ("next",)),
    "ledger": (("upload", "partition"), ("last_seq", "rows_applied", "rows_rejected", "ended", "stopped")),
    "errors": (("upload", "partition", "stage"), ("last_seq", "rows")),
}


class SqliteSink:
    """The embedded sink: a file that a reader beside the daemon may read at any time."""

    keeps_order = True  # of a table's columns
    busy = (sqlite3.Error,)  # what its calls raise when it is locked, or not there yet

    def __init__(self, state):
        self.path = os.path.join(state, "data", TENANT + ".db")

    def settings(self):
        """Of the daemon's configuration."""
        return {}

    def _connect(self, mode, timeout=30):
        return sqlite3.connect(f"file:{self.path}?mode={mode}", uri=True, timeout=timeout, isolation_level=None)

    def query(self, sql, *parameters):
        connection = self._connect("ro")
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

    def change(self, *statements):
        connection = self._connect("rw")
        try:
            for sql in statements:
                connection.execute(sql)
        finally:
            connection.close()

    # --- what the oracle asks

    def offsets(self):
        return {(topic, p): at for topic, p, at in self.query("SELECT topic, partition, next FROM _tload_offsets")}

    def ledger(self):
        return self.query(
            "SELECT upload, partition, table_name, last_seq, rows_applied, rows_rejected, ended, rows_read, stopped FROM _tload_ledger"
        )

    def owed(self):
        """Topic, partition, offset, table of messages that are still to be applied."""
        return self.query("SELECT topic, partition, message, table_name FROM _tload_owed")

    def errors(self):
        """Upload, partition, stage, last batch, rows."""
        return self.query("SELECT upload, partition, stage, last_seq, rows FROM _tload_errors")

    def rows(self, table):
        return self.query(f"SELECT {','.join(NAMES)} FROM {table}")

    def keys(self, table):
        return {key for (key,) in self.query(f"SELECT id FROM {table}")}

    def columns(self, table):
        return [r[1] for r in self.query(f'PRAGMA table_info("{table}")')]

    def versions(self):
        """Table to (table_id, version)."""
        return {n: (i, v) for n, i, v in self.query("SELECT name, table_id, version FROM _tload_tables")}

    def counted(self, table):
        """How many rows the table has, and how many the ledger says; both of one moment."""
        return self.query(
            f"SELECT (SELECT count(*) FROM {table}), (SELECT coalesce(sum(rows_applied), 0) FROM _tload_ledger WHERE table_name = ?)",
            table,
        )[0]

    # --- what the torture does to it

    def has(self, table):
        try:
            return bool(self.query("SELECT 1 FROM sqlite_schema WHERE name = ?", table))
        except sqlite3.Error:
            return False

    def guard(self):
        wait_until(lambda: self.has("_tload_errors"), what="the ledger's tables")
        statements = ["CREATE TABLE guard_found (what TEXT)"]
        for table, (key, counts) in GUARDED.items():
            same = " AND ".join(f"was.{k} = new.{k}" for k in key)
            fell = " OR ".join(f"was.{c} > new.{c}" for c in counts)
            said = " || ' ' || ".join([f"new.{k}" for k in key] + [f"'{c} ' || was.{c} || ' to ' || new.{c}" for c in counts])
            statements.append(
                f"CREATE TRIGGER guard_{table} BEFORE INSERT ON _tload_{table} "
                f"BEGIN INSERT INTO guard_found SELECT '{table}: ' || {said} FROM _tload_{table} was WHERE {same} AND ({fell}); END"
            )
        self.change(*statements)

    def guard_found(self):
        return [what for (what,) in self.query("SELECT what FROM guard_found")]

    def refuse(self, table):
        """The constraint of Table.refuses."""
        wait_until(lambda: self.has(table.name), what=f"table {table.name}")
        self.change(
            f"CREATE TRIGGER refuse_{table.name} BEFORE INSERT ON {table.name} WHEN new.qty % {table.refuses} = 0 "
            "BEGIN SELECT raise(abort, 'refused by the torture'); END"
        )

    @contextlib.contextmanager
    def locked(self):
        """Nobody else writes. Gives why not, or None when it is so."""
        why = connection = None
        try:
            connection = self._connect("rw", 2)
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as e:
            why = e
        try:
            yield why
        finally:
            if connection:
                connection.close()  # rolls back

    def heal(self):
        """Nothing of it runs by itself."""

    def end(self):
        """It goes with the run's directory."""


class PostgresSink:
    """A database of its own on a PostgreSQL that the daemon reaches, maybe, through a proxy."""

    busy = (AssertionError, subprocess.SubprocessError)
    keeps_order = False  # a new column is the last one

    def __init__(self, server, name, connections=2, proxy=None):
        self.server = server
        self.proxy = proxy
        self.database = Database(server, name)
        self.connections = connections
        self.lock = threading.Lock()  # of faults of the server

    def settings(self):
        url = self.database.url
        if self.proxy:
            url = url.replace(f":{self.server.port}/", f":{self.proxy.here}/")
        return {"sink": {"url": url, "connections": self.connections}}

    # --- what the oracle asks

    def query(self, sql):
        return self.database.query(sql)

    def offsets(self):
        return {(topic, int(p)): int(at) for topic, p, at in self.query("SELECT topic, partition, next FROM tload.offsets")}

    def ledger(self):
        rows = self.query(
            "SELECT upload, partition, table_name, last_seq, rows_applied, rows_rejected, ended::int, rows_read, stopped::int"
            " FROM tload.ledger"
        )
        return [(u, int(p), table, *map(int, numbers)) for u, p, table, *numbers in rows]

    def owed(self):
        return self.query("SELECT topic, partition, message, table_name FROM tload.owed")

    def errors(self):
        rows = self.query("SELECT upload, partition, stage, last_seq, rows FROM tload.errors")
        return [(u, *map(int, numbers)) for u, *numbers in rows]

    def rows(self, table):
        def number(text):
            return None if text is None else int(text)

        listed = "id, name, qty, price, ok::int, day"
        return [
            (number(key), name, number(qty), price, number(ok), day)
            for key, name, qty, price, ok, day in self.query(f"SELECT {listed} FROM {table}")
        ]

    def keys(self, table):
        return {int(key) for (key,) in self.query(f"SELECT id FROM {table}")}

    def columns(self, table):
        return [
            name for (name,) in self.query(
                f"SELECT column_name FROM information_schema.columns WHERE table_schema = '{TENANT}' AND table_name = '{table}'"
            )
        ]

    def versions(self):
        return {n: (int(i), int(v)) for n, i, v in self.query("SELECT name, table_id, version FROM tload.tables")}

    def counted(self, table):
        ((rows, said),) = self.query(
            f"SELECT (SELECT count(*) FROM {table}), (SELECT coalesce(sum(rows_applied), 0) FROM tload.ledger WHERE table_name = '{table}')"
        )
        return int(rows), int(said)

    # --- what the torture does to it

    def has(self, table):
        return bool(self.query(f"SELECT 1 FROM pg_tables WHERE tablename = '{table}'"))

    def guard(self):
        wait_until(lambda: self.has("errors"), what="the ledger's tables")
        statements = [
            "CREATE TABLE public.guard_found (what text)",
            "CREATE FUNCTION public.guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO public.guard_found VALUES (TG_TABLE_NAME || ': ' || OLD::text || ' to ' || NEW::text); RETURN NEW; END $$",
        ]
        for table, (_, counts) in GUARDED.items():
            fell = " OR ".join(f"OLD.{c} > NEW.{c}" for c in counts)
            statements.append(
                f"CREATE TRIGGER guard BEFORE UPDATE ON tload.{table} FOR EACH ROW WHEN ({fell}) EXECUTE FUNCTION public.guard()"
            )
        self.database.execute(";\n".join(statements))

    def guard_found(self):
        return [what for (what,) in self.query("SELECT what FROM public.guard_found")]

    def refuse(self, table):
        wait_until(lambda: self.has(table.name), what=f"table {table.name}")
        self.database.execute(f"ALTER TABLE {table.name} ADD CONSTRAINT refused_by_the_torture CHECK (qty % {table.refuses} <> 0)")

    @contextlib.contextmanager
    def locked(self):
        """Nobody else uses table t1."""
        why = session = None
        try:
            session = self.database.session()
            session.execute("BEGIN; SET lock_timeout = '2s'; LOCK TABLE t1 IN ACCESS EXCLUSIVE MODE")
        except (AssertionError, OSError) as e:
            why = e
        try:
            yield why
        finally:
            if session:
                with contextlib.suppress(OSError):
                    session.close()

    def heal(self):
        self.proxy.heal()
        self.server.start()

    def end(self):
        self.heal()
        self.database.drop()
