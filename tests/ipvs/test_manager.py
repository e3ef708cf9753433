"""The manager: what is published comes to stand in the kernel, with the fewest exchanges."""

from __future__ import annotations

import errno
from dataclasses import replace
from functools import partial

import pytest

from pybal.errors import KernelError
from pybal.ipvs.batch import CHANGED_WITHIN_S, OPERATIONS_PER_TURN
from pybal.ipvs.manager import IPVSManager
from pybal.ipvs.model import Service, ServiceKey
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    Operation,
    RemoveDestination,
    RemoveService,
)
from tests.fakes.kernel import FakeKernel
from tests.ipvs.examples import DNS, DNS6, WEB, WEB6, destination, entry, pool, server
from tests.ipvs.managercase import NOW, ManagerTestCase


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
        manager = IPVSManager(self.clock, self.kernel, lambda: NOW, dry_run=False)
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

    @pytest.mark.slow
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

    def test_of_a_large_service_a_turn_takes_small_batches_while_there_is_time(self) -> None:
        """20 operations where there are 2,000 servers, 25 where there are fewer."""
        for operation_s, batches in (
            (0.0, [20, 25, 25, 25, 25]),
            (CHANGED_WITHIN_S / 50, [20, 25, 25]),
            (1.0, [20]),
        ):
            self.start(pool(WEB6, *range(1, 2001)))
            self.kernel.refuse = partial(self.takes, operation_s)
            self.manager.publish(pool(WEB6, *range(801, 2001)))
            self.turn()
            assert [len(operations) for operations in self.kernel.applied] == batches
            self.turn(1000)
            self.stands(pool(WEB6, *range(801, 2001)))

    def takes(self, seconds: float, _: Operation) -> int:
        self.clock.rightNow += seconds
        return 0

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
        self.manager.news.add(fail)
        self.manager.news.add(told.append)
        self.manager.publish(pool(WEB, 1))
        self.turn()
        assert told == [WEB]
        assert self.errors_logged(ValueError) == 1
        self.settle(pool(WEB, 2))
        self.stands(pool(WEB, 2))
        assert self.errors_logged(ValueError) == 1

    def test_a_subscriber_may_publish(self) -> None:
        self.start()
        self.manager.news.add(lambda key: self.manager.publish(pool(DNS, 1)))
        self.manager.publish(pool(WEB, 1))
        self.turn(3)
        self.stands(pool(WEB, 1), pool(DNS, 1))

    def test_what_a_subscriber_says_of_a_service_of_the_same_turn_counts(self) -> None:
        def publish_another(key: ServiceKey) -> None:
            if key == WEB:
                self.manager.publish(pool(DNS, 2))

        self.start()
        self.manager.news.add(publish_another)
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


class StopTests(ManagerTestCase):
    """The kernel keeps what was published."""

    def test_stop_leaves_the_table_and_tells_how_much_differs(self) -> None:
        self.start()
        self.manager.publish(pool(WEB6, *range(1, 300)))
        self.turn(10)
        assert self.manager.snapshot().in_sync
        self.manager.publish(pool(WEB, 1))
        assert self.manager.pressing
        assert self.manager.stop() == 1
        self.stands(pool(WEB6, *range(1, 300)))
        assert not self.kernel.is_open
        assert self.clock.getDelayedCalls() == []

    def test_stop_ends_even_if_the_kernel_refuses_everything(self) -> None:
        for number in (errno.EEXIST, errno.EPERM):
            with self.subTest(number=number):
                self.start()
                self.kernel.refuse = lambda operation, number=number: number  # type: ignore[misc]
                self.manager.publish(pool(WEB, 1))
                self.turn(5)
                assert not self.manager.pressing
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
        IPVSManager(self.clock, self.kernel, lambda: NOW, dry_run=False).stop()
