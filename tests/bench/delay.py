# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL that is far away: a proxy on loopback that forwards all at once but the answers to COMMIT."""

import time

from tests.lib.postgres import Cable


class DelayedCommits(Cable):
    """The answer to each COMMIT waits so many seconds."""

    def __init__(self, target_port, seconds):
        self.seconds = seconds
        self.commits = 0
        super().__init__(target_port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _to_client(self, client, server, committing):
        def look(_data):
            if committing.is_set():
                committing.clear()
                self.commits += 1
                time.sleep(self.seconds)

        self._pump(server, client, look)
