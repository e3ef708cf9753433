"""The scenes of what must not hurt: a hand in the kernel's table, a killed daemon, a typo in
pybal.conf."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from tests.demo.actors import SERVICES, PyBal, Traffic
from tests.demo.failover import Until
from tests.demo.narrator import DemoError, Narrator
from tests.stage import Stage

_ENOUGH = 40
_OF_ONE_DELETED = 2
"""Of connections that pass through a server when it is deleted, one for each address."""


class Care:
    """One director, while the client goes on asking. `pooled` is what the kernel balances to."""

    def __init__(
        self,
        stage: Stage,
        pybal: PyBal,
        traffic: Traffic,
        narrator: Narrator,
        until: Until,
        pooled: Callable[[], set[str]],
    ) -> None:
        self._stage = stage
        self._pybal = pybal
        self._traffic = traffic
        self._say = narrator
        self._until = until
        self._pooled = pooled
        self._all = {real.name for real in stage.reals}

    def run(self) -> None:
        """All of it."""
        self._hand_in_the_table()
        self._killed()
        self._typo()
        self._reload()

    def _hand_in_the_table(self) -> None:
        victim = self._stage.reals[1]
        vip = self._stage.vips[0]
        self._say.title(f"Somebody deletes {victim.name} from the kernel's table")
        command = ("ipvsadm", "-d", "-t", f"{vip}:80", "-r", f"{victim.ipv4}:80")
        begun = time.monotonic()
        self._stage.director.run(*command)
        self._say.command(" ".join(command), "")
        self._until(lambda: self._pooled() == self._all, f"pybal has put {victim.name} back")
        took = time.monotonic() - begun
        self._until(
            lambda: "IPVS" in self._pybal.get("/alerts").body, "and says who did it: others"
        )
        self._say.command("curl http://127.0.0.1:9090/alerts", self._pybal.get("/alerts").body)
        requests, lost = self._requests(begun)
        self._say.result(f"ipvsadm -d {victim.name}", "repaired", took, requests, lost)
        if lost > _OF_ONE_DELETED:
            raise DemoError(f"{lost} of {requests} requests lost")

    def _killed(self) -> None:
        self._say.title("pybal is killed with SIGKILL, and starts again")
        before = self._table()
        begun = time.monotonic()
        self._pybal.kill()
        self._say.command("kill -9 PID", "")
        requests, lost = self._requests(time.monotonic())
        self._say.good(f"nobody looks after it, and {requests} requests pass, {lost} lost")
        self._pybal.start()
        self._until(lambda: self._pybal.get("/alerts").body != "", "it runs again")
        self._until(self._has_adopted, "it has adopted the table, and its monitors call all up")
        took = time.monotonic() - begun
        if self._table() != before:
            raise DemoError(f"the table is another one:\n{self._table()}")
        self._say.good("nothing in the kernel's table was deleted or added")
        requests, lost = self._requests(begun)
        self._say.result("kill -9 of pybal", "adopted", took, requests, lost)
        self._none(lost, requests)

    def _has_adopted(self) -> bool:
        texts = [self._pybal.get(f"/pools/{service}").body for service in SERVICES]
        return all(line.endswith("/up/pooled") for text in texts for line in text.splitlines())

    def _typo(self) -> None:
        self._say.title("A typo in pybal.conf, and a reload")
        before = self._table()
        begun = time.monotonic()
        self._pybal.edit("scheduler = rr\n", "scheduler = rrr\n")
        status, said = self._pybal.ctl("reload")
        took = time.monotonic() - begun
        self._say.command("sed -i s/rr/rrr/ pybal.conf; pybalctl reload", said)
        if status == 0 or "scheduler" not in said:
            raise DemoError(f"the reload was not refused: {status}")
        self._say.good(f"refused, with the line and the remedy; exit status {status}")
        if self._table() != before:
            raise DemoError("the table has changed")
        requests, lost = self._requests(begun)
        self._say.result("a reload with a typo", "refused", took, requests, lost)
        self._none(lost, requests)

    def _reload(self) -> None:
        self._say.title("The same without the typo: another scheduler, under traffic")
        self._pybal.edit("scheduler = rrr\n", "scheduler = wrr\n")
        _, said = self._pybal.ctl("config", "diff")
        self._say.command("pybalctl config diff", said)
        begun = time.monotonic()
        status, said = self._pybal.ctl("reload")
        self._say.command("pybalctl reload", said)
        if status != 0:
            raise DemoError(f"the reload failed: {status}")
        self._until(lambda: self._table().count(" wrr") == len(SERVICES), "both services have wrr")
        took = time.monotonic() - begun
        self._until(lambda: self._pooled() == self._all, "with all their servers", quiet=True)
        requests, lost = self._requests(begun)
        self._say.result("a reload, rr to wrr", "in force", took, requests, lost)
        self._none(lost, requests)

    def _table(self) -> str:
        """The kernel's table without its counts of connections."""
        text = self._stage.director.run("ipvsadm", "-Ln")
        return re.sub(r"(?m)^(  -> .*?) +\d+ +\d+ *$", r"\1", text)

    def _requests(self, begun: float) -> tuple[int, int]:
        """How many requests began since then, and how many of them were lost, once some more
        have passed."""
        now = time.monotonic()
        self._until(lambda: len(self._traffic.since(now)) >= _ENOUGH, "the client asks", quiet=True)
        requests = self._traffic.since(begun)
        return len(requests), sum(bool(request.error) for request in requests)

    def _none(self, lost: int, requests: int) -> None:
        if lost:
            raise DemoError(f"{lost} of {requests} requests lost")
