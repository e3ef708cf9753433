"""`check_pybal_restart`: whether PyBal runs, and runs what pybal.conf says now."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybal.checks.asking import AskingError, HTTPAsk, ask_json
from pybal.checks.program import parser, run
from pybal.checks.result import Result, State

UNIT = "pybal.service"
CONFIG = Path("/etc/pybal/pybal.conf")


@dataclass(frozen=True, slots=True)
class Unit:
    """What systemd says: its state, and since when (Unix seconds) it is active; 0: never."""

    state: str
    active_since: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How long (seconds) a changed file may wait for its reload or restart."""

    warning_s: float = 0.0
    critical_s: float = 7200.0


def restart(
    unit: Unit, changed_at: float | None, config: Any, now: float, limits: Limits
) -> Result:
    """`changed_at` dates the last change of the file, None if there is none; `config` is
    `/api/v1/config`, None if PyBal does not answer that: then what counts is which came later,
    the change or the start."""
    if unit.state != "active":
        return Result(State.CRITICAL, f"{UNIT} is {unit.state}: systemctl status {UNIT}")
    if isinstance(config, dict):
        return _by_api(config, changed_at, now, limits)
    if changed_at is None or changed_at <= unit.active_since:
        return Result(State.OK, f"{UNIT} is active, and was started after the last change")
    text = f"{UNIT} was not restarted after {CONFIG.name} was changed"
    return _waiting(text, now - changed_at, limits)


def _by_api(config: dict[str, Any], changed_at: float | None, now: float, limits: Limits) -> Result:
    last = config.get("last_reload")
    if isinstance(last, dict) and not last.get("successful", True):
        if last.get("outcome") == "applied in part":
            return Result(State.CRITICAL, "pybal.conf was applied in part: pybalctl reload")
        text = "pybal.conf has errors, and was refused"
        if config.get("in_part"):
            text += ", after one that was applied in part"
        return Result(State.CRITICAL, f"{text}: pybal --check-config")
    if config.get("is_last_good"):
        return Result(State.CRITICAL, "the last good configuration runs: pybal --check-config")
    differs = config.get("differs_since")
    if isinstance(differs, dict):
        # Seen by the daemon now and then; when it was made the file knows better.
        since = differs.get("epoch", now) if changed_at is None else changed_at
        text = "pybal.conf was changed and is not in force: pybalctl config diff, then reload"
        return _waiting(text, now - since, limits)
    waiting = config.get("needs_restart")
    if isinstance(waiting, list) and waiting:
        text = f"{'; '.join(map(str, waiting))}: systemctl restart {UNIT}"
        return _waiting(text, now - (changed_at or now), limits)
    return Result(State.OK, f"{UNIT} is active and runs what pybal.conf says")


def _waiting(text: str, age_s: float, limits: Limits) -> Result:
    age_s = max(age_s, 0.0)
    state = State.OK
    if age_s >= limits.critical_s:
        state = State.CRITICAL
    elif age_s >= limits.warning_s:
        state = State.WARNING
    return Result(state, f"{text} (since {age_s / 60:.0f} min)", {"seconds": round(age_s)})


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    made = parser("check_pybal_restart", "Checks that PyBal runs what pybal.conf says now.")
    made.add_argument(
        "--config",
        type=Path,
        default=CONFIG,
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )
    limits = Limits()
    for option, name, default in (
        ("-w", "warning", limits.warning_s),
        ("-c", "critical", limits.critical_s),
    ):
        made.add_argument(
            option,
            f"--{name}",
            type=float,
            default=default,
            metavar="SECONDS",
            help=f"a change that waits so long is {name.upper()} (default: %(default)g)",
        )
    return run(made, _check, arguments)


def _check(options: argparse.Namespace) -> Result:
    unit = _unit()
    if unit is None:
        return Result(State.UNKNOWN, "systemd does not answer")
    config = None
    with contextlib.suppress(AskingError):
        config = ask_json(HTTPAsk(options.url, options.timeout), "config")
    changed_at = None
    with contextlib.suppress(FileNotFoundError):
        changed_at = options.config.stat().st_mtime
    return restart(unit, changed_at, config, time.time(), Limits(options.warning, options.critical))


def _unit() -> Unit | None:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return None
    shown = ("--property=ActiveState", "--property=ActiveEnterTimestamp", "--timestamp=unix")
    done = subprocess.run(  # noqa: S603 - a fixed command
        [systemctl, "show", *shown, UNIT], capture_output=True, text=True, check=False
    )
    return unit_of(done.stdout)


def unit_of(shown: str) -> Unit | None:
    """Read what `systemctl show --timestamp=unix` says; None if it says nothing."""
    values = dict(line.partition("=")[::2] for line in shown.splitlines())
    since = values.get("ActiveEnterTimestamp", "").removeprefix("@")
    if "ActiveState" not in values:
        return None
    return Unit(values["ActiveState"], float(since) if since.isdigit() else 0.0)
