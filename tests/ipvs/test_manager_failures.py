"""The manager when the kernel refuses, fails, or is not as it was left."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from pybal.errors import KernelError
from pybal.ipvs.kernel import OperationResult
from pybal.ipvs.manager import RETRY_FIRST_S, RETRY_MAX_S
from pybal.ipvs.model import DestinationKey, Service, ServiceEntry, ServiceKey
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.ipvs.snapshot import MissingSnapshot
from tests.fakes.kernel import FakeKernel
from tests.ipvs.examples import DNS, DNS6, WEB, WEB6, destination, entry, pool, server
from tests.ipvs.managercase import NOW, ManagerTestCase


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
        refusal, done = self.lines[-2:]
        assert (
            "[ipvs] ERROR: Could not add server 198.51.100.2:80 (weight 10, direct routing)"
            in refusal
        )
        assert "EINVAL" in refusal
        assert done == "[ipvs] INFO: tcp 192.0.2.1:80: service added, 2 servers added"
        snapshot = self.manager.snapshot()
        assert snapshot.errors_total == 1
        assert not snapshot.in_sync
        assert snapshot.last_error is not None
        assert snapshot.last_error.at == NOW
        assert snapshot.last_error.text in refusal

    def test_servers_that_the_kernel_never_takes_are_told_of(self) -> None:
        told: list[tuple[ServiceKey, frozenset[DestinationKey]]] = []
        self.start()
        self.manager.refusals.add(lambda key, servers: told.append((key, servers)))
        self.refuse(errno.EINVAL, AddDestination(WEB, destination(2)))
        self.manager.publish(pool(WEB, 1, 2, 3))
        self.turn()
        assert told == [(WEB, frozenset({destination(2).key}))]
        self.refuse(errno.ENOMEM, AddDestination(WEB, destination(4)))
        self.manager.publish(pool(WEB, 1, 3, 4))
        self.turn()
        assert len(told) == 1

    def test_what_the_kernel_does_not_take_is_shown_as_missing_until_it_does(self) -> None:
        self.start()
        self.refuse(errno.EINVAL, AddDestination(WEB, destination(2)))
        self.manager.publish(pool(WEB, 1, 2, 3))
        self.manager.publish(pool(DNS, 1))
        assert self.manager.snapshot().missing == (), "it has not been tried yet"
        for _ in range(3):
            self.clock.pump([RETRY_MAX_S])
            (missing,) = self.manager.snapshot().missing
            assert missing._replace(error="") == MissingSnapshot(
                str(WEB), (str(destination(2).key),), 2
            )
            assert str(destination(2).key) in missing.error
            assert self.manager.missing(WEB) == missing
            assert self.manager.missing(DNS) is None
        self.manager.publish(pool(WEB, 1, 3))
        self.clock.pump([RETRY_MAX_S])
        assert self.manager.snapshot().missing == ()

    def test_a_service_that_the_kernel_does_not_take_is_shown_as_missing(self) -> None:
        self.start()
        self.kernel.refuse = lambda operation: (
            errno.ENOENT if isinstance(operation, AddService) else 0
        )
        self.manager.publish(pool(WEB, 1))
        self.turn()
        (missing,) = self.manager.snapshot().missing
        assert missing._replace(error="") == MissingSnapshot(str(WEB), (), 0)
        assert missing.error.startswith(f"add service {WEB} ")
        assert self.manager.missing(WEB) == missing
        assert self.manager.missing(DNS) is None, "nobody asked for it"
        self.manager.publish(pool(DNS, 1))
        self.turn()
        for each in self.manager.snapshot().missing:
            assert each.service in each.error, "each has its own"
        self.kernel.refuse = lambda _: 0
        self.clock.pump([RETRY_MAX_S] * 3)
        assert self.manager.snapshot().missing == ()

    def test_one_bad_address_does_not_keep_a_service_from_standing(self) -> None:
        self.start(pool(DNS, 1))
        self.refuse(errno.EINVAL, *(AddDestination(k, destination(2, key=k)) for k in (WEB, DNS)))
        self.manager.publish(pool(WEB, 1, 2, 3))
        self.manager.publish(pool(DNS, 1, 2))
        self.turn()
        assert set(self.told) == {WEB, DNS}
        self.clock.pump([RETRY_MAX_S] * 5)
        assert len(self.told) == 2
        assert not self.manager.snapshot().in_sync

    def test_a_scheduler_that_the_kernel_has_not_leaves_a_service_standing(self) -> None:
        numbers = range(2, 300)
        self.start(pool(WEB, 1, 2))
        self.refuse(errno.ENOENT, EditService(Service(WEB, "mh")))
        self.manager.publish(pool(WEB, *numbers, scheduler="mh"))
        self.turn(10)
        assert self.manager.table == {WEB: pool(WEB, *numbers)}
        assert self.told == [WEB]
        assert self.manager.snapshot().errors_total == 1
        self.manager.publish(pool(WEB, 2, scheduler="mh"))
        self.turn(10)
        assert self.manager.table == {WEB: pool(WEB, 2)}
        self.refuse(0)
        self.clock.pump([RETRY_MAX_S] * 3)
        self.stands(pool(WEB, 2, scheduler="mh"))

    def test_what_stands_otherwise_than_it_should_is_shown(self) -> None:
        gone = RemoveDestination(WEB, server(1))
        for wanted, refused in (
            (pool(WEB, 1, scheduler="mh"), EditService(Service(WEB, "mh"))),
            (pool(WEB), gone),
        ):
            self.start(pool(WEB, 1))
            self.refuse(errno.ENOENT if wanted.destinations else errno.ENOMEM, refused)
            self.manager.publish(wanted)
            self.turn(3)
            (missing,) = self.manager.snapshot().missing
            assert (missing.otherwise, missing.servers) == (True, ())
            assert missing.error.startswith(refused.words)
            self.refuse(0)
            self.clock.pump([RETRY_MAX_S] * 3)
            assert self.manager.snapshot().missing == ()

    def test_one_bad_address_does_not_hold_up_what_takes_several_turns(self) -> None:
        numbers = range(2, 1200)
        self.start(pool(WEB6, *numbers, 1300))
        self.refuse(errno.EINVAL, AddDestination(WEB6, destination(1, key=WEB6)))
        self.manager.publish(pool(WEB6, 1, *numbers))
        self.turn(20)
        assert self.manager.table == {WEB6: pool(WEB6, *numbers)}
        assert self.told == [WEB6]
        assert not self.manager.snapshot().in_sync
        assert self.manager.snapshot().errors_total == 1

    def test_one_bad_address_does_not_delay_the_repair_of_what_a_change_touches(self) -> None:
        self.start()
        self.refuse(errno.EINVAL, AddDestination(WEB, destination(2)))
        self.settle(pool(WEB, 1, 2, 3, 4))
        for _ in range(5):
            self.clock.advance(RETRY_MAX_S)
            self.turn()
        self.kernel.by_hand(RemoveDestination(WEB, server(3)), RemoveDestination(WEB, server(4)))
        self.manager.publish(pool(WEB, 1, 2, 4))
        self.turn(4)
        assert self.manager.table == {WEB: pool(WEB, 1, 4)}

    def test_what_may_be_taken_later_is_waited_for(self) -> None:
        self.start()
        self.refuse(errno.ENOMEM, AddDestination(WEB, destination(2)))
        self.manager.publish(pool(WEB, 1, 2))
        self.turn(3)
        assert self.told == []

    def test_a_service_of_which_the_kernel_takes_no_server_does_not_stand(self) -> None:
        self.start()
        self.refuse(errno.EINVAL, AddDestination(WEB, destination(1)))
        self.manager.publish(pool(WEB, 1))
        self.turn(3)
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
            def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
                """Do it, and lose the answers."""
                done = super().apply(operations)
                lost = [KernelError(o.operation.words, errno.ENOBUFS) for o in done]
                return tuple(
                    result._replace(error=error) for result, error in zip(done, lost, strict=True)
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
