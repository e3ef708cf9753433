"""A client that asks all the time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.running import until
from tests.stage import Host, IPAddress, ask

LEAST = 100


class Load:
    """A client that asks the service all the time and remembers what failed. A guest's one
    processor is left to those who are tested."""

    def __init__(self, client: Host, address: IPAddress, port: int) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._target = client, address, port
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Goes on until it has asked often enough to say something."""
        self._thread.start()
        try:
            yield
            until(lambda: self.answered + len(self.failures) > LEAST)
        finally:
            self._end.set()
            self._thread.join()

    def _ask(self) -> None:
        while not self._end.wait(0.015):
            try:
                assert ask(*self._target).startswith("real")
                self.answered += 1
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
