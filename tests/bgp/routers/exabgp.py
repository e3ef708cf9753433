"""ExaBGP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Wire
from tests.bgp.routers.base import PLAIN, Router, Terms, lines_if

_PROCESS = """
process log {{
  run /bin/sh {script};
  encoder json;
}}
"""
_API = "api { processes [ log ]; neighbor-changes; receive { parsed; update; notification; } }"
_CONFIG = """
neighbor {us} {{
  router-id {them};
  local-address {them};
  local-as 64600;
  peer-as {peer_asn};
  hold-time 30;
{options}
  family {{ ipv4 unicast; ipv6 unicast; }}
  static {{ {routes} }}
}}
"""


class ExaBGP(Router):
    """It keeps no table: what it hears is replayed from its JSON lines. Their reader must keep
    its own output open, or ExaBGP takes it for dead."""

    program = "exabgp"
    shows_shutdown_text = False

    def __init__(
        self,
        wire: Wire,
        directory: Path,
        terms: Terms = PLAIN,
        routes: str = "",
        text: str = "",
    ) -> None:
        """`routes` are those that it announces, each as `route PREFIX next-hop self;`. `text` is
        all of the configuration, but for the lines that have it tell us what it hears."""
        self._heard = directory / "heard"
        config = directory / "exabgp.conf"
        script = directory / "exabgp.sh"
        script.write_text(f"cat > {self._heard}\n", "utf-8")
        text = text or _CONFIG.format(
            us=OUR_IPV4, them=ROUTER_IPV4, peer_asn=terms.peer_asn, options=_options(terms),
            routes=routes,
        )  # fmt: skip
        heard = text.replace("  family {", f"  {_API}\n  family {{")
        config.write_text(_PROCESS.format(script=script) + heard, "utf-8")
        command = [
            "env", "exabgp.daemon.user=root", "exabgp.api.cli=false", "exabgp.log.all=true",
            f"exabgp.tcp.bind={ROUTER_IPV4}", "exabgp.daemon.drop=false", "exabgp", str(config),
        ]  # fmt: skip
        super().__init__(wire.router, command, directory / "exabgp.log")

    def _lines(self) -> list[dict[str, Any]]:
        if not self._heard.exists():
            return []
        lines = self._heard.read_text("utf-8").split("\n")[:-1]
        return [json.loads(line)["neighbor"] for line in lines if '"neighbor"' in line]

    def established(self) -> bool:
        states = [line["state"] for line in self._lines() if "state" in line]
        return states[-1:] == ["up"]

    def routes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in self._lines():
            if line.get("state") == "down":
                found.clear()
            update = line.get("message", {}).get("update", {})
            attributes = json.dumps(update.get("attribute", {}))
            for by_next_hop in update.get("announce", {}).values():
                for next_hop, entries in by_next_hop.items():
                    for entry in entries:
                        if "nlri" in entry:
                            found[entry["nlri"]] = f"{attributes} {next_hop}"
            for entries in update.get("withdraw", {}).values():
                for entry in entries:
                    found.pop(entry["nlri"], None)
        return found


def _options(terms: Terms) -> str:
    return (
        lines_if(terms.ttl_security, "outgoing-ttl 255;", "incoming-ttl 255;")
        + lines_if(terms.password, f"md5-password '{terms.password}';")
        + lines_if(terms.passive, "passive true;")
    )
