from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from pybal.instrumentation.scrape import Pieces, Scraper
from tests.fakes.deferreds import error_of, result_of
from tests.fakes.view import MONITOR_FAMILIES, FakeView, large_view, service
from tests.instrumentation.exchange import HeldTurns


def scraper(view: FakeView) -> tuple[Scraper, HeldTurns]:
    time_slices = HeldTurns()
    return Scraper(view, time_slices, MONITOR_FAMILIES, ()), time_slices


def test_a_scrape_shows_what_was_there_when_it_was_asked_for() -> None:
    view = FakeView([service("before")])
    scrapes, time_slices = scraper(view)
    result = scrapes.scrape(0, as_openmetrics=False)
    view.service_list = [service("after")]
    time_slices.release()
    text = text_of(result)
    assert b'service="before"' in text
    assert b'service="after"' not in text


def test_a_large_scrape_is_done_in_many_pieces() -> None:
    scrapes, time_slices = scraper(large_view())
    result = scrapes.scrape(0, as_openmetrics=False)
    pauses = 0
    while time_slices.waiting:
        pauses += 1
        time_slices.waiting.pop(0).callback(None)
    pieces = result_of(result)
    assert pauses > len(pieces) > 500
    assert max(map(len, pieces)) < 200_000


def test_those_who_ask_at_the_same_time_share_one_rendering() -> None:
    scrapes, time_slices = scraper(FakeView([service("s")]))
    first, second = (scrapes.scrape(0, as_openmetrics=False) for _ in range(2))
    other = scrapes.scrape(0, as_openmetrics=True)
    assert len(time_slices.waiting) == 2  # one of each format
    time_slices.release()
    assert result_of(first) is result_of(second)
    assert result_of(other)[-1] == b"# EOF\n"


def test_who_asks_afterwards_gets_a_new_one() -> None:
    scrapes, time_slices = scraper(FakeView())
    results: list[Pieces] = []
    for failed_requests in (1, 2):
        result = scrapes.scrape(failed_requests, as_openmetrics=False)
        time_slices.release()
        results.append(result_of(result))
    assert results[0] != results[1]


@pytest.mark.parametrize("late", [True, False])
def test_a_failure_reaches_all_who_wait_and_the_next_scrape_starts_anew(late: bool) -> None:
    view = FakeView()
    scrapes, time_slices = scraper(view)
    healthy = view.service_list
    view.service_list = [None] if late else None  # type: ignore[assignment,list-item]
    broken = [scrapes.scrape(0, as_openmetrics=False) for _ in range(1 + late)]
    time_slices.release()
    for deferred in broken:
        assert isinstance(error_of(deferred), (AttributeError, TypeError))
    view.service_list = healthy
    again = scrapes.scrape(0, as_openmetrics=False)
    time_slices.release()
    assert b"pybal_bgp_enabled" in text_of(again)


def text_of(result: Deferred[Pieces]) -> bytes:
    pieces = result_of(result)
    return b"".join(pieces)
