"""What runs: which configuration, since when, and how the last reload went. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

from pybal.config.known_sections import NOTHING_KNOWN, Known
from pybal.config.problems import LoadResult, masked_text
from pybal.config.settings import Settings
from pybal.config.snapshot import ConfigSnapshot, ReloadOutcome, ReloadSnapshot
from pybal.runtime.naming import counted

MAX_ERRORS_KEPT = 100


@dataclass(frozen=True)
class Running:
    """The configuration in force. `content` is what was read (it may hold secrets), `is_last_good`:
    the file had errors at the start, this is an older content."""

    path: str
    settings: Settings
    content: bytes
    modified_at: float | None
    loaded_at: float
    is_last_good: bool
    last: ReloadSnapshot
    last_success_at: float
    last_error_at: float
    needs_restart: tuple[str, ...] = ()
    differs_since: float | None = None
    in_part: tuple[str, ...] = ()
    known: Known = field(default=NOTHING_KNOWN, repr=False, compare=False)
    """Of the last reading, for the next one: see config/known_sections.py."""

    @property
    def sha256(self) -> str:
        """Of the content."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def text(self) -> str:
        """The content without its secrets. Made once: that is a matter of milliseconds for each few
        hundred lines, and anybody may ask for it as often as they like."""
        return masked_text(self.content.decode("utf-8", "replace"))

    def snapshot(self) -> ConfigSnapshot:
        """What people and monitoring are shown; no secret is in it."""
        return ConfigSnapshot(
            path=self.path,
            sha256=self.sha256,
            modified_at=self.modified_at,
            loaded_at=self.loaded_at,
            is_last_good=self.is_last_good,
            needs_restart=self.needs_restart,
            differs_since=self.differs_since,
            last_reload=self.last,
            last_success_at=self.last_success_at,
            last_error_at=self.last_error_at,
            in_part=self.in_part,
        )


def started(
    result: LoadResult, settings: Settings, now: float, *, errors: tuple[str, ...] = ()
) -> Running:
    """What runs after a start. With `errors`, those of the file, it is the last good one."""
    outcome = ReloadOutcome.REFUSED if errors else ReloadOutcome.APPLIED
    last = ReloadSnapshot(now, outcome, errors=_kept(errors), steps=())
    return Running(
        path=result.file,
        settings=settings,
        content=result.content,
        known=result.known or NOTHING_KNOWN,
        modified_at=result.modified_at,
        loaded_at=now,
        is_last_good=bool(errors),
        last=last,
        last_success_at=0.0 if errors else now,
        last_error_at=now if errors else 0.0,
    )


def _kept(problems: tuple[str, ...], kind: str = "error") -> tuple[str, ...]:
    more = len(problems) - MAX_ERRORS_KEPT
    first = problems[:MAX_ERRORS_KEPT]
    return (*first, f"and {counted(more, f'more {kind}')}") if more > 0 else first


def refused(running: Running, errors: tuple[str, ...], now: float) -> Running:
    """A reload found errors: all goes on as it was."""
    last = ReloadSnapshot(now, ReloadOutcome.REFUSED, errors=_kept(errors), steps=())
    return replace(running, last=last, last_error_at=now)


def applied_in_part(running: Running, error: str, steps: tuple[str, ...], now: float) -> Running:
    """Going over failed amid the steps. What is known to run is the former configuration, so that
    the next reload shows the steps from that one."""
    last = ReloadSnapshot(now, ReloadOutcome.IN_PART, errors=(error,), steps=steps)
    return replace(running, last=last, last_error_at=now, in_part=last.errors)


def reloaded(
    running: Running,
    result: LoadResult,
    settings: Settings,
    steps: tuple[str, ...],
    needs_restart: tuple[str, ...],
    now: float,
) -> Running:
    """A reload was carried out."""
    warnings = _kept(tuple(map(str, result.warnings)), "warning")
    return replace(
        running,
        settings=settings,
        content=result.content,
        modified_at=result.modified_at,
        loaded_at=now,
        is_last_good=False,
        needs_restart=needs_restart,
        last=ReloadSnapshot(now, ReloadOutcome.APPLIED, (), steps, warnings),
        last_success_at=now,
        differs_since=None,
        in_part=(),
        known=result.known or NOTHING_KNOWN,
    )


def looked_at(running: Running, sha256: str | None, now: float) -> Running:
    """The file was read again, or could not be (None): whether it is what runs."""
    if sha256 == running.sha256:
        return replace(running, differs_since=None)
    return replace(running, differs_since=running.differs_since or now)


def cut_off(good: bytes, content: bytes) -> int:
    """The line amid which a content ends that is as a good one begins: it was read while it was
    being written, or its disk was full. 0: it is not."""
    rest = good.removeprefix(content)
    ends = (b"\n", b"\r")
    if rest in (b"", good) or rest.startswith(ends) or content.endswith(ends):
        return 0
    return len(content.splitlines())


def why_cut_off(good: bytes, result: LoadResult) -> tuple[str, ...]:
    """The error of a file that is so; or none."""
    line = cut_off(good, result.content)
    if not line:
        return ()
    return (
        f"{result.file}:{line}: ends amid this line, which goes on in the file as it was: a part of"
        " it, by the look of it; if all of this is meant, end the line",
    )
