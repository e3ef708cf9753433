"""The manager's audits, and what passes them."""

from __future__ import annotations

import errno

from pybal.errors import KernelError
from pybal.ipvs.manager import RETRY_FIRST_S, RETRY_MAX_S, IPVSManager
from pybal.ipvs.model import Service
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    RemoveDestination,
    RemoveService,
)
from tests.fakes.kernel import FakeKernel
from tests.ipvs.examples import DNS, DNS6, WEB, WEB6, destination, pool, server
from tests.ipvs.managercase import NOW, ManagerTestCase


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

    def test_a_server_that_the_kernel_never_takes_hides_no_drift(self) -> None:
        self.start()
        bad = AddDestination(WEB, destination(2))
        self.kernel.refuse = lambda operation: errno.EINVAL if operation == bad else 0
        self.settle(pool(WEB, 1, 2, 3))
        self.clock.advance(RETRY_FIRST_S)
        self.kernel.by_hand(RemoveDestination(WEB, server(1)))
        self.audit()
        assert self.manager.table == {WEB: pool(WEB, 1, 3)}
        assert self.told == [WEB]
        (drift,) = self.manager.snapshot().audit.drift
        assert drift.differences == ("server 198.51.100.1:80 is gone",)
        assert drift.repaired
        assert self.manager.snapshot().audit.repairs_total == 1
        assert "[ipvs] INFO: tcp 192.0.2.1:80: 1 server added" in self.lines
        self.audit()
        assert self.manager.snapshot().audit.drift == ()

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
        assert self.manager.snapshot().unmanaged == ("udp 192.0.2.1:53",)
        self.kernel.by_hand(RemoveService(DNS))
        self.audit()
        assert self.manager.snapshot().unmanaged == ()
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
        self.manager.publish(pool(WEB6, *range(1, 900)))
        self.turn()
        self.forget()
        self.manager.publish(pool(WEB, 1))
        self.turn()
        assert self.kernel.applied[0][0] == RemoveDestination(WEB, server(2))
        self.turn(20)
        self.stands(pool(WEB6, *range(1, 900)), pool(WEB, 1))
