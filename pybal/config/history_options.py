"""history-retention and history-size, of [global]. Pure."""

from __future__ import annotations

import re

from pybal.config.bad_value import BadValueError
from pybal.config.kinds import Kind
from pybal.config.section import SectionReader
from pybal.history.settings import DAY_S, MIB, HistorySettings

_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY_S, "w": 7 * DAY_S}
_UNITS_BYTES = {"": 1, "k": 1024, "m": MIB, "g": 1024 * MIB}
_MAX_RETENTION_S = 10 * 365 * DAY_S
_MIN_SIZE_BYTES, _MAX_SIZE_BYTES = 4 * MIB, 64 * 1024 * MIB


def _retention(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9})\s*([smhdw]?)", text.lower())
    if match is None:
        raise BadValueError
    value = int(match[1]) * _UNITS_S[match[2]]
    if value > _MAX_RETENTION_S:
        raise BadValueError("the most is ten years")
    return value


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12})\s*([kmg]?)(?:i?b)?", text.lower())
    if match is None:
        raise BadValueError
    value = int(match[1]) * _UNITS_BYTES[match[2]]
    if value and not _MIN_SIZE_BYTES <= value <= _MAX_SIZE_BYTES:
        raise BadValueError("from 4M to 64G, or 0")
    return value


_RETENTION = Kind("a time such as 30d, 12h or a number of seconds; 0: off", _retention)
_SIZE = Kind("a size such as 256M or 1G, or 0: off", _size)


def read_history(reader: SectionReader) -> HistorySettings:
    """What is said of it, else its defaults."""
    default = HistorySettings()
    retention_s = reader.get("history-retention", _RETENTION, default.retention_s)
    text = reader.text("history-retention")
    if 0 < retention_s < 3600 and text.isdigit():
        reader.warn("history-retention", f"these are seconds; write {text}d for so many days")
    return HistorySettings(
        retention_s,
        reader.get("history-size", _SIZE, default.size_bytes),
    )
