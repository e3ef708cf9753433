"""Network namespaces, our speaker as a process, and BIRD, for tests against the real thing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

OUR_IPV4, ROUTER_IPV4 = "10.77.0.1", "10.77.0.2"
OUR_SECOND_IPV4 = "10.77.0.3"
OUR_IPV6, ROUTER_IPV6 = "fd77::1", "fd77::2"
ROOT = Path(__file__).parents[2]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def eventually(what: str, condition: Callable[[], Any], limit_s: float = 15.0) -> Any:
    """The first true answer of `condition`; AssertionError with `what` after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.05)


class Wire:
    """Two namespaces joined by a veth pair: ours (.1) and the router's (.2)."""

    def __init__(self) -> None:
        self.ours = f"bgp{os.getpid()}o"
        self.router = f"bgp{os.getpid()}r"

    def __enter__(self) -> Wire:
        for name in (self.ours, self.router):
            run("ip", "netns", "add", name)
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
        return self

    def __exit__(self, *_: object) -> None:
        for name in (self.ours, self.router):
            run("ip", "netns", "del", name)


class Process:
    """A child in a namespace, with its output in a file."""

    def __init__(
        self, namespace: str, command: list[str], log: Path, *, pipes: bool = False
    ) -> None:
        self.log_path = log
        self.namespace = namespace
        with log.open("ab") as output:
            self.child: subprocess.Popen[str] = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *command],
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else output,
                stderr=output,
                cwd=ROOT,
                text=True,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def send_signal(self, number: int) -> None:
        self.child.send_signal(number)

    def end(self, number: int = signal.SIGKILL) -> None:
        if self.child.poll() is None:
            self.child.send_signal(number)
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(5)


class Speaker(Process):
    """tests.bgp.daemon in the namespace on our side."""

    def __init__(
        self, wire: Wire, directory: Path, *, namespace: str | None = None, **settings: Any
    ) -> None:
        command = [sys.executable, "-m", "tests.bgp.daemon", json.dumps(settings)]
        log = directory / "speaker.log"
        super().__init__(namespace or wire.ours, command, log, pipes=True)

    def ask(self, **command: Any) -> Any:
        stdin, stdout = self._pipes()
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        if self.child.stdin is None or self.child.stdout is None:
            raise AssertionError("started without pipes")
        return self.child.stdin, self.child.stdout

    def announce(self, service: str, *wishes: Any) -> None:
        self.ask(announce=[service, list(wishes)])

    def peer(self, index: int = 0) -> dict[str, Any]:
        peer: dict[str, Any] = self.ask(snapshot=True)["peers"][index]
        return peer

    def wait_established(self, limit_s: float = 15.0) -> dict[str, Any]:
        def established() -> dict[str, Any] | None:
            peer = self.peer()
            return peer if peer["established"] else None

        try:
            return eventually("session established", established, limit_s)  # type: ignore[no-any-return]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-3000:]}") from None

    def stop(self, reason: str = "test") -> None:
        self.ask(stop=reason)
        self.child.wait(15)

    def close(self) -> None:
        self.end()
        for pipe in self._pipes():
            pipe.close()


BIRD = """
log stderr all;
debug protocols {{ states, events }};
router id {router_id};
protocol device {{ }}
{globals}
template bgp common {{
  local {local} as {asn};
  neighbor {neighbor} as {peer_asn};
  hold time {hold};
  connect retry time 2; connect delay time {delay}; error wait time 1, 2;
  {options}
  ipv4 {{ import all; export none; {ipv4} }};
  ipv6 {{ import all; export none; {ipv6} }};
}}
protocol bgp pybal from common {{ }}
{more}
"""


class Bird(Process):
    """BIRD 2 in the router's namespace; it installs nothing in the kernel."""

    def __init__(self, wire: Wire, directory: Path, **values: Any) -> None:
        defaults = {
            "router_id": ROUTER_IPV4, "local": ROUTER_IPV4, "asn": 64600, "neighbor": OUR_IPV4,
            "peer_asn": 64512, "hold": 30, "delay": 1, "options": "multihop;", "ipv4": "",
            "ipv6": "", "globals": "", "more": "",
        }  # fmt: skip
        config = directory / "bird.conf"
        config.write_text(BIRD.format(**defaults | values), "utf-8")
        self.socket = Path(tempfile.mkdtemp(prefix="bird")) / "ctl"
        command = ["bird", "-f", "-c", str(config), "-s", str(self.socket)]
        super().__init__(wire.router, command, directory / "bird.log")
        eventually("BIRD answers", self.socket.exists)

    def cli(self, command: str) -> str:
        return run("birdc", "-s", str(self.socket), *command.split())

    def established(self) -> bool:
        return "Established" in self.cli("show protocols pybal")

    def routes(self) -> dict[str, str]:
        """Prefix to the text of its attributes."""
        text = self.cli("show route all protocol pybal")
        found: dict[str, str] = {}
        current = ""
        for line in text.splitlines():
            match = re.match(r"\s*([0-9a-f:.]+/\d+)\s", line)
            if match:
                current = match.group(1)
                found[current] = line
            elif current:
                found[current] += "\n" + line
        return found

    def close(self) -> None:
        self.end()
        shutil.rmtree(self.socket.parent, ignore_errors=True)
