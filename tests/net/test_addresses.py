"""Which addresses a server can have, and how an address and a port are written."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybal.net.addresses import endpoint, host_problem, same_host, why_unusable

UNUSABLE = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "ff02::1": "multicast",
    "fe80::1": "link-local",
    "::ffff:192.0.2.1": "written as IPv6",
    "::ffff:0:192.0.2.1": "written as IPv6",
    "::192.0.2.1": "written as IPv6",
    "100::1": "discarded",
    "4000::1": "reserved",
    "fe00::1": "reserved",
}
USABLE = [
    "10.0.0.1",
    "127.0.0.1",
    "169.254.1.1",
    "192.0.2.1",
    "198.18.0.1",
    "100.64.0.1",
    "1.2.3.255",
    "::1",
    "2001:db8::1",
    "2620:0:861::1",
    "fd00::1",
    "fec0::1",
    "64:ff9b::c000:201",
    "2002:c000:201::1",
]


@pytest.mark.parametrize("text", UNUSABLE)
def test_what_no_server_can_have_is_said_with_its_reason(text: str) -> None:
    assert UNUSABLE[text] in why_unusable(ip_address(text))
    assert UNUSABLE[text] in host_problem(text)


@pytest.mark.parametrize("text", USABLE)
def test_what_a_server_can_have_is_fine(text: str) -> None:
    assert why_unusable(ip_address(text)) == ""
    assert host_problem(text) == ""


@pytest.mark.parametrize(
    "host", [None, 7, "", "a b", "10.0.0.300", "fe80::1%eth0", "[::1]", "h:80"]
)
def test_what_is_no_host_is_said(host: object) -> None:
    assert host_problem(host) == "is no host name or address"


def test_spellings_of_a_host_are_the_same() -> None:
    assert same_host("A.Example.") == same_host("a.example")
    assert same_host("2001:DB8:0::1") == same_host("2001:db8::1")
    assert same_host("a") != same_host("b")


def test_an_ipv6_address_is_in_brackets_before_a_port() -> None:
    assert endpoint("2001:db8::1", 80) == endpoint(ip_address("2001:db8::1"), 80)
    assert endpoint("2001:db8::1", 80) == "[2001:db8::1]:80"
    assert endpoint("192.0.2.1", 80) == "192.0.2.1:80"
    assert endpoint("a.example", 80) == "a.example:80"
