# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of all runs of a process, behind proxies: two Kafkas, between which the tenant moves, and a PostgreSQL."""

import os
import re
import subprocess
import tempfile
import threading

from tests.lib.kafka import SERVICE, Kafka
from tests.lib.postgres import Postgres
from tests.lib.process import free_port, gone
from tests.torture.proxy import Proxy
from tests.torture.sinks import PostgresSink

SITES = ("default", "west")  # as coordinatord calls them; the tenant begins in the first one


class ProxiedKafka(Kafka):
    """A Kafka whose clients are sent to a proxy. `address` is the proxy's; the tests' own reading goes there as well."""

    def __init__(self, directory, proxy_port):
        super().__init__(directory)
        self.proxy_port = proxy_port
        self.lock = threading.Lock()

    def start(self, port=None):
        command = [SERVICE, "start", self.dir, "--advertise", str(self.proxy_port)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300, check=True)
        self.direct = done.stdout.decode().strip()
        self.address = f"127.0.0.1:{self.proxy_port}"
        return self

    def end_offsets(self, topic, partitions, timeout=60):
        asked = [word for p in range(partitions) for word in ("-t", f"{topic}:{p}:-1")]
        found = re.findall(r"\[(\d+)\] offset (\d+)", self.kcat("-Q", *asked, timeout=timeout).decode())
        return {(topic, int(p)): int(offset) for p, offset in found}


class Site:
    """A Kafka and its proxy."""

    def __init__(self, name, directory):
        self.name = name
        port = free_port()
        self.kafka = ProxiedKafka(os.path.join(directory, f"kafka-{name}"), port).start()
        self.proxy = Proxy(port, int(self.kafka.direct.rsplit(":", 1)[1])).start()

    def heal(self):
        self.proxy.heal()
        if not gone(self.kafka.pid()):
            self.kafka.resume()
        else:
            self.kafka.start()

    def stop(self):
        try:
            self.kafka.resume()
        except (OSError, IndexError):
            pass
        self.kafka.stop()
        self.proxy.stop()


class Cluster:
    """All of them."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="tload-torture-kafka-")
        self.sites = {name: Site(name, self.dir) for name in SITES}
        self.postgres = self.postgres_proxy = None  # started when first asked for

    def postgres_sink(self, name, connections):
        if not self.postgres:
            self.postgres = Postgres(os.path.join(self.dir, "postgres")).start()
            self.postgres_proxy = Proxy(free_port(), self.postgres.port).start()
        return PostgresSink(self.postgres, name, connections, self.postgres_proxy)

    def heal(self):
        for site in self.sites.values():
            site.heal()

    def clean(self):
        """As if it were new."""
        self.heal()
        for site in self.sites.values():
            site.kafka.purge()

    def stop(self):
        for site in self.sites.values():
            site.stop()
        if self.postgres:
            self.postgres.stop()
            self.postgres_proxy.stop()
