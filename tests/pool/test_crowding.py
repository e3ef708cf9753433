"""Who may move where others are, and what it costs to say so."""

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


def pool(*hosts: str) -> PoolState:
    members = Members(Member(ServerSpec(h), True, True, True, UP) for h in hosts)
    return PoolState(Fraction(1, 2), ("m",), members)


def test_only_an_address_that_others_have_is_worth_a_look_at_the_whole_pool() -> None:
    where: dict[str, IPAddress] = {"a": A, "b": B, "c": B}
    found = {h: SimpleNamespace(host=h, address=at, is_moving=False) for h, at in where.items()}
    servers, state = Servers(found), pool(*where)
    crowding = Crowding(
        servers, lambda at: [h for h in where if where[h] == at], lambda: state, Logger()
    )
    mover = cast(Server, servers["a"])
    assert crowding.may_move(mover, ELSEWHERE, Fraction(1))
    assert crowding.may_move(mover, A, Fraction(1)), "nobody else is there"
    assert servers.walks == 0
    assert not crowding.may_move(mover, B, Fraction(1))
    assert servers.walks == 1


def test_a_server_that_the_pool_has_no_longer_waits_for_no_room() -> None:
    asked: list[str] = []
    leaving = SimpleNamespace(
        host="a", address=A, is_moving=True, move_if_proven=lambda: asked.append("a")
    )
    others = {h: SimpleNamespace(host=h, address=B, is_moving=False) for h in "bc"}
    servers: Any = {"a": leaving, **others}
    state = pool(*servers)
    crowding = Crowding(servers, lambda _: others, lambda: state, Logger())
    assert not crowding.may_move(servers["a"], B, Fraction(1))
    state = pool(*others)
    crowding.look_again()
    assert asked == []
    assert not crowding.waits
