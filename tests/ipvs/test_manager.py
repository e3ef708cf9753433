"""The manager: what is published comes to stand in the kernel, with the fewest exchanges."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybal.errors import KernelError
from pybal.ipvs.exchange import OPERATIONS_PER_TURN
from pybal.ipvs.kernel import Kernel, Outcome
from pybal.ipvs.manager import RETRY_FIRST_S, RETRY_MAX_S, IPVSManager
from pybal.ipvs.model import Service, ServiceEntry, ServiceKey
from pybal.ipvs.ownership import NoRecord
from pybal.ipvs.plan import (
    AddDestination,
    AddService,
    EditDestination,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.ipvs.settings import Cleanup
from pybal.ipvs.strangers import CLEANUP_WAIT_S
from pybal.log import format_line
from tests.fakes.kernel import FakeKernel
from tests.ipvs.clock import TURN_S, TurningClock
from tests.ipvs.examples import DNS, DNS6, WEB, WEB6, destination, entry, pool, server

NOW = 1_700_000_000.0


class ManagerTestCase(SynchronousTestCase):
    """A manager on a kernel that the test can watch; `told` are the keys told to a subscriber."""

    def setUp(self) -> None:
        self.clock = TurningClock()
        self.kernel = FakeKernel()
        self.told: list[ServiceKey] = []
        self.lines: list[str] = []
        # zope's @implementer is invisible to the type checker.
        observer = cast(ILogObserver, self._observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def errors_logged(self, kind: type[Exception]) -> int:
        return len(self.flushLoggedErrors(kind))  # type: ignore[no-untyped-call]

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "ipvs":
            self.lines.append(format_line(event))

    def start(self, *standing: ServiceEntry, dry_run: bool = False) -> None:
        self.kernel = FakeKernel({each.service.key: each for each in standing})
        self.manage(self.kernel, dry_run=dry_run)
        for each in standing:
            self.manager.adopted(each.service.key)
        self.turn()
        self.kernel.reads.clear()

    def manage(self, kernel: Kernel, dry_run: bool = False) -> None:
        self.manager = IPVSManager(self.clock, kernel, lambda: NOW, dry_run)
        self.manager.subscribe(self.told.append)
        self.manager.start()

    def turn(self, count: int = 1) -> None:
        """Let the reactor turn."""
        for _ in range(count):
            self.clock.advance(TURN_S)

    def settle(self, *entries: ServiceEntry) -> None:
        """Publish, wait, and forget how it came to be."""
        for each in entries:
            self.manager.publish(each)
        self.turn(20)
        self.forget()

    def forget(self) -> None:
        self.kernel.applied.clear()
        self.kernel.reads.clear()
        self.lines.clear()
        self.told.clear()

    def stands(self, *entries: ServiceEntry) -> None:
        """The kernel holds exactly these, and the manager knows it."""
        expected = {each.service.key: each for each in entries}
        assert {s.key: self.kernel.read(s.key) for s in self.kernel.services().services} == expected
        assert self.manager.table == expected


class StartTests(ManagerTestCase):
    """What stands at the start is adopted."""

    def test_what_stands_is_known_and_left_alone(self) -> None:
        self.start(pool(WEB, 1, 2), pool(DNS6))
        assert self.manager.adopted(WEB) == pool(WEB, 1, 2)
        assert self.manager.adopted(DNS6) == pool(DNS6)
        assert self.manager.adopted(DNS) is None
        assert self.manager.table == {WEB: pool(WEB, 1, 2), DNS6: pool(DNS6)}
        assert self.kernel.applied == []
        assert self.lines == []

    def test_publishing_what_stands_changes_nothing_and_tells_that_it_stands(self) -> None:
        self.start(pool(WEB, 1, 2))
        self.manager.publish(pool(WEB, 2, 1))
        self.turn()
        assert self.kernel.applied == []
        assert self.told == [WEB]

    def test_an_unconfigured_service_is_reported_once_and_left_alone(self) -> None:
        self.kernel = FakeKernel({WEB: pool(WEB, 1), DNS: pool(DNS, 1)})
        self.kernel.foreign = ("firewall mark 5 IPv4 (rr)",)
        self.manage(self.kernel)
        self.manager.adopted(WEB)
        self.turn(3)
        assert self.lines == [
            "[ipvs] WARN: udp 192.0.2.1:53 stands in IPVS but is not configured: left alone",
            "[ipvs] WARN: firewall mark 5 IPv4 (rr) stands in IPVS but is not configured: "
            "left alone",
        ]
        self.settle(pool(WEB, 2))
        self.stands(pool(WEB, 2), pool(DNS, 1))

    def test_a_kernel_without_ipvs_stops_the_start_with_its_own_words(self) -> None:
        error = KernelError("open the IPVS table", errno.ENOENT, "modprobe ip_vs")
        self.kernel.broken = error
        with pytest.raises(KernelError) as caught:
            self.manage(self.kernel)
        assert caught.value is error

    def test_nothing_is_in_sync_before_the_start_or_after_the_stop(self) -> None:
        manager = IPVSManager(self.clock, self.kernel, lambda: NOW, False)
        assert not manager.snapshot().in_sync
        manager.start()
        assert manager.snapshot().in_sync
        manager.stop()
        assert not manager.snapshot().in_sync


class PublishTests(ManagerTestCase):
    """One exchange brings what changed."""

    def test_a_new_service_is_added_with_its_servers_in_one_exchange(self) -> None:
        self.start()
        self.manager.publish(pool(WEB, 1, 2))
        assert self.kernel.applied == []
        self.turn()
        assert len(self.kernel.applied) == 1
        assert self.kernel.reads == []
        self.stands(pool(WEB, 1, 2))
        assert self.told == [WEB]
        assert self.lines[-1] == ("[ipvs] INFO: tcp 192.0.2.1:80: service added, 2 servers added")

    def test_a_depool_is_a_single_exchange_of_one_operation(self) -> None:
        self.start()
        self.settle(pool(WEB, 1, 2, 3), pool(DNS, 1))
        self.manager.publish(pool(WEB, 1, 3))
        self.turn()
        assert self.kernel.applied == [(RemoveDestination(WEB, server(2)),)]
        assert self.kernel.reads == []
        assert self.told == [WEB]
        assert self.lines == [
            "[ipvs] DEBUG: ipvsadm -d -t 192.0.2.1:80 -r 198.51.100.2:80",
            "[ipvs] INFO: tcp 192.0.2.1:80: 1 server removed",
        ]

    def test_the_changes_of_one_turn_are_one_exchange(self) -> None:
        self.start()
        for each in (pool(WEB, 1), pool(WEB6, 1), pool(DNS, 1), pool(DNS6, 1)):
            self.manager.publish(each)
        self.turn()
        assert len(self.kernel.applied) == 1
        self.stands(pool(WEB, 1), pool(WEB6, 1), pool(DNS, 1), pool(DNS6, 1))

    def test_the_last_word_of_a_turn_counts(self) -> None:
        self.start()
        self.settle(pool(WEB, 1, 2))
        self.manager.publish(pool(WEB, 1))
        self.manager.publish(pool(WEB, 1, 2))
        self.turn()
        assert self.kernel.applied == []
        assert self.told == []

    def test_a_weight_is_changed_in_place_and_zero_is_zero(self) -> None:
        self.start()
        self.settle(entry(WEB, destination(1)))
        self.manager.publish(entry(WEB, destination(1, weight=0)))
        self.turn()
        assert self.kernel.applied == [(EditDestination(WEB, destination(1, weight=0)),)]

    def test_one_changed_weight_among_11000_servers_is_one_operation(self) -> None:
        self.start()
        large = pool(WEB6, *range(1, 11_001))
        self.manager.publish(large)
        self.turn(1500)
        assert self.manager.snapshot().in_sync
        self.forget()
        changed = destination(5000, weight=7, key=WEB6)
        self.manager.publish(
            replace(large, destinations={**large.destinations, changed.key: changed})
        )
        self.turn(20)
        assert self.kernel.applied == [(EditDestination(WEB6, changed),)]
        assert self.manager.snapshot().in_sync

    def test_a_withdrawn_service_goes_and_is_not_told_of(self) -> None:
        self.start()
        self.settle(pool(WEB, 1), pool(DNS, 1))
        self.manager.withdraw(WEB)
        self.turn()
        assert self.kernel.applied == [(RemoveService(WEB),)]
        self.stands(pool(DNS, 1))
        assert self.told == []
        assert self.manager.snapshot().services == 1

    def test_withdrawing_what_was_adopted_but_never_published_removes_it(self) -> None:
        self.start(pool(WEB, 1))
        self.manager.withdraw(WEB)
        self.turn()
        self.stands()

    def test_withdrawing_what_is_not_there_does_nothing(self) -> None:
        self.start()
        self.manager.withdraw(WEB)
        self.turn()
        assert self.kernel.applied == []
        assert self.manager.snapshot().in_sync

    def test_a_service_published_after_its_withdrawal_just_stays(self) -> None:
        self.start()
        self.settle(pool(WEB, 1))
        self.manager.withdraw(WEB)
        self.manager.publish(pool(WEB, 1))
        self.turn()
        assert self.kernel.applied == []
        self.stands(pool(WEB, 1))

    def test_a_large_load_is_spread_over_turns(self) -> None:
        self.start()
        large = pool(WEB6, *range(1, 2 * OPERATIONS_PER_TURN + 50))
        self.manager.publish(large)
        self.manager.publish(pool(DNS, 1))
        self.turn(2)
        assert [len(operations) for operations in self.kernel.applied] == [OPERATIONS_PER_TURN] * 2
        assert not self.manager.snapshot().in_sync
        assert self.told == []
        self.turn()
        assert self.kernel.applied[-1] == (
            *(AddDestination(WEB6, destination(n, key=WEB6)) for n in range(200, 250)),
            AddService(Service(DNS, "wrr")),
            AddDestination(DNS, destination(1, key=DNS)),
        )
        self.stands(large, pool(DNS, 1))
        assert self.told == [WEB6, DNS]
        assert self.lines[-2] == (
            "[ipvs] INFO: tcp [2001:db8::1]:80: service added, 249 servers added"
        )

    def test_a_change_of_mind_within_a_large_load_counts_from_the_next_turn(self) -> None:
        self.start()
        self.manager.publish(pool(WEB6, *range(1, 500)))
        self.turn()
        self.manager.publish(pool(WEB6, 1, 2))
        self.turn(10)
        self.stands(pool(WEB6, 1, 2))
        assert sum(len(operations) for operations in self.kernel.applied) < 250

    def test_a_subscriber_that_fails_stops_neither_the_others_nor_the_manager(self) -> None:
        def fail(_key: ServiceKey) -> None:
            raise ValueError("no")

        self.start()
        told: list[ServiceKey] = []
        self.manager.subscribe(fail)
        self.manager.subscribe(told.append)
        self.manager.publish(pool(WEB, 1))
        self.turn()
        assert told == [WEB]
        assert self.errors_logged(ValueError) == 1
        self.settle(pool(WEB, 2))
        self.stands(pool(WEB, 2))
        assert self.errors_logged(ValueError) == 1

    def test_a_subscriber_may_publish(self) -> None:
        self.start()
        self.manager.subscribe(lambda key: self.manager.publish(pool(DNS, 1)))
        self.manager.publish(pool(WEB, 1))
        self.turn(3)
        self.stands(pool(WEB, 1), pool(DNS, 1))

    def test_what_a_subscriber_says_of_a_service_of_the_same_turn_counts(self) -> None:
        def publish_another(key: ServiceKey) -> None:
            if key == WEB:
                self.manager.publish(pool(DNS, 2))

        self.start()
        self.manager.subscribe(publish_another)
        self.manager.publish(pool(WEB, 1))
        self.manager.publish(pool(DNS, 1))
        self.turn(3)
        self.stands(pool(WEB, 1), pool(DNS, 2))
        assert self.manager.snapshot().in_sync

    def test_the_snapshot_counts_what_is_published(self) -> None:
        self.start(pool(DNS6, 1, 2, 3))
        self.settle(pool(WEB, 1, 2), pool(DNS, 1))
        snapshot = self.manager.snapshot()
        assert (snapshot.services, snapshot.destinations) == (2, 3)
        assert (snapshot.changes_total, snapshot.errors_total) == (5, 0)
        assert snapshot.in_sync
        assert not snapshot.dry_run
        assert snapshot.last_error is None

    def test_a_dry_run_says_so_and_leaves_the_commands_to_its_kernel(self) -> None:
        self.start(dry_run=True)
        self.manager.publish(pool(WEB, 1))
        self.turn()
        assert self.manager.snapshot().dry_run
        assert not [line for line in self.lines if "ipvsadm" in line]


class FailureTests(ManagerTestCase):
    """A refusal is named and counted, the service read again, and tried again with back-off."""

    def refuse(self, number: int, *operations: Operation) -> None:
        refused = set(operations)
        self.kernel.refuse = lambda operation: number if operation in refused else 0

    def test_a_refused_operation_is_said_in_words_and_the_rest_is_done(self) -> None:
        self.start()
        self.refuse(errno.EINVAL, AddDestination(WEB, destination(2)))
        self.manager.publish(pool(WEB, 1, 2, 3))
        self.turn()
        assert self.manager.table == {WEB: pool(WEB, 1, 3)}
        assert (
            "[ipvs] ERROR: Could not add server 198.51.100.2:80 (weight 10, direct routing)"
            in (self.lines[-1])
        )
        assert "EINVAL" in self.lines[-1]
        snapshot = self.manager.snapshot()
        assert snapshot.errors_total == 1
        assert not snapshot.in_sync
        assert snapshot.last_error is not None
        assert snapshot.last_error.at == NOW
        assert snapshot.last_error.text in self.lines[-1]
        assert self.told == []

    def test_it_is_tried_again_with_growing_delays_after_reading_the_service(self) -> None:
        self.start()
        self.refuse(errno.ENOMEM, AddService(Service(WEB, "wrr")))
        self.manager.publish(pool(WEB))
        self.turn()
        delays, delay_s = [], RETRY_FIRST_S
        while delay_s < 2 * RETRY_MAX_S:
            delays.append(min(delay_s, RETRY_MAX_S))
            delay_s *= 2
        for delay_s in delays:
            self.forget()
            self.clock.advance(delay_s * 0.99)
            assert self.kernel.applied == []
            self.clock.advance(delay_s * 0.02)
            self.turn()
            assert self.kernel.reads == [WEB]
            assert self.kernel.applied == [(AddService(Service(WEB, "wrr")),)]
        assert self.manager.snapshot().errors_total == 1 + len(delays)

    def test_when_it_works_again_all_is_well(self) -> None:
        self.start()
        self.refuse(errno.ENOMEM, AddDestination(WEB, destination(2)))
        self.manager.publish(pool(WEB, 1, 2))
        self.turn()
        self.refuse(0)
        self.clock.advance(RETRY_FIRST_S)
        self.turn()
        self.stands(pool(WEB, 1, 2))
        assert self.manager.snapshot().in_sync
        assert self.told == [WEB]
        self.forget()
        self.clock.advance(2 * RETRY_MAX_S)
        assert self.kernel.applied == []

    def test_a_new_word_is_tried_at_once(self) -> None:
        self.start()
        self.refuse(errno.ENOMEM, AddDestination(WEB, destination(2)))
        self.manager.publish(pool(WEB, 1, 2))
        self.turn()
        self.forget()
        self.manager.publish(pool(WEB, 3))
        self.turn()
        self.stands(pool(WEB, 3))
        self.clock.advance(2 * RETRY_MAX_S)
        assert len(self.kernel.applied) == 1

    def test_one_failing_service_does_not_hold_up_another(self) -> None:
        self.start()
        self.refuse(errno.ENOENT, AddService(Service(WEB, "wrr")))
        self.manager.publish(pool(WEB, 1))
        self.turn(2)
        self.settle(pool(DNS, 1, 2))
        self.manager.publish(pool(DNS, 1))
        self.turn()
        assert self.kernel.applied == [(RemoveDestination(DNS, server(2, DNS)),)]

    def test_a_missing_scheduler_says_which_module_to_load(self) -> None:
        self.kernel = FakeKernel(schedulers=["rr"])
        self.manage(self.kernel)
        self.manager.publish(pool(WEB, 1, scheduler="mh"))
        self.turn()
        assert any("modprobe ip_vs_mh" in line for line in self.lines)

    def test_many_refusals_of_one_service_are_summed_up_in_the_log(self) -> None:
        self.start()
        self.settle(pool(WEB))
        self.kernel.refuse = lambda operation: errno.EPERM
        self.manager.publish(pool(WEB, *range(1, 21)))
        self.turn()
        assert len(self.lines) == 6
        assert self.lines[-1] == "[ipvs] ERROR: tcp 192.0.2.1:80: and 15 more"
        assert self.manager.snapshot().errors_total == 20

    def test_a_service_that_cannot_be_added_is_one_error_whatever_its_servers(self) -> None:
        self.start()
        self.refuse(errno.ENOENT, AddService(Service(WEB, "wrr")))
        self.manager.publish(pool(WEB, *range(1, 21)))
        self.turn(5)
        assert len(self.lines) == 1
        assert "modprobe ip_vs_wrr" in self.lines[0]
        assert len(self.kernel.applied) == 1

    def test_a_lost_exchange_is_followed_by_reading_what_became_of_it(self) -> None:
        self.start()
        self.settle(pool(WEB, 1))

        class Lossy(FakeKernel):
            def apply(self, operations: Sequence[Operation]) -> tuple[Outcome, ...]:
                """Do it, and lose the answers."""
                done = super().apply(operations)
                lost = [KernelError(o.operation.words, errno.ENOBUFS) for o in done]
                return tuple(
                    replace(outcome, error=error) for outcome, error in zip(done, lost, strict=True)
                )

        lossy = Lossy({WEB: pool(WEB, 1)})
        self.manage(lossy)
        self.manager.publish(pool(WEB, 1, 2))
        self.turn()
        assert len(lossy.applied) == 1
        self.clock.advance(RETRY_FIRST_S)
        self.turn()
        assert len(lossy.applied) == 1
        assert self.manager.table == {WEB: pool(WEB, 1, 2)}
        assert self.manager.snapshot().in_sync

    def test_a_read_that_fails_is_repeated_with_back_off(self) -> None:
        self.start()
        self.refuse(errno.ENOMEM, AddService(Service(WEB, "wrr")))
        self.manager.publish(pool(WEB, 1))
        self.turn()
        self.refuse(0)
        self.kernel.broken = KernelError("read service", errno.ENOBUFS)
        self.clock.advance(RETRY_FIRST_S)
        self.turn()
        assert self.lines[-1].startswith("[ipvs] ERROR: Could not read service")
        self.kernel.broken = None
        self.clock.advance(2 * RETRY_FIRST_S)
        self.turn()
        self.stands(pool(WEB, 1))

    def test_an_unexpected_fault_is_logged_counted_and_tried_again(self) -> None:
        def fault(_operation: Operation) -> int:
            raise ZeroDivisionError

        self.start()
        self.kernel.refuse = fault
        self.manager.publish(pool(WEB, 1))
        self.turn()
        assert self.errors_logged(ZeroDivisionError) == 1
        assert self.manager.snapshot().errors_total == 1
        self.refuse(0)
        self.clock.advance(RETRY_FIRST_S)
        self.turn()
        self.stands(pool(WEB, 1))


class DriftTests(ManagerTestCase):
    """Someone else changes the table."""

    def test_a_change_that_meets_drift_reads_and_repairs_the_service_at_once(self) -> None:
        self.start()
        self.settle(pool(WEB, 1, 2, 3), pool(DNS, 1))
        self.kernel.by_hand(RemoveService(WEB), RemoveService(DNS))
        self.manager.publish(pool(WEB, 1, 3))
        self.turn(2)
        assert self.kernel.reads == [WEB]
        assert self.kernel.read(WEB) == pool(WEB, 1, 3)
        assert self.told == [WEB]
        assert self.manager.snapshot().in_sync

    def test_each_kind_of_drift_is_repaired_at_once(self) -> None:
        cases: list[tuple[Operation, ServiceEntry]] = [
            (RemoveDestination(WEB, server(2)), entry(WEB, destination(2, weight=5))),
            (AddDestination(WEB, destination(3)), pool(WEB, 1, 2, 3)),
            (RemoveDestination(WEB, server(1)), pool(WEB, 2)),
        ]
        for by_hand, wanted in cases:
            with self.subTest(by_hand=by_hand.words):
                self.start()
                self.settle(pool(WEB, 1, 2))
                self.kernel.by_hand(by_hand)
                self.manager.publish(wanted)
                self.turn(2)
                self.stands(wanted)

    def test_drift_that_stays_is_not_chased_without_a_pause(self) -> None:
        self.start()
        self.settle(pool(WEB, 1))
        self.kernel.refuse = lambda operation: errno.EEXIST
        self.manager.publish(pool(WEB, 1, 2))
        self.turn(10)
        assert len(self.kernel.applied) == 2

    def test_an_audit_repairs_what_no_change_would_touch(self) -> None:
        self.start()
        self.settle(pool(WEB, 1, 2), pool(DNS, 1), pool(WEB6, 1), pool(DNS6, 1))
        self.kernel.by_hand(
            RemoveDestination(WEB, server(1)),
            AddDestination(DNS, destination(7, key=DNS)),
            RemoveService(WEB6),
        )
        self.manager.audit()
        self.turn(5)
        self.stands(pool(WEB, 1, 2), pool(DNS, 1), pool(WEB6, 1), pool(DNS6, 1))
        assert len(self.told) == 3

    def test_an_audit_that_finds_nothing_changes_nothing(self) -> None:
        self.start()
        self.settle(pool(WEB, 1, 2), pool(DNS, 1))
        self.manager.audit()
        self.turn(5)
        assert self.kernel.reads == [WEB, DNS]
        assert self.kernel.applied == []
        assert self.told == []


class AuditTests(ManagerTestCase):
    """The whole table is compared; what someone else did is undone, counted and shown."""

    def audit(self) -> None:
        self.manager.audit()
        self.turn(20)

    def test_drift_is_said_in_words_counted_and_repaired(self) -> None:
        self.start()
        self.settle(pool(WEB, 1, 2), pool(DNS, 1))
        self.kernel.by_hand(
            RemoveDestination(WEB, server(1)),
            AddDestination(WEB, destination(3)),
            EditDestination(WEB, destination(2, weight=5)),
            RemoveService(DNS),
        )
        self.audit()
        self.stands(pool(WEB, 1, 2), pool(DNS, 1))
        assert self.lines[0] == (
            "[ipvs] WARN: tcp 192.0.2.1:80 is not as it was left: server 198.51.100.1:80 is gone; "
            "server 198.51.100.2:80 has weight 5, not 10; server 198.51.100.3:80 was added"
        )
        audit = self.manager.snapshot().audit
        assert {kind: count for kind, count in audit.drift_total if count} == {
            "server_missing": 1,
            "server_changed": 1,
            "server_foreign": 1,
            "service_missing": 1,
        }
        assert audit.repairs_total == 5
        assert (audit.audits_total, audit.finished_at) == (1, NOW)

    def test_drift_stays_to_be_seen_until_an_audit_finds_it_over(self) -> None:
        self.start()
        self.settle(pool(WEB, 1, 2))
        self.kernel.by_hand(RemoveService(WEB))
        self.audit()
        (drift,) = self.manager.snapshot().audit.drift
        assert (drift.service, drift.since, drift.repaired) == (str(WEB), NOW, True)
        self.manager.publish(pool(WEB, 1))
        self.turn(3)
        assert self.manager.snapshot().audit.repairs_total == 3
        self.audit()
        assert self.manager.snapshot().audit.drift == ()
        assert self.manager.snapshot().audit.audits_total == 2

    def test_drift_that_cannot_be_repaired_says_so(self) -> None:
        self.start()
        self.settle(pool(WEB, 1, 2))
        self.kernel.by_hand(RemoveDestination(WEB, server(1)))
        self.kernel.refuse = lambda operation: errno.ENOMEM
        self.audit()
        (drift,) = self.manager.snapshot().audit.drift
        assert not drift.repaired
        assert self.manager.snapshot().audit.repairs_total == 0

    def test_without_audits_drift_is_over_when_it_is_repaired(self) -> None:
        self.kernel = FakeKernel()
        self.manager = IPVSManager(
            self.clock, self.kernel, lambda: NOW, dry_run=False, audited=False
        )
        self.manager.start()
        self.settle(pool(WEB, 1, 2))
        self.kernel.by_hand(RemoveService(WEB))
        self.manager.publish(pool(WEB, 1))
        self.turn(5)
        self.stands(pool(WEB, 1))
        assert self.manager.snapshot().audit.drift == ()
        assert self.manager.snapshot().audit.repairs_total == 2

    def test_our_own_lost_exchange_is_no_drift(self) -> None:
        self.start()
        self.settle(pool(WEB, 1))
        self.kernel.refuse = lambda operation: errno.ENOBUFS
        self.manager.publish(pool(WEB, 1, 2))
        self.turn(3)
        self.kernel.by_hand(AddDestination(WEB, destination(2)))  # It had been done after all.
        self.kernel.refuse = lambda operation: 0
        self.clock.advance(RETRY_FIRST_S)
        self.turn(3)
        assert self.manager.snapshot().in_sync
        assert self.manager.snapshot().audit.drift == ()

    def test_an_audit_takes_many_turns_and_stays_in_sync_meanwhile(self) -> None:
        self.start()
        self.settle(*(pool(key, *range(1, 150)) for key in (WEB, WEB6, DNS, DNS6)))
        self.manager.audit()
        self.manager.audit()
        for begun in (2, 3, 4):
            self.turn()
            assert len(self.kernel.reads) == begun
            assert self.manager.snapshot().in_sync
        assert self.kernel.applied == []
        assert self.manager.snapshot().audit.audits_total == 1

    def test_an_audit_that_cannot_read_says_so_and_the_next_one_tries_again(self) -> None:
        self.start()
        self.settle(pool(WEB, 1))
        self.kernel.broken = KernelError("read the IPVS services", errno.ENOBUFS)
        self.audit()
        assert self.lines[-1].startswith("[ipvs] ERROR: Could not audit: read the IPVS services")
        self.kernel.broken = None
        self.kernel.by_hand(RemoveService(WEB))
        self.audit()
        self.stands(pool(WEB, 1))

    def test_a_new_stranger_is_reported_and_one_that_left_forgotten(self) -> None:
        self.start()
        self.settle(pool(WEB, 1))
        self.kernel.by_hand(AddService(Service(DNS, "rr")), AddDestination(DNS, destination(1)))
        self.audit()
        self.audit()
        assert self.lines == [
            "[ipvs] WARN: udp 192.0.2.1:53 stands in IPVS but is not configured: left alone"
        ]
        assert self.manager.snapshot().strangers == ("udp 192.0.2.1:53",)
        self.kernel.by_hand(RemoveService(DNS))
        self.audit()
        assert self.manager.snapshot().strangers == ()
        assert self.manager.table == {WEB: pool(WEB, 1)}

    def test_what_came_after_the_start_is_read_whole_when_it_is_configured_later(self) -> None:
        self.start()
        self.settle(pool(WEB, 1))
        self.kernel.by_hand(AddService(Service(DNS, "wrr")))
        self.audit()
        self.kernel.by_hand(AddDestination(DNS, destination(1, key=DNS)))
        assert self.manager.adopted(DNS) == pool(DNS, 1)
        self.settle(pool(DNS, 1))
        self.stands(pool(WEB, 1), pool(DNS, 1))
        assert self.manager.snapshot().errors_total == 0

    def test_a_retry_that_an_audit_has_made_unnecessary_does_nothing(self) -> None:
        self.start()
        self.settle(pool(WEB, 1))
        self.kernel.refuse = lambda operation: errno.ENOMEM
        self.manager.withdraw(WEB)
        self.turn(3)
        self.kernel.refuse = lambda operation: 0
        self.kernel.by_hand(RemoveService(WEB))
        self.audit()
        self.clock.advance(2 * RETRY_MAX_S)
        assert self.manager.snapshot().in_sync
        self.stands()


class UrgencyTests(ManagerTestCase):
    """A depool does not wait."""

    def test_a_depool_passes_a_load_and_an_audit(self) -> None:
        self.start()
        self.settle(pool(WEB, 1, 2), pool(DNS, *range(1, 200)))
        self.manager.audit()
        self.manager.publish(pool(WEB6, *range(1, 1000)))
        self.manager.publish(pool(DNS6, *range(1, 1000)))
        self.turn()
        self.forget()
        self.manager.publish(pool(WEB, 1))
        self.turn()
        assert self.kernel.applied[0][0] == RemoveDestination(WEB, server(2))

    def test_a_depool_during_an_audit_is_not_held_up_by_reading_and_the_service_is_audited(
        self,
    ) -> None:
        self.start()
        self.settle(pool(DNS, *range(1, 200)), pool(WEB, 1, 2, 3))
        self.kernel.by_hand(RemoveDestination(WEB, server(1)))
        self.manager.audit()
        self.manager.publish(pool(WEB, 1, 3))
        self.turn()
        assert self.kernel.applied == [(RemoveDestination(WEB, server(2)),)]
        assert self.manager.snapshot().audit.audits_total == 0
        self.turn(5)
        self.stands(pool(WEB, 1, 3), pool(DNS, *range(1, 200)))
        assert self.manager.snapshot().audit.audits_total == 1
        assert dict(self.manager.snapshot().audit.drift_total)["server_missing"] == 1

    def test_a_change_of_many_turns_lets_a_depool_pass(self) -> None:
        self.start()
        self.settle(pool(WEB6, 1), pool(WEB, 1, 2))
        self.manager.publish(pool(WEB6, *range(1, 1000)))
        self.turn()
        self.forget()
        self.manager.publish(pool(WEB, 1))
        self.turn()
        assert self.kernel.applied[0][0] == RemoveDestination(WEB, server(2))
        self.turn(20)
        self.stands(pool(WEB6, *range(1, 1000)), pool(WEB, 1))


class Owner(NoRecord):
    """Says that these are ours, and notes what it is told; `secure` lets services be added."""

    def __init__(self, *ours: ServiceKey) -> None:
        self.ours = set(ours)
        self.secure = True

    def owns(self, key: ServiceKey) -> bool:
        return key in self.ours

    def claim(self, key: ServiceKey) -> None:
        self.ours.add(key)

    def secured(self, key: ServiceKey) -> bool:
        return self.secure

    def release(self, key: ServiceKey) -> None:
        self.ours.discard(key)


class CleanupTests(ManagerTestCase):
    """What stands and is not configured."""

    def begin(self, cleanup: Cleanup, *ours: ServiceKey) -> None:
        """WEB is configured; DNS, DNS6 and WEB stand."""
        self.kernel = FakeKernel({key: pool(key, 1) for key in (DNS, WEB, DNS6)})
        self.owner = Owner(*ours)
        self.manager = IPVSManager(self.clock, self.kernel, lambda: NOW, False, self.owner, cleanup)
        self.manager.start()
        self.manager.adopted(WEB)
        self.turn()

    def standing(self) -> set[ServiceKey]:
        return {service.key for service in self.kernel.services().services}

    def test_what_was_ours_goes_once_the_configured_services_stand(self) -> None:
        self.begin(Cleanup.OWNED, DNS)
        self.turn(5)
        assert self.standing() == {DNS, WEB, DNS6}
        self.settle(pool(WEB, 1))
        assert self.standing() == {WEB, DNS6}
        assert self.owner.ours == {WEB}
        assert self.manager.snapshot().strangers == (str(DNS6),)

    def test_it_does_not_wait_for_ever_for_a_service_that_never_comes(self) -> None:
        self.begin(Cleanup.OWNED, DNS)
        self.clock.advance(CLEANUP_WAIT_S)
        self.turn(5)
        assert self.standing() == {WEB, DNS6}

    def test_cleanup_none_removes_nothing_not_even_what_is_withdrawn(self) -> None:
        self.begin(Cleanup.NONE, DNS)
        self.settle(pool(WEB, 1))
        self.clock.advance(CLEANUP_WAIT_S)
        self.manager.withdraw(WEB)
        self.turn(5)
        assert self.standing() == {DNS, WEB, DNS6}
        assert self.manager.snapshot().services == 0

    def test_cleanup_all_removes_every_stranger_also_later_ones(self) -> None:
        self.begin(Cleanup.ALL)
        self.settle(pool(WEB, 1))
        assert self.standing() == {WEB}
        self.kernel.by_hand(AddService(Service(WEB6, "rr")))
        self.manager.audit()
        self.turn(5)
        assert self.standing() == {WEB}

    def test_a_doomed_service_that_comes_to_be_configured_stays(self) -> None:
        self.begin(Cleanup.OWNED, DNS)
        self.manager.publish(pool(DNS, 1))
        self.settle(pool(WEB, 1))
        self.clock.advance(CLEANUP_WAIT_S)
        self.turn(5)
        assert self.standing() == {DNS, WEB, DNS6}

    def test_a_service_is_added_only_when_it_is_on_record(self) -> None:
        self.begin(Cleanup.OWNED)
        self.owner.secure = False
        self.manager.publish(pool(WEB6, 1))
        self.settle(pool(WEB, 2))
        # What stands may be changed meanwhile.
        assert self.kernel.read(WEB) == pool(WEB, 2)
        assert WEB6 not in self.standing()
        assert not self.manager.snapshot().in_sync
        self.owner.secure = True
        self.manager.recorded([WEB6, DNS6])
        self.turn(3)
        assert WEB6 in self.standing()
        assert self.manager.snapshot().in_sync


class StopTests(ManagerTestCase):
    """The kernel keeps what was published."""

    def test_stop_applies_what_is_published_and_leaves_the_table(self) -> None:
        self.start()
        self.manager.publish(pool(WEB6, *range(1, 300)))
        self.manager.stop()
        self.stands(pool(WEB6, *range(1, 300)))
        assert not self.kernel.is_open
        assert self.clock.getDelayedCalls() == []

    def test_stop_ends_even_if_the_kernel_refuses_everything(self) -> None:
        for number in (errno.EEXIST, errno.EPERM):
            with self.subTest(number=number):
                self.start()
                self.kernel.refuse = lambda operation, number=number: number  # type: ignore[misc]
                self.manager.publish(pool(WEB, 1))
                self.manager.stop()
                assert self.clock.getDelayedCalls() == []

    def test_stop_cancels_retries_and_may_be_repeated(self) -> None:
        self.start()
        self.kernel.refuse = lambda operation: errno.ENOMEM
        self.manager.publish(pool(WEB, 1))
        self.turn()
        self.manager.stop()
        self.manager.stop()
        assert self.clock.getDelayedCalls() == []

    def test_what_is_published_after_the_stop_goes_nowhere(self) -> None:
        self.start()
        self.manager.stop()
        self.manager.publish(pool(WEB, 1))
        self.turn(3)
        assert self.kernel.applied == []

    def test_stopping_what_never_started_does_nothing(self) -> None:
        IPVSManager(self.clock, self.kernel, lambda: NOW, False).stop()
