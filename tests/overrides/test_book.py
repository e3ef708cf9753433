"""The book of overrides: who is in it, for how long, and what outlives the process."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from pybal.errors import ControlError, NoSuchThingError
from pybal.override import MAX_DURATION_S, Action, Override, until_text
from pybal.overrides.book import BookPorts, Happening, OverrideBook, OverrideEvent
from pybal.overrides.file import override_file
from pybal.overrides.wish import Scope, services_meant, there_are
from pybal.state.state_file import StateFileError
from tests.fakes.log import FakeLog

EPOCH = 1e9


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.saved: list[tuple[Override, ...]] = []
        self.changed: list[set[str]] = []
        self.events: list[OverrideEvent] = []
        self.log = FakeLog()
        self.ahead_s = 0.0
        ports = BookPorts(
            clock=self.clock, now=self.now, save=self.saved.append,
            changed=lambda names: self.changed.append(set(names)), observe=self.events.append,
        )  # fmt: skip
        self.book = OverrideBook(ports, self.log.logger("overrides"))

    def now(self) -> float:
        return EPOCH + self.ahead_s + self.clock.seconds()

    def override(self, host: str = "a", service: str = "s", for_s: float = 3600.0) -> Override:
        now = self.now()
        return Override(service, host, Action.DRAIN, "alice", "why", now, now + for_s)

    @property
    def hosts(self) -> list[str]:
        return [each.host for each in self.book.all()]

    @property
    def happened(self) -> list[tuple[Happening, str]]:
        return [(event.what, event.override.host) for event in self.events]


def test_each_ends_by_itself_and_the_service_hears_of_it() -> None:
    rig = Rig()
    rig.book.begin([rig.override("a"), rig.override("b", for_s=60.0)])
    rig.clock.advance(59.9)
    assert rig.hosts == ["a", "b"]
    rig.clock.advance(0.2)
    assert rig.hosts == ["a"]
    assert rig.changed == [{"s"}]
    rig.clock.advance(3600)
    assert rig.hosts == []
    assert rig.clock.getDelayedCalls() == []
    assert rig.happened[2:] == [(Happening.EXPIRED, "b"), (Happening.EXPIRED, "a")]
    assert rig.saved[-1] == ()


def test_a_wall_clock_that_jumps_ends_nothing_early() -> None:
    rig = Rig()
    rig.book.begin([rig.override()])
    rig.ahead_s = 1e6
    rig.clock.advance(3599)
    assert rig.hosts == ["a"]
    rig.clock.advance(2)
    assert rig.hosts == []


def test_what_an_operator_undoes_is_gone_with_its_timer() -> None:
    rig = Rig()
    rig.book.begin([rig.override()])
    (ended,) = rig.book.end([("s", "a"), ("s", "nosuch")], "bob")
    assert ended.host == "a"
    assert rig.events[-1].by == "bob"
    assert rig.clock.getDelayedCalls() == []
    assert rig.book.of("s") == {}


def test_a_second_word_takes_the_place_of_the_first() -> None:
    rig = Rig()
    first = rig.override(for_s=60.0)
    assert rig.book.begin([first]) == ()
    assert rig.book.begin([rig.override(for_s=120.0)]) == (first,)
    rig.clock.advance(61)
    assert rig.hosts == ["a"]
    rig.clock.advance(60)
    assert rig.hosts == []


def test_the_next_run_goes_on_with_what_is_left() -> None:
    rig = Rig()
    kept = [rig.override("a"), rig.override("b", service="gone"), rig.override("c", for_s=10.0)]
    rig.clock.advance(20)
    rig.book.start(kept, ["s"])
    assert rig.hosts == ["a"]
    assert rig.happened == [(Happening.DROPPED, "b"), (Happening.EXPIRED, "c")]
    rig.clock.advance(3600 - 21)
    assert rig.hosts == ["a"]
    rig.clock.advance(2)
    assert rig.hosts == []


def test_a_clock_that_was_set_back_over_a_restart_makes_nothing_last_longer_than_was_said() -> None:
    rig = Rig()
    kept = rig.override()
    rig.ahead_s = -1e8
    rig.book.start([kept], ["s"])
    rig.clock.advance(3599)
    assert rig.hosts == ["a"]
    rig.clock.advance(2)
    assert rig.hosts == []


@pytest.mark.parametrize("ahead_s", [-1e8, 1e8])
def test_a_clock_that_was_set_changes_no_end_of_what_goes_on_under_a_new_name(
    ahead_s: float,
) -> None:
    rig = Rig()
    rig.book.begin([rig.override()])
    rig.clock.advance(600)
    rig.ahead_s = ahead_s
    rig.book.rename([("s", "s2")])
    rig.clock.advance(2999)
    assert rig.hosts == ["a"]
    rig.clock.advance(2)
    assert rig.hosts == []


def test_overrides_go_with_their_service_and_under_a_new_name_with_it() -> None:
    rig = Rig()
    rig.book.begin([rig.override("a"), rig.override("b", "t"), rig.override("c", "u")])
    rig.book.rename([("s", "s2")])
    rig.book.drop_all_but(["s2", "u"])
    assert {(each.service, each.host) for each in rig.book.all()} == {("s2", "a"), ("u", "c")}
    assert rig.happened[-1] == (Happening.DROPPED, "b")
    rig.clock.advance(3601)
    assert rig.changed == [{"s2", "u"}]


def test_who_watches_cannot_hinder() -> None:
    rig = Rig()
    rig.events = None  # type: ignore[assignment]
    rig = Rig()

    def fail(_: OverrideEvent) -> None:
        raise ZeroDivisionError

    book = OverrideBook(
        BookPorts(
            clock=rig.clock,
            now=rig.now,
            save=rig.saved.append,
            changed=lambda _: None,
            observe=fail,
        ),
        rig.log.logger("overrides"),
    )
    book.begin([rig.override()])
    assert book.of("s")


def test_the_file_brings_back_what_was_written(tmp_path: Path) -> None:
    file = override_file(tmp_path)
    rig = Rig()
    all_of_them = (rig.override("a"), rig.override("b", "t", for_s=MAX_DURATION_S))
    file.save(all_of_them)
    assert file.load() == all_of_them


@pytest.mark.parametrize(
    ("key", "value"),
    [("until", 1e300), ("since", -1.0), ("until", 1.0), ("action", "destroy"), ("since", None)],
)
def test_a_file_that_says_what_cannot_be_is_damaged(
    tmp_path: Path, key: str, value: object
) -> None:
    file = override_file(tmp_path)
    document = json.loads(file.render((Rig().override(),)))
    document["overrides"][0][key] = value
    with pytest.raises(StateFileError):
        file.parse(json.dumps(document).encode())


POOLS = {"web": ["a1", "a2"], "dns": ["a1"]}


def test_a_host_of_one_service_needs_no_more_and_of_several_it_is_asked_which() -> None:
    assert services_meant(Scope("a2"), POOLS) == ("web",)
    assert services_meant(Scope("a1", ("dns",)), POOLS) == ("dns",)
    assert services_meant(Scope("a1", (), True), POOLS) == ("web", "dns")
    with pytest.raises(ControlError, match="a1 is in 2 services: web, dns") as refused:
        services_meant(Scope("a1"), POOLS)
    assert "--all" in refused.value.remedy


@pytest.mark.parametrize(
    ("scope", "text", "remedy"),
    [
        (Scope("b"), "There is no server b", "There are a1, a2"),
        (Scope("a"), "There is no server a", "Did you mean a1 or a2?"),
        (Scope("a1", ("wbe",)), "There is no service wbe", "Did you mean web?"),
        (Scope("a1", ("",)), "There is no service ''", "There are dns, web"),
        (Scope("a2", ("dns",)), "a2 is not in the pool list of dns", "There are a1"),
        (Scope("zz", ("dns",)), "zz is not in the pool list of dns", "There are a1"),
    ],
)
def test_what_there_is_not_is_answered_with_what_there_is(
    scope: Scope, text: str, remedy: str
) -> None:
    with pytest.raises(NoSuchThingError) as refused:
        services_meant(scope, POOLS)
    assert (str(refused.value), refused.value.remedy) == (text, remedy)


def test_of_many_services_that_have_a_host_twenty_are_named() -> None:
    pools = {f"s{number:02}": ["a"] for number in range(21)}
    with pytest.raises(ControlError) as refused:
        services_meant(Scope("a"), pools)
    assert "s19" in str(refused.value)
    assert "s20" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "known", "remedy"),
    [
        ("a", ["a1", "a2", "a3", "a4"], "Did you mean a1 or a2 or a3?"),
        ("a", [], "There are none"),
        ("zz", ["a", "b"], "There are a, b"),
        # One that comes right before it by the alphabet, as the first of all.
        ("cp1x", ["cp1"], "Did you mean cp1?"),
    ],
)
def test_of_those_that_may_have_been_meant_three_are_named(
    name: str, known: list[str], remedy: str
) -> None:
    found = there_are(name, known)
    assert sorted(found.split()) == sorted(remedy.split())


def test_no_more_than_three_are_asked_for_and_of_a_name_a_hundred_characters() -> None:
    asked: list[tuple[str, list[str], int]] = []

    def close(word: str, possible: list[str], count: int) -> list[str]:
        asked.append((word, possible, count))
        return ["x1", "x2", "x3", "x4"]

    known = [f"n{number:03}" for number in range(100)]
    assert there_are("n050" + "y" * 200, known, close) == "Did you mean x1 or x2 or x3?"
    ((word, possible, count),) = asked
    assert word == "n050" + "y" * 96
    assert possible == known[26:76]
    assert count == 3
    there_are("a", known, close)
    assert asked[1][1] == known[:25]


def test_an_end_on_another_day_is_said_with_its_date() -> None:
    assert until_text(0.0, 3600.0) == "01:00 UTC"
    assert until_text(0.0, 90_000.0) == "1970-01-02 01:00 UTC"


def test_a_name_that_there_is_not_is_compared_with_a_few_of_thousands() -> None:
    compared: list[int] = []

    def close(word: str, possible: list[str], count: int) -> list[str]:
        compared.append(len(possible))
        return get_close_matches(word, possible, count)

    hosts = [f"mw{number}.example.org" for number in range(10_000, 20_000)]
    assert there_are("mw1x345.example.org", hosts, close).startswith("Did you mean mw1")
    assert compared[0] <= 50
