"""Takes the pooling policy's steps for one service: the owner of its pool's state."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.config.settings import ServiceSettings
from pybal.pool.events import CouldNotDepool, Event
from pybal.pool.notice_log import NoticeLog
from pybal.pool.policy import step
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import CoordinatorPorts, PolicyStep
from pybal.pool.publication import Publication
from pybal.pool.withdrawal import is_of_interest


class PolicySteps:
    """Handles events strictly one after another. The `publication` is updated after each: what
    should stand in the kernel may have changed. Of events that are gathered that is done once.
    `not_handed_on` hears why that has failed, if it has."""

    def __init__(
        self,
        settings: ServiceSettings,
        ports: CoordinatorPorts,
        publication: Publication,
        not_handed_on: Callable[[Failure], None],
        log: Logger,
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._publication = publication
        self._not_handed_on = not_handed_on
        self._log = log
        self._events: deque[Event] = deque()
        self._stepping = False
        self._stopped = False
        self._gathered: list[PolicyStep] | None = None
        self.state = PoolState(
            settings.depool_threshold, tuple(m.monitor for m in settings.monitors)
        )
        """The pool as it stands; a new object after each change."""
        self.could_not_depool_total = 0
        self.failed_total = 0
        """How many events could not be handled, or not what follows from them."""
        self._notices = NoticeLog(ports.clock, log)

    def reconfigure(self, settings: ServiceSettings) -> None:
        """From now on these are the settings; the policy hears of them by an event."""
        self._settings = settings

    def stop(self) -> None:
        """Handle nothing more. Idempotent."""
        self._stopped = True
        self._notices.stop()

    def handle(self, event: Event) -> bool:
        """Handle an event; one that arrives meanwhile is handled next. Returns whether all have
        been handled: not to the one whose event is to wait."""
        self._events.append(event)
        if self._stepping:
            return False
        self._stepping = True
        try:
            while self._events and not self._stopped:
                self._step(self._events.popleft())
        finally:
            self._stepping = False
        return True

    def gather(self) -> None:
        """What is handled from now on has its consequences together, at `act`."""
        if self._gathered is None:
            self._gathered = []

    def act(self) -> None:
        """The consequences of what has been gathered. Idempotent."""
        gathered, self._gathered = self._gathered, None
        if gathered and not self._stopped:
            self._act(gathered)

    def tell_health(self) -> None:
        """Tell those who announce the service, where it depends on that, how its servers are. To be
        called if that has changed without an event."""
        if is_of_interest(self._settings):
            self._ports.servers_changed(self._settings.name, self._publication.health(self.state))

    def _step(self, event: Event) -> None:
        at = self._ports.now()
        try:
            before = self.state
            self.state, notices = step(before, event, at)
        except Exception:  # noqa: BLE001 - one bad event must not end the service's care
            self._failed(event)
            return
        taken = PolicyStep(event, before, self.state, notices, at)
        if self._gathered is None:
            self._act((taken,))
        else:
            self._gathered.append(taken)

    def _act(self, steps: Sequence[PolicyStep]) -> None:
        # What follows from them is told of after them.
        for each in steps:
            self._tell(each)
        try:
            self._publication.update(self.state)
            self.tell_health()
        except Exception:  # noqa: BLE001 - the same
            self._failed(steps[-1].event)
            self._not_handed_on(Failure())
            return
        notices = [notice for each in steps for notice in each.notices]
        self.could_not_depool_total += sum(isinstance(each, CouldNotDepool) for each in notices)
        self._notices.write(notices)

    def _failed(self, event: Event) -> None:
        self.failed_total += 1
        self._log.failure("An event could not be handled: {event}", event=event)

    def _tell(self, taken: PolicyStep) -> None:
        try:
            self._ports.stepped(self._settings.name, taken)
        except Exception:  # noqa: BLE001 - who watches must not end the service's care
            self._log.failure("Telling of an event failed: {event}", event=taken.event)
