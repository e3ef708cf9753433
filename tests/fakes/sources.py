"""A pool source's surroundings under the test's hand: clock, HTTP, disk thread, log, lists."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pybal.config.settings import SourceSettings
from pybal.errors import PyBalError
from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList
from pybal.runtime.time_slices import TimeSlices
from pybal.sources.create import create_source
from pybal.sources.file_watches import FileWatches
from pybal.sources.ports import SourcePorts
from pybal.sources.source import Source
from pybal.state.state_writing import StateWriting
from tests.fakes.files import DirectAccess
from tests.fakes.http import FakeHTTPClient
from tests.fakes.log import FakeLog
from tests.fakes.names import FakeHostLookUp

EPOCH = 1_700_000_000.0

Servers = tuple[ServerSpec, ...]


class FakeThread:
    """Runs what is given to it at once, or else when the test says so."""

    def __init__(self) -> None:
        self.at_once = True
        self._waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def __call__(self, function: Callable[[], Any]) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self._waiting.append((function, result))
        if self.at_once:
            self.run_one()
        return result

    @property
    def waiting(self) -> int:
        """How many functions have not been run."""
        return len(self._waiting)

    def run_one(self) -> None:
        """Run the function that has waited longest."""
        function, result = self._waiting.pop(0)
        try:
            found = function()
        except (OSError, PyBalError):
            result.errback()
        else:
            result.callback(found)


def source_ports(reactor: Any, disk: FakeThread | None = None, **others: Any) -> SourcePorts:
    """The world of a source: a fake, as far as nothing else is given."""
    in_thread = disk or FakeThread()
    ports = SourcePorts(
        reactor=reactor,
        time_slices=TimeSlices(reactor),
        now=reactor.seconds,
        random=random.Random(1),
        http=FakeHTTPClient(),
        names=FakeHostLookUp(),
        in_thread=in_thread,
        state_directory=None,
        writing=StateWriting(reactor, in_thread),
        files=DirectAccess(),
        watches=FileWatches(reactor, lambda _: False, lambda call: call()),
    )
    return ports._replace(**others)


class SourceBench:
    """One world for any number of sources; `published` holds the lists of them all, in order."""

    def __init__(
        self,
        state_directory: Path | None = None,
        *,
        read_only: bool = False,
        watches_files: bool = True,
    ) -> None:
        self.clock: Any = Clock()
        self.set_by_s = 0.0
        """By how much somebody has set the wall clock."""
        self.http = FakeHTTPClient()
        self.disk = FakeThread()
        self.log = FakeLog()
        self.lists: list[SourceList] = []
        self.published: list[Servers] = []
        self._sources: list[Source] = []
        self.holds = False
        """Whether nothing more that is published is put in force."""
        self.environment = source_ports(
            self.clock,
            self.disk,
            now=self.now,
            http=self.http,
            state_directory=state_directory,
            read_only=read_only,
            watches=FileWatches(self.clock, lambda _: watches_files, lambda call: call()),
        )

    def now(self) -> float:
        """The wall clock."""
        return EPOCH + float(self.clock.seconds()) + self.set_by_s

    def start(self, settings: SourceSettings, service: str = "svc") -> Source:
        """A source, started."""

        def publish(found: SourceList) -> None:
            self.lists.append(found)
            self.published.append(found.servers)
            if not self.holds:
                source.in_force(found.servers, ListPast(self.clock.seconds()))

        source = create_source(
            settings, service, publish, self.environment, self.log.logger(service)
        )
        source.start()
        self._sources.append(source)
        return source

    def stop(self) -> None:
        """Stop all sources. A host has 128 inotify instances for all processes of a user."""
        for source in self._sources:
            source.stop()

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps finer than any poll."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)

    def take(self) -> list[Servers]:
        """The lists published since the last time."""
        published, self.published[:] = list(self.published), []
        return published
