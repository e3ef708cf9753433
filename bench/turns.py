"""Runs the daemon, and says on stderr how long each turn of its reactor took that was long.

    python -m bench.turns LEAST_MS ARGUMENTS...

The arguments are pybal's. A turn is all that happens between two waits for events; a line is
`TURN 12.3 8.7`: how long it took, and how much processor time the reactor's thread used of that, in
milliseconds. On a machine that has other things to do the second number says more. Of a dry run
`GONE 17 1.234 300` says how many servers a turn has removed, and how much processor time, in
seconds, the process had used and how many TCP connections it had begun by then; its own lines of
that are limited.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import Any, cast

from twisted.internet import reactor
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from pybal.main import main
from pybal.net.sockets import SocketNetwork


class TimedPoll:
    """An epoll that notes how long its user was away."""

    def __init__(self, poller: Any, least_s: float) -> None:
        self._poller = poller
        self._least_s = least_s
        self._returned_at: tuple[float, float] | None = None
        self._in_turn = False
        self._gone = 0
        self.begun = 0
        """Connections."""

    def logged(self, event: LogEvent) -> None:
        """An observer of the log."""
        self._gone += event.get("command", "").startswith("ipvsadm -d")

    def poll(self, timeout_s: float, *arguments: Any) -> Any:
        # A turn may ask for more of what is there, without waiting.
        if self._in_turn:
            return self._poller.poll(timeout_s, *arguments)
        self._in_turn = True
        if self._gone:
            line = f"GONE {self._gone} {time.process_time():.3f} {self.begun}\n"
            os.write(2, line.encode())
            self._gone = 0
        if self._returned_at is not None:
            at_s, used_s = self._returned_at
            away_s, worked_s = time.monotonic() - at_s, time.thread_time() - used_s
            if away_s >= self._least_s:
                os.write(2, f"TURN {away_s * 1e3:.1f} {worked_s * 1e3:.1f}\n".encode())
        try:
            return self._poller.poll(timeout_s, *arguments)
        finally:
            self._returned_at = time.monotonic(), time.thread_time()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def turn(self, iterate: Any, delay_s: float | None) -> None:
        """One iteration of the reactor's."""
        self._in_turn = False
        iterate(delay_s)


def watch(least_s: float) -> None:
    reactor._poller = timed = TimedPoll(reactor._poller, least_s)
    reactor.doIteration = partial(timed.turn, reactor.doIteration)
    globalLogPublisher.addObserver(cast(ILogObserver, timed.logged))
    connect_tcp = SocketNetwork.connect_tcp

    def counted(*arguments: Any, **options: Any) -> Any:
        timed.begun += 1
        return connect_tcp(*arguments, **options)

    SocketNetwork.connect_tcp = counted  # type: ignore[method-assign]


def run() -> int:
    least_s = float(sys.argv.pop(1)) / 1e3
    reactor.callWhenRunning(watch, least_s)
    return main(sys.argv[1:]) or 0


if __name__ == "__main__":
    sys.exit(run())
