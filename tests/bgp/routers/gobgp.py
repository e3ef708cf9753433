"""GoBGP."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Wire, eventually
from tests.bgp.routers.base import PLAIN, Router, Terms, lines_if

_FAMILIES = ("ipv4", "ipv6")


class GoBGP(Router):
    program = "gobgpd"

    def __init__(
        self,
        wire: Wire,
        directory: Path,
        terms: Terms = PLAIN,
        *,
        more: str = "",
        families: str = "",
        us: str = OUR_IPV4,
        text: str = "",
    ) -> None:
        """`text` is all of the configuration; or `us` is our end of the session, `families` are
        further lines for each of the neighbour's families, `more` some of the whole router's."""
        config = directory / "gobgp.toml"
        config.write_text(text or _configure(terms, more, families, us), "utf-8")
        command = [self.program, "-f", str(config), "--api-hosts", "127.0.0.1:50051", "-l", "info"]
        super().__init__(wire.router, command, directory / "gobgp.log")
        eventually("GoBGP answers", self._answers)

    def _answers(self) -> bool:
        try:
            self._ask("gobgp", "neighbor")
        except RuntimeError:
            return False
        return True

    def established(self) -> bool:
        return "Establ" in self._ask("gobgp", "neighbor")

    def routes(self) -> dict[str, str]:
        found = {}
        for family in _FAMILIES:
            answer = json.loads(self._ask("gobgp", "global", "rib", "-a", family, "-j"))
            found.update({prefix: json.dumps(paths) for prefix, paths in answer.items()})
        return found

    def count_routes(self) -> int:
        """Its list of ten thousand takes seconds."""
        summaries = (
            self._ask("gobgp", "global", "rib", "summary", "-a", family, "-j")
            for family in _FAMILIES
        )
        return sum(int(json.loads(summary).get("num_path", 0)) for summary in summaries)


def _configure(terms: Terms, more: str, of_each: str, us: str) -> str:
    families = "".join(
        "[[neighbors.afi-safis]]\n"
        + f'[neighbors.afi-safis.config]\nafi-safi-name = "{family}-unicast"\n'
        + lines_if(
            terms.graceful_restart,
            "[neighbors.afi-safis.mp-graceful-restart.config]",
            "enabled = true",
        )
        + of_each
        for family in _FAMILIES
    )
    return f"""
[global.config]
as = 64600
router-id = "{ROUTER_IPV4}"
{more}
[[neighbors]]
[neighbors.config]
neighbor-address = "{us}"
peer-as = {terms.peer_asn}
{lines_if(terms.password, f'auth-password = "{terms.password}"')}
[neighbors.timers.config]
hold-time = 30
keepalive-interval = 10
connect-retry = 1
idle-hold-time-after-reset = 1
{
        lines_if(
            terms.ttl_security,
            "[neighbors.ttl-security.config]",
            "enabled = true",
            "ttl-min = 255",
        )
        or lines_if(True, "[neighbors.ebgp-multihop.config]", "enabled = true", "multihop-ttl = 64")
    }
{lines_if(terms.passive, "[neighbors.transport.config]", "passive-mode = true")}
{
        lines_if(
            terms.graceful_restart,
            "[neighbors.graceful-restart.config]",
            "enabled = true",
            "notification-enabled = true",
        )
    }
{families}
"""
