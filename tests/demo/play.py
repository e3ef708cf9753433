"""The play itself, run where the kernel has IPVS: python -m tests.demo.play FOLDER.

Every step waits for what it says, with a deadline, and fails the demo if that does not come.
FOLDER is shared with the front (tests/demo/front.py): `ready` appears in it when all has been
shown, and the play ends when the front answers with `stop`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.birdrouter import BirdRouter
from tests.demo.actors import (
    INSTRUMENTATION_PORT,
    PORT,
    SERVICES,
    PyBal,
    Request,
    Traffic,
    WebServer,
)
from tests.demo.care import Care
from tests.demo.failover import Failover
from tests.demo.narrator import DemoError, Narrator
from tests.demo.window import serve_inside
from tests.stage import Stage

_DEADLINE_S = 60
_SAMPLE = 60


class Play:
    """The scenes, in order, on a stage that stands."""

    def __init__(self, stage: Stage, router: BirdRouter, folder: Path, narrator: Narrator) -> None:
        self._stage = stage
        self._say = narrator
        self._servers = [WebServer(real, folder) for real in stage.reals]
        self._traffic = Traffic(stage)
        self.pybal, self._backup = (
            PyBal(stage, host, folder, med=med)
            for host, med in zip(stage.directors, (0, 100), strict=True)
        )
        self._failover = Failover(
            stage, router, (self.pybal, self._backup), self._traffic, narrator, self._until
        )
        self._care = Care(
            stage, self.pybal, self._traffic, narrator, self._until, lambda: self._pooled()
        )
        self._gone_at = 0.0

    def run(self) -> None:
        """All scenes; DemoError when something does not happen."""
        self._open()
        self._balance()
        self._lose_one()
        self._regain_one()
        self._hold_threshold()
        self._recover()
        self._care.run()
        self._failover.run()
        self._say.table()

    def close(self) -> None:
        """Stop all actors."""
        self._traffic.stop()
        self.pybal.stop()
        self._backup.stop()
        for server in self._servers:
            server.kill()

    # -- scenes ---------------------------------------------------------------------------

    def _open(self) -> None:
        vip4, vip6 = self._stage.vips
        self._say.title("Three web servers, one director, one router, one client")
        names = ", ".join(real.name for real in self._stage.reals)
        self._say.tell(f"client ──> router (BIRD) ──> {self.pybal.name} ──> {names}")
        self._say.tell(f"{SERVICES[0]}: {vip4}:{PORT}, direct routing, depool threshold .5")
        self._say.tell(f"{SERVICES[1]}: [{vip6}]:{PORT}, the same servers over IPv6 and IPIP")
        for server in self._servers:
            server.start()
        started = time.monotonic()
        self.pybal.start()
        self._until(lambda: self._pooled() == self._all(), "pybal has pooled all three servers")
        self._say.result("first start", "all are pooled", time.monotonic() - started, 0, 0)
        self._until(
            lambda: all(self._status(n).endswith("/up/pooled") for n in self._all()),
            "their monitors, ProxyFetch and IdleConnection, call all three up",
        )
        self._show_log()
        self._show_table()
        self._show_page(f"/pools/{SERVICES[0]}")
        self._failover.learn()

    def _balance(self) -> None:
        self._say.title("Traffic over three servers")
        vip4 = self._stage.vips[0]
        answers = "".join(
            self._stage.client.run("curl", "-sS", "--max-time", "5", f"http://{vip4}/")
            for _ in self._servers
        )
        self._say.command(f"curl http://{vip4}/   # three times, from the client", answers)
        self._traffic.start()
        self._expect_answers(time.monotonic(), self._all())

    def _lose_one(self) -> None:
        victim = self._servers[0]
        name = victim.host.name
        self._say.title(f"{name} is killed")
        killed = time.monotonic()
        victim.kill()
        rest = self._all() - {name}
        self._until(lambda: self._pooled() == rest, f"{name} is out of the kernel's table")
        gone = time.monotonic()
        self._until(lambda: self._is_depooled(name), "pybal says so too", quiet=True)
        self._say.tell(f"within {gone - killed:.2f} s; pybal says {self._status(name)!r}")
        self._why(name)
        self._show_log()
        self._show_table()
        self._expect_answers(gone, rest)
        between = [r for r in self._traffic.since(killed) if r.at < gone]
        lost = sum(1 for request in between if request.error)
        self._say.result(f"{name} is killed", "depooled", gone - killed, len(between), lost)
        self._gone_at = gone

    def _regain_one(self) -> None:
        server = self._servers[0]
        name = server.host.name
        self._say.title(f"{name} comes back")
        started = time.monotonic()
        server.start()
        self._until(lambda: self._pooled() == self._all(), f"{name} is in the kernel's table again")
        back = time.monotonic()
        self._show_log()
        self._show_table()
        self._expect_answers(back, self._all())
        requests = self._none_lost_since(self._gone_at)
        self._say.result(f"{name} starts again", "pooled", back - started, requests, 0)

    def _hold_threshold(self) -> None:
        second, third = self._servers[1:]
        held = third.host.name
        self._say.title(f"{second.host.name} dies, then {held} too: the depool threshold holds")
        second.kill()
        expected = self._all() - {second.host.name}
        self._until(lambda: self._pooled() == expected, f"{second.host.name} is depooled")
        self._show_log()
        third.kill()
        killed = time.monotonic()
        self._until(
            lambda: self._status(held) == "enabled/down/pooled",
            f"{held} is down, but stays pooled",
        )
        self._until(lambda: self.pybal.get("/alerts").body.startswith("CRITICAL"), "it is an alert")
        noticed = time.monotonic() - killed
        self._why(held)
        self._show_log()
        self._show_page("/alerts")
        self._show_table()
        if self._pooled() != expected:
            raise DemoError(f"the kernel holds {sorted(self._pooled())}")
        self._say.good(f"the kernel still holds {' and '.join(sorted(expected))}")
        answers = Counter(request.server for request in self._sample(time.monotonic()))
        if set(answers) != {self._servers[0].host.name, ""}:
            raise DemoError(f"answers came from {dict(answers)}")
        self._say.result("2 of 3 die", "one is kept", noticed, answers.total(), answers[""])
        self._say.tell(
            "the price of the threshold, made for checks that err, not for servers that die at once"
        )

    def _recover(self) -> None:
        self._say.title("Both come back")
        for server in self._servers[1:]:
            server.start()
        self._until(lambda: self._pooled() == self._all(), "all three are pooled again")
        self._until(lambda: self.pybal.get("/alerts").body.startswith("OK"), "the alert is over")
        self._expect_answers(time.monotonic(), self._all())
        self._show_page(f"/pools/{SERVICES[0]}")

    # -- observations ---------------------------------------------------------------------

    def _all(self) -> set[str]:
        return {real.name for real in self._stage.reals}

    def _pooled(self) -> set[str]:
        """The servers that the kernel balances to; none while the VIPs differ in that."""
        table = self._table()
        first, *others = (table.get(str(vip), set()) for vip in self._stage.vips)
        return first if all(other == first for other in others) else set()

    def _table(self) -> dict[str, set[str]]:
        """The kernel's table: the names of the real servers of each VIP."""
        names = {str(address): r.name for r in self._stage.reals for address in (r.ipv4, r.ipv6)}
        table: dict[str, set[str]] = {}
        current: set[str] = set()
        for line in self._stage.director.run("ipvsadm", "-Ln").splitlines():
            endpoint = re.match(r"(TCP|  ->) +\[?([0-9a-f:.]+?)\]?:\d+ ", line)
            if endpoint is None:
                continue
            kind, address = endpoint.groups()
            if kind == "TCP":
                current = table.setdefault(address, set())
            else:
                current.add(names.get(address, address))
        return table

    def _status(self, name: str) -> str:
        """What pybal says of a server, if it says the same for both services."""
        texts = {self.pybal.get(f"/pools/{service}/{name}").body.strip() for service in SERVICES}
        return texts.pop() if len(texts) == 1 else "differs"

    def _is_depooled(self, name: str) -> bool:
        return self._status(name).endswith("/not pooled")

    def _why(self, name: str) -> None:
        status, said = self.pybal.ctl("why", name, SERVICES[0])
        self._say.command(f"pybalctl why {name} {SERVICES[0]}", said)
        if status != 0 or name not in said:
            raise DemoError(f"pybalctl why: exit status {status}")

    def _sample(self, moment: float) -> list[Request]:
        """The requests since `moment`, once there are enough of them."""
        self._until(
            lambda: len(self._traffic.since(moment)) >= _SAMPLE, "the client asks", quiet=True
        )
        return self._traffic.since(moment)

    def _none_lost_since(self, moment: float) -> int:
        """How many requests began since `moment`; DemoError if one of them was lost."""
        requests = self._traffic.since(moment)
        errors = [request.error for request in requests if request.error]
        if errors:
            raise DemoError(f"{len(errors)} of {len(requests)} requests lost: {errors[0]}")
        return len(requests)

    def _expect_answers(self, moment: float, names: set[str]) -> None:
        """From `moment` on no request is lost, and exactly `names` answer."""
        counts = Counter(request.server for request in self._sample(moment) if not request.error)
        self._none_lost_since(moment)
        if set(counts) != names:
            raise DemoError(f"answers came from {dict(counts)}, not from {sorted(names)}")
        shares = ", ".join(f"{name} {counts[name]}" for name in sorted(counts))
        self._say.good(f"{counts.total()} requests, none lost: {shares}")

    def _until(self, condition: Callable[[], bool], what: str, *, quiet: bool = False) -> None:
        """Wait for `condition`, which may fail with OSError for a while."""
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            with contextlib.suppress(OSError):
                if condition():
                    break
            if not (self.pybal.is_running() and self._backup.is_running()):
                raise DemoError("pybal has ended")
            if time.monotonic() > deadline:
                raise DemoError(f"not within {_DEADLINE_S} s: {what}")
            time.sleep(0.02)
        if not quiet:
            self._say.good(what)

    # -- things to look at ----------------------------------------------------------------

    def _show_table(self) -> None:
        self._say.command("ipvsadm -Ln", self._stage.director.run("ipvsadm", "-Ln"))

    def _show_page(self, path: str) -> None:
        url = f"http://127.0.0.1:{INSTRUMENTATION_PORT}{path}"
        self._say.command(f"curl {url}", self._stage.director.run("curl", "-sS", url))

    def _show_log(self) -> None:
        lines = self.pybal.new_log_lines(f"[{SERVICES[0]}]")
        if lines:
            self._say.tell(f"pybal's log of {SERVICES[0]}:")
            self._say.aside(lines)


@contextlib.contextmanager
def _names(stage: Stage) -> Iterator[None]:
    """An /etc/hosts for each director, so that the pool can name its servers."""
    folders = [Path("/etc/netns", director.namespace) for director in stage.directors]
    made = [folder for folder in (Path("/etc/netns"), *folders) if not folder.exists()]
    for folder in made:
        folder.mkdir()
    lines = [f"{r.ipv4} {r.name}\n{r.ipv6} {r.name}\n" for r in stage.reals]
    for folder in folders:
        (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(lines))
    try:
        yield
    finally:
        for folder in folders:
            (folder / "hosts").unlink()
        for folder in reversed(made):
            folder.rmdir()


def _stay_open(window: Path, pybal: PyBal) -> None:
    """All has been shown: serve the window until the front says stop."""
    (window / "ready").touch()
    while not (window / "stop").exists():
        serve_inside(window, pybal.get)
        time.sleep(0.05)


def main() -> int:
    """Run the play; 0 if all of it was observed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    window = Path(sys.argv[1])
    narrator = Narrator(colour="PYBAL_DEMO_COLOUR" in os.environ)
    with contextlib.ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="pybal-demo-")))
        folder.chmod(0o755)
        stage = cleanup.enter_context(Stage("demo", directors=2, router=True, told_routes=True))
        cleanup.enter_context(_names(stage))
        router = cleanup.enter_context(BirdRouter(stage, folder))
        play = Play(stage, router, folder, narrator)
        cleanup.callback(play.close)
        try:
            play.run()
            _stay_open(window, play.pybal)
        except (DemoError, OSError, subprocess.CalledProcessError) as error:
            narrator.bad(str(error))
            narrator.tell("the end of pybal's log:")
            narrator.aside("\n".join(play.pybal.log.splitlines()[-20:]))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
