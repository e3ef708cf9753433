"""The scenes with a second director: who has the traffic is for the router to see, by BGP."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Protocol

from tests.birdrouter import BirdRouter
from tests.demo.actors import PyBal, Traffic
from tests.demo.narrator import DemoError, Narrator
from tests.stage import Stage

_SAMPLE = 60


class Until(Protocol):
    """Waits for a condition and then says so; DemoError if it does not come."""

    def __call__(
        self, condition: Callable[[], bool], what: str, *, quiet: bool = False
    ) -> None: ...


class Failover:
    """Two directors with the same services, one router; `until` waits, `traffic` goes on."""

    def __init__(
        self,
        stage: Stage,
        router: BirdRouter,
        directors: tuple[PyBal, PyBal],
        traffic: Traffic,
        narrator: Narrator,
        until: Until,
    ) -> None:
        self._stage = stage
        self._router = router
        self._first, self._second = directors
        self._traffic = traffic
        self._say = narrator
        self._until = until

    def learn(self) -> None:
        """The router has the first director's routes."""
        self._wait_for(self._first, "the router has learnt both addresses by BGP")
        self._show_log(self._first)
        self._show_routes()

    def run(self) -> None:
        """A second director comes; the first one goes, and comes back; the second one goes."""
        first, second = self._first, self._second
        self._say.title(f"A second director, {second.name}, with MED 100: a backup")
        second.start()
        self._until(lambda: self._count(second) == 2, f"the router knows {second.name}, too")
        self._until(lambda: self._uses(first), f"and goes on sending all to {first.name}, of MED 0")
        self._show_routes()

        self._say.title(f"{first.name} is stopped: its routes are withdrawn, the traffic moves")
        moment = time.monotonic()
        first.stop()
        self._wait_for(second, f"the router sends all to {second.name}")
        took = time.monotonic() - moment
        self._show_log(first)
        self._show_routes()
        self._count_lost(moment, f"stop of {first.name}", f"{second.name} serves", took)
        self._show_counters()

        self._say.title(f"{first.name} comes back, and {second.name} is stopped")
        moment = time.monotonic()
        first.start()
        self._wait_for(first, f"the router sends all to {first.name} again")
        took = time.monotonic() - moment
        second.stop()
        self._until(lambda: self._count(second) == 0, f"and has no route of {second.name} any more")
        self._show_routes()
        self._count_lost(moment, f"start of {first.name}", "it serves again", took)

    def _wait_for(self, director: PyBal, what: str) -> None:
        self._until(lambda: self._uses(director), what)

    def _uses(self, director: PyBal) -> bool:
        """Whether the router's kernel sends packets for all addresses to that director."""
        return all(
            self._router.next_hop(vip) == str(director.host.address(vip))
            for vip in self._stage.vips
        )

    def _count(self, director: PyBal) -> int:
        """How many addresses the router has a route for from that director."""
        return self._router.ask(f"show route protocol {director.name}").count(" unicast ")

    def _count_lost(self, moment: float, what: str, became: str, took_s: float) -> None:
        """Say how many requests were lost since `moment`. Of connections that pass while the
        route changes, one for each address, the new director knows nothing."""
        now = time.monotonic()
        self._until(lambda: len(self._traffic.since(now)) >= _SAMPLE, "the client asks", quiet=True)
        requests = self._traffic.since(moment)
        lost = [request for request in requests if request.error]
        if len(lost) > len(self._stage.vips) or any(r.at >= now for r in lost):
            raise DemoError(f"{len(lost)} of {len(requests)} requests lost: {lost[0].error}")
        self._say.result(what, became, took_s, len(requests), len(lost))

    def _show_log(self, director: PyBal) -> None:
        self._say.tell(f"the log of {director.name}'s pybal:")
        self._say.aside(director.new_log_lines("[bgp]"))

    def _show_routes(self) -> None:
        table = self._router.ask("show route all").splitlines()
        short = [line for line in table if re.search(r" unicast |\tvia |BGP\.med", line)]
        self._say.command("birdc show route all   # in short", "\n".join(short))

    def _show_counters(self) -> None:
        host = self._second.host
        self._say.tell(f"{host.name} balances now:")
        self._say.command("ipvsadm -Ln --stats", host.run("ipvsadm", "-Ln", "--stats"))
