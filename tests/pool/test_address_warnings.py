"""Who has which address is known as if it were looked up among all servers each time."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Union

from hypothesis import given
from hypothesis import strategies as st

from pybal.model import IPAddress
from pybal.pool.address_warnings import AddressWarnings
from tests.fakes.log import FakeLog

VIP = ip_address("192.0.2.1")
ADDRESSES = [ip_address(f"10.0.0.{number}") for number in range(1, 4)]
HOSTS = "abcdef"

addresses = st.none() | st.sampled_from(ADDRESSES)
hosts = st.sampled_from(HOSTS)
lists = st.lists(st.tuples(hosts, addresses), max_size=6, unique_by=lambda each: each[0])
Moved = tuple[str, Union[IPAddress, None]]
steps = st.lists(st.tuples(hosts, addresses) | lists, max_size=15)


@given(steps)
def test_who_is_at_an_address_and_what_is_said_of_it(steps: list[Moved | list[Moved]]) -> None:
    log = FakeLog()
    warnings = AddressWarnings(VIP, lambda _: False, log.logger("web"))
    known: dict[str, IPAddress | None] = {}
    for step in steps:
        before = {address: _at(known, address) for address in ADDRESSES}
        if isinstance(step, list):
            known = dict(step)
            warnings.look_at(iter(step))
            said = [a for a in ADDRESSES if len(_at(known, a)) > 1 >= len(before[a])]
        else:
            host, address = step
            known.pop(host, None)
            known[host] = address
            warnings.moved(host, address)
            said = [a for a in ADDRESSES if a == address and len(_at(known, a)) == 2]
        assert {a: set(warnings.at(a)) for a in ADDRESSES} == {
            a: set(_at(known, a)) for a in ADDRESSES
        }
        assert all(len(warnings.at(a)) == len(_at(known, a)) for a in ADDRESSES)
        told = log.take()
        assert len(told) == len(said)
        for address in said:
            assert any(f"have the same address, {address}:" in line for line in told)


class Name(str):
    """One that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def test_thousands_come_to_one_address_and_leave_it_at_the_cost_of_each() -> None:
    log = FakeLog()
    warnings = AddressWarnings(VIP, lambda _: False, log.logger("web"))
    names = [Name(number) for number in range(1000)]
    apart = [ip_address(0x0A010000 + number) for number in range(1000)]
    warnings.look_at(zip(names, apart, strict=True))
    Name.compared = 0
    for name in names:
        warnings.moved(name, ADDRESSES[0])
    assert warnings.at(ADDRESSES[0]) == tuple(names)
    assert len(log.take()) == 1
    for name, address in zip(names, apart, strict=True):
        warnings.moved(name, address)
    assert warnings.at(ADDRESSES[0]) == ()
    assert Name.compared < 20 * len(names)


def _at(known: dict[str, IPAddress | None], address: IPAddress) -> list[str]:
    return [host for host, its in known.items() if its == address]
