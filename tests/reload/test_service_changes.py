"""What becomes of the services that run: by the steps, and by what an earlier reload has left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceKey
from pybal.pool.desired import service_key
from pybal.reload.difference import _services
from pybal.reload.service_changes import ServiceChanges, service_changes
from tests.fakes.coordinator import Bench

SETTINGS = Bench(threshold=Fraction(0)).settings


@dataclass(frozen=True)
class Service:
    name: str
    key: ServiceKey


def service(name: str, port: int) -> ServiceSettings:
    return replace(SETTINGS, name=name, port=port)


def changes(
    before: tuple[ServiceSettings, ...],
    after: tuple[ServiceSettings, ...],
    running: tuple[ServiceSettings, ...] | None = None,
) -> ServiceChanges[Service]:
    """From one configuration to the other; what runs is as the former says, or `running`."""
    runs = before if running is None else running
    services = {each.name: Service(each.name, service_key(each)) for each in runs}
    return service_changes(tuple(_services(before, after)), after, services)


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


def test_what_a_reload_has_left_undone_is_found_by_what_runs() -> None:
    renamed = changes((A80,), (B80,), running=(B80,))
    assert followed(renamed) == {"b": "b"}
    assert set(renamed.names_gone) == {"a", "b"}
    gone_back = changes((A80,), (A80,), running=(B80,))
    assert gone_back.coming == (A80,)
    assert followed(gone_back) == {"a": "b"}
    third = changes((A80,), (C80,), running=(B80,))
    assert followed(third) == {"c": "b"}
    moved_back = changes((A80,), (A80,), running=(A81,))
    assert moved_back.gone == (service_key(A81),)
    nothing_left = changes((A80,), (A80,), running=())
    assert nothing_left.coming == (A80,)
    assert followed(nothing_left) == {}
