"""What the log says of prefixes that a peer cannot be told of."""

from __future__ import annotations

from typing import Any

from pybal.bgp.obstacles import ObstacleLog
from tests.bgp.prefixes import prefix_of

PEER = "192.0.2.1"


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, form: str, **values: Any) -> None:
        self.lines.append(form.format(**values))


def test_what_is_new_is_said_once_by_reason() -> None:
    log = Said()
    obstacles = ObstacleLog(log)
    one, two, six = (prefix_of(p) for p in ("10.0.0.1/32", "10.0.0.2/32", "2001:db8::1/128"))
    obstacles.note(PEER, {one: "no next hop", two: "no next hop", six: "no IPv6"})
    assert log.lines == [
        "Peer 192.0.2.1 cannot be told of 2 prefixes (10.0.0.1/32, 10.0.0.2/32): no next hop",
        "Peer 192.0.2.1 cannot be told of 1 prefix (2001:db8::1/128): no IPv6",
    ]
    obstacles.note(PEER, {one: "no next hop", two: "too long"})
    assert log.lines[2:] == ["Peer 192.0.2.1 cannot be told of 1 prefix (10.0.0.2/32): too long"]
    # What went away and comes back is new.
    obstacles.note(PEER, {one: "no next hop", two: "too long", six: "no IPv6"})
    assert log.lines[3:] == ["Peer 192.0.2.1 cannot be told of 1 prefix (2001:db8::1/128): no IPv6"]


def test_of_many_the_first_five_are_named() -> None:
    log = Said()
    ObstacleLog(log).note(PEER, {prefix_of(f"10.0.0.{n}/32"): "no" for n in range(7)})
    named = ", ".join(f"10.0.0.{n}/32" for n in range(5))
    assert log.lines == [f"Peer 192.0.2.1 cannot be told of 7 prefixes ({named}): no"]
