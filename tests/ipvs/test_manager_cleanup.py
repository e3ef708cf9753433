"""The manager and services that are not configured."""

from __future__ import annotations

from pybal.ipvs.manager import IPVSManager
from pybal.ipvs.model import Service, ServiceKey
from pybal.ipvs.operations import (
    AddService,
)
from pybal.ipvs.ownership import NoRecord
from pybal.ipvs.settings import Cleanup
from pybal.ipvs.unmanaged import CLEANUP_WAIT_S
from tests.fakes.kernel import FakeKernel
from tests.ipvs.examples import DNS, DNS6, WEB, WEB6, pool
from tests.ipvs.managercase import NOW, ManagerTestCase


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
        self.manager = IPVSManager(
            self.clock, self.kernel, lambda: NOW, dry_run=False, owner=self.owner, cleanup=cleanup
        )
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
        assert self.manager.snapshot().unmanaged == (str(DNS6),)

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
