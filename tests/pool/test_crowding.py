"""Where nobody else is a server may move without a look at the whole pool."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

from twisted.logger import Logger

from pybal.model import IPAddress, ServerSpec
from pybal.pool.crowding import Crowding
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.pool.pool_state import PoolState
from pybal.pool.server import Server

A, B, ELSEWHERE = (ip_address(f"10.0.0.{n}") for n in (1, 2, 9))
UP = MappingProxyType({"m": True})


class Servers(dict[str, Any]):
    """Counts how often all of them are looked at."""

    walks = 0

    def items(self) -> Any:
        self.walks += 1
        return super().items()


def test_only_an_address_that_others_have_is_worth_a_look_at_the_whole_pool() -> None:
    where: dict[str, IPAddress] = {"a": A, "b": B, "c": B}
    found = {h: SimpleNamespace(host=h, address=at, is_moving=False) for h, at in where.items()}
    servers = Servers(found)
    members = Members(Member(ServerSpec(h), True, True, True, UP) for h in where)
    state = PoolState(Fraction(1, 2), ("m",), members)
    crowding = Crowding(
        servers, lambda at: [h for h in where if where[h] == at], lambda: state, Logger()
    )
    mover = cast(Server, servers["a"])
    assert crowding.may_move(mover, ELSEWHERE, Fraction(1))
    assert crowding.may_move(mover, A, Fraction(1)), "nobody else is there"
    assert servers.walks == 0
    assert not crowding.may_move(mover, B, Fraction(1))
    assert servers.walks == 1
