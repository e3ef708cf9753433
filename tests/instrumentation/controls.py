"""What the verbs are done with, in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class NotingControls:
    """Does nothing, and notes what it was asked to do. Raises `error`, if it is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        """The name of each verb, and with what it was called."""
        self.error = error

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        def act(*arguments: Any, **named: Any) -> dict[str, Any]:
            self.asked.append((name, arguments, named))
            if self.error is not None:
                raise self.error
            return {"done": name}

        return act
