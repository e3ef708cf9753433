"""OpenBGPD."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Wire, eventually, listens, run
from tests.bgp.routers.base import PLAIN, Router, Terms, lines_if

_CONFIG = """
AS 64600
router-id {router_id}
fib-update no
socket "{socket}"
connect-retry 2
neighbor {us} {{
  remote-as {peer_asn}
  holdtime 30
  announce IPv4 unicast
  announce IPv6 unicast
{options}
}}
allow from any
{outwards} to any
"""


class OpenBGPD(Router):
    program = "bgpctl"

    def __init__(
        self,
        wire: Wire,
        directory: Path,
        terms: Terms = PLAIN,
        outwards: str = "deny",
        options: str = "",
        text: str = "",
    ) -> None:
        """`options` are further lines of the neighbour's; or `text` is all of the configuration."""
        self._socket = Path(tempfile.mkdtemp(prefix="obgpd")) / "ctl"
        # Where its parts lock themselves in; its unit makes it, which does not run here.
        Path("/run/openbgpd").mkdir(exist_ok=True)
        config = directory / "openbgpd.conf"
        if text:
            text = f'socket "{self._socket}"\n{text}'
        config.write_text(
            text
            or _CONFIG.format(
                router_id=ROUTER_IPV4, socket=self._socket, us=OUR_IPV4,
                peer_asn=terms.peer_asn, options=f"{_options(terms)}{options}", outwards=outwards,
            ),
            "utf-8",
        )  # fmt: skip
        config.chmod(0o600)
        super().__init__(
            wire.router, ["bgpd", "-d", "-v", "-f", str(config)], directory / "obgpd.log"
        )
        eventually("OpenBGPD answers", lambda: listens(self._socket))

    def bgpctl(self, *command: str) -> dict[str, Any]:
        answer = self._ask("bgpctl", "-j", "-s", str(self._socket), *command)
        return json.loads(answer)  # type: ignore[no-any-return]

    def established(self) -> bool:
        return bool(self.bgpctl("show", "neighbor")["neighbors"][0]["state"] == "Established")

    def tell(self, *command: str) -> None:
        self._ask("bgpctl", "-s", str(self._socket), *command)

    def ask_refresh(self) -> None:
        self.tell("neighbor", OUR_IPV4, "refresh")

    def routes(self) -> dict[str, str]:
        rib = self.bgpctl("show", "rib", "detail").get("rib", [])
        return {route["prefix"]: json.dumps(route) for route in rib}

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._socket.parent, ignore_errors=True)


def role_lines(role: str, *, strict: bool) -> str:
    """RFC 9234, as the installed version has it: since 8.2 the role is a line of its own."""
    version = re.search(r"OpenBGPD (\d+)\.(\d+)", run("sh", "-c", "bgpd -V 2>&1"))
    if version is not None and (int(version[1]), int(version[2])) >= (8, 2):
        return f"role {role}\nannounce policy {'enforce' if strict else 'yes'}\n"
    return f"announce policy {role} {'enforce' if strict else ''}\n"


def _options(terms: Terms) -> str:
    return (
        lines_if(terms.ttl_security, "ttl-security yes")
        + lines_if(not terms.ttl_security, "multihop 64")
        + lines_if(terms.password, f"tcp md5sig password {terms.password}")
        + lines_if(terms.passive, "passive")
    )
