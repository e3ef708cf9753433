"""BIRD 2."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Wire, eventually, listens, run
from tests.bgp.routers.base import PLAIN, Router, Terms

_CONFIG = """
log stderr all;
debug protocols {{ states, events }};
router id {router_id};
protocol device {{ }}
{globals}
template bgp common {{
  local {local} as {asn};
  neighbor {neighbor} as {peer_asn};
  hold time {hold};
  connect retry time 1; connect delay time {delay}; error wait time 1, 2;
  {options} {extra}
  ipv4 {{ import all; export none; {ipv4} }};
  ipv6 {{ import all; export none; {ipv6} }};
}}
protocol bgp pybal from common {{ }}
{more}
"""


class Bird(Router):
    """`own` are values of the configuration: `options` of the protocol instead of those that the
    terms mean, `extra` besides; or `text` is all of it."""

    program = "bird"

    def __init__(self, wire: Wire, directory: Path, terms: Terms = PLAIN, **own: Any) -> None:
        values = {
            "router_id": ROUTER_IPV4, "local": ROUTER_IPV4, "asn": 64600, "neighbor": OUR_IPV4,
            "peer_asn": terms.peer_asn, "hold": 30, "delay": 1, "options": _options(terms),
            "extra": "", "ipv4": "", "ipv6": "", "globals": "", "more": "",
        }  # fmt: skip
        config = directory / "bird.conf"
        text = own.pop("text", None) or _CONFIG.format(**values | own)
        config.write_text(text, "utf-8")
        self._socket = Path(tempfile.mkdtemp(prefix="bird")) / "ctl"
        command = ["bird", "-f", "-c", str(config), "-s", str(self._socket)]
        super().__init__(wire.router, command, directory / "bird.log")
        eventually("BIRD answers", lambda: listens(self._socket))

    def cli(self, command: str) -> str:
        return run("birdc", "-s", str(self._socket), *command.split())

    def established(self) -> bool:
        return "Established" in self.cli("show protocols pybal")

    def routes(self) -> dict[str, str]:
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

    def count_routes(self) -> int:
        total = re.search(r"Total: (\d+) of", self.cli("show route count"))
        return int(total[1]) if total else 0

    def ask_refresh(self) -> None:
        self.cli("reload in pybal")

    def close(self) -> None:
        self.end()
        shutil.rmtree(self._socket.parent, ignore_errors=True)


def _options(terms: Terms) -> str:
    return " ".join(
        (
            "direct; ttl security yes;" if terms.ttl_security else "multihop;",
            f'password "{terms.password}";' if terms.password else "",
            "passive;" if terms.passive else "",
            "graceful restart on;" if terms.graceful_restart else "",
        )
    )
