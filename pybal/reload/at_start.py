"""Which configuration a start runs: the file's, or the last one that was good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.logger import Logger

from pybal.config.global_section import DEFAULT_STATE_DIRECTORY
from pybal.config.loader import parse_content
from pybal.config.monitor_kinds import MonitorKinds
from pybal.config.problems import LoadResult
from pybal.config.settings import Settings
from pybal.reload.last_good_config import LastGoodConfig, last_good_file
from pybal.reload.running import Running, started, why_cut_off
from pybal.state.state_file import load_or_warn


def configuration_at_start(
    result: LoadResult, kinds: MonitorKinds, now: float, log: Logger, *, host: str, strict: bool
) -> Running | None:
    """What is to run; None: nothing can. A file with errors is only replaced by the last good
    content of the very same file on this `host`, and not if it, or the command line, is
    `strict`. That the last good content goes on amid the file's last line is an error, too."""
    if result.settings is None:
        errors = tuple(str(problem) for problem in result.errors)
    else:
        errors = () if strict else _cut_off(result, result.settings, host, log)
        if not errors:
            return started(result, result.settings, now)
        log.error("{error}", error=errors[0])
    if strict or _said(result).strict:
        return None
    good = _last_good(result, log)
    if good is None:
        return None
    if good.host != host:
        log.error(
            "The last good configuration is not used: it is that of {host}, as if this one were a"
            " copy of it",
            host=good.host,
        )
        return None
    former = parse_content(good.content.encode(), result.file, kinds)
    if former.settings is None:
        return None
    settings = former.settings
    return started(replace(former, modified_at=good.modified_at), settings, now, errors=errors)


def _cut_off(result: LoadResult, settings: Settings, host: str, log: Logger) -> tuple[str, ...]:
    """The error of a file that is whole to look at, and of which only a part is there."""
    if settings.dry_run or settings.state_directory is None:
        return ()
    good = _last_good(result, log)
    if good is None or good.host != host:
        return ()
    return why_cut_off(good.content.encode(), result)


def _last_good(result: LoadResult, log: Logger) -> LastGoodConfig | None:
    """That of the very same file."""
    file = last_good_file(_said(result).state_directory or DEFAULT_STATE_DIRECTORY)
    good = load_or_warn(file, "The last good configuration", log)
    return None if good is None or good.path != absolute(result.file) else good


def _said(result: LoadResult) -> LoadResult | Settings:
    """What knows what the file says of a start, with errors or without."""
    return result if result.settings is None else result.settings


def absolute(path: str) -> str:
    """The path by which a configuration is known from one start to the next."""
    return str(Path(path).absolute())
