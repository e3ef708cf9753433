"""BIRD as the router of a stage: it believes its directors, and forwards by what they say."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.stage import Host, IPAddress, Stage

ROUTER_ASN, DIRECTOR_ASN = 64610, 64600

_CONFIG = """
log stderr all;
debug protocols { states, routes, events };
router id ROUTER;
protocol device { }
protocol kernel { ipv4 { import none; export all; }; }
protocol kernel { ipv6 { import none; export all; }; }
template bgp any_director {
  local ROUTER as 64610;
  hold time 30;
  connect retry time 2; connect delay time 1; error wait time 1, 2;
  ipv4 { import all; export none; };
  ipv6 { import all; export none; };
}
"""
_PROTOCOL = """
protocol bgp NAME from any_director { neighbor ADDRESS as 64600; }
"""


class BirdRouter:
    """BIRD 2 in the router's namespace, with a session to each director of the stage."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        assert stage.router is not None, "the stage has no router"
        self.host: Host = stage.router
        self._log_path = folder / "bird.log"
        self._config = folder / "bird.conf"
        protocols = (
            _PROTOCOL.replace("NAME", director.name).replace("ADDRESS", str(director.ipv4))
            for director in stage.directors
        )
        text = _CONFIG.replace("ROUTER", str(self.host.ipv4)) + "".join(protocols)
        self._config.write_text(text)
        # The path of a socket must be short.
        self._socket = Path(tempfile.mkdtemp(prefix="bird")) / "ctl"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; sessions come later."""
        command = ["bird", "-f", "-c", str(self._config), "-s", str(self._socket)]
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(self.host.wrap(*command), stderr=log)

    def restart(self, hold_time_s: int) -> None:
        """With another hold time."""
        self.stop()
        self._socket = Path(tempfile.mkdtemp(prefix="bird")) / "ctl"
        text = self._config.read_text().replace("hold time 30", f"hold time {hold_time_s}")
        self._config.write_text(text)
        self.start()

    def stop(self) -> None:
        """End it; its routes go with it. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        shutil.rmtree(self._socket.parent, ignore_errors=True)

    def ask(self, command: str) -> str:
        """What birdc answers; CalledProcessError while BIRD does not."""
        done = subprocess.run(
            ["birdc", "-r", "-s", str(self._socket), *command.split()],
            check=True,
            capture_output=True,
            text=True,
        )
        banner = ("BIRD ", "Access restricted")
        return "\n".join(li for li in done.stdout.splitlines() if not li.startswith(banner))

    def has_session(self, director: Host) -> bool:
        """Whether the session with that director is established."""
        return "Established" in self.ask(f"show protocols {director.name}")

    def next_hop(self, vip: IPAddress) -> str | None:
        """Where the kernel sends packets for a VIP, None while it has no route."""
        prefix = f"{vip}/{vip.max_prefixlen}"
        route = self.host.run("ip", f"-{vip.version}", "route", "show", prefix).split()
        return route[route.index("via") + 1] if "via" in route else None

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log_path.read_text()
