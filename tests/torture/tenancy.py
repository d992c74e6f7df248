# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tenant lives, and how it is moved; what the torture itself knows of that, from the answers that it got."""

import http.client
import threading

from tests.lib.process import wait_until
from tests.torture.oracle import Difference, differ
from tests.torture.recorder import UNREACHABLE, Lives
from tests.torture.sites import SITES

TENANT = "/v1/tenants/default"
TOPICS = "tload.default."
RAW = TOPICS + "raw-input"
AWAY = (OSError, http.client.HTTPException, ValueError)
ACCEPTED, CONFLICT = (200, 202), 409


class Tenancy:
    """`home` and `epoch` are where it is, or will be when the move under way has ended. One move at a time: take the lock."""

    def __init__(self, world):
        self.world = world
        self.sites = world.cluster.sites
        self.home = SITES[0]
        self.epoch = 1
        self.moves = 0  # that were asked for
        self.lock = threading.Lock()
        self.over = []  # what was in raw-input in each of its lives that are over
        self.lives = {}

    def record(self):
        """From now on no topic goes before all of it is recorded."""
        for site in self.sites.values():
            lives = Lives(site.kafka, RAW, self.world.partitions, self.over)
            self.lives[site.name] = lives
            site.proxy.may_delete = lives.may_delete

    def stop(self):
        for site in self.sites.values():
            site.proxy.may_delete = None
        for lives in self.lives.values():
            lives.stop()

    @property
    def site(self):
        return self.sites[self.home]

    @property
    def elsewhere(self):
        return next(site for name, site in self.sites.items() if name != self.home)

    def topic(self, kind):
        return TOPICS + kind

    def position(self, kind, partition):
        """Under which the sink keeps how far that topic is applied."""
        return self.topic(kind) + (f"@{self.epoch}" if self.epoch > 1 else ""), partition

    def raw_input(self):
        """All that was ever in it, in the order of its lives."""
        messages = self.lives[self.home].read()
        return [m for life in self.over for m in life] + messages

    # --- moving

    def ask(self, method, path, body=None):
        """The answer, however often it has to be asked for; None when the run is over before."""
        while not self.world.stopping.wait(0.1):
            try:
                self.world.revive(self.world.daemons[0])
                answer = self.world.control.http(method, path, body, timeout=5)
            except AWAY:
                continue
            if answer.status < 500:
                return answer
        return None

    def look(self):
        answer = self.ask("GET", TENANT)
        if answer is None or answer.status != 200:
            raise Difference(f"the tenant is asked for: {answer}")
        return answer.json

    def at_rest(self):
        """No move is under way, nor is there anything left of the last one. By whoever has the lock, or when all moves were made."""
        try:
            answer = self.world.control.http("GET", TENANT, timeout=2)
        except AWAY:
            return False
        if answer.status != 200:
            return False
        there = answer.json
        rests = there["state"] == "ready" and not there["moving_to"] and not there["leaving"]
        if rests and (there["cluster"], there["epoch"]) != (self.home, self.epoch):
            raise Difference(f"the tenant should be at {self.home} in epoch {self.epoch}: {there}")
        return rests and not any(lives.let_go for lives in self.lives.values())

    def move(self):
        """To the other one. The answer may be lost, and the move be done when it is asked for again."""
        to = self.elsewhere.name
        self.moves += 1
        answer = self.ask("POST", TENANT + "/move", {"cluster": to})
        if answer is None:
            return
        if answer.status not in ACCEPTED and not (answer.status == CONFLICT and "already" in answer.json["detail"]):
            raise Difference(f"the move to {to} is answered {answer.status}: {answer.body!r}")
        self.home = to
        self.epoch += 1

    def stay(self):
        """Takes the move back, if it is not too late. Whether it was in time."""
        was = self.elsewhere.name
        answer = self.ask("DELETE", TENANT + "/move")
        if answer is None:
            return False
        if answer.status not in (*ACCEPTED, CONFLICT):
            raise Difference(f"taking the move back is answered {answer.status}: {answer.body!r}")
        there = self.look()
        if there["moving_to"]:
            raise Difference(f"the move was taken back, and goes on: {there}")
        if there["cluster"] == was:
            self.home = was
            self.epoch -= 1
            return True
        return False

    # --- the end

    def check(self):
        """It is at rest: nothing of it is anywhere else."""
        if not self.moves:
            return
        wait_until(lambda: not self.look()["waiting"], what="the tenant to wait for nothing")
        try:
            left = sorted(t for t in self.elsewhere.kafka.topics() if t.startswith(TOPICS))
        except UNREACHABLE as e:
            raise Difference(f"the topics of {self.elsewhere.name}: {e}") from e
        differ(f"topics that are left at {self.elsewhere.name}", [], left)
        for site, due in ((self.site, 3 * self.world.partitions), (self.elsewhere, 0)):
            answer = self.ask("GET", f"/v1/clusters/{site.name}")
            differ(f"partitions that are reserved at {site.name}", due, answer and answer.json["reserved"])
        lived = {m.topic for m in self.raw_input()}
        differ("names of raw-input", {RAW}, lived)
