"""Services that stand in the kernel and are not configured: which go, and that the rest is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, MutableMapping, Sequence

from twisted.logger import Logger

from pybal.ipvs.kernel import Kernel
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.ownership import Owner
from pybal.ipvs.settings import Cleanup
from pybal.ipvs.slices import Slices
from pybal.runtime.clock import DelayedCall, Timer, cancel
from pybal.runtime.naming import counted

_PIECE = 100
_PIECE_COSTS = 10
"""So many services are looked at in a piece, and what that costs in servers that are read."""

_LOGGED = 20

CLEANUP_WAIT_S = 60.0
"""So long after the start a configured service that does not come to stand (its pool list cannot
be had) no longer holds up the removal of those that are not configured."""


def standing_unmanaged(
    kernel: Kernel,
    known: MutableMapping[ServiceKey, ServiceEntry],
    ours: Collection[ServiceKey],
    left: Collection[ServiceKey],
) -> Slices[tuple[Collection[ServiceKey], Sequence[str]]]:
    """Which services stand that are not `ours`, and in words those that no ServiceKey can express.
    From `known` those go that are no longer there; of what is new it takes up that it stands. Of
    those that have `left`, that is, ceased to be ours meanwhile, nothing is known: they may stand
    in the list though they are gone. `ours` and `left` are live views."""
    listing = yield from kernel.listing()
    unmanaged: dict[ServiceKey, None] = {}
    for number, service in enumerate(listing.services, 1):
        if service.key not in ours and service.key not in left:
            unmanaged[service.key] = None
            known.setdefault(service.key, ServiceEntry(service, {}))
        if number % _PIECE == 0:
            yield _PIECE_COSTS
    for number, key in enumerate(tuple(known), 1):
        if key not in ours and key not in left and key not in unmanaged:
            known.pop(key, None)
        if number % _PIECE == 0:
            yield _PIECE_COSTS
    return unmanaged.keys(), listing.foreign


class UnmanagedServices:
    """Decides about services that are not configured. `remove` takes one out of the kernel.

    None goes before every configured service stands, or CLEANUP_WAIT_S have passed.
    """

    def __init__(
        self, clock: Timer, cleanup: Cleanup, owner: Owner, remove: Callable[[ServiceKey], None]
    ) -> None:
        self._clock = clock
        self._cleanup = cleanup
        self._owner = owner
        self._remove = remove
        self._log = Logger(namespace="ipvs")
        self._configured: set[ServiceKey] = set()
        self._awaited: set[ServiceKey] = set()
        self._doomed: list[ServiceKey] = []
        self.begun = False
        """Whether the start is over, so that what is configured is known."""
        self._calls: list[DelayedCall] = []
        self.lately_left: set[ServiceKey] = set()
        """Those that ceased to be configured since whoever uses this cleared it."""
        self.reported: tuple[str, ...] = ()
        """Those that are left alone."""

    def start(self, standing: Iterable[ServiceKey], foreign: Sequence[str]) -> None:
        """What stands; what is configured is known in the reactor's next turn."""
        self._calls = [self._clock.callLater(0, self._begin, tuple(standing), foreign)]

    def stop(self) -> None:
        """Remove nothing more. Idempotent."""
        for call in self._calls:
            cancel(call)
        self.begun = False

    def reconfigure(self, cleanup: Cleanup) -> None:
        """Another policy, from the next audit on."""
        self._cleanup = cleanup

    def configured(self, key: ServiceKey) -> None:
        """The service is configured."""
        if key not in self._configured:
            self._configured.add(key)
            self._awaited.add(key)

    @property
    def stay(self) -> bool:
        """Whether nothing that stands is ever removed."""
        return self._cleanup is Cleanup.NONE

    def left(self, key: ServiceKey) -> None:
        """The service is no longer configured."""
        self._configured.discard(key)
        self._awaited.discard(key)
        self.lately_left.add(key)

    def stands(self, key: ServiceKey) -> None:
        """The kernel holds a configured service as it should be."""
        self._awaited.discard(key)
        if not self._awaited:
            self._clean_up()

    def audited(self, standing: Iterable[ServiceKey], foreign: Sequence[str]) -> None:
        """What stands and is not published."""
        if self.begun:
            self._sort(standing, foreign)
            if not self._awaited:
                self._clean_up()

    def _begin(self, standing: Iterable[ServiceKey], foreign: Sequence[str]) -> None:
        self.begun = True
        self._sort(standing, foreign)
        self._calls = [self._clock.callLater(CLEANUP_WAIT_S, self._wait_no_longer)]
        if not self._awaited:
            self._clean_up()

    def _wait_no_longer(self) -> None:
        self._awaited.clear()
        self._clean_up()

    def _sort(self, standing: Iterable[ServiceKey], foreign: Sequence[str]) -> None:
        unmanaged = [key for key in standing if key not in self._configured]
        doomed = {key: None for key in unmanaged if self._goes(key)}
        left_alone = (*(str(key) for key in unmanaged if key not in doomed), *foreign)
        told = frozenset(self.reported)
        new = [each for each in left_alone if each not in told]
        for each in new[:_LOGGED]:
            self._log.warn(
                "{service} stands in IPVS but is not configured: left alone", service=each
            )
        if len(new) > _LOGGED:
            more = counted(len(new) - _LOGGED, "other service")
            self._log.warn("Left alone, too: {more}", more=more)
        self._doomed = list(doomed)
        self.reported = left_alone

    def _goes(self, key: ServiceKey) -> bool:
        match self._cleanup:
            case Cleanup.ALL:
                return True
            case Cleanup.OWNED:
                return self._owner.owns(key)
            case Cleanup.NONE:
                return False

    def _clean_up(self) -> None:
        if not self.begun:
            return
        doomed, self._doomed = self._doomed, []
        for key in doomed:
            if key not in self._configured:
                self._log.info(
                    "{service} stands in IPVS but is not configured: removed", service=str(key)
                )
                self._remove(key)
