"""How work leaves the reactor's thread: functions that the program's outermost shell gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

InThread = Callable[[Callable[[], Any]], Deferred[Any]]
"""Runs a function in a thread; fires with what it returns, fails with what it raises."""

OwnThread = Callable[[Callable[[], None]], None]
"""Runs a function in a thread of its own, which nobody waits for: it may go on as long as the
process does."""
