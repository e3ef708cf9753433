"""Network namespaces and our speaker as a process, for tests against real routers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bgp.daemon import run as run_daemon
from tests.bgp.fork import Fork

OUR_IPV4, ROUTER_IPV4 = "10.77.0.1", "10.77.0.2"
OUR_SECOND_IPV4 = "10.77.0.3"
OUR_IPV6, ROUTER_IPV6 = "fd77::1", "fd77::2"
ROOT = Path(__file__).parents[2]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def eventually(what: str, condition: Callable[[], Any], limit_s: float = 60.0) -> Any:
    """The first true answer of `condition`; AssertionError with `what` after `limit_s`."""
    deadline = time.monotonic() + limit_s
    pause_s = 0.005
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)


def listens(path: Path) -> bool:
    """Whether a program takes connections there; the file comes a moment earlier."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


class Wire:
    """Two namespaces joined by a veth pair: ours (.1) and the router's (.2)."""

    def __init__(self) -> None:
        self.ours = f"bgp{os.getpid()}o"
        self.router = f"bgp{os.getpid()}r"

    def __enter__(self) -> Wire:
        for name in (self.ours, self.router):
            run("ip", "netns", "add", name)
        self._join()
        return self

    def in_ours(self, *command: str) -> list[str]:
        """The command that runs this one where we are."""
        return ["ip", "netns", "exec", self.ours, *command]

    def rewire(self) -> None:
        """The same with another pair of the same names, which has other link-local addresses."""
        run("ip", "-n", self.ours, "link", "del", "v0")
        self._join()

    def _join(self) -> None:
        run(
            "ip", "link", "add", "v0", "netns", self.ours,
            "type", "veth", "peer", "name", "v0", "netns", self.router,
        )  # fmt: skip
        for name, ipv4, ipv6 in (
            (self.ours, OUR_IPV4, OUR_IPV6),
            (self.router, ROUTER_IPV4, ROUTER_IPV6),
        ):
            run("ip", "-n", name, "link", "set", "lo", "up")
            run("ip", "-n", name, "addr", "add", f"{ipv4}/24", "dev", "v0")
            run("ip", "-n", name, "addr", "add", f"{ipv6}/64", "dev", "v0", "nodad")
            run("ip", "-n", name, "link", "set", "v0", "up")
        run("ip", "-n", self.ours, "addr", "add", f"{OUR_SECOND_IPV4}/24", "dev", "v0")

    def __exit__(self, *_: object) -> None:
        for name in (self.ours, self.router):
            run("ip", "netns", "del", name)


class Process:
    """A child in a namespace, with its output in a file."""

    def __init__(self, namespace: str, command: list[str], log: Path) -> None:
        self.log_path = log
        self.namespace = namespace
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def freeze(self) -> None:
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.child.send_signal(signal.SIGCONT)

    def end(self, number: int = signal.SIGKILL) -> None:
        if self.child.poll() is None:
            self.child.send_signal(number)
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(5)


class Speaker:
    """tests.bgp.daemon in the namespace on our side."""

    def __init__(
        self, wire: Wire, directory: Path, *, namespace: str | None = None, **settings: Any
    ) -> None:
        self.log_path = directory / "speaker.log"
        self.child = Fork(run_daemon, settings, namespace or wire.ours, self.log_path)

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def ask(self, **command: Any) -> Any:
        console = self.child.console
        console.write(json.dumps(command) + "\n")
        console.flush()
        return json.loads(console.readline())

    def announce(self, service: str, *wishes: Any) -> None:
        self.ask(announce=[service, list(wishes)])

    def peer(self, index: int = 0) -> dict[str, Any]:
        peer: dict[str, Any] = self.ask(snapshot=True)["peers"][index]
        return peer

    def wait_established(self, limit_s: float = 60.0) -> dict[str, Any]:
        def established() -> dict[str, Any] | None:
            # While a peer begins anew with other settings there is none for a moment.
            peers = self.ask(snapshot=True)["peers"]
            return peers[0] if peers and peers[0]["established"] else None

        try:
            return eventually("session established", established, limit_s)  # type: ignore[no-any-return]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-3000:]}") from None

    def wait_said(self, text: str) -> None:
        """Until its log has it, which a thread of its own writes a moment after."""
        eventually(f"{text!r} is logged", lambda: text in self.log)

    def messages(self) -> Counter[tuple[str, str]]:
        """How many of each (type, direction) the first peer and we have exchanged."""
        return Counter({(kind, way): count for kind, way, count in self.peer()["messages"]})

    def stop(self, reason: str = "test") -> None:
        self.ask(stop=reason)
        self.child.wait(15)

    def freeze(self) -> None:
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.child.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, unless it has ended."""
        self.child.kill()

    def close(self) -> None:
        self.child.close()
