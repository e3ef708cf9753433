"""A moment as it is shown."""

from __future__ import annotations

import pytest

from pybal.instrumentation.instants import instant, iso_time
from tests.fakes.view import NOON


@pytest.mark.parametrize(
    ("at", "iso"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (0.25, "1970-01-01T00:00:00.250Z"),
        (-1e300, "1970-01-01T00:00:00.000Z"),
        (NOON, "2023-11-14T22:13:20.000Z"),
        (2e11, "8307-10-01T19:33:20.000Z"),
        (1e300, "8307-10-01T19:33:20.000Z"),
    ],
)
def test_any_moment_can_be_shown(at: float, iso: str) -> None:
    assert iso_time(at) == iso
    assert instant(at) == {"iso": iso, "epoch": at}


def test_what_has_not_been_is_no_moment() -> None:
    assert instant(None) is None
