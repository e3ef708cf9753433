"""BGPFailover as a process of its own, for tests and measurements against real routers.

`run` takes plain JSON (see `settings_of`). It reads commands from standard input, one JSON
object a line, and answers each with one line on standard output:
{"announce": [service, [wish, ...]]}, {"prepare": [service, [wish, ...]]} and
{"announce_prepared": true} (all that was prepared, in one turn), {"withdraw": service},
{"snapshot": true},
{"own": [address, ...]} (of which peers are listened to),
{"complete": true}, {"reconfigure": settings}, {"stop": reason}, {"restart": true},
{"stand_still": seconds},
{"stall": true} (milliseconds since the last such question; started with "probe"). Log lines go
to standard error.
"""

from __future__ import annotations

import gc
import json
import time
from dataclasses import fields, is_dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from pybal.announce.bfd_numbers import BFDNumbers
from pybal.announce.failover import BGPFailover
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.bfd.sockets import SocketBFDNetwork
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST, Role
from pybal.bgp.network import TwistedNetwork
from pybal.bgp.ports import BGPPorts
from pybal.bgp.recorder import RecordPorts
from pybal.bgp.settings import (
    BFDAuthSettings,
    BFDSettings,
    Confederation,
    ExportPolicy,
    FailoverSettings,
    InterfacePeer,
    Options,
    PeerGroup,
    PeerSettings,
    SpeakerSettings,
)
from pybal.bgp.takeover import SessionKeeper
from pybal.handover.legacy import NO_LEGACY, Legacy
from pybal.handover.listeners import KeptListeners
from pybal.handover.store import ManagerStore
from pybal.runtime.gc_tuning import NEVER, YOUNG
from pybal.runtime.log import begin_logging
from tests.fakes.keeper import no_keeper


def settings_of(given: dict[str, Any]) -> FailoverSettings:
    """From plain JSON; addresses are text."""
    peers = tuple(_peer(peer) for peer in given["peers"])
    speaker = SpeakerSettings(
        local_asn=given.get("asn", 64512),
        router_id=IPv4Address(given.get("router_id", "10.77.0.1")),
        peers=peers,
        listen_addresses=tuple(ip_address(a) for a in given.get("listen", ())),
        listen_port=given.get("port", 179),
        confederation=_confederation(given.get("confederation")),
        groups=tuple(
            PeerGroup(ip_network(g["network"]), _peer(g | {"address": "0.0.0.0"}), g["limit"])
            for g in given.get("groups", ())
        ),
        interfaces=tuple(
            InterfacePeer(one["name"], _peer(one | {"address": "fe80::"}))
            for one in given.get("interfaces", ())
        ),
    )
    return FailoverSettings(
        speaker=speaker,
        as_path=tuple(given.get("as_path", [speaker.local_asn])),
        next_hop_ipv4=ip_address(given.get("next_hop_ipv4", "10.77.0.1")),
        next_hop_ipv6=IPv6Address(given.get("next_hop_ipv6", "fd77::1")),
        med=given.get("med", 0),
        communities=tuple(given.get("communities", ())),
        large_communities=tuple((a, b, c) for a, b, c in given.get("large_communities", ())),
        extended_communities=tuple(map(bytes.fromhex, given.get("extended_communities", ()))),
        shutdown_delay_s=given.get("shutdown_delay_s", 0.0),
    )


def _confederation(given: Any) -> Confederation | None:
    return Confederation(given[0], frozenset(given[1])) if given is not None else None


def _peer(given: dict[str, Any]) -> PeerSettings:
    password = given.get("password")
    bfd = given.get("bfd")
    return PeerSettings(
        address=ip_address(given["address"]),
        asn=given.get("asn"),
        port=given.get("port", 179),
        local_address=ip_address(given["local_address"]) if "local_address" in given else None,
        password=password.encode() if password is not None else None,
        ttl_security_hops=given.get("ttl_security_hops"),
        hold_time_s=given.get("hold_time_s", 180),
        restart_time_s=given.get("restart_time_s"),
        stale_time_s=given.get("stale_time_s", 0),
        bfd=_bfd(bfd) if bfd is not None else None,
        fsm=Options(**given.get("fsm", {})),
        connect_only=given.get("connect_only", False),
        ttl=given.get("ttl"),
        interface=given.get("interface"),
        role=Role(given["role"]) if "role" in given else None,
        role_strict=given.get("role_strict", False),
        families=tuple(FAMILIES[name] for name in given.get("families", FAMILIES)),
        imports=given.get("imports", False),
        export=_policy(given.get("export", {})),
    )


def _bfd(given: dict[str, Any]) -> BFDSettings:
    auth = given.get("auth")
    if auth is None:
        return BFDSettings(**given)
    kind, key_id, key = auth
    return BFDSettings(**given | {"auth": BFDAuthSettings(kind, key_id, key.encode())})


def _policy(given: dict[str, Any]) -> ExportPolicy:
    ipv4, ipv6 = given.pop("next_hop_ipv4", None), given.pop("next_hop_ipv6", None)
    return ExportPolicy(
        next_hop_ipv4=ip_address(ipv4) if ipv4 else None,
        next_hop_ipv6=IPv6Address(ipv6) if ipv6 else None,
        communities=tuple(given.pop("communities", ())),
        **given,
    )


FAMILIES = {"ipv4": IPV4_UNICAST, "ipv6": IPV6_UNICAST}


class StallProbe:
    """The longest time the reactor left a timer of 1 ms waiting, beyond that."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._worst_s = 0.0
        self._last = time.perf_counter()
        self._tick()

    def _tick(self) -> None:
        now = time.perf_counter()
        self._worst_s = max(self._worst_s, now - self._last - 0.001)
        self._last = now
        self._world.callLater(0.001, self._tick)

    def take_ms(self) -> float:
        worst_s, self._worst_s = self._worst_s, 0.0
        return round(worst_s * 1000, 1)


class Commands(LineReceiver):
    """The console of one BGPFailover."""

    delimiter = b"\n"
    MAX_LENGTH = 16_000_000

    def __init__(
        self,
        failover: BGPFailover,
        world: Any,
        probe: StallProbe | None,
        listeners: KeptListeners,
    ) -> None:
        self._failover = failover
        self._listeners = listeners
        self._probe = probe
        self._reactor = world
        self._prepared: list[tuple[str, tuple[Advertisement, ...]]] = []

    def lineReceived(self, line: bytes) -> None:
        [(command, value)] = json.loads(line).items()
        answer: Any = None
        if command == "announce":
            self._failover.set_announced(value[0], tuple(_wish(wish) for wish in value[1]))
        elif command == "prepare":
            self._prepared.append((value[0], tuple(_wish(wish) for wish in value[1])))
        elif command == "announce_prepared":
            while self._prepared:
                self._failover.set_announced(*self._prepared.pop())
        elif command in {"withdraw", "own"}:
            self._change(command, value)
        elif command == "snapshot":
            answer = _document(self._failover.snapshot())
        elif command == "stall" and self._probe is not None:
            answer = self._probe.take_ms()
        elif command == "complete":
            self._failover.first_routes_complete()
        elif command == "stand_still":
            Deferred.fromCoroutine(self._failover.stand_still(partial(time.sleep, value)))
        elif command == "reconfigure":
            Deferred.fromCoroutine(self._failover.reconfigure(settings_of(value)))
        self.sendLine(json.dumps(answer).encode())  # type: ignore[no-untyped-call]
        if command in {"stop", "restart"}:
            self._stop(command, value)

    def _stop(self, command: str, value: Any) -> None:
        failover = self._failover
        if command == "restart":
            self._listeners.leave()
        ending = failover.stop(value) if command == "stop" else failover.stop_for_restart()
        ending.addBoth(self._end)

    def _change(self, command: str, value: Any) -> None:
        if command == "withdraw":
            self._failover.set_announced(value, None)
        for address in value if command == "own" else ():
            self._failover.set_own(address, ip_address(address))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def _end(self, _: object) -> None:
        """Once the last answer is written."""
        transport: Any = self.transport
        transport.loseConnection()


def _document(snapshot: Any) -> Any:
    """Snapshots as JSON objects, which they are by their fields."""
    if is_dataclass(snapshot):
        return {each.name: _document(getattr(snapshot, each.name)) for each in fields(snapshot)}
    if hasattr(snapshot, "_asdict"):
        return {name: _document(value) for name, value in snapshot._asdict().items()}
    if isinstance(snapshot, tuple):
        return [_document(each) for each in snapshot]
    return snapshot


def _wish(given: Any) -> Advertisement:
    if isinstance(given, str):
        return Advertisement(ip_address(given))
    large = given.get("large_communities")
    return Advertisement(
        address=ip_address(given["address"]),
        med=given.get("med"),
        communities=tuple(given["communities"]) if "communities" in given else None,
        large_communities=tuple((a, b, c) for a, b, c in large) if large is not None else None,
        link_bandwidth=given.get("link_bandwidth"),
        aggregate=ip_network(given["aggregate"]) if "aggregate" in given else None,
    )


def _keeper(given: dict[str, Any], world: Any, log: Logger) -> SessionKeeper:
    """`store` is the address of a service manager; `left` what it has of the process before."""
    address = given.get("store")
    if address is None:
        return no_keeper(log)
    ports = RecordPorts(
        store=ManagerStore(address), clock=world, place=given.get("place", "here"), log=log
    )
    return SessionKeeper(ports, _left(given, "bgp.") | _left(given, "bfd."), log)


def _left(given: dict[str, Any], prefix: str) -> dict[str, list[int]]:
    return {
        name: [passed.detach() for passed in descriptors]
        for name, descriptors in given.get("left", {}).items()
        if name.startswith(prefix)
    }


def _listeners(given: dict[str, Any]) -> KeptListeners:
    address = given.get("store")
    if address is None:
        return KeptListeners(NO_LEGACY)
    place = given.get("place", "here")
    return KeptListeners(Legacy(ManagerStore(address), place, _left(given, "listen.")))


def run(given: dict[str, Any]) -> None:
    from twisted.internet import reactor

    begin_logging(debug=True)
    log = Logger(namespace="bgp")
    world: Any = reactor
    # Not the wall clock: as in the daemon, and for two processes the same.
    world.seconds = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    listeners = _listeners(given)
    ports = BGPPorts(
        clock=world,
        network=TwistedNetwork(world, listeners),
        random=Random(),
        now=time.time,
        log=log,
        bfd_network=SocketBFDNetwork(world),
        records=_keeper(given, world, log),
        bfd_numbers=BFDNumbers(Path(given["state"]), log) if "state" in given else None,
    )
    failover = BGPFailover(settings_of(given), ports)
    failover.start(restarting=given.get("restarting", False))
    probe = None
    if given.get("probe"):
        # As in the daemon: no search of all objects for garbage.
        gc.set_threshold(*YOUNG, NEVER)
        probe = StallProbe(world)
    StandardIO(Commands(failover, world, probe, listeners))
    world.run()
