"""FRR, GoBGP, OpenBGPD and ExaBGP in the router's namespace, behind one interface.

Each has AS 64600, identifier 10.77.0.2, a hold time of 30 s, and takes both families from us
(AS 64512) over one IPv4 session. `routes` gives prefix -> what the router says of it.
"""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Process, Wire, eventually, run


class Router(Process):
    """One router that has been started. `program` tells whether it is installed."""

    program: str
    shows_shutdown_text = True

    @classmethod
    def start(cls, wire: Wire, directory: Path, **options: Any) -> Router:
        """Start one that listens and answers; `options` are those of its constructor."""
        return cls(wire, directory, **options)  # type: ignore[arg-type]

    def established(self) -> bool:
        raise NotImplementedError

    def routes(self) -> dict[str, str]:
        raise NotImplementedError

    def ask_refresh(self) -> None:
        """Make it send ROUTE-REFRESH; NotImplementedError if it cannot."""
        raise NotImplementedError

    def close(self) -> None:
        self.end(signal.SIGTERM)

    @classmethod
    def installed(cls) -> bool:
        return shutil.which(cls.program) is not None

    def _ask(self, *command: str) -> str:
        return run("ip", "netns", "exec", self.namespace, *command)


FRR_CONFIG = f"""
log stdout debugging
router bgp 64600
 bgp router-id {ROUTER_IPV4}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp log-neighbor-changes
 timers bgp 10 30
 neighbor {OUR_IPV4} remote-as 64512
 neighbor {OUR_IPV4} ebgp-multihop
 neighbor {OUR_IPV4} timers connect 2
 EXTRA
 address-family ipv4 unicast
  neighbor {OUR_IPV4} activate
 exit-address-family
 address-family ipv6 unicast
  neighbor {OUR_IPV4} activate
 exit-address-family
"""


class Frr(Router):
    """FRR's bgpd, by itself unless told of a zebra: nothing reaches a kernel."""

    program = "/usr/lib/frr/bgpd"

    def __init__(
        self,
        wire: Wire,
        directory: Path,
        peer_asn: int = 64512,
        extra: str = "",
        zebra: Sequence[str] = ("-Z",),
    ) -> None:
        self.vty = Path(tempfile.mkdtemp(prefix="frr"))
        config = directory / "frr.conf"
        config.write_text(
            FRR_CONFIG.replace("EXTRA", extra).replace("64512", str(peer_asn)), "utf-8"
        )
        command = [
            self.program, *zebra, "-S", "-f", str(config), "-i", str(directory / "frr.pid"),
            "--vty_socket", str(self.vty), "-P", "0",
        ]  # fmt: skip
        super().__init__(wire.router, command, directory / "frr.log")
        eventually("FRR answers", (self.vty / "bgpd.vty").exists)

    def vtysh(self, command: str) -> str:
        return self._ask("vtysh", "--vty_socket", str(self.vty), "-d", "bgpd", "-c", command)

    def established(self) -> bool:
        summary = json.loads(self.vtysh("show bgp summary json") or "{}")
        peer = summary.get("ipv4Unicast", {}).get("peers", {}).get(OUR_IPV4, {})
        return bool(peer.get("state") == "Established")

    def ask_refresh(self) -> None:
        self.vtysh(f"clear bgp {OUR_IPV4} soft in")

    def routes(self) -> dict[str, str]:
        """With all attributes while they are few: FRR shows those one prefix at a time."""
        found: dict[str, str] = {}
        for family in ("ipv4", "ipv6"):
            table = json.loads(self.vtysh(f"show bgp {family} unicast json") or "{}")
            routes = table.get("routes", {})
            for prefix, paths in routes.items():
                if len(routes) > 10:
                    found[prefix] = json.dumps(paths)
                else:
                    found[prefix] = self.vtysh(f"show bgp {family} unicast {prefix} json")
        return found

    def close(self) -> None:
        super().close()
        shutil.rmtree(self.vty, ignore_errors=True)


class FrrWithBFD(Frr):
    """bgpd, bfdd and the zebra that joins them; bgpd still installs nothing."""

    def __init__(self, wire: Wire, directory: Path, interval_ms: int = 100) -> None:
        # zebra and bfdd insist on a user of their own, who needs a folder to write in.
        self.shared = Path(tempfile.mkdtemp(prefix="frr"))
        self.shared.chmod(0o777)
        (self.shared / "zebra.conf").touch()
        (self.shared / "bfdd.conf").write_text(
            f"bfd\n peer {OUR_IPV4}\n  detect-multiplier 3\n"
            f"  receive-interval {interval_ms}\n  transmit-interval {interval_ms}\n",
            "utf-8",
        )
        self.daemons = [
            self._daemon(wire, directory, "zebra"),
            self._daemon(wire, directory, "bfdd", "--bfdctl", str(self.shared / "bfdctl")),
        ]
        extra = f"no neighbor {OUR_IPV4} ebgp-multihop\n neighbor {OUR_IPV4} bfd"
        super().__init__(
            wire, directory, extra=extra, zebra=["-n", "-z", str(self.shared / "zserv")]
        )

    def _daemon(self, wire: Wire, directory: Path, name: str, *more: str) -> Process:
        shared = str(self.shared)
        command = [
            f"/usr/lib/frr/{name}", "-P", "0", "-z", f"{shared}/zserv", *more,
            "-f", f"{shared}/{name}.conf", "-i", f"{shared}/{name}.pid", "--vty_socket", shared,
        ]  # fmt: skip
        daemon = Process(wire.router, command, directory / f"{name}.log")
        eventually(f"{name} answers", (self.shared / f"{name}.vty").exists)
        return daemon

    def close(self) -> None:
        super().close()
        for daemon in self.daemons:
            daemon.end(signal.SIGTERM)
        shutil.rmtree(self.shared, ignore_errors=True)


GOBGP_CONFIG = f"""
[global.config]
  as = 64600
  router-id = "{ROUTER_IPV4}"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{OUR_IPV4}"
    peer-as = 64512
  [neighbors.timers.config]
    hold-time = 30
    keepalive-interval = 10
    connect-retry = 2
    idle-hold-time-after-reset = 1
  [neighbors.ebgp-multihop.config]
    enabled = true
    multihop-ttl = 64
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv6-unicast"
"""


class GoBGP(Router):
    program = "gobgpd"

    def __init__(self, wire: Wire, directory: Path, peer_asn: int = 64512) -> None:
        config = directory / "gobgp.toml"
        config.write_text(GOBGP_CONFIG.replace("64512", str(peer_asn)), "utf-8")
        command = [self.program, "-f", str(config), "--api-hosts", "127.0.0.1:50051", "-l", "debug"]
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
        for family in ("ipv4", "ipv6"):
            answer = json.loads(self._ask("gobgp", "global", "rib", "-a", family, "-j"))
            found.update({prefix: json.dumps(paths) for prefix, paths in answer.items()})
        return found


OPENBGPD_CONFIG = f"""
AS 64600
router-id {ROUTER_IPV4}
fib-update no
socket "SOCKET"
neighbor {OUR_IPV4} {{
  remote-as 64512
  multihop 64
  holdtime 30
  announce IPv4 unicast
  announce IPv6 unicast
}}
allow from any
deny to any
"""


class OpenBGPD(Router):
    program = "bgpctl"

    def __init__(self, wire: Wire, directory: Path, peer_asn: int = 64512) -> None:
        self.socket = Path(tempfile.mkdtemp(prefix="obgpd")) / "ctl"
        # Where its parts lock themselves in; its unit makes it, which does not run here.
        Path("/run/openbgpd").mkdir(exist_ok=True)
        config = directory / "openbgpd.conf"
        text = OPENBGPD_CONFIG.replace("SOCKET", str(self.socket))
        config.write_text(text.replace("64512", str(peer_asn)), "utf-8")
        config.chmod(0o600)
        super().__init__(
            wire.router, ["bgpd", "-d", "-v", "-f", str(config)], directory / "obgpd.log"
        )
        eventually("OpenBGPD answers", self.socket.exists)

    def bgpctl(self, *command: str) -> dict[str, Any]:
        answer = self._ask("bgpctl", "-j", "-s", str(self.socket), *command)
        return json.loads(answer)  # type: ignore[no-any-return]

    def established(self) -> bool:
        return bool(self.bgpctl("show", "neighbor")["neighbors"][0]["state"] == "Established")

    def ask_refresh(self) -> None:
        self._ask("bgpctl", "-s", str(self.socket), "neighbor", OUR_IPV4, "refresh")

    def routes(self) -> dict[str, str]:
        rib = self.bgpctl("show", "rib", "detail").get("rib", [])
        return {route["prefix"]: json.dumps(route) for route in rib}

    def close(self) -> None:
        super().close()
        shutil.rmtree(self.socket.parent, ignore_errors=True)


EXABGP_CONFIG = f"""
process log {{
  run /bin/sh SCRIPT;
  encoder json;
}}
neighbor {OUR_IPV4} {{
  router-id {ROUTER_IPV4};
  local-address {ROUTER_IPV4};
  local-as 64600;
  peer-as 64512;
  hold-time 30;
  family {{ ipv4 unicast; ipv6 unicast; }}
  api {{ processes [ log ]; neighbor-changes; receive {{ parsed; update; notification; }} }}
}}
"""


class ExaBGP(Router):
    """It keeps no table: what it hears is replayed from its JSON lines. Their reader must keep
    its own output open, or ExaBGP takes it for dead."""

    program = "exabgp"
    shows_shutdown_text = False

    def __init__(self, wire: Wire, directory: Path, peer_asn: int = 64512) -> None:
        self.heard = directory / "heard"
        config = directory / "exabgp.conf"
        script = directory / "exabgp.sh"
        script.write_text(f"cat > {self.heard}\n", "utf-8")
        text = EXABGP_CONFIG.replace("SCRIPT", str(script))
        config.write_text(text.replace("64512", str(peer_asn)), "utf-8")
        command = [
            "env", "exabgp.daemon.user=root", "exabgp.api.cli=false", "exabgp.log.all=true",
            f"exabgp.tcp.bind={ROUTER_IPV4}", "exabgp.daemon.drop=false", "exabgp", str(config),
        ]  # fmt: skip
        super().__init__(wire.router, command, directory / "exabgp.log")

    def _lines(self) -> list[dict[str, Any]]:
        if not self.heard.exists():
            return []
        lines = self.heard.read_text("utf-8").split("\n")[:-1]
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


ROUTERS: tuple[type[Router], ...] = (Frr, GoBGP, OpenBGPD, ExaBGP)
