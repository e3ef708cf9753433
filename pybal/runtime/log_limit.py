"""Which log lines are written and which are only counted. Pure; time is an argument.

What repeats is summed up: of lines that differ in their numbers alone, some are written in a
minute, then one that says how many more there were. What never repeats is bounded for each log
system, so that a peer that breaks the protocol in ever new ways cannot fill the disk either, and
for all together, so that hundreds of systems cannot. At a start much is new: it may have more.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice

from pybal.runtime.pieces import PIECE, Pieces
from pybal.runtime.token_bucket import TokenBucket

WINDOW_S = 60.0
REPEATS = 10
"""So many equal lines are written in a window."""

START_S = 10.0
START_BYTES = 1024 * 1024
"""So much of what is new is written in the first seconds of a process, by whatever system: the
largest director logs some thousand lines for its services, a dry run one for each server."""

NEW_BYTES_PER_S = 5 * 1024
NEW_BURST_BYTES = 32 * 1024
"""Of lines that are new in their window, for each log system, later on: a half of what all have, so
that a flood of one leaves room for the others."""

ALL_NEW_BYTES_PER_S = 8 * 1024
ALL_NEW_BURST_BYTES = 64 * 1024
"""Of all lines that are new in their window, later on."""

REPEATED_BYTES_PER_S = 3 * 1024
REPEATED_BURST_BYTES = 16 * 1024
"""Of all lines that are not new in their window."""

SUM_EVERY_S = 10.0
"""So often due() is to be called, and not more: summaries come together, so that those of a storm,
whose windows end one by one, are few."""

_TOLD_APART = 10
"""So many kinds are summed up each in a line of its own; of more, those with the same first words
together."""

MAX_KINDS = 20_000
"""So many kinds of line are told apart; of more, the oldest are forgotten."""

_NUMBER = re.compile(r"(?<![\w.:-])\d+(?:\.\d+)?(?![\w.:-])")


@dataclass(slots=True)
class _Window:
    """Lines of one kind since `began_s`."""

    began_s: float
    seen: int = 0
    left_out: int = 0
    last: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """`count` lines of a log system were left out within `seconds`; `last` is one of them."""

    system: str
    last: str
    count: int
    seconds: float

    def __str__(self) -> str:
        return f"… {self.count} more in {self.seconds:.0f} s: {self.last}"


class LogLimit:
    """Decides line by line. A line is its system and its text. `now_s`: when the process began, by
    the clock that all calls tell the time of."""

    def __init__(self, now_s: float) -> None:
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()
        self._new: dict[str, TokenBucket] = {}
        self._forgotten: dict[str, int] = {}
        """Lines left out of kinds that were forgotten, by system."""
        self._last_forgotten = ""
        self._began_s = now_s
        self._start = TokenBucket(START_BYTES, 0)
        self._all_new = TokenBucket(ALL_NEW_BURST_BYTES, ALL_NEW_BYTES_PER_S)
        self._repeated = TokenBucket(REPEATED_BURST_BYTES, REPEATED_BYTES_PER_S)

    def takes(self, system: str, text: str, now_s: float, *, vital: bool = False) -> bool:
        """Whether a line is to be written. `vital`: however much else is, unless it repeats."""
        key = system, _NUMBER.sub("#", text)
        window = self._windows.get(key)
        if window is None or (now_s - window.began_s >= WINDOW_S and not window.left_out):
            self._windows.pop(key, None)
            window = self._windows[key] = _Window(now_s)
            if len(self._windows) > MAX_KINDS:
                self._forget_oldest()
        window.seen += 1
        size_bytes = len(system) + len(text) + 16
        if window.seen > REPEATS:
            taken = False
        elif vital:
            taken = True
        elif window.seen == 1:
            taken = self._takes_new(system, size_bytes, now_s)
        else:
            taken = self._repeated.take(now_s, size_bytes)
        if not taken:
            window.left_out += 1
            window.last = text
        return taken

    def due(self, now_s: float) -> Pieces[list[Summary]]:
        """What has been left out in windows that are over, those of a system and of the same
        first words together; each is said once. Windows of which all was written just end. A storm
        may have left as many as there are kinds."""
        sums: dict[tuple[str, str], Summary] = {}
        first = [window.began_s for window in islice(self._windows.values(), _TOLD_APART + 1)]
        apart = len(first) <= _TOLD_APART or now_s - first[-1] < WINDOW_S
        ended = 0
        # They are in the order in which they began.
        while self._windows and now_s - next(iter(self._windows.values())).began_s >= WINDOW_S:
            (system, shape), window = self._windows.popitem(last=False)
            ended += 1
            if window.left_out:
                group = system, shape if apart else " ".join(shape.split()[:2])
                before = sums.get(group)
                count = window.left_out + (before.count if before else 0)
                sums[group] = Summary(system, window.last, count, now_s - window.began_s)
            if ended % PIECE == 0:
                yield
        found = list(sums.values())
        if ended:
            for system, count in self._forgotten.items():
                found.append(Summary(system, self._last_forgotten, count, WINDOW_S))
            self._forgotten.clear()
        return found

    def _takes_new(self, system: str, size_bytes: int, now_s: float) -> bool:
        if now_s - self._began_s < START_S:
            return self._start.take(now_s, size_bytes)
        bucket = self._new.get(system)
        if bucket is None:
            if len(self._new) > MAX_KINDS:
                self._new.clear()
            bucket = self._new[system] = TokenBucket(NEW_BURST_BYTES, NEW_BYTES_PER_S)
        # What the system may not write must not cost the others.
        return bucket.has(now_s, size_bytes) and (
            self._all_new.take(now_s, size_bytes) and bucket.take(now_s, size_bytes)
        )

    def _forget_oldest(self) -> None:
        (system, _), window = self._windows.popitem(last=False)
        if window.left_out:
            self._forgotten[system] = self._forgotten.get(system, 0) + window.left_out
            self._last_forgotten = window.last
