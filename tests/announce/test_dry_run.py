"""What a dry run shows of BGP is what routers would be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher

from pybal.announce.dry_run import DryRunFailover
from pybal.bgp.advertisement import Advertisement
from pybal.config.settings import BGPPeer, BGPSettings
from pybal.daemon.bgp_part import BGPPart
from tests.fakes.log import FakeLog

VIP = IPv4Address("192.0.2.1")
HOST = Advertisement(VIP)
BOTH = Advertisement(VIP, aggregate=IPv4Network("192.0.2.0/24"))

SETTINGS = BGPSettings(
    local_asn=64600,
    peers=(BGPPeer(IPv4Address("192.0.2.99")),),
    as_path=(64600,),
    nexthop_ipv4=IPv4Address("192.0.2.10"),
    nexthop_ipv6=IPv6Address("2001:db8::10"),
    med=0,
    local_ips=(),
    local_port=179,
    advertised_addresses=(IPv4Address("198.51.100.7"), IPv6Address("2001:db8::7")),
)


def shown(*wishes: tuple[Advertisement, ...] | None) -> list[str]:
    """What is said, one wish of web_80 after another."""
    log = FakeLog()
    failover = DryRunFailover(log.logger("bgp"))
    for wish in wishes:
        failover.set_announced("web_80", wish)
    return [line.removeprefix("[bgp] INFO: Dry run: would ") for line in log.lines]


def test_each_change_is_a_line() -> None:
    assert shown((HOST,), None) == [
        "announce 192.0.2.1/32 for web_80",
        "withdraw 192.0.2.1/32 for web_80",
    ]


def test_other_attributes_are_no_change_of_what_is_announced() -> None:
    assert shown((HOST,), (HOST._replace(med=7),)) == ["announce 192.0.2.1/32 for web_80"]


def test_an_aggregate_is_shown_beside_the_address_or_in_its_place() -> None:
    assert shown((BOTH,), (BOTH._replace(host=False),)) == [
        "announce 192.0.2.0/24 for web_80",
        "announce 192.0.2.1/32 for web_80",
        "withdraw 192.0.2.1/32 for web_80",
    ]


@pytest.fixture
def said() -> Iterator[list[str]]:
    """The lines of BGP."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_namespace"] == "bgp":
            lines.append(formatEvent(event).removeprefix("Dry run: would "))

    globalLogPublisher.addObserver(cast(ILogObserver, observe))
    yield lines
    globalLogPublisher.removeObserver(cast(ILogObserver, observe))


def test_addresses_besides_the_services_are_shown_at_the_start_and_as_a_reload_changes_them(
    said: list[str],
) -> None:
    ports: Any = SimpleNamespace(bgp_left=False, state_writing=None)
    others: Any = SimpleNamespace(start=lambda _: None, stop=lambda: None, route=None)
    part = BGPPart(ports, others, None, silent=True, history=others)
    part.start(SETTINGS, restarting=False)
    extra = "for advertised_instrumentation_ips of [global]"
    assert said == [f"announce 198.51.100.7/32 {extra}", f"announce 2001:db8::7/128 {extra}"]
    said.clear()
    other = replace(SETTINGS, advertised_addresses=SETTINGS.advertised_addresses[:1])
    for settings in (other, None, other):
        Deferred.fromCoroutine(part.go_over_to(settings))
    assert said == [f"withdraw 2001:db8::7/128 {extra}", f"announce 198.51.100.7/32 {extra}"]
