"""What stood goes, and the kernel does not take it back."""

from __future__ import annotations

import errno

from pybal.errors import KernelError
from pybal.ipvs.managed_service import LOST_AFTER_S
from pybal.ipvs.manager import RETRY_FIRST_S, RETRY_MAX_S
from pybal.ipvs.model import ServiceKey
from pybal.ipvs.operations import AddDestination, AddService, Operation, RemoveService
from tests.ipvs.clock import TURN_S
from tests.ipvs.examples import DNS, WEB, pool
from tests.ipvs.managercase import ManagerTestCase


class LossTests(ManagerTestCase):
    """Two services stand; `lost` are those that are told to be lost."""

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.lost: list[ServiceKey] = []
        self.manager.losses.add(self.lost.append)
        self.settle(pool(WEB, 1, 2), pool(DNS, 1))

    def vanish(self, refuse: type[Operation] = AddService) -> None:
        self.kernel.refuse = lambda op: (
            errno.ENOMEM if isinstance(op, refuse) and op.key == WEB else 0
        )
        self.kernel.by_hand(RemoveService(WEB))
        self.manager.audit()
        self.turn(5)

    def test_it_is_lost_once_the_kernel_has_refused_it_for_a_moment_and_stands_again(self) -> None:
        self.vanish()
        self.clock.advance(RETRY_FIRST_S)
        self.turn()
        assert (self.lost, self.manager.stands(WEB)) == ([], True)
        self.clock.pump([2 * RETRY_FIRST_S] + [RETRY_MAX_S] * 3)
        assert (self.lost, self.manager.stands(WEB)) == ([WEB], False)
        self.kernel.refuse = lambda _: 0
        self.clock.pump([RETRY_MAX_S] * 2)
        self.stands(pool(WEB, 1, 2), pool(DNS, 1))
        assert (self.lost, self.told, self.manager.stands(WEB)) == ([WEB], [WEB], True)

    def test_a_service_of_which_no_server_is_taken_back_is_lost_as_well(self) -> None:
        self.vanish(AddDestination)
        self.clock.pump([RETRY_FIRST_S, 2 * RETRY_FIRST_S, TURN_S])
        assert self.lost == [WEB]

    def test_what_is_put_back_at_once_or_soon_is_not_lost(self) -> None:
        for refuse in (RemoveService, AddService):
            self.vanish(refuse)
            self.kernel.refuse = lambda _: 0
            self.clock.pump([RETRY_FIRST_S, TURN_S, RETRY_MAX_S])
            self.stands(pool(WEB, 1, 2), pool(DNS, 1))
        assert self.lost == []

    def test_many_new_words_within_a_moment_lose_nothing(self) -> None:
        self.vanish()
        for numbers in ([1], [1, 2], [2], [1, 2]) * 3:
            self.manager.publish(pool(WEB, *numbers))
            self.turn()
        assert self.lost == []

    def test_a_kernel_that_cannot_be_read_loses_nothing(self) -> None:
        self.kernel.broken = KernelError("read service", errno.ENOBUFS)
        self.manager.audit()
        self.clock.pump([RETRY_MAX_S] * 5)
        assert self.lost == []

    def test_a_server_that_is_refused_for_long_does_not_delay_the_return_of_the_service(
        self,
    ) -> None:
        self.kernel.refuse = lambda op: errno.EINVAL if isinstance(op, AddDestination) else 0
        self.manager.publish(pool(WEB, 1, 2, 3))
        self.clock.pump([RETRY_MAX_S] * 10)
        assert self.lost == [], "others serve"
        self.vanish()
        self.kernel.refuse = lambda _: 0
        self.clock.pump([RETRY_FIRST_S, TURN_S])
        self.stands(pool(WEB, 1, 2, 3), pool(DNS, 1))

    def test_that_the_last_one_is_lost_is_found_soon_however_long_others_are_refused(self) -> None:
        self.kernel.refuse = lambda op: errno.ENOMEM if isinstance(op, AddDestination) else 0
        self.manager.publish(pool(WEB, 1, 2, 3))
        self.clock.pump([RETRY_MAX_S] * 10)
        self.manager.publish(pool(WEB, 3))
        self.turn()
        assert self.lost == []
        self.clock.pump([LOST_AFTER_S] + [TURN_S] * 3)
        assert self.lost == [WEB]
        self.forget()
        self.clock.pump([LOST_AFTER_S] * 30)
        assert self.kernel.applied == [], "it is no longer tried each second"

    def test_a_service_that_others_take_away_again_and_again_is_lost_as_well(self) -> None:
        self.kernel.refuse = lambda op: errno.ESRCH if isinstance(op, AddDestination) else 0
        self.kernel.by_hand(RemoveService(WEB))
        self.manager.audit()
        self.turn(5)
        self.clock.pump([RETRY_FIRST_S, TURN_S, 2 * RETRY_FIRST_S, TURN_S])
        assert self.lost == [WEB]
