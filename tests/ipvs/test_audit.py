"""When an audit is over, and how long its drift is shown."""

from __future__ import annotations

import errno

import pytest

from pybal.errors import KernelError
from pybal.ipvs.audit import Audits
from pybal.ipvs.drift import comparing
from pybal.ipvs.model import ServiceKey
from pybal.ipvs.slices import Slices
from pybal.runtime.pieces import in_one_go
from tests.ipvs.examples import WEB, pool

NOW = 1000.0
GONE = in_one_go(comparing(pool(WEB, 1), None))


def listing(pieces: int = 2, error: KernelError | None = None) -> Slices[None]:
    for _ in range(pieces):
        yield 10
    if error is not None:
        raise error


def audits(*, others_follow: bool = True) -> Audits:
    return Audits(lambda: NOW, lambda *_: None, others_follow=others_follow)


def test_an_audit_is_over_once_all_is_listed_and_read() -> None:
    audit = audits()
    assert audit.go_on(100) == 0
    audit.begin(listing())
    assert audit.go_on(5) == 10
    audit.finish(reading=False)
    assert audit.under_way
    assert audit.go_on(100) == 10
    assert audit.go_on(100) == 0
    audit.finish(reading=True)
    assert audit.under_way
    assert (audit.snapshot().audits_total, audit.snapshot().finished_at) == (0, None)
    audit.finish(reading=False)
    audit.finish(reading=False)
    assert (audit.snapshot().audits_total, audit.snapshot().finished_at) == (1, NOW)


def test_a_finished_audit_is_under_way_no_more() -> None:
    audit = audits()
    states = [audit.under_way]
    audit.begin(listing(0))
    states.append(audit.under_way)
    audit.go_on(1)
    audit.finish(reading=False)
    assert [*states, audit.under_way] == [False, True, False]


def test_a_kernel_that_cannot_be_listed_ends_the_audit() -> None:
    audit = audits()
    audit.begin(listing(1, KernelError("list", errno.ENOBUFS)))
    assert audit.go_on(5) == 10
    with pytest.raises(KernelError):
        audit.go_on(5)
    assert not audit.under_way
    audit.finish(reading=False)
    assert audit.snapshot().audits_total == 0


def test_an_audit_that_is_dropped_is_not_finished() -> None:
    audit = audits()
    audit.begin(listing(0))
    assert audit.go_on(5) == 0
    audit.drop()
    assert not audit.under_way
    audit.finish(reading=False)
    assert audit.snapshot().audits_total == 0


def test_drift_is_told_and_stays_to_be_seen_until_it_is_over() -> None:
    told: list[tuple[ServiceKey, str]] = []
    audit = Audits(lambda: NOW, lambda key, words: told.append((key, words)), others_follow=True)
    assert audit.found(WEB, GONE) == "the service is gone"
    assert told == [(WEB, "the service is gone")]
    audit.repaired(WEB, 2)
    (drift,) = audit.snapshot().drift
    assert (drift.since, drift.repaired) == (NOW, True)
    assert audit.snapshot().repairs_total == 2
    audit.over(WEB)
    assert audit.snapshot().drift == ()
    audit.repaired(WEB, 7)
    assert audit.snapshot().repairs_total == 2


@pytest.mark.parametrize("follow", [False, True])
def test_where_no_audit_follows_drift_is_over_when_it_is_repaired(follow: bool) -> None:
    for audit in (audits(others_follow=follow), audits(others_follow=not follow)):
        audit.reconfigure(others_follow=follow)
        audit.found(WEB, GONE)
        assert len(audit.snapshot().drift) == 1
        audit.repaired(WEB, 1)
        assert len(audit.snapshot().drift) == follow


def test_what_is_found_need_not_be_told() -> None:
    assert audits().found(WEB, GONE) == "the service is gone"
