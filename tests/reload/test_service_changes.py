"""What becomes of the services that run, and of what an earlier reload has left of others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceKey
from pybal.pool.desired import service_key
from pybal.reload.service_changes import ServiceChanges, service_changes
from tests.fakes.coordinator import Bench

SETTINGS = Bench(threshold=Fraction(0)).settings


@dataclass(frozen=True)
class Service:
    settings: ServiceSettings

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def key(self) -> ServiceKey:
        return service_key(self.settings)


def service(name: str, port: int) -> ServiceSettings:
    return replace(SETTINGS, name=name, port=port)


def changes(
    running: tuple[ServiceSettings, ...],
    wanted: tuple[ServiceSettings, ...],
    left: tuple[ServiceSettings, ...] = (),
    unsound: tuple[str, ...] = (),
) -> ServiceChanges[Service]:
    """From what runs to one configuration; `left` and `unsound` are of reloads that failed."""
    runs = {each.name: Service(each) for each in running}
    return service_changes(wanted, runs, tuple(map(Service, left)), unsound)


def followed(found: ServiceChanges[Service]) -> dict[str, str]:
    return {name: former.name for name, former in found.followed.items()}


A80, A81, B80, B81, C80 = (
    service(name, port) for name, port in (("a", 80), ("a", 81), ("b", 80), ("b", 81), ("c", 80))
)


def test_what_runs_as_it_should_goes_on() -> None:
    found = changes((A80, B81), (A80, B81))
    assert (found.leaving, found.coming, found.gone, found.names_gone) == ({}, (), (), ())


def test_one_that_moves_hands_on_its_list_and_leaves_its_former_place() -> None:
    found = changes((A80,), (A81,))
    assert list(found.leaving) == ["a"]
    assert found.coming == (A81,)
    assert followed(found) == {"a": "a"}
    assert found.gone == (service_key(A80),)


def test_who_takes_the_place_of_another_goes_on_with_nothing_of_it() -> None:
    found = changes((A80,), (A81, B80))
    assert found.adopting == {"a"}
    assert followed(found) == {"a": "a"}
    assert found.gone == ()


def test_two_that_change_places_each_keep_their_own_list() -> None:
    found = changes((A80, B81), (A81, B80))
    assert found.adopting == set()
    assert followed(found) == {"a": "a", "b": "b"}
    assert found.gone == ()


def test_one_of_another_name_in_the_same_place_goes_on_as_the_former() -> None:
    found = changes((A80,), (B80,))
    assert found.adopting == {"b"}
    assert followed(found) == {"b": "a"}
    assert found.gone == ()


def test_what_is_set_otherwise_is_adjusted_or_begins_anew() -> None:
    other = replace(A80, scheduler="wlc")
    assert changes((A80, B81), (other, B81)).adjusted == (other,)
    assert changes((A80,), (other,), unsound=("a",)).coming == (other,)
    family = replace(A80, ipvs=replace(A80.ipvs, server_version=6))
    found = changes((A80,), (family,))
    assert (found.coming, found.adjusted, list(found.leaving)) == ((family,), (), ["a"])


def test_one_that_nobody_knows_how_it_runs_begins_anew_in_its_own_place() -> None:
    found = changes((A80, B81), (A80, B81), unsound=("a",))
    assert (list(found.leaving), found.coming, found.gone) == (["a"], (A80,), ())
    assert (found.adopting, followed(found)) == ({"a"}, {"a": "a"})


def test_who_has_come_amid_a_reload_that_failed_goes_on_and_what_is_left_of_the_former_goes() -> (
    None
):
    found = changes((B80,), (B80,), left=(A80,))
    assert (found.leaving, found.coming, found.gone) == ({}, (), ())
    assert found.names_gone == ("a",)
    moved = changes((A81,), (A81,), left=(A80,))
    assert moved.gone == (service_key(A80),)


def test_back_again_or_to_a_third_name_it_goes_on_as_who_came_last() -> None:
    back = changes((B80,), (A80,), left=(A80,))
    assert (back.coming, followed(back), back.adopting) == ((A80,), {"a": "b"}, {"a"})
    assert set(back.names_gone) == {"a", "b"}
    assert followed(changes((B80,), (C80,), left=(A80,))) == {"c": "b"}
    moved_back = changes((A81,), (A80,), left=(A80,))
    assert (moved_back.gone, followed(moved_back)) == ((service_key(A81),), {"a": "a"})


def test_if_nobody_came_the_one_that_left_is_followed() -> None:
    for wanted in (A80, A81, B80):
        found = changes((), (wanted,), left=(A80,))
        assert found.coming == (wanted,)
        assert (found.adopting, followed(found)) == ({wanted.name}, {wanted.name: "a"})
    nothing = changes((), (A80,))
    assert (nothing.coming, followed(nothing)) == ((A80,), {})


def test_what_left_in_one_failed_reload_and_in_the_next_is_withdrawn_all_the_same() -> None:
    found = changes((), (C80,), left=(A81, service("b", 82)))
    assert found.gone == (service_key(A81), service_key(service("b", 82)))
    assert found.names_gone == ("a", "b")
