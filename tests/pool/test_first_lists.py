"""First lists of all services are worked on one after another, and nobody waits for names so."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.task import Clock

from pybal.runtime.slots import Slots
from tests.fakes.coordinator import Bench


class Rig:
    """One place for first lists; `pass_on` gives it back."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.places = Slots(self.clock, 1)

    def service(self, names: dict[str, str] | None = None) -> Bench:
        return Bench(clock=self.clock, first_lists=self.places, names=names)

    def take(self) -> None:
        assert self.places.acquire().called

    def pass_on(self) -> None:
        self.places.release()
        self.turns()

    def turns(self) -> None:
        self.clock.pump([0.0] * 5)


def test_a_first_list_waits_for_its_place_and_a_later_one_for_none() -> None:
    rig = Rig()
    rig.take()
    service = rig.service()
    service.list("a", "b")
    rig.turns()
    assert service.running == set()
    rig.pass_on()
    assert service.running == {"a", "b"}
    rig.take()
    service.list("a", "b", "c")
    rig.turns()
    assert service.running == {"a", "b", "c"}


def test_while_names_are_waited_for_others_have_the_place() -> None:
    rig = Rig()
    slow, other = rig.service(names={}), rig.service()
    slow.list("a")
    other.list("b")
    rig.turns()
    assert slow.running == set()
    assert other.running == {"b"}
    rig.take()
    slow.names.watches["a"].answer(ip_address("10.0.0.1"))
    rig.turns()
    assert slow.running == set()
    rig.pass_on()
    assert slow.running == {"a"}


def test_a_service_that_is_stopped_while_it_waits_wants_no_place() -> None:
    rig = Rig()
    rig.take()
    service = rig.service()
    service.list("a")
    rig.turns()
    service.coordinator.stop()
    rig.pass_on()
    assert service.running == set()
    rig.take()


class Slow(Clock):
    """Each look at it takes a millisecond."""

    def seconds(self) -> float:
        self.rightNow += 0.001
        return super().seconds()


def test_a_service_that_is_stopped_at_work_gives_its_place_back() -> None:
    rig = Rig(Slow())
    service = rig.service(names={str(n): f"10.0.0.{n}" for n in range(1, 100)})
    service.list(*(str(n) for n in range(1, 100)))
    next_in_line: list[object] = []
    rig.places.acquire().addCallback(next_in_line.append)
    assert not next_in_line
    service.coordinator.stop()
    rig.turns()
    assert len(next_in_line) == 1
    assert service.running == set()
