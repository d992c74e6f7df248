# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a small upload of one tenant takes beside what others do: a flood of uploads, a table that is locked, a data
sink that never answers, and changes of a table without end. The flood is as many uploads at once, over and over, of
files that together have half of the rows."""

import contextlib
import socket
import threading

from tests.bench import data as made
from tests.lib.process import BUILD

FLOOD = 30
SMALL_FILES = 10
UNAVAILABLE = 5  # exit status: of the one whose data sink does not answer


@contextlib.contextmanager
def never_answers():
    """The URL of a PostgreSQL that takes connections, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://x@127.0.0.1:{server.getsockname()[1]}/x"


class Tenants:
    def __init__(self, bench, daemon):
        self.bench = bench
        self.daemon = daemon
        self.started = []

    def tload(self, tenant, *arguments):
        return [BUILD / "tload", "--tenant", tenant, *arguments]

    def run(self, tenant, *arguments):
        self.bench.services.run(self.tload(tenant, *arguments), env=self.daemon.env)

    def start(self, tenant, path):
        command = self.tload(tenant, "upload", path, "--table", "orders")
        self.started.append((self.bench.services.start(command, env=self.daemon.env), tenant, path))

    def keep_up(self):
        """What has ended begins anew."""
        for one in [one for one in self.started if one[0].poll() is not None]:
            process, tenant, path = one
            self.started.remove(one)
            self.bench.services.end(process, (0, UNAVAILABLE))
            self.start(tenant, path)

    def make(self, name, *options):
        self.run("default", "tenant", "create", name, "--partitions", "1", *options)
        self.run(name, "define-table", "orders", *made.definitions(), "--key", "id")

    def small(self, figure):
        for _ in range(SMALL_FILES):
            command = self.tload("quiet", "upload", self.bench.data.ten(), "--table", "orders")
            self.bench.add(figure, **self.bench.services.timed(command, self.daemon.watched(), env=self.daemon.env))
            self.keep_up()

    def alter_until(self, stop):
        n = 0
        while not stop.is_set():
            n += 1
            self.run("alters", "alter", "orders", "--add", f"more{n} int")
            self.run("alters", "alter", "orders", "--drop", f"more{n}")

    def end(self):
        for process, *_ in self.started:
            process.kill()
            self.bench.services.processes.remove(process)


def neighbours(bench):
    services = bench.services
    with services.daemon() as daemon, services.database() as database, never_answers() as nowhere:
        tenants = Tenants(bench, daemon)
        for name in ("quiet", "flood", "alters"):
            tenants.make(name)
        tenants.make("locked", "--sink", database.url)
        tenants.make("gone", "--sink", nowhere)
        tenants.run("locked", "upload", bench.data.ten(), "--table", "orders")
        tenants.small("fairness/alone")
        session = database.session()
        stop = threading.Event()
        altering = threading.Thread(target=tenants.alter_until, args=(stop,))
        try:
            session.execute("begin; lock table locked.orders in access exclusive mode")
            altering.start()
            for tenant in ("locked", "gone"):
                tenants.start(tenant, bench.data.full())
            for path in bench.data.slices(FLOOD):
                tenants.start("flood", path)
            tenants.small("fairness/beside")
        finally:
            stop.set()
            session.close()
            altering.join()
            tenants.end()
