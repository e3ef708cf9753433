"""Since when something has been so that is an alert only after a day, over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pybal.instrumentation.pending_alert import Lasting
from pybal.state.state_file import Document, StateFile, moment

_FORMAT = 1


def lasting_file(directory: Path) -> StateFile[tuple[Lasting, ...]]:
    """In the state directory."""

    def encode(entries: tuple[Lasting, ...]) -> Document:
        return {"lasting": [[*each.key, each.began_at] for each in entries]}

    return StateFile(
        directory / "lasting.json",
        _FORMAT,
        encode,
        lambda document: tuple(_lasting(*each) for each in document["lasting"]),
    )


def _lasting(alert: Any, service: Any, subject: Any, began_at: Any) -> Lasting:
    key = str(alert), None if service is None else str(service), str(subject)
    return Lasting(key, moment(began_at))
