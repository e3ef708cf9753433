"""However one part of a source fails to end, the others end."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock

from pybal.config.pool_list import PoolList
from pybal.config.settings import EtcdSource
from pybal.model import ServerSpec
from pybal.sources.etcd import EtcdPool, Watcher
from pybal.sources.last_good_list import LastGoodList
from pybal.sources.poller import Pauses
from pybal.sources.polling_source import Early, PollingSource
from pybal.sources.source import Source
from tests.fakes.log import FakeLog
from tests.fakes.sources import source_ports


class Endless:
    """A LastGoodList that cannot be stopped."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        raise ZeroDivisionError("a mistake")

    def accept(self, found: PoolList, began_at: float) -> None:
        pass


ENDLESS = cast(LastGoodList, Endless())


class OneList:
    """Reads the same list each time."""

    reads = 0
    stopped = False

    async def read(self, early: Early) -> PoolList:
        self.reads += 1
        return PoolList((ServerSpec("a"),), ())

    def stop(self) -> None:
        self.stopped = True


def stop(source: Source, log: FakeLog) -> None:
    source.stop()
    assert "Not stopped in order: " in log.take()[0]


def test_reading_ends() -> None:
    clock, log, reader = Clock(), FakeLog(), OneList()
    pauses = Pauses(interval_s=1, retry_s=1, max_retry_s=1)
    source = PollingSource(reader, pauses, source_ports(clock), log.logger("web"), ENDLESS)
    source.start()
    clock.advance(2)
    stop(source, log)
    assert clock.getDelayedCalls() == []
    clock.advance(10)
    assert (reader.reads, reader.stopped) == (2, True)


def test_watching_ends(monkeypatch: Any) -> None:
    log = FakeLog()
    ended: list[Watcher] = []
    monkeypatch.setattr(Watcher, "stop", lambda watcher: ended.append(watcher))
    settings = EtcdSource("h", 2379, "/pools/a/")
    stop(EtcdPool(settings, source_ports(Clock()), ENDLESS, log.logger("web")), log)
    assert len(ended) == 1
