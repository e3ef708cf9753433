"""The stage is what it says: requests of the client reach every real server through the VIP."""

from __future__ import annotations

import contextlib
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.stage import VIP4, VIP6, Greeter, Host, IPAddress, Stage, ask

PORT = 80


@contextlib.contextmanager
def greeters(hosts: tuple[Host, ...]) -> Iterator[list[Greeter]]:
    servers = [Greeter(host, PORT) for host in hosts]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.stop()


def balance(stage: Stage, vip: IPAddress, method: str) -> None:
    """Enter a service with all real servers into the director's table, by hand."""

    def endpoint(address: IPAddress) -> str:
        return f"{address}:{PORT}" if address.version == 4 else f"[{address}]:{PORT}"

    lines = [f"-A -t {endpoint(vip)} -s rr"]
    lines += [
        f"-a -t {endpoint(vip)} -r {endpoint(real.address(vip))} {method}" for real in stage.reals
    ]
    stage.director.run("ipvsadm", "-R", input="\n".join(lines) + "\n")


@pytest.mark.parametrize("method", ["-g", "-i"], ids=["direct", "ipip"])
@pytest.mark.parametrize("vip", [VIP4, VIP6], ids=["IPv4", "IPv6"])
def test_requests_through_the_vip_reach_every_real_server(
    stage: Stage, vip: IPAddress, method: str
) -> None:
    balance(stage, vip, method)
    with greeters(stage.reals):
        answers = Counter(ask(stage.client, vip, PORT) for _ in range(9))
    assert answers == {real.name: 3 for real in stage.reals}


def test_client_behind_a_router_reaches_both_vips() -> None:
    with Stage("routed", reals=2, router=True) as stage, greeters(stage.reals):
        for vip in stage.vips:
            balance(stage, vip, "-g")
            assert {ask(stage.client, vip, PORT) for _ in range(2)} == {"real1", "real2"}


def test_stopped_greeter_refuses(stage: Stage) -> None:
    with greeters(stage.reals) as servers:
        address = stage.reals[0].ipv4
        assert ask(stage.director, address, PORT) == "real1"
        servers[0].stop()
        with pytest.raises(ConnectionRefusedError):
            ask(stage.director, address, PORT)


def test_two_stages_stand_together_and_leave_nothing() -> None:
    with Stage("first", reals=1) as one, Stage("second", reals=1) as two:
        assert len({host.namespace for host in (*one.hosts, *two.hosts)}) == 6
        balance(one, VIP4, "-g")
        assert str(VIP4) not in two.director.run("ipvsadm", "-Ln")
    left = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert "first" not in left
    assert "second" not in left
