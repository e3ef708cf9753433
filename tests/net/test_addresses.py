"""Which addresses a server can have, and how an address and a port are written."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybal.net.addresses import (
    endpoint,
    host_of,
    host_problem,
    is_host,
    is_host_name,
    parse_address,
    parse_scoped_address,
    same_host,
    split_host_port,
    why_unusable,
)

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


def test_a_name_in_other_letters_is_said_how_to_write() -> None:
    assert host_problem("bücher.example").endswith(": the DNS has a name in other letters as xn--…")
    assert host_problem("xn--bcher-kva.example") == ""


def test_spellings_of_a_host_are_the_same() -> None:
    assert same_host("A.Example.") == same_host("a.example")
    assert same_host("2001:DB8:0::1") == same_host("2001:db8::1") == "2001:db8::1"
    assert same_host("2001:DB8:0::A") == "2001:db8::a"
    assert same_host("192.0.2.1") == "192.0.2.1"
    assert same_host("CP1") == "cp1"
    assert same_host("a") != same_host("b")


def test_an_ipv6_address_is_in_brackets_before_a_port() -> None:
    assert endpoint("2001:db8::1", 80) == endpoint(ip_address("2001:db8::1"), 80)
    assert endpoint("2001:db8::1", 80) == "[2001:db8::1]:80"
    assert endpoint("192.0.2.1", 80) == "192.0.2.1:80"
    assert endpoint("a.example", 80) == "a.example:80"
    assert host_of("[2001:db8::1]:80") == "2001:db8::1"
    assert host_of("192.0.2.1:80") == "192.0.2.1"


LONGEST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])


@pytest.mark.parametrize(
    "name",
    [
        "a", "a.example", "a.example.", "_dmarc.example", "a-b.c_d", "1a", "9.example",
        "xn--caf-dma.example", "a" * 63, LONGEST,
    ],
)  # fmt: skip
def test_a_plausible_name(name: str) -> None:
    assert is_host_name(name)
    assert is_host(name)


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "a..b", ".a", "-a", "a-", "a b", "a.b-.c", "10.0.0.300", "10.0.1", "7", "café",
        "a:b", "a/b", "a" * 64, LONGEST + "e", LONGEST + ".",
    ],
)  # fmt: skip
def test_what_is_no_name(name: str) -> None:
    assert not is_host_name(name)
    assert not is_host(name)


def test_an_address_is_a_host_and_no_name() -> None:
    for text in ("192.0.2.1", "2001:db8::1"):
        assert is_host(text)
        assert not is_host_name(text)


def test_only_one_link_has_an_address_with_a_zone() -> None:
    assert parse_address("192.0.2.1") == ip_address("192.0.2.1")
    assert parse_address("fe80::1%eth0") is None
    assert parse_address("x") is None
    assert parse_scoped_address("fe80::1%eth0") == ip_address("fe80::1%eth0")
    assert parse_scoped_address("192.0.2.1") == ip_address("192.0.2.1")
    assert parse_scoped_address("x") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.example", ("a.example", 80)),
        ("a.example:8080", ("a.example", 8080)),
        ("192.0.2.1:1", ("192.0.2.1", 1)),
        ("[2001:db8::1]", ("2001:db8::1", 80)),
        ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
        ("a:0", None),
        ("a:65536", None),
        ("a:", None),
        ("a:123456", None),
        ("a:b", None),
        ("", None),
        ("a b", None),
        ("10.0.0.300", None),
        ("2001:db8::1", None),
        ("[192.0.2.1]", None),
        ("[a]", None),
        ("[]", None),
        ("[fe80::1%eth0]", None),
    ],
)
def test_a_host_and_a_port_of_a_url(text: str, found: tuple[str, int] | None) -> None:
    assert split_host_port(text, 80) == found
