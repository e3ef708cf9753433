"""Texts that people and log filters look for, as the contract lists them."""

from fractions import Fraction

import pytest

from pybal.model import ServerSpec
from pybal.pool.events import (
    BecameUp,
    CouldNotDepool,
    LeftPooled,
    Notice,
    PooledChanged,
    ReportedDown,
    RetractedDown,
    ServerAdded,
    ServerMerged,
    ServerRemoved,
    TooFewEligible,
)
from pybal.pool.list_guard import ChangeHeld, ChangeReleased, ChangeWaits, GuardNotice, Release
from pybal.pool.log_lines import guard_line, log_line


@pytest.mark.parametrize(
    ("notice", "level", "text"),
    [
        (
            BecameUp("ldap1.example.org", "enabled/partially up/not pooled"),
            "info",
            "Server ldap1.example.org (enabled/partially up/not pooled) is up",
        ),
        (
            ReportedDown("h", "enabled/up/pooled", "ProxyFetch", "REASON"),
            "error",
            "Monitoring instance ProxyFetch reports server h (enabled/up/pooled) down: REASON",
        ),
        (CouldNotDepool("h"), "error", "Could not depool server h because of too many down!"),
        (LeftPooled("h"), "info", "Leaving previously pooled server h pooled"),
        (ServerAdded(ServerSpec("h")), "info", "New enabled server h, weight 10"),
        (
            ServerMerged(ServerSpec("h", enabled=False)),
            "info",
            "Merged disabled server h, weight 10",
        ),
        (PooledChanged("h", pooled=False, up=False), "info", "Depooled server h"),
        (PooledChanged("h", pooled=True, up=True), "info", "Pooled server h"),
        (PooledChanged("h", pooled=True, up=False), "info", "Pooled server h though it is not up"),
        (
            ServerRemoved("h"),
            "info",
            "Removing server h (no longer found in new configuration)",
        ),
    ],
)
def test_known_texts_read_as_ever(notice: Notice, level: str, text: str) -> None:
    assert log_line(notice) == (level, text)


def test_too_few_eligible_servers_are_critical() -> None:
    level, text = log_line(TooFewEligible(1, Fraction(3, 2)))
    assert level == "critical"
    assert text.startswith("Only 1 server can be pooled, the depool threshold wants 1.5: ")


def test_a_report_retracted_does_not_read_as_if_the_server_came_up() -> None:
    level, text = log_line(RetractedDown("h", "enabled/down/not pooled", "ProxyFetch"))
    assert level == "info"
    assert text == (
        "What ProxyFetch reported of server h (enabled/down/not pooled) is retracted: "
        "this director is cut off"
    )


HELD = (
    "that leaves 2 servers that work, and list-floor wants 3. They stay as they were until a list"
    " keeps to the floor or an operator confirms it (pybalctl confirm web)"
)


@pytest.mark.parametrize(
    ("notice", "hold_s", "level", "text"),
    [
        (
            ChangeWaits(("a", "b"), ("x",), 30.0),
            None,
            "info",
            "Servers a, b left the pool list and stay until others work: waiting for x,"
            " 30 s at most",
        ),
        (
            ChangeHeld(("a", "b"), 2, 3, (), 900.0),
            None,
            "critical",
            f"HELD: the pool list takes away a, b: {HELD}",
        ),
        (
            ChangeHeld(("a",), 2, 3, ("c", "d"), 900.0),
            3600.0,
            "critical",
            f"HELD: the pool list takes away a, after c, d went within 900 s: {HELD}, or for"
            " 3600 s",
        ),
        (
            ChangeHeld(("a",), 1, 2, (), 900.0),
            None,
            "critical",
            f"HELD: the pool list takes away a: {HELD}".replace(
                "2 servers that work, and list-floor wants 3",
                "1 server that works, and list-floor wants 2",
            ),
        ),
        (
            ChangeReleased(("a", "b"), Release.CONFIRMED),
            None,
            "info",
            "No longer kept against the pool list: a, b (confirmed by an operator)",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str | float | None) else "",
)
def test_what_a_list_takes_away_and_stays_is_said(
    notice: GuardNotice, hold_s: float | None, level: str, text: str
) -> None:
    assert guard_line(notice, "web", hold_s) == (level, text)
