"""Which reports, and which lists, have the shorter way of the policy. That it decides as the longer
one does is compared in test_policy_reference.py."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from pybal.model import ServerSpec
from pybal.pool.event_json import event_document
from pybal.pool.events import Candidate, ListChanged, MonitorReported
from pybal.pool.lone_report import take_alone
from pybal.pool.policy import step
from pybal.runtime.pieces import in_one_go
from tests.pool.policy_case import DRAINED, HALF, Pool


def report(host: str, up: bool) -> MonitorReported:
    return MonitorReported(host, "M", up, "" if up else "refused")


def is_alone(pool: Pool, host: str, up: bool) -> bool:
    return take_alone(pool.state, report(host, up), 1000.0) is not None


def test_what_concerns_nobody_else_is_decided_alone() -> None:
    pool = Pool("abcd")
    assert is_alone(pool, "a", up=True)
    assert is_alone(pool, "a", up=False)
    pool.down("a")
    assert is_alone(pool, "a", up=True)


def test_a_server_that_must_be_kept_though_others_are_is_decided_alone() -> None:
    pool = Pool("abcd", threshold=Fraction(1))
    pool.down("a")
    assert is_alone(pool, "b", up=False)


def test_the_last_that_was_kept_is_decided_alone_when_it_comes_up() -> None:
    pool = Pool("ab", threshold=Fraction(1))
    pool.down("a")
    assert is_alone(pool, "a", up=True)


def test_who_lets_others_go_is_not_decided_alone() -> None:
    pool = Pool("abc")
    pool.down("a", "b")
    assert pool.member("b").held
    assert not is_alone(pool, "a", up=True)


def test_a_report_of_a_stranger_changes_nothing() -> None:
    pool = Pool("abc")
    assert take_alone(pool.state, report("z", up=False), 1000.0) == (pool.state, ())
    stranger = MonitorReported("a", "Z", False, "refused")
    assert take_alone(pool.state, stranger, 1000.0) == (pool.state, ())


def test_a_drained_server_is_not_kept_though_too_few_are_left() -> None:
    pool = Pool("", threshold=HALF)
    drained = Candidate(ServerSpec("a", 0), ready=True, over=DRAINED)
    pool.event(ListChanged((drained, *(Candidate(ServerSpec(h), ready=True) for h in "bc"))))
    assert pool.pooled == "abc"
    pool.down("b", "c")
    assert pool.pooled == "abc"
    pool.down("a")
    assert pool.pooled == "bc"


def test_reports_on_a_drained_server_are_decided_alone_where_enough_others_are_pooled() -> None:
    pool = Pool("", threshold=HALF)
    drained = Candidate(ServerSpec("a", 0), ready=True, over=DRAINED)
    pool.event(ListChanged((drained, *(Candidate(ServerSpec(h), ready=True) for h in "bc"))))
    assert pool.pooled == "abc"
    assert is_alone(pool, "a", up=True)
    assert is_alone(pool, "a", up=False)


def test_who_is_as_before_in_a_long_list_is_looked_at_no_further_than_at_its_name() -> None:
    """By the policy and by the history alike: each looked at all of them, in one turn."""
    pool = Pool("abcdefghijklmnopqrstuvwxyz")
    hosts = list(pool.state.members)[::-1]
    in_one_go(pool.state.members.foresee(hosts))
    names: Any = tuple(SimpleNamespace(spec=SimpleNamespace(host=host)) for host in hosts)
    other = Candidate(ServerSpec("c", 1), ready=True)
    event = ListChanged(names, others=(other,))
    after, _ = step(pool.state, event, 1000.0)
    assert list(after.members) == hosts
    assert after.members["c"].spec == other.spec
    document = event_document(event, pool.state)
    assert [each["host"] for each in document["changed"]] == ["c"]
    assert (document["order"], document["removed"]) == (hosts, [])
