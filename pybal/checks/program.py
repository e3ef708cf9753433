"""What all check programs share: options, the deadline, and one line whatever happens."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import pybal
from pybal.checks.asking import DEFAULT_URL, AskingError
from pybal.checks.result import Result, State
from pybal.errors import PyBalError
from pybal.runtime.stdout import printing, say

DEFAULT_TIMEOUT_S = 10.0
Check = Callable[[argparse.Namespace], Result]


class _Parser(argparse.ArgumentParser):
    """Its errors are UNKNOWN: argparse's own status 2 would be CRITICAL."""

    def error(self, message: str) -> NoReturn:
        print(Result(State.UNKNOWN, f"{message}; see {self.prog} --help").line())  # noqa: T201
        raise SystemExit(State.UNKNOWN)


class _DeadlineError(PyBalError):
    """The time is over."""


def parser(name: str, what: str) -> argparse.ArgumentParser:
    """A parser with the options that all checks have."""
    made = _Parser(prog=name, description=what, allow_abbrev=False)
    made.add_argument(
        "-u",
        "--url",
        "--pybal-url",
        type=url,
        default=DEFAULT_URL,
        help="PyBal's instrumentation (default: %(default)s)",
    )
    made.add_argument(
        "-t",
        "--timeout",
        "--req-timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help="for the whole check (default: %(default)g)",
    )
    made.add_argument("-V", "--version", action="version", version=f"{name} {pybal.__version__}")
    return made


def run(made: argparse.ArgumentParser, check: Check, arguments: Sequence[str] | None) -> int:
    """Make the check, print its line, and give the exit status."""
    with printing(made.prog, failed=State.UNKNOWN):
        options = made.parse_args(arguments)
    timeout_s: float = options.timeout
    try:
        before = signal.signal(signal.SIGALRM, _on_alarm)
        signal.setitimer(signal.ITIMER_REAL, timeout_s)
        try:
            result = check(options)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    except _DeadlineError:
        result = Result(State.CRITICAL, f"no result within {timeout_s:g} s")
    except AskingError as error:
        result = Result(State.CRITICAL, str(error))
    except Exception as error:  # noqa: BLE001 - the boundary: monitoring wants a line in any case
        result = Result(State.UNKNOWN, f"the check itself failed: {type(error).__name__}: {error}")
    say([result.line()], made.prog)
    return result.state


def _on_alarm(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's shape
    raise _DeadlineError


def url(text: str) -> str:
    """A URL that can be asked; a wrong option is not a director that does not answer."""
    if urlsplit(text).scheme not in ("http", "https"):
        raise argparse.ArgumentTypeError(f"{text!r} is no URL such as {DEFAULT_URL}")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("must be a number of seconds up to 3600")
    return seconds
