"""FRR: bgpd by itself, or with bfdd."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Process, Wire, eventually, listens, run
from tests.bgp.routers.base import PLAIN, Router, Terms, lines_if

_CONFIG = """
log stdout debugging
{before}
router bgp 64600
 bgp router-id {router_id}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp log-neighbor-changes
 timers bgp 10 30
{session}
 neighbor {us} timers connect 1
 address-family ipv4 unicast
  neighbor {us} activate
  {families}
 exit-address-family
 address-family ipv6 unicast
  neighbor {us} activate
  {families}
 exit-address-family
"""


class Frr(Router):
    """bgpd by itself unless told of a zebra: nothing reaches a kernel."""

    program = "/usr/lib/frr/bgpd"

    def __init__(
        self,
        wire: Wire,
        directory: Path,
        terms: Terms = PLAIN,
        zebra: Sequence[str] = ("-Z",),
        *,
        bfd: bool = False,
        session: str = "",
        families: str = "",
        router: str = "",
        us: str = OUR_IPV4,
    ) -> None:
        """`us` is our end of the session. `session` and `families` are further lines for the
        neighbour, in general and in each of its address families; `router` are some of the whole
        router's."""
        self._us = us
        self._vty = Path(tempfile.mkdtemp(prefix="frr"))
        config = directory / "frr.conf"
        text = _configure(terms, bfd, us, session, families, router)
        config.write_text(text, "utf-8")
        command = [
            self.program, *zebra, *_bgpd_options(), "-S", "-f", str(config),
            "-i", str(directory / "frr.pid"), "--vty_socket", str(self._vty), "-P", "0",
        ]  # fmt: skip
        super().__init__(wire.router, command, directory / "frr.log")
        eventually("FRR answers", lambda: listens(self._vty / "bgpd.vty"))

    def vtysh(self, command: str) -> str:
        return self._ask("vtysh", "--vty_socket", str(self._vty), "-d", "bgpd", "-c", command)

    def configure(self, *lines: str) -> None:
        commands = [part for line in ("configure terminal", *lines) for part in ("-c", line)]
        self._ask("vtysh", "--vty_socket", str(self._vty), "-d", "bgpd", *commands)

    def established(self) -> bool:
        summary = json.loads(self.vtysh("show bgp summary json") or "{}")
        peer = summary.get("ipv4Unicast", {}).get("peers", {}).get(self._us, {})
        return bool(peer.get("state") == "Established")

    def ask_refresh(self) -> None:
        self.vtysh(f"clear bgp {self._us} soft in")

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
        shutil.rmtree(self._vty, ignore_errors=True)


def _configure(terms: Terms, bfd: bool, us: str, session: str, families: str, router: str) -> str:
    # The helper's side of RFC 8538 is a switch of the whole daemon.
    before = lines_if(terms.graceful_restart, "bgp graceful-restart notification")
    near = terms.ttl_security or bfd
    lines = (
        router
        + f"\nneighbor {us} remote-as {terms.peer_asn}\n"
        + lines_if(not near, f"neighbor {us} ebgp-multihop 64")
        + lines_if(bfd, f"neighbor {us} bfd", f"neighbor {us} bfd profile fast")
        + lines_if(terms.ttl_security, f"neighbor {us} ttl-security hops 1")
        + lines_if(terms.password, f"neighbor {us} password {terms.password}")
        + lines_if(terms.passive, f"neighbor {us} passive")
        + lines_if(terms.graceful_restart, f"neighbor {us} graceful-restart-helper")
        + session.format(us=us)
    )
    return _CONFIG.format(
        before=before,
        router_id=ROUTER_IPV4,
        session=lines,
        us=us,
        families=families.format(us=us),
    )


def _has_option(daemon: str, option: str) -> bool:
    return option in run(f"/usr/lib/frr/{daemon}", "--help")


def _bgpd_options() -> list[str]:
    """FRR 10 ends sessions with IPv6 when no zebra tells it an IPv6 address, unless told that
    none is needed."""
    option = "--v6-with-v4-nexthop"
    return [option] if _has_option("bgpd", option) else []


def _bfdd_options(folder: Path) -> list[str]:
    """FRR 8 has a control socket, at a place that it cannot write to here; FRR 10 has none."""
    return ["--bfdctl", str(folder / "bfdctl")] if _has_option("bfdd", "--bfdctl") else []


class FrrWithBFD(Frr):
    """bgpd, bfdd and the zebra that joins them; bgpd still installs nothing."""

    def __init__(
        self, wire: Wire, directory: Path, interval_ms: int = 100, session: str = ""
    ) -> None:
        # zebra and bfdd insist on a user of their own, who needs a folder to write in.
        self._shared = Path(tempfile.mkdtemp(prefix="frr"))
        self._shared.chmod(0o777)
        (self._shared / "zebra.conf").touch()
        (self._shared / "bfdd.conf").write_text(
            "bfd\n profile fast\n  detect-multiplier 3\n"
            f"  receive-interval {interval_ms}\n  transmit-interval {interval_ms}\n",
            "utf-8",
        )
        self.daemons = [
            self._daemon(wire, directory, "zebra"),
            self._daemon(wire, directory, "bfdd", *_bfdd_options(self._shared)),
        ]
        zebra = ["-n", "-z", str(self._shared / "zserv")]
        super().__init__(wire, directory, zebra=zebra, bfd=True, session=session)

    def _daemon(self, wire: Wire, directory: Path, name: str, *more: str) -> Process:
        shared = str(self._shared)
        command = [
            f"/usr/lib/frr/{name}", "-P", "0", "-z", f"{shared}/zserv", *more,
            "-f", f"{shared}/{name}.conf", "-i", f"{shared}/{name}.pid", "--vty_socket", shared,
        ]  # fmt: skip
        daemon = Process(wire.router, command, directory / f"{name}.log")
        eventually(f"{name} answers", lambda: listens(self._shared / f"{name}.vty"))
        return daemon

    def close(self) -> None:
        super().close()
        for daemon in self.daemons:
            daemon.end(signal.SIGTERM)
        shutil.rmtree(self._shared, ignore_errors=True)


class FrrIntegrated(Router):
    """zebra, bfdd and bgpd, with a configuration as vtysh takes it for all of them."""

    program = Frr.program

    def __init__(self, wire: Wire, directory: Path, terms: Terms = PLAIN, *, text: str) -> None:
        assert terms == PLAIN, "the text says all"
        self._shared = Path(tempfile.mkdtemp(prefix="frr"))
        self._shared.chmod(0o777)
        shared = str(self._shared)
        self._daemons = []
        for name, more in (("zebra", []), ("bfdd", _bfdd_options(self._shared))):
            command = [*self._command(f"/usr/lib/frr/{name}", name), *more]
            self._daemons.append(Process(wire.router, command, directory / f"{name}.log"))
            eventually(f"{name} answers", partial(listens, self._shared / f"{name}.vty"))
        command = [*self._command(self.program, "bgpd"), "-n", "-S", *_bgpd_options()]
        super().__init__(wire.router, command, directory / "frr.log")
        eventually("FRR answers", lambda: listens(self._shared / "bgpd.vty"))
        file = self._shared / "frr.conf"
        file.write_text(f"log stdout\n{text}", "utf-8")
        said = self._ask("vtysh", "--vty_socket", shared, "-f", str(file))
        assert "failed" not in said, said

    def _command(self, program: str, name: str) -> list[str]:
        shared = str(self._shared)
        (self._shared / f"{name}.conf").touch()
        return [
            program, "-P", "0", "-z", f"{shared}/zserv", "--vty_socket", shared,
            "-f", f"{shared}/{name}.conf", "-i", f"{shared}/{name}.pid",
        ]  # fmt: skip

    def vtysh(self, command: str) -> str:
        return self._ask("vtysh", "--vty_socket", str(self._shared), "-d", "bgpd", "-c", command)

    def routes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for family in ("ipv4", "ipv6"):
            table = json.loads(self.vtysh(f"show bgp {family} unicast json") or "{}")
            for prefix in table.get("routes", {}):
                found[prefix] = self.vtysh(f"show bgp {family} unicast {prefix} json")
        return found

    def close(self) -> None:
        super().close()
        for daemon in self._daemons:
            daemon.end(signal.SIGTERM)
        shutil.rmtree(self._shared, ignore_errors=True)
