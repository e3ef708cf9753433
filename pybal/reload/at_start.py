"""Which configuration a start runs: the file's, or the last one that was good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.logger import Logger

from pybal.config.global_section import DEFAULT_STATE_DIRECTORY
from pybal.config.loader import parse_content
from pybal.config.monitor_kinds import MonitorKinds
from pybal.config.problems import LoadResult
from pybal.reload.last_good_config import last_good_file
from pybal.reload.running import Running, started
from pybal.state.state_file import load_or_warn


def configuration_at_start(
    result: LoadResult, kinds: MonitorKinds, now: float, log: Logger, *, host: str, strict: bool
) -> Running | None:
    """What is to run; None: nothing can. A file with errors is only replaced by the last good
    content of the very same file on this `host`, and not if it, or the command line, is
    `strict`."""
    if result.settings is not None:
        return started(result, result.settings, now)
    if strict or result.strict:
        return None
    directory = result.state_directory or DEFAULT_STATE_DIRECTORY
    good = load_or_warn(last_good_file(directory), "The last good configuration", log)
    if good is None or good.path != absolute(result.file):
        return None
    if good.host not in ("", host):
        log.error(
            "The last good configuration is not used: it is that of {host}, as if this one were a"
            " copy of it",
            host=good.host,
        )
        return None
    former = parse_content(good.content.encode(), result.file, kinds)
    if former.settings is None:
        return None
    errors = tuple(str(problem) for problem in result.errors)
    settings = former.settings
    return started(replace(former, modified_at=good.modified_at), settings, now, errors=errors)


def absolute(path: str) -> str:
    """The path by which a configuration is known from one start to the next."""
    return str(Path(path).absolute())
