from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from pybal.instrumentation.scrape import Scraper
from tests.fakes.deferreds import error_of, result_of
from tests.fakes.view import FakeView, service
from tests.instrumentation.exchange import HeldOffload


def scraper(view: FakeView) -> tuple[Scraper, HeldOffload]:
    offload = HeldOffload()
    return Scraper(view, offload, ()), offload


def test_a_scrape_shows_the_moment_it_was_asked_for() -> None:
    view = FakeView([service("before")])
    scrapes, offload = scraper(view)
    result = scrapes.scrape(0, as_openmetrics=False)
    view.service_list = [service("after")]
    offload.release()
    text = result_of(result)
    assert b'service="before"' in text
    assert b'service="after"' not in text


def test_those_who_ask_at_the_same_time_share_one_rendering() -> None:
    scrapes, offload = scraper(FakeView())
    first, second = (scrapes.scrape(0, as_openmetrics=False) for _ in range(2))
    other = scrapes.scrape(0, as_openmetrics=True)
    assert len(offload.waiting) == 2  # one of each format
    offload.release()
    assert result_of(first) is result_of(second)
    offload.release()
    assert result_of(other).endswith(b"# EOF\n")


def test_who_asks_afterwards_gets_a_new_one() -> None:
    scrapes, offload = scraper(FakeView())
    first = scrapes.scrape(1, as_openmetrics=False)
    offload.release()
    second = scrapes.scrape(2, as_openmetrics=False)
    offload.release()
    assert result_of(first) != result_of(second)


@pytest.mark.parametrize("in_thread", [True, False])
def test_a_failure_reaches_all_who_wait_and_the_next_scrape_starts_anew(in_thread: bool) -> None:
    view = FakeView()
    broken: list[Deferred[bytes]] = []
    scrapes, offload = scraper(view)
    healthy = view.service_list
    view.service_list = [None] if in_thread else None  # type: ignore[assignment,list-item]
    broken.append(scrapes.scrape(0, as_openmetrics=False))
    if in_thread:
        broken.append(scrapes.scrape(0, as_openmetrics=False))
        offload.release()
    for deferred in broken:
        assert isinstance(error_of(deferred), (AttributeError, TypeError))
    view.service_list = healthy
    again = scrapes.scrape(0, as_openmetrics=False)
    offload.release()
    assert b"pybal_bgp_enabled" in result_of(again)
