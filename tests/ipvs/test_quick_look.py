"""What someone else takes out of the kernel's table is seen within a second or two."""

from __future__ import annotations

import errno
from collections.abc import Collection, Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pybal.errors import KernelError
from pybal.ipvs.controller import IPVSController, IPVSPorts
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.operations import AddService, EditDestination, RemoveDestination, RemoveService
from pybal.ipvs.quick_look import ENTRIES_A_LOOK, MOST_SERVERS, SERVICES_A_LOOK
from pybal.ipvs.settings import IPVSSettings
from tests.fakes.kernel import FakeKernel
from tests.ipvs.clock import TURN_S, TurningClock
from tests.ipvs.examples import DNS, WEB, WEB6, destination, pool, server


class AskedKernel(FakeKernel):
    """Also records what was asked for in each look."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[ServiceKey, ...]] = []

    def absent(self, keys: Sequence[ServiceKey]) -> Collection[ServiceKey]:
        self._break()
        self.asked.append(tuple(keys))
        return super().absent(keys)


class QuickLookTests(SynchronousTestCase):
    """A look each second."""

    def start(self, *entries: ServiceEntry, audit_interval_s: float = 3600.0) -> None:
        self.clock = TurningClock()
        self.kernel = AskedKernel()
        ports = IPVSPorts(
            clock=self.clock,
            kernel=self.kernel,
            now=self.clock.seconds,
            in_thread=lambda _: Deferred(),
        )
        settings = IPVSSettings(audit_interval_s=audit_interval_s)
        self.controller = IPVSController(settings, ports, dry_run=False)
        self.controller.start()
        self.addCleanup(self.controller.stop)
        for entry in entries:
            self.controller.set_desired(entry, None)
        self.pass_time(0.5)

    def pass_time(self, seconds: float) -> None:
        """In steps, each with turns enough for what is to be done."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.pump([TURN_S] * 20)
            self.clock.advance(0.1)
        self.clock.pump([TURN_S] * 20)

    def holds(self, *entries: ServiceEntry) -> bool:
        expected = {entry.service.key: entry for entry in entries}
        return {key: self.kernel.read(key) for key in expected} == expected

    def test_a_cleared_table_is_whole_again_within_a_second_and_a_bit(self) -> None:
        entries = (pool(WEB, 1, 2), pool(WEB6), pool(DNS, 1))
        self.start(*entries)
        self.kernel.by_hand(*(RemoveService(entry.service.key) for entry in entries))
        self.pass_time(1.2)
        assert self.holds(*entries)
        drift = dict(self.controller.snapshot().audit.drift_total)
        assert sum(drift.values()) == 3

    def test_a_service_that_came_back_without_its_servers_is_filled(self) -> None:
        self.start(pool(WEB, 1, 2))
        service = pool(WEB).service
        self.kernel.by_hand(RemoveService(WEB), AddService(service))
        self.pass_time(1.2)
        assert self.holds(pool(WEB, 1, 2))

    def test_a_server_taken_out_or_reweighted_is_seen_in_its_services_turn(self) -> None:
        self.start(pool(WEB, 1, 2), pool(DNS, 1, 2))
        self.kernel.by_hand(
            RemoveDestination(WEB, server(1)),
            EditDestination(DNS, destination(2, weight=77, key=DNS)),
        )
        self.pass_time(2.2)
        assert self.holds(pool(WEB, 1, 2), pool(DNS, 1, 2))

    def test_of_a_small_table_each_change_is_seen_within_a_second_and_a_bit(self) -> None:
        keys = [replace(WEB, port=1000 + number) for number in range(12)]
        self.start(*(pool(key, 1, 2) for key in keys))
        for key in keys:
            self.kernel.by_hand(EditDestination(key, destination(2, weight=77, key=key)))
            self.pass_time(1.2)
            assert self.holds(pool(key, 1, 2))
            self.pass_time(2)

    def test_a_look_reads_a_bounded_part_of_the_table_and_all_of_it_in_turn(self) -> None:
        keys = [replace(WEB, port=1000 + number) for number in range(30)]
        self.start(*(pool(key, *range(1, 10)) for key in keys))
        self.kernel.reads.clear()
        self.pass_time(1)
        assert 0 < len(self.kernel.reads) <= 2 * (ENTRIES_A_LOOK // 10)
        self.pass_time(len(keys) / (ENTRIES_A_LOOK // 10) + 1)
        assert set(self.kernel.reads) == set(keys)

    def test_a_table_that_is_as_it_was_left_is_not_audited(self) -> None:
        self.start(pool(WEB, 1, 2), pool(DNS, 1))
        self.pass_time(30)
        assert self.controller.snapshot().audit.audits_total == 0
        assert len(self.kernel.asked) >= 25

    def test_our_own_changes_are_no_difference(self) -> None:
        self.start(pool(WEB, 1, 2), pool(DNS, 1))
        for number in range(20):
            self.controller.set_desired(pool(WEB, 1, 3 + number), None)
            if number == 10:
                self.controller.withdraw(DNS)
            self.pass_time(0.5)
        assert self.controller.snapshot().audit.audits_total == 0

    def test_a_look_asks_for_few_services_and_reads_no_large_one(self) -> None:
        keys = [replace(WEB, port=1000 + number) for number in range(2 * SERVICES_A_LOOK + 7)]
        large = pool(WEB, *range(1, MOST_SERVERS + 2))
        self.start(*(pool(key) for key in keys), large)
        self.pass_time(3)
        self.kernel.asked.clear()
        self.kernel.reads.clear()
        self.pass_time(3)
        assert max(map(len, self.kernel.asked)) == SERVICES_A_LOOK
        assert {key for asked in self.kernel.asked for key in asked} == {*keys, WEB}
        self.pass_time(len(keys) + 10)
        assert WEB not in self.kernel.reads

    def test_a_fight_with_another_program_makes_looks_rare(self) -> None:
        self.start(pool(WEB, 1))
        for _ in range(1200):
            if self.kernel.read(WEB) is not None:
                self.kernel.by_hand(RemoveService(WEB))
            self.pass_time(0.1)
        assert 3 <= self.controller.snapshot().audit.audits_total <= 8

    def test_a_broken_kernel_does_not_end_the_looks(self) -> None:
        self.start(pool(WEB, 1))
        self.kernel.broken = KernelError("look", errno.EIO)
        self.pass_time(3)
        self.kernel.broken = None
        self.kernel.by_hand(RemoveService(WEB))
        self.pass_time(1.2)
        assert self.holds(pool(WEB, 1))

    def test_a_mistake_does_not_end_them_either(self) -> None:
        self.start(pool(WEB, 1))
        self.kernel.broken = ValueError("a mistake")
        self.pass_time(3)
        assert self.flushLoggedErrors(ValueError)  # type: ignore[no-untyped-call]
        self.kernel.broken = None
        self.kernel.by_hand(RemoveService(WEB))
        self.pass_time(1.2)
        assert self.holds(pool(WEB, 1))
        self.kernel.broken = ValueError("a mistake")
        self.pass_time(5)
        self.controller.stop()
        assert self.flushLoggedErrors(ValueError)  # type: ignore[no-untyped-call]
        assert self.clock.getDelayedCalls() == []

    def test_who_wants_no_audit_gets_no_look(self) -> None:
        self.start(pool(WEB, 1), audit_interval_s=0.0)
        self.pass_time(5)
        assert self.kernel.asked == []
        self.controller.reconfigure(IPVSSettings(audit_interval_s=60.0))
        self.pass_time(5)
        assert self.kernel.asked
        self.controller.reconfigure(IPVSSettings(audit_interval_s=0.0))
        self.kernel.asked.clear()
        self.pass_time(5)
        assert self.kernel.asked == []

    def test_none_comes_after_the_stop(self) -> None:
        self.start(pool(WEB, 1))
        self.controller.stop()
        self.controller.stop()
        assert self.clock.getDelayedCalls() == []
