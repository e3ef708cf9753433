"""What an acknowledgement covers."""

from __future__ import annotations

import pytest

from pybal.model import Severity
from pybal.overrides.acknowledgement import Acknowledgement

OK, WARNING, CRITICAL = Severity


def known(severity: Severity, *details: str) -> Acknowledgement:
    return Acknowledgement(
        "no-address", "web", "x", severity, "alice", "new disk", 1e9, 1e9 + 60, details
    )


@pytest.mark.parametrize(
    ("of", "severity", "covered"),
    [
        (WARNING, OK, True),
        (WARNING, WARNING, True),
        (WARNING, CRITICAL, False),
        (OK, CRITICAL, False),
        (CRITICAL, WARNING, True),
        (CRITICAL, CRITICAL, True),
    ],
)
def test_one_that_becomes_worse_is_another_matter(
    of: Severity, severity: Severity, covered: bool
) -> None:
    assert known(of).covers(severity) == covered


def test_one_that_grows_is_another_matter() -> None:
    two = known(WARNING, "a", "b")
    assert two.covers(WARNING, ["b"])
    assert two.covers(WARNING, ["b", "a"])
    assert not two.covers(WARNING, ["a", "c"])
    assert not two.covers(CRITICAL, ["a"])


def test_what_it_is_of_and_how_it_reads() -> None:
    one = known(WARNING)
    assert one.key == ("no-address", "web", "x")
    assert one.text == "acknowledged by alice until 01:47 UTC: new disk"
