"""A session whose hold time is too short for the stalls of this process is spoken of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from tests.bgp.peeringcase import Recorder
from tests.reload.site import Site, Walk, lines_of


def said(tmp_path: Path, hold_time_s: int, lost_s: float) -> list[str]:
    key = f"bgp-hold-time = {hold_time_s}"
    lines, _ = lines_of("peer", Walk(key, key))
    site = Site(tmp_path, lines)
    events: list[LogEvent] = []
    observer: Any = Recorder(events)
    globalLogPublisher.addObserver(observer)
    try:
        site.bench.clock.advance(lost_s)
        site.run(1)
    finally:
        globalLogPublisher.removeObserver(observer)
    texts = [event["log_format"].format(**event) for event in events if "log_format" in event]
    return [text for text in texts if "stood still for" in text]


@pytest.mark.parametrize(("hold_time_s", "lost_s"), [(9, 4.0), (21, 7.5)])
def test_a_stall_of_more_than_a_third_of_the_hold_time_is_a_warning(
    tmp_path: Path, hold_time_s: int, lost_s: float
) -> None:
    [line] = said(tmp_path, hold_time_s, lost_s)
    assert f"hold time with 192.0.2.11 ({hold_time_s} s): raise bgp-hold-time" in line


def test_a_shorter_one_is_not(tmp_path: Path) -> None:
    assert said(tmp_path, 30, 4.0) == []
