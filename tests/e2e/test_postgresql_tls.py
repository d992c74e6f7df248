# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL over TLS, with a password from a file."""

import os
import shutil
import subprocess
import tempfile

from tests.lib.harness import TestCase, wait_until
from tests.lib.postgres import Database, Postgres

PASSWORD = "topsecret"


class Secured(TestCase):
    def setUp(self):
        super().setUp()
        self.postgres = Postgres(tempfile.mkdtemp(prefix="tload-postgres-"))
        self.addCleanup(shutil.rmtree, self.postgres.dir, ignore_errors=True)
        self.addCleanup(self.postgres.stop)
        self.db = Database(self.postgres.start(), f"tload_{os.getpid()}")
        self.db.execute(f"create role owner login password '{PASSWORD}'; alter database {self.db.name} owner to owner")
        data = os.path.join(self.postgres.dir, "data")
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        for directory in (data, self.dir):  # the second is another's
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject,
                 "-keyout", os.path.join(directory, "server.key"), "-out", os.path.join(directory, "server.crt")],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
        if os.geteuid() == 0:
            shutil.chown(os.path.join(data, "server.key"), "postgres", "postgres")
        with open(os.path.join(data, "pg_hba.conf"), "w", encoding="ascii") as f:
            f.write("host all postgres 127.0.0.1/32 trust\nhostssl all owner 127.0.0.1/32 scram-sha-256\n")
        self.db.execute("alter system set ssl = on")
        self.db.execute("select pg_reload_conf()")
        wait_until(lambda: self.db.value("select current_setting('ssl')") == "on", what="TLS")

    def url(self, **options):
        options = {"sslmode": "verify-full", "sslrootcert": os.path.join(self.postgres.dir, "data/server.crt"), **options}
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://owner@127.0.0.1:{self.postgres.port}/{self.db.name}?{query}"

    def password_file(self):
        path = self.write("pgpass", f"127.0.0.1:{self.postgres.port}:*:owner:{PASSWORD}\n")
        os.chmod(path, 0o600)
        return path

    def load(self, url, env=None):
        self.use_kafka()
        self.coordinator = self.new_coordinator({"sink": {"url": url}}).start(env=env)
        self.addCleanup(self._stop_coordinator)
        table = self.define("id int")
        self.upload(table, self.write("a.csv", "id\n1\n2\n"))
        self.assertEqual(self.db.query(f"select id from {table} order by id"), [("1",), ("2",)])
        ours = "select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'owner'"
        self.assertEqual(self.db.query(ours), [("t",)])
        self.assertNotIn(PASSWORD, self.coordinator.log)
        with open(f"/proc/{self.coordinator.process.pid}/cmdline", "rb") as f:
            self.assertNotIn(PASSWORD.encode(), f.read())

    def test_password_file_of_the_environment(self):
        self.load(self.url(), {"PGPASSFILE": self.password_file()})

    def test_password_file_of_the_url(self):
        self.load(self.url(passfile=self.password_file()))

    def test_certificate_of_another(self):
        self.use_kafka()
        url = self.url(passfile=self.password_file(), sslrootcert=os.path.join(self.dir, "server.crt"))
        self.coordinator = self.new_coordinator({"sink": {"url": url}}).start()
        self.addCleanup(self._stop_coordinator)
        wait_until(lambda: "certificate verify failed" in self.coordinator.log, what="the word of the certificate")
        self.assertEqual(self.db.value("select count(*) from pg_stat_activity where usename = 'owner'"), "0")
