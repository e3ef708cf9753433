"""Servers that have the same address: for IPVS they are one."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybal.instrumentation.same_address import contradictions, same_address, sharing
from pybal.model import ServerSnapshot
from pybal.override import Action, LaidOver, Override
from tests.fakes.view import NOON, alerts_of, server, service

ADDRESS = "192.0.2.10"


def over(action: Action, suspended: str = "") -> LaidOver:
    override = Override("web", "a", action, "alice", "new disk", NOON, NOON + 60)
    return LaidOver(override, 10, True, suspended)


def drained(host: str) -> ServerSnapshot:
    return server(host, weight=0)._replace(over=over(Action.DRAIN))


def disabled(host: str) -> ServerSnapshot:
    return server(host, enabled=False)._replace(over=over(Action.DISABLE))


ALONE = server("z")._replace(address=ip_address("192.0.2.99"))
NOWHERE = server("y")._replace(address=None)
BOTH = f"they have the same address, {ADDRESS}, and are one server for IPVS"
NONE_COMES = f"b gets no new connections, as a has weight 0: {BOTH}"
ALL_COME = f"a still gets connections, as b is pooled: {BOTH}"


@pytest.mark.parametrize(
    ("servers", "found"),
    [
        ([server("a"), server("b"), ALONE, NOWHERE], []),
        ([drained("a"), server("b"), ALONE], [NONE_COMES]),
        ([server("b"), drained("a"), NOWHERE], [ALL_COME]),
        ([disabled("a"), server("b")], [ALL_COME]),
        ([drained("a"), drained("b")], []),
        ([drained("a"), ALONE], []),
        ([drained("a"), server("b", up=False)], []),
        ([server("a")._replace(over=over(Action.DRAIN, "too few")), server("b")], []),
    ],
)
def test_what_an_operator_says_of_one_of_them_may_hold_for_all_or_for_none(
    servers: list[ServerSnapshot], found: list[str]
) -> None:
    assert [each.text for each in contradictions(servers)] == found
    alerts = [each for each in alerts_of(service("web", servers)) if "same" in each.alert.id]
    assert [each.alert.text for each in alerts] == [f"Pool web: {text}" for text in found]
    assert all(set(each.details) == {"a", "b"} for each in alerts)


def test_each_of_them_names_the_others_and_what_counts() -> None:
    servers = [drained("a"), server("b"), ALONE, NOWHERE]
    found = sharing(servers)
    shown = [same_address(each, found) for each in servers]
    assert shown[1:] == [
        {
            "hosts": ["a"],
            "text": "It has the address of a, too: for IPVS they are one server, with the weight of"
            " the first that is pooled: a, 0.",
        },
        None,
        None,
    ]
    out = [disabled("a"), server("b", up=False)]
    text = (same_address(out[0], sharing(out)) or {})["text"]
    assert text == "It has the address of b, too: for IPVS they are one server, and not pooled."
