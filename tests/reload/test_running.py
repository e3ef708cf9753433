"""What is known of the configuration in force after a start, a reload, and a look at the file."""

from __future__ import annotations

from dataclasses import replace

from pybal.config.known_sections import NOTHING_KNOWN
from pybal.config.problems import LoadResult
from pybal.reload.running import Running, looked_at, refused, reloaded, started
from tests.config.texts import parse, service

TEXT = "[global]\n" + service()
MANY = tuple(f"error {number}" for number in range(150))


def loaded(text: str = TEXT, modified_at: float = 50.0) -> LoadResult:
    return replace(parse(text), content=text.encode(), modified_at=modified_at)


def start(*errors: str, result: LoadResult | None = None) -> Running:
    result = result or loaded()
    assert result.settings is not None
    return started(result, result.settings, 100.0, errors=errors)


def test_after_a_good_start() -> None:
    shown = start().snapshot()
    assert (shown.path, shown.modified_at, shown.loaded_at) == ("pybal.conf", 50.0, 100.0)
    assert not shown.is_last_good
    assert (shown.last_success_at, shown.last_error_at) == (100.0, 0.0)
    assert shown.last_reload is not None
    assert shown.last_reload.successful and shown.last_reload.errors == ()
    assert (shown.needs_restart, shown.differs_since) == ((), None)


def test_after_a_start_with_the_last_good_one() -> None:
    shown = start(*MANY).snapshot()
    assert shown.is_last_good
    assert (shown.last_success_at, shown.last_error_at) == (0.0, 100.0)
    assert shown.last_reload is not None
    assert not shown.last_reload.successful
    shown_errors = (*MANY[:100], "and 50 more errors")
    assert shown.last_reload.errors == shown_errors, "a hundred are shown"
    exactly = start(*MANY[:100]).snapshot().last_reload
    assert exactly is not None and exactly.errors == MANY[:100]


def test_a_reload_that_is_refused_changes_nothing_but_what_is_told_of_it() -> None:
    running = start()
    shown = refused(running, MANY, 200.0).snapshot()
    assert shown.last_reload is not None
    assert (shown.last_reload.at, shown.last_reload.errors[:100]) == (200.0, MANY[:100])
    assert not shown.last_reload.successful
    assert (shown.loaded_at, shown.last_success_at, shown.last_error_at) == (100.0, 100.0, 200.0)
    assert shown.sha256 == running.sha256


def test_a_reload_that_was_carried_out() -> None:
    result = loaded(TEXT + "\n", 150.0)
    assert result.settings is not None
    before = looked_at(start("an error"), "other", 120.0)
    running = reloaded(before, result, result.settings, ("a step",), ("dry-run",), 200.0)
    shown = running.snapshot()
    assert (shown.modified_at, shown.loaded_at) == (150.0, 200.0)
    assert not shown.is_last_good
    assert shown.last_reload is not None
    assert shown.last_reload.successful and shown.last_reload.steps == ("a step",)
    assert (shown.last_success_at, shown.last_error_at) == (200.0, 100.0)
    assert (shown.needs_restart, shown.differs_since) == (("dry-run",), None)
    assert running.known is result.known


def test_a_file_differs_since_it_was_first_seen_to() -> None:
    running = start()
    other = looked_at(running, "other", 110.0)
    later = looked_at(other, None, 120.0)
    assert (other.differs_since, later.differs_since) == (110.0, 110.0)
    as_before = looked_at(later, running.sha256, 130.0)
    assert as_before.differs_since is None
    assert looked_at(as_before, "other", 140.0).differs_since == 140.0


def test_what_a_reading_knows_is_for_the_next_one_alone() -> None:
    result = loaded()
    running = start(result=result)
    assert running.known is result.known
    unknown = start(result=replace(result, known=None))
    assert unknown.known is NOTHING_KNOWN
    assert unknown == running
    assert "KnownSection" not in repr(running)
