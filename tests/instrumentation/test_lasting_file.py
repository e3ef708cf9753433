"""Since when something has been so, over a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.instrumentation.alert_watch import AlertWatch
from pybal.instrumentation.lasting_file import lasting_file
from pybal.instrumentation.pending_alert import Lasting
from pybal.runtime.time_slices import TimeSlices
from pybal.state.state_file import StateFileError
from tests.fakes.view import NOON, FakeView, server, service

DAY_S = 86400.0
ONES = (Lasting(("disabled-long", "web", "cp1"), NOON), Lasting(("x", None, ""), 0.0))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = lasting_file(tmp_path)
    assert file.load() is None
    file.save(ONES)
    assert file.load() == ONES


@pytest.mark.parametrize(
    "lasting", [3, [3], [["a", "b"]], [["a", "b", "c", "now"]], [["a", "b", "c", -1]],
                [["a", "b", "c", 1e99]], {"a": 1}],
)  # fmt: skip
def test_a_file_of_another_shape_is_not_used(tmp_path: Path, lasting: object) -> None:
    file = lasting_file(tmp_path)
    file.path.write_text(json.dumps({"format": 1, "lasting": lasting}))
    with pytest.raises(StateFileError):
        file.load()


def test_a_server_that_is_disabled_for_more_than_a_day_is_said_whoever_restarts() -> None:
    clock = Clock()
    kept: list[tuple[Lasting, ...]] = [()]
    view = FakeView([service("web", [server("a"), server("b")._replace(enabled=False)])])

    def watch() -> AlertWatch:
        slices, log = TimeSlices(clock), Logger()
        return AlertWatch(
            clock,
            view,
            time_slices=slices,
            is_local=lambda _: True,
            must_be_local=lambda _: True,
            log=log,
            now=lambda: NOON + clock.seconds(),
            lasting=kept[-1],
            keep=kept.append,
        )

    for life in range(3):
        looking = watch()
        looking.start()
        clock.advance(0.4 * DAY_S)
        ids = [each.id for each in looking.alerts()]
        assert ids == (["disabled-long"] if life == 2 else [])
        looking.stop()
        view.service_list, before = [], view.service_list
        looking.alerts()
        view.service_list = before
    assert len(kept[-1]) == 1, "what is asked at the end, when services have gone, changes nothing"
