"""A manager on a kernel in memory that the test can watch: what its tests share."""

from __future__ import annotations

from typing import cast

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybal.ipvs.kernel import Kernel
from pybal.ipvs.manager import IPVSManager
from pybal.ipvs.model import ServiceEntry, ServiceKey
from tests.fakes.kernel import FakeKernel
from tests.fakes.log import format_line
from tests.ipvs.clock import TurningClock

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
        self.manager = IPVSManager(self.clock, kernel, lambda: NOW, dry_run=dry_run)
        self.manager.news.add(self.told.append)
        self.manager.start()

    def turn(self, count: int = 1) -> None:
        """Let the reactor turn."""
        self.clock.turn(count)

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
