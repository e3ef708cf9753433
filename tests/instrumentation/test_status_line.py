"""What `systemctl status` shows: how all is, and first what is wrong with the configuration."""

from __future__ import annotations

import pytest

from pybal.bgp.snapshot import BGPSnapshot
from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from pybal.instrumentation.status_line import status_line
from tests.fakes.view import CONFIG, NO_BGP, bgp

WELL = "0 services, 0 servers, 0 up"
ERROR = "/etc/pybal/pybal.conf:9: [web] scheduler = 'wrrr': none of rr wrr"


def line(last: ReloadSnapshot | None, *, is_last_good: bool = False) -> str:
    config = CONFIG._replace(is_last_good=is_last_good, last_reload=last)
    return status_line((), BGPSnapshot(enabled=False, local_asn=None, peers=()), config)


def refused(*errors: str) -> ReloadSnapshot:
    return ReloadSnapshot(1.0, outcome=ReloadOutcome.REFUSED, errors=errors, steps=())


def test_all_well_is_counts_alone() -> None:
    assert (
        line(None)
        == line(ReloadSnapshot(1.0, outcome=ReloadOutcome.APPLIED, errors=(), steps=()))
        == WELL
    )


@pytest.mark.parametrize("is_last_good", [False, True])
def test_what_is_wrong_comes_first_with_its_place(is_last_good: bool) -> None:
    words = "runs the LAST GOOD configuration, the file has errors"
    words = words if is_last_good else "the changed configuration was REFUSED"
    assert line(refused(ERROR), is_last_good=is_last_good) == f"{words} ({ERROR}), {WELL}"
    more = line(refused(ERROR, "x", "y"), is_last_good=is_last_good)
    assert more == f"{words} ({ERROR}; and 2 more), {WELL}"
    assert line(refused(), is_last_good=is_last_good) == f"{words}, {WELL}"
    assert len(line(refused("x" * 5000), is_last_good=is_last_good)) < 500


def test_what_was_applied_in_part_is_not_called_refused() -> None:
    last = ReloadSnapshot(1.0, ReloadOutcome.IN_PART, ("KeyError: 'web'",), ("add service web",))
    assert line(last) == f"the changed configuration was APPLIED IN PART (KeyError: 'web'), {WELL}"
    config = CONFIG._replace(in_part=last.errors, last_reload=refused(ERROR))
    assert status_line((), NO_BGP, config) == (
        f"the changed configuration was REFUSED ({ERROR}), one was APPLIED IN PART, {WELL}"
    )


@pytest.mark.parametrize(
    ("length", "shown"), [(300, "x" * 300), (301, "x" * 299 + "…"), (5000, "x" * 299 + "…")]
)
def test_of_a_long_error_three_hundred_characters_are_shown(length: int, shown: str) -> None:
    assert line(refused("x" * length)) == (
        f"the changed configuration was REFUSED ({shown}), {WELL}"
    )


def test_how_all_is() -> None:
    speaker = bgp(("192.0.2.1", True), ("192.0.2.2", False))
    assert status_line([(3, 2), (1, 1)], speaker, CONFIG) == (
        "2 services, 4 servers, 3 up, BGP 1/2"
    )
    assert status_line([(1, 0)], NO_BGP, CONFIG) == "1 service, 1 server, 0 up"
