"""Which server a client gets: hashing with its flags, one-packet scheduling, persistence,
thresholds, draining."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest

from tests.kernel.traffic.scene import NOBODY, Scene
from tests.kernel.traffic.services import CHOICES
from tests.running import until

HASHED = ("mh", "mh-strict", "mh6", "sh", "sh-strict")
PORTS = range(20000, 20100)
ALL = {"real1", "real2", "real3"}
OTHERS = {"real2", "real3"}


def by_port(scene: Scene, name: str, ports: range = PORTS) -> dict[int, str]:
    """Who answers to which of the client's ports."""
    return {port: scene.who(CHOICES[name], None, port) for port in ports}


@pytest.mark.parametrize("name", HASHED)
def test_a_port_of_a_client_stays_with_its_server_and_all_have_their_share(
    scene: Scene, name: str
) -> None:
    found = by_port(scene, name)
    assert by_port(scene, name) == found
    shares = Counter(found.values())
    assert set(shares) == ALL
    assert min(shares.values()) > len(PORTS) / 6


def test_without_mh_port_all_ports_of_an_address_have_one_server(scene: Scene) -> None:
    service = CHOICES["mh-address"]
    found = {client: scene.who(service, client) for client in scene.clients}
    assert {client: scene.who(service, client) for client in scene.clients} == found
    assert set(found.values()) == ALL
    assert len(set(by_port(scene, "mh-address").values())) == 1


def test_tcp_and_udp_of_one_client_hash_to_one_server(scene: Scene) -> None:
    tcp = by_port(scene, "mh-tcp", PORTS[:20])
    assert tcp == by_port(scene, "mh", PORTS[:20])
    assert set(tcp.values()) == ALL


def test_with_fallback_a_weight_of_zero_moves_its_clients_alone_and_without_refuses_them(
    scene: Scene,
) -> None:
    before = {name: by_port(scene, name) for name in HASHED}
    with scene.real1("hashed", {"weight": 0}):
        after = {name: by_port(scene, name) for name in HASHED}
    for name in HASHED:
        moved = {port for port in PORTS if after[name][port] != before[name][port]}
        assert moved == {port for port in PORTS if before[name][port] == "real1"}
        taken = {after[name][port] for port in moved}
        assert taken == ({NOBODY} if name.endswith("strict") else OTHERS)


def test_a_server_that_is_removed_moves_few_clients_of_the_others_with_mh(scene: Scene) -> None:
    names = ("mh", "mh-strict", "mh6")
    before = {name: by_port(scene, name) for name in names}
    with ExitStack() as stack:
        port = next(port for port in PORTS[20:] if before["mh"][port] == "real1")
        held = stack.enter_context(scene.line(CHOICES["mh-tcp"], None, port))
        assert held.ask() == "real1"
        with scene.real1("hashed", None):
            after = {name: by_port(scene, name) for name in names}
            with pytest.raises(TimeoutError):
                held.ask(timeout_s=0.5)
        # Its connections are not forgotten.
        assert held.ask().startswith("real1")
    for name in names:
        assert set(after[name].values()) == OTHERS
        stayed = [port for port in PORTS if before[name][port] in OTHERS]
        moved = [port for port in stayed if after[name][port] != before[name][port]]
        assert len(moved) < len(stayed) / 5
    assert {name: by_port(scene, name) for name in names} == before


def test_with_ops_every_packet_is_scheduled_and_without_every_flow(scene: Scene) -> None:
    with scene.line(CHOICES["packets"]) as packets, scene.line(CHOICES["flows"]) as flow:
        assert Counter(packets.ask() for _ in range(6)) == dict.fromkeys(ALL, 2)
        assert len({flow.ask() for _ in range(6)}) == 1
    assert {scene.who(CHOICES["flows"]) for _ in range(3)} == ALL


def test_a_persistent_client_stays_with_its_server(scene: Scene) -> None:
    service = CHOICES["persistent"]
    found = [{scene.who(service, client) for _ in range(3)} for client in scene.clients[:3]]
    assert sorted(found, key=str) == [{name} for name in sorted(ALL)]


def test_persistent_clients_of_one_network_stay_together(scene: Scene) -> None:
    networks: dict[int, set[str]] = {}
    for client in scene.clients:
        networks.setdefault(int(client) >> 4, set()).add(scene.who(CHOICES["network"], client))
    assert len(networks) > 3
    assert {len(servers) for servers in networks.values()} == {1}
    assert set.union(*networks.values()) == ALL


def test_with_ops_and_persistence_a_client_stays_until_it_has_been_silent(scene: Scene) -> None:
    service = CHOICES["packets-persistent"]
    with scene.line(service) as one:
        (first,) = {one.ask() for _ in range(4)}
        assert scene.who(service) == first
        # A packet leaves no connection: the only entry is that of the client.
        assert len(scene.connections(service)) == 1
        until(lambda: not scene.connections(service))
        (second,) = {one.ask() for _ in range(4)}
    assert second != first


def test_a_call_stays_with_its_server_and_other_calls_of_the_client_need_not(
    scene: Scene,
) -> None:
    def who(call: str) -> str:
        text = f"INVITE sip:x@example.org SIP/2.0\r\nCall-ID: {call}@example.net\r\n\r\n"
        return scene.who(CHOICES["calls"], text=text.encode())

    found = {call: who(call) for call in "abc"}
    assert set(found.values()) == ALL
    assert {call: who(call) for call in "cabcab"} == found


def test_a_full_server_gets_no_connection_until_it_has_fewer_than_the_lower_threshold(
    scene: Scene,
) -> None:
    service = CHOICES["limited"]
    with ExitStack() as stack:
        lines = [stack.enter_context(scene.line(service)) for _ in range(6)]
        names = [line.ask() for line in lines]
        assert Counter(names) == dict.fromkeys(ALL, 2)
        assert scene.who(service) == NOBODY
        one, other = (line for line, name in zip(lines, names, strict=True) if name == "real2")
        one.close()
        until(lambda: len(scene.connections(service)) == 5)
        assert scene.who(service) == NOBODY
        other.close()
        until(lambda: len(scene.connections(service)) == 4)
        assert scene.who(service) == "real2"


def test_a_draining_server_keeps_its_connections_to_their_end(scene: Scene) -> None:
    real1 = str(scene.stage.reals[0].ipv4)
    service, persistent = CHOICES["draining"], CHOICES["draining-persistent"]
    with ExitStack() as stack:
        lines = [stack.enter_context(scene.line(service)) for _ in range(3)]
        (held,) = (line for line in lines if line.ask() == "real1")
        faithful = next(each for each in scene.clients if scene.who(persistent, each) == "real1")
        old = stack.enter_context(scene.line(persistent, faithful))
        with scene.real1("drained", {"enabled": False}):
            assert {scene.who(service) for _ in range(4)} == OTHERS
            assert (held.ask(), old.ask()) == ("real1", "real1")
            # The kernel sends a persistent client there again, unless told otherwise.
            assert scene.who(persistent, faithful) == "real1"
            setting = "net/ipv4/vs/expire_quiescent_template"
            scene.stage.director.set_sysctls({setting: 1})
            assert scene.who(persistent, faithful) in OTHERS
            assert (held.ask(), old.ask()) == ("real1", "real1")
            held.close()
            old.close()
            until(lambda: not any(f" {real1}:" in line for line in of(scene, "drained")))


def of(scene: Scene, pool: str) -> list[str]:
    """The director's table of the services with a pool."""
    vips = tuple(f" {each.vip}:" for each in CHOICES.values() if each.pool == pool)
    return [line for line in scene.table() if any(vip in line for vip in vips)]
