"""Values of each kind, at the bounds of what is taken."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from pybal.config import kinds
from pybal.config.bad_value import BadValueError
from pybal.config.source_url import source_url

A107 = "/" + "x" * 106


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (kinds.integer(5, 10), "5", 5),
        (kinds.integer(5, 10), "10", 10),
        (kinds.integer(0, 9_999_999_999), "9999999999", 9_999_999_999),
        (kinds.PORT, "1", 1),
        (kinds.PORT, "65535", 65535),
        (kinds.ASN, "4294967295", 4294967295),
        (kinds.MED, "0", 0),
        (kinds.MED, "4294967295", 4294967295),
        (kinds.AS_PATH, "64600 1", (64600, 1)),
        (kinds.THRESHOLD, "0", Fraction(0)),
        (kinds.THRESHOLD, "1", Fraction(1)),
        (kinds.THRESHOLD, ".07", Fraction(7, 100)),
        (kinds.SECONDS, "0.001", 0.001),
        (kinds.SECONDS, "31536000", 31_536_000.0),
        (kinds.SECONDS_OR_ZERO, "0", 0.0),
        (kinds.SECONDS_OR_NEVER, "never", None),
        (kinds.SECONDS_OR_NEVER, "2.", 2.0),
        (kinds.BOOLEAN, "T", True),
        (kinds.BOOLEAN, "Off", False),
        (kinds.choice(("a", "b")), "b", "b"),
        (kinds.HOST_ADDRESS, "2001:db8::1", ip_address("2001:db8::1")),
        (kinds.IPV6, "2001:db8::1", ip_address("2001:db8::1")),
        (kinds.HOST_NAME, "a.example.org", "a.example.org"),
        (kinds.ADDRESSES, "['', '192.0.2.1', '(unspecified)', '192.0.2.1']",
         (ip_address("192.0.2.1"),)),
        (kinds.LITERAL_STRINGS, "('a', 'b')", ("a", "b")),
        (kinds.ABSOLUTE_PATH, "/a b", Path("/a b")),
        (kinds.SOCKET_PATH, A107, Path(A107)),
        (kinds.GROUP, "_a.b-c$", "_a.b-c$"),
        (kinds.INTERFACE, "x" * 15, "x" * 15),
        (kinds.PAYLOAD, r"a\r\n\t\0\\\x41é", b"a\r\n\t\0\\A\xc3\xa9"),
        (kinds.PAYLOAD, "x" * 1400, b"x" * 1400),
    ],
)  # fmt: skip
def test_what_is_taken_is_its_value(kind: kinds.Kind[Any], text: str, value: object) -> None:
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        *((kinds.integer(5, 10), text, "") for text in ("4", "11", "-5", "5.0", "x", "", "0x6")),
        (kinds.integer(0, 10**12), "10000000000", ""),
        (kinds.PORT, "0", ""),
        (kinds.PORT, "65536", ""),
        (kinds.ASN, "4294967296", ""),
        (kinds.AS_PATH, "1 0", ""),
        (kinds.THRESHOLD, "1.001", ""),
        (kinds.SECONDS, "0", ""),
        (kinds.SECONDS, "31536000.5", "the most is 31536000"),
        (kinds.SECONDS_OR_ZERO, "-1", ""),
        (kinds.SECONDS_OR_NEVER, "0", ""),
        (kinds.BOOLEAN, "maybe", ""),
        (kinds.choice(("one", "two")), "tow", "did you mean two?"),
        (kinds.choice(("one",), lambda _: "another"), "x", "use another"),
        (kinds.HOST_ADDRESS, "255.255.255.255", "not an unspecified, multicast or broadcast one"),
        (kinds.HOST_ADDRESS, "::", "not an unspecified, multicast or broadcast one"),
        (kinds.HOST_ADDRESS, "224.0.0.1", "not an unspecified, multicast or broadcast one"),
        (kinds.HOST_ADDRESS, "192.0.2.1/32", "write it without /32: it is one address"),
        (kinds.HOST_ADDRESS, "[2001:db8::1]", "write it without brackets"),
        (kinds.HOST_ADDRESS, "[2001:db8::1]:80", "write it without :80"),
        (kinds.HOST_ADDRESS, "192.0.2.1:80", "write it without :80"),
        (kinds.HOST_ADDRESS, "x/32", ""),
        (kinds.HOST_ADDRESS, "192.0.2.1/x", ""),
        (kinds.HOST_ADDRESS, "x:80", ""),
        (kinds.HOST_ADDRESS, "192.0.2.1:x", ""),
        (kinds.IPV6, "192.0.2.1", "it is of the other family"),
        (kinds.HOST_NAME, "a b", ""),
        (kinds.ADDRESSES, "['192.0.2.1', 'x']", "element 2 is not an address"),
        (kinds.ADDRESSES, "['192.0.2.1/32']",
         "element 1 is not an address: write it without /32: it is one address"),
        (kinds.SOME_ADDRESSES, "['']", "it names none"),
        (kinds.LITERAL_STRINGS, "'a'", "it is not a list"),
        (kinds.LITERAL_STRINGS, "['a', 1]", "element 2 is not a string"),
        (kinds.ABSOLUTE_PATH, "a", ""),
        (kinds.ABSOLUTE_PATH, "/a\t", ""),
        (kinds.SOCKET_PATH, A107 + "x", "the kernel takes no more than 107 bytes"),
        (kinds.SOCKET_PATH, "/a/", "this is a directory's"),
        (kinds.GROUP, "a b", ""),
        *((kinds.INTERFACE, text, "") for text in ("x" * 16, "é" * 8, "a b", "a/b", "a:b", "..")),
        (kinds.SOURCE, "secret", ""),
        (kinds.SOURCE, "nosuch://secret", "its scheme is unknown"),
        (kinds.SOURCE, "ks8://secret", "its scheme is unknown; did you mean k8s?"),
        (kinds.PAYLOAD, "x" * 1401, "it is longer than 1400 bytes"),
        (kinds.PAYLOAD, r"\q", r"a backslash comes before one of r n t 0 \ or xHH"),
    ],
)  # fmt: skip
def test_what_is_not_taken_says_why(kind: kinds.Kind[Any], text: str, why: str) -> None:
    with pytest.raises(BadValueError) as bad:
        kind.parse(text)
    assert str(bad.value) == why


def test_what_is_wanted_completes_must_be() -> None:
    assert kinds.integer(5, 10).wanted == "a whole number from 5 to 10"
    assert kinds.choice(("a", "b")).wanted == "a or b"
    assert kinds.choice(("a", "b", "c")).wanted == "one of a, b or c"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (False, "no"), (2.50, "2.5"), (b"secret", "(6 bytes)"), (("a", 1), "[a 1]"),
     (7, "7"), ("x", "x")],
)  # fmt: skip
def test_a_value_is_shown_as_a_person_writes_it(value: object, text: str) -> None:
    assert kinds.show_value(value) == text


def test_a_string_alone_is_a_list_of_one() -> None:
    assert kinds.some_strings("a, b") == ("a, b",)
    assert kinds.some_strings("['a', 'b']") == ("a", "b")
    with pytest.raises(BadValueError, match="the list is empty"):
        kinds.some_strings("[]")


def test_a_source_is_shown_without_what_may_be_secret() -> None:
    for url, shown in (
        ("file:///a/b", "file:///a/b"),
        ("HTTP://h/p?site=x", "http://h/p?site=***"),
        ("etcd://h//k/l/", "etcd://h:2379/k/l/"),
        ("k8s://hunter2@h", "k8s://***@h:443"),
    ):
        assert source_url(kinds.SOURCE.parse(url)) == shown
