"""hosts(5), resolv.conf(5) and DNS answers, read."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.model import IPAddress
from pybal.names.parsing import (
    Addresses,
    Alias,
    Record,
    ResolvConf,
    candidates,
    follow,
    parse_hosts,
    parse_resolv_conf,
)

ONE, TWO = ip_address("192.0.2.1"), ip_address("192.0.2.2")
SIX = ip_address("2001:db8::1")


def test_hosts_gives_every_name_of_a_line_its_address() -> None:
    hosts = parse_hosts(
        "# comment\n"
        "192.0.2.1\tdb1.example. DB1 # its names\n"
        "2001:db8::1 db1.example\n"
        "192.0.2.2 db1.example\n"
        "\n"
        "nonsense db1.example\n"
        "192.0.2.300 db1.example\n"
        "192.0.2.9\n"
    )
    assert hosts == {"db1.example": (ONE, SIX, TWO), "db1": (ONE,)}


def test_resolv_conf_gives_name_servers_and_search_domains() -> None:
    text = (
        "# generated\n; by hand\n\n"
        "#nameserver 192.0.2.8\n; nameserver 192.0.2.9\n"
        "domain old.example\n"
        "nameserver 192.0.2.1\nnameserver\nnameserver bogus\nnameserver 2001:db8::1\n"
        "search a.example. b.example .\n"
        "options timeout:1 rotate\n"
        "nameserver 192.0.2.2\nnameserver 192.0.2.3\n"
    )
    assert parse_resolv_conf(text) == ResolvConf(
        ("192.0.2.1", "2001:db8::1", "192.0.2.2"), ("a.example", "b.example")
    )


def test_a_name_server_of_a_link_names_its_interface() -> None:
    """As router advertisements give it, often as the only one."""
    text = "nameserver fe80::1%eth0\nnameserver fe80::1%\nnameserver 192.0.2.1%eth0\n"
    assert parse_resolv_conf(text).nameservers == ("fe80::1%eth0",)


def test_name_servers_are_written_as_the_kernel_does() -> None:
    text = "nameserver 2001:4860:4860:0:0:0:0:8888\nnameserver 2001:DB8::1\n"
    text += "nameserver ::ffff:192.0.2.1\n"
    assert parse_resolv_conf(text).nameservers == (
        "2001:4860:4860::8888", "2001:db8::1", "192.0.2.1"
    )  # fmt: skip


def test_without_a_name_server_the_local_one_is_asked() -> None:
    assert parse_resolv_conf("").nameservers == ("127.0.0.1",)


def test_only_single_labels_are_searched_for() -> None:
    search = ("a.example", "b.example")
    assert candidates("db1", search) == ["db1.a.example", "db1.b.example", "db1"]
    assert candidates("db1.c", search) == ["db1.c"]
    assert candidates("db1.", search) == ["db1"]


def a(name: str, address: IPAddress = ONE, ttl_s: float = 60) -> Record:
    return Record(name, address, ttl_s)


def cname(name: str, target: str, ttl_s: float = 60) -> Record:
    return Record(name, target, ttl_s)


def test_addresses_of_the_wanted_family_are_taken_with_the_shortest_time() -> None:
    records = [a("H.example", ONE, 60), a("h.example.", TWO, 30), a("h.example", SIX, 5)]
    assert follow("h.example", 4, records) == Addresses((ONE, TWO), 30)
    assert follow("h.example", 6, records) == Addresses((SIX,), 5)


def test_a_chain_of_aliases_is_followed_in_any_order() -> None:
    records = [a("c.example"), cname("b.example", "C.example", 7), cname("a.example", "b.example")]
    assert follow("a.example", 4, records) == Addresses((ONE,), 7)


def test_an_alias_that_leaves_the_answer_is_given_back() -> None:
    assert follow("a.example", 4, [cname("a.example", "B.example.", 9)]) == Alias("b.example", 9)


def test_records_of_other_names_do_not_count() -> None:
    assert follow("a.example", 4, [a("b.example"), cname("b.example", "a.example")]) is None
    assert follow("a.example", 4, []) is None


def test_a_loop_of_aliases_ends() -> None:
    assert follow("a", 4, [cname("a", "b"), cname("b", "a")]) is None


@pytest.mark.parametrize(("aliases", "found"), [(15, Addresses((ONE,), 60)), (16, None)])
def test_a_chain_of_fifteen_aliases_is_the_longest(aliases: int, found: Addresses | None) -> None:
    chain = [cname(f"h{number}", f"h{number + 1}") for number in range(aliases)]
    assert follow("h0", 4, [*chain, a(f"h{aliases}")]) == found


names = st.sampled_from(["a", "b", "c", "d.example"])
records = st.lists(st.builds(Record, names, st.sampled_from([ONE, TWO, SIX]) | names, st.floats(0)))


@given(names, st.sampled_from([4, 6]), records)
def test_any_answer_ends_in_addresses_of_the_family_or_an_unknown_alias_or_nothing(
    name: str, family: int, answer: list[Record]
) -> None:
    outcome = follow(name, family, answer)
    if isinstance(outcome, Addresses):
        assert outcome.addresses
        assert all(address.version == family for address in outcome.addresses)
    elif isinstance(outcome, Alias):
        assert outcome.name not in [r.name for r in answer if isinstance(r.value, str)]


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    parse_hosts(text)
    assert parse_resolv_conf(text).nameservers
