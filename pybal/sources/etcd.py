"""`etcd://host[:port]/key/`: one key for each server, watched.

python-etcd blocks, so each service has a thread of its own. Whatever its watch reports, the
thread reads the whole directory again: so nothing depends on having seen every event, and
servers that vanished while etcd was out of reach vanish here too.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from twisted.internet.threads import blockingCallFromThread
from twisted.logger import Logger

from pybal.config.pool_list import PoolList
from pybal.config.settings import EtcdSource
from pybal.errors import ResolutionError, SourceError, said_by
from pybal.model import IPAddress
from pybal.runtime.backoff import backoff_s
from pybal.runtime.stopping import end_each
from pybal.sources.etcd_client import PythonEtcdClient
from pybal.sources.etcd_values import Values, parse_values
from pybal.sources.last_good_list import LastGoodList
from pybal.sources.ports import SourcePorts
from pybal.sources.source import Source

SETTLE_S = 0.05
"""A pause after each change, so that a burst of changes is read once."""

MAX_SETTLE_S = 1.0
"""The same while watches end at once, again and again, with nothing new: of keys that are
refreshed, or through a proxy that knows no watches."""

RETRY_S = 1.0
MAX_RETRY_S = 10.0

ETCD_OVERDUE_S = 100.0
"""The directory is read again at least every WATCH_S, whatever the watch says."""


class DirectoryClient(Protocol):
    """Reads and watches one directory of etcd; blocks. close() may come from any thread, makes
    a call that is under way fail soon, and leaves nothing open."""

    def read(self) -> Values:
        """Name -> value of all keys. Raises SourceError."""

    def wait(self) -> bool:
        """Return when something may have changed since the last read(), or from time to time;
        false if that cannot be watched for."""

    def close(self) -> None:
        """Idempotent."""


class EtcdPool(Source):
    """The Source of an etcd directory."""

    def __init__(
        self,
        settings: EtcdSource,
        ports: SourcePorts,
        last_good: LastGoodList,
        log: Logger,
    ) -> None:
        super().__init__(last_good)
        self._log = log
        self._reactor = ports.reactor
        self._host = settings.host
        self._names = ports.names
        self._watcher = Watcher(
            lambda: PythonEtcdClient(settings, self._addresses(), ports.ca_file),
            self._from_thread,
            ports.now,
            random.Random(ports.random.random()),
        )

    def start(self) -> None:
        """See Source."""
        super().start()
        self._watcher.start()

    def stop(self) -> None:
        """See Source. The thread ends by itself, at once unless it is connecting."""
        end_each(self._log, super().stop, self._watcher.stop)

    def _addresses(self) -> tuple[IPAddress, ...]:
        """Where the host is, for the thread, which waits for it. Within the reactor's own time
        limits; the last known addresses while DNS is away."""
        try:
            found: tuple[IPAddress, ...] = blockingCallFromThread(
                self._reactor, self._names.look_up, self._host
            )
        except ResolutionError as error:
            raise SourceError(f"{self._host} cannot be found: {error}") from None
        return found

    def _from_thread(self, found: PoolList | str, began_at: float) -> None:
        self._reactor.callFromThread(self._take, found, began_at)

    def _take(self, found: PoolList | str, began_at: float) -> None:
        try:
            if isinstance(found, str):
                self._last_good.reject(found)
            else:
                self._last_good.accept(found, began_at)
        except SourceError as error:
            self._last_good.reject(str(error))


class Watcher:
    """A thread that reports a directory's list after each change, and why each failure was, each
    with the time at which the reading began.

    `report` and `now` are called in that thread. After stop() `report` may be called once more.
    `pause` waits for an event, so many seconds at most.
    """

    def __init__(
        self,
        connect: Callable[[], DirectoryClient],
        report: Callable[[PoolList | str, float], None],
        now: Callable[[], float],
        random: random.Random,
        pause: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self._connect = connect
        self._report = report
        self._now = now
        self._random = random
        self._pause = pause
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._client: DirectoryClient | None = None

    def start(self) -> None:
        """Begin. The thread does not keep the process from ending."""
        threading.Thread(target=self.run, name="etcd watch", daemon=True).start()

    def stop(self) -> None:
        """Make the thread end. Does not block; idempotent."""
        self._stopping.set()
        with self._lock:
            if self._client is not None:
                self._client.close()

    def run(self) -> None:
        """What the thread does."""
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._connected() as client:
                    for pool, began_at in self._lists(client):
                        self._report(pool, began_at)
                        failures = 0
            except SourceError as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - no fault of a library may end the watch
                self._failed(f"unexpected {said_by(error)}")
            self._pause(self._stopping, backoff_s(failures, RETRY_S, MAX_RETRY_S, self._random))
            failures += 1

    def _failed(self, why: str) -> None:
        """Not the exception, by which all that was read would stay until it is searched for."""
        if not self._stopping.is_set():
            self._report(why, self._now())

    def _lists(self, client: DirectoryClient) -> Iterator[tuple[PoolList, float]]:
        """The list now and after each change, until it cannot be watched or is to stop."""
        pause_s, before = SETTLE_S, None
        while not self._stopping.is_set():
            began_at = self._now()
            pool = parse_values(client.read())
            yield pool, began_at
            if not client.wait():
                return
            in_vain = pool == before and self._now() - began_at < MAX_SETTLE_S
            pause_s = min(2 * pause_s, MAX_SETTLE_S) if in_vain else SETTLE_S
            before = pool
            self._pause(self._stopping, pause_s)

    @contextmanager
    def _connected(self) -> Iterator[DirectoryClient]:
        """A client that stop() can close."""
        client = self._connect()
        with self._lock:
            self._client = client
        try:
            if self._stopping.is_set():
                raise SourceError("stopped")
            yield client
        finally:
            with self._lock:
                self._client = None
            client.close()
