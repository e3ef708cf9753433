"""The record of PyBal's services: believed where that is right, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from pybal.ipvs.kernel import OperationResult
from pybal.ipvs.manager import IPVSManager
from pybal.ipvs.memory import MemoryKernel
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.operations import Operation
from pybal.ipvs.ownership import NoRecord, Ownership, Place, record_file, this_place
from pybal.state.state_file import StateFileError
from pybal.state.state_writing import HANGS, HANGS_S
from tests.examples import examples
from tests.ipvs.clock import TURN_S, TurningClock
from tests.ipvs.examples import DNS, DNS6, WEB, WEB6, pool

HERE = Place("boot-1", "4:4026531840")
FILE = record_file(Path("state"), HERE)


class Disk:
    """A RecordFile. `broken` is raised by both of its calls."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.broken: OSError | None = None
        self.writes = 0

    def load(self) -> frozenset[str] | None:
        if self.broken is not None:
            raise StateFileError(str(self.broken))
        return None if self.content is None else FILE.parse(self.content)

    def save(self, value: frozenset[str]) -> None:
        if self.broken is not None:
            raise self.broken
        self.writes += 1
        self.content = FILE.render(value)

    def names(self) -> frozenset[str]:
        return frozenset() if self.content is None else FILE.parse(self.content)


class Thread:
    """A thread that works when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], None], Deferred[None]]] = []

    def __call__(self, job: Callable[[], None]) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.jobs.append((job, done))
        return done

    def work(self) -> None:
        """Do what there is to do, and what follows from it."""
        while self.jobs:
            job, done = self.jobs.pop(0)
            try:
                job()
            except OSError as error:
                done.errback(error)
            else:
                done.callback(None)


class Bench:
    """An Ownership with a disk and a thread; `told` are the services that may be added."""

    def __init__(self, content: bytes | None = None, *, read_only: bool = False) -> None:
        self.disk, self.thread = Disk(content), Thread()
        self.told: list[ServiceKey] = []
        self.clock = Clock()
        self.owner = Ownership(self.disk, self.thread, self.clock, read_only=read_only)
        self.owner.subscribe(self._tell)

    def _tell(self, keys: Iterable[ServiceKey]) -> None:
        self.told += keys


def record(*keys: ServiceKey, place: Place = HERE) -> bytes:
    return record_file(Path("state"), place).render(frozenset(map(str, keys)))


@given(st.sets(st.text()))
def test_a_record_reads_back_as_it_was_written(names: set[str]) -> None:
    assert FILE.parse(FILE.render(frozenset(names))) == names


def test_the_format_of_a_record_is_that_of_earlier_versions() -> None:
    assert FILE.path == Path("state/ipvs-services.json")
    content = (
        b'{"format": 1, "boot": "boot-1", "namespace": "4:4026531840",'
        b' "services": ["tcp 192.0.2.1:80", "udp [2001:db8::1]:53"]}'
    )
    assert FILE.parse(content) == {str(WEB), str(DNS6)}
    assert FILE.render(frozenset({str(WEB), str(DNS6)})) == content


def test_this_place_is_named_by_boot_and_network_namespace() -> None:
    namespace = os.stat("/proc/self/ns/net")
    assert this_place() == Place(
        Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        f"{namespace.st_dev}:{namespace.st_ino}",
    )


def test_without_a_record_nothing_is_ours_and_nothing_waits() -> None:
    owner = NoRecord()
    owner.start([WEB])
    owner.claim(WEB)
    assert not owner.owns(WEB)
    assert owner.secured(WEB)
    assert owner.error == ""


@pytest.mark.parametrize("place", [Place("boot-2", HERE.namespace), Place(HERE.boot, "4:1")])
def test_a_record_of_another_boot_or_namespace_claims_nothing(place: Place) -> None:
    bench = Bench(record(WEB, place=place))
    bench.owner.start([WEB])
    assert not bench.owner.owns(WEB)
    assert bench.owner.error == ""


BAD = [
    b"",
    b"\xff",
    b"[]",
    b"{}",
    b"null",
    b'{"format": 2, "boot": "boot-1", "namespace": "4:4026531840", "services": []}',
    b'{"format": 1, "boot": "boot-1", "namespace": "4:4026531840", "services": "tcp"}',
    b'{"format": 1, "boot": "boot-1", "namespace": "4:4026531840", "services": [1]}',
    record(WEB)[:-3],
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_a_damaged_record_claims_nothing_and_is_replaced(content: bytes) -> None:
    with pytest.raises(StateFileError):
        FILE.parse(content)
    bench = Bench(content)
    bench.owner.start([WEB, DNS])
    assert "cannot be read" in bench.owner.error
    assert not bench.owner.owns(WEB)
    assert bench.thread.jobs == [], "there is nothing to put in its place yet"
    bench.owner.claim(DNS)
    bench.thread.work()
    assert bench.disk.names() == {str(DNS)}
    assert bench.owner.error == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_the_declared_error(content: bytes) -> None:
    try:
        FILE.parse(content)
    except StateFileError as error:
        assert str(error)  # noqa: PT017 - either is right


def test_what_stands_and_is_on_record_is_ours_and_what_does_not_stand_is_forgotten() -> None:
    bench = Bench(record(WEB, DNS))
    bench.owner.start([WEB, WEB6])
    assert [bench.owner.owns(key) for key in (WEB, DNS, WEB6)] == [True, False, False]
    bench.owner.claim(WEB6)
    bench.thread.work()
    assert bench.disk.names() == {str(WEB), str(WEB6)}


def test_a_service_may_be_added_once_the_disk_has_it_and_not_before() -> None:
    bench = Bench()
    bench.owner.start([])
    bench.owner.claim(WEB)
    bench.owner.claim(DNS)
    assert not bench.owner.secured(WEB)
    assert not bench.owner.secured(DNS)
    bench.thread.work()
    # WEB was written first, then both: whoever is told asks again.
    assert set(bench.told) == {WEB, DNS}
    assert bench.owner.secured(WEB)
    assert bench.owner.secured(DNS)
    assert bench.disk.writes == 2


def test_what_a_writing_under_way_leaves_out_is_not_secured_by_what_the_disk_still_has() -> None:
    bench = Bench(record(WEB))
    bench.owner.start([WEB])
    bench.owner.release(WEB)
    bench.owner.claim(WEB)
    # The record without it may reach the disk at any time.
    assert not bench.owner.secured(WEB)
    bench.thread.work()
    assert bench.told == [WEB]
    assert bench.owner.secured(WEB)
    assert bench.disk.names() == {str(WEB)}


def test_a_released_service_leaves_the_record() -> None:
    bench = Bench(record(WEB, DNS))
    bench.owner.start([WEB, DNS])
    bench.owner.release(WEB)
    bench.owner.release(WEB6)
    bench.thread.work()
    assert bench.disk.names() == {str(DNS)}
    assert bench.disk.writes == 1


def test_a_record_that_cannot_be_written_holds_up_no_service_and_is_tried_again() -> None:
    bench = Bench()
    bench.owner.start([])
    bench.disk.broken = OSError(28, "No space left on device")
    bench.owner.claim(WEB)
    assert not bench.owner.secured(WEB)
    bench.thread.work()
    assert bench.told == [WEB]
    assert bench.owner.secured(WEB)
    assert "No space left" in bench.owner.error
    bench.disk.broken = None
    bench.owner.claim(DNS)
    bench.thread.work()
    assert bench.owner.error == ""
    assert bench.disk.names() == {str(WEB), str(DNS)}


def test_a_disk_that_hangs_holds_up_no_service() -> None:
    bench = Bench()
    bench.owner.start([])
    bench.owner.claim(WEB)
    assert not bench.owner.secured(WEB)
    bench.clock.advance(HANGS_S)
    assert bench.told == [WEB]
    assert bench.owner.secured(WEB)
    assert HANGS in bench.owner.error
    bench.owner.claim(DNS)
    assert bench.owner.secured(DNS)
    bench.thread.work()
    assert bench.owner.error == ""
    assert bench.disk.names() == {str(WEB), str(DNS)}
    assert bench.clock.getDelayedCalls() == []


def test_after_an_error_nothing_is_secured_before_the_retry_is_on_the_disk() -> None:
    bench = Bench()
    bench.owner.start([])
    bench.disk.broken = OSError(28, "No space left on device")
    bench.owner.claim(WEB)
    bench.thread.work()
    bench.disk.broken = None
    bench.owner.retry()
    assert not bench.owner.secured(WEB)
    bench.owner.claim(DNS)
    assert not bench.owner.secured(DNS)
    bench.thread.work()
    assert set(bench.told) == {WEB, DNS}
    assert bench.owner.secured(WEB)
    assert bench.owner.secured(DNS)


def test_an_error_is_said_once_until_it_is_another_one() -> None:
    bench = Bench()
    bench.owner.start([])
    with capturedLogs() as logged:
        for error in ("full", "full", "read-only", "full"):
            bench.disk.broken = OSError(error)
            bench.owner.claim(WEB)
            bench.owner.retry()
            bench.thread.work()
    lines = [str(event["error"]) for event in logged]
    assert [line.rpartition(" ")[2] for line in lines] == ["full", "read-only", "full"]


def test_an_audit_writes_the_record_that_could_not_be_written_and_no_other() -> None:
    bench, clock = Bench(), TurningClock()
    manager = IPVSManager(clock, MemoryKernel(), lambda: 0.0, dry_run=False, owner=bench.owner)

    def audit() -> None:
        manager.audit()
        bench.thread.work()
        clock.pump([TURN_S] * 5)

    manager.start()
    bench.disk.broken = OSError(28, "No space left on device")
    manager.publish(pool(WEB, 1))
    audit()
    assert "No space left" in manager.snapshot().ownership_error
    bench.disk.broken = None
    audit()
    assert manager.snapshot().ownership_error == ""
    assert bench.disk.names() == {str(WEB)}
    audit()
    assert bench.disk.writes == 1


def test_a_dry_run_believes_the_record_and_writes_nothing() -> None:
    bench = Bench(record(WEB), read_only=True)
    bench.owner.start([WEB])
    assert bench.owner.owns(WEB)
    bench.owner.claim(DNS)
    assert bench.owner.secured(DNS)
    bench.owner.release(WEB)
    assert bench.thread.jobs == []


# -- crashes ------------------------------------------------------------------------------------


class CrashError(BaseException):
    """The process is gone: nothing may catch it."""


class World:
    """A kernel and a disk that outlive the daemon, which ends after so many effects on them."""

    def __init__(self, strangers: Sequence[ServiceEntry]) -> None:
        self.strangers = strangers
        self.kernel = _MortalKernel(self, {each.service.key: each for each in strangers})
        self.disk = _MortalDisk(self)
        self.effects_left: int | None = None

    def effect(self) -> None:
        if self.effects_left is not None:
            if self.effects_left == 0:
                raise CrashError
            self.effects_left -= 1

    def live(self, wanted: Sequence[ServiceEntry], crash_after: int | None, slow: bool) -> None:
        """One life of the daemon with this configuration. `slow`: the disk takes its time."""
        self.effects_left = crash_after
        clock, thread = TurningClock(), Thread()
        owner = Ownership(self.disk, thread, clock)
        manager = IPVSManager(clock, self.kernel, lambda: 0.0, dry_run=False, owner=owner)
        owner.subscribe(manager.recorded)
        try:
            manager.start()
            for entry in wanted:
                manager.adopted(entry.service.key)
            clock.advance(TURN_S)
            for entry in wanted:
                manager.publish(entry)
            for turn in range(40):
                if not slow or turn % 3 == 2:
                    thread.work()
                clock.advance(TURN_S)
            for entry in wanted[1:2]:  # A reload without it.
                manager.withdraw(entry.service.key)
            for _ in range(10):
                thread.work()
                clock.advance(TURN_S)
        except CrashError:
            pass
        self.check()

    def check(self) -> None:
        """UnmanagedServices are as they were; what is ours in the kernel is on record."""
        self.effects_left = None
        for stranger in self.strangers:
            assert self.kernel.read(stranger.service.key) == stranger
        ours = {s.key for s in self.kernel.services().services} - {
            each.service.key for each in self.strangers
        }
        assert {str(key) for key in ours} <= self.disk.names()


class _MortalKernel(MemoryKernel):
    def __init__(self, world: World, table: dict[ServiceKey, ServiceEntry]) -> None:
        super().__init__(table)
        self._world = world

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        done: list[OperationResult] = []
        for operation in operations:
            self._world.effect()
            done += super().apply([operation])
        return tuple(done)


class _MortalDisk(Disk):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def save(self, value: frozenset[str]) -> None:
        self._world.effect()
        super().save(value)


OURS = (WEB, WEB6, DNS)
LIFE = st.tuples(
    st.lists(st.sampled_from(OURS), unique=True),
    st.integers(0, 25),
    st.booleans(),
)


@settings(max_examples=examples(1.5))
@given(st.lists(LIFE, max_size=4), st.lists(st.sampled_from(OURS), unique=True))
def test_no_crash_at_any_point_makes_it_claim_or_forget_wrongly(
    lives: list[tuple[list[ServiceKey], int, bool]], last: list[ServiceKey]
) -> None:
    world = World([pool(DNS6, 1, 2)])
    for configured, crash_after, slow in lives:
        world.live([pool(key, 1, 2) for key in configured], crash_after, slow)
    wanted = [pool(key, 1, 3) for key in last]
    world.live(wanted, None, slow=False)
    expected = wanted[:1] + wanted[2:]  # It withdrew the second.
    standing = {service.key for service in world.kernel.services().services}
    assert standing == {DNS6, *(each.service.key for each in expected)}
    for entry in expected:
        assert world.kernel.read(entry.service.key) == entry


def test_a_crash_after_every_single_step_is_survived() -> None:
    steps = 0
    for crash_after in range(60):
        world = World([pool(DNS6, 1)])
        world.live([pool(WEB, 1, 2), pool(DNS, 1), pool(WEB6, 1)], crash_after, slow=True)
        standing = {service.key for service in world.kernel.services().services}
        steps = max(steps, len(standing))
        world.live([pool(DNS, 2)], None, slow=False)
        assert {s.key for s in world.kernel.services().services} == {DNS6, DNS}
        assert world.disk.names() == {str(DNS)}
    assert steps == 4
