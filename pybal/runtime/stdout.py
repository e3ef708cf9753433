"""What is printed for a person who asks something on the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

_EXIT_OK = 0
_EXIT_FAILED = 1


def say(lines: Iterable[str], program: str = "pybal") -> None:
    """Print to stdout. A character that cannot be shown is escaped; who stops reading, as `head`
    does, has read enough."""
    try:
        for line in lines:
            _write(f"{line}\n")
        _flush()
    except OSError as error:
        _not_printed(error, program)


@contextmanager
def printing(program: str, failed: int = _EXIT_FAILED) -> Iterator[None]:
    """In here somebody else prints, as argparse does for --help. If stdout does not take it, that
    is a line, and the process ends with this status."""
    # Printed by us, in the end: argparse says nothing of what it could not print, from Python 3.12
    # on, and whether it sees that depends on stdout's buffer.
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        try:
            _write(printed.getvalue())
            _flush()
        except OSError as error:
            _not_printed(error, program)
            taken = isinstance(error, BrokenPipeError)
            raise SystemExit(_EXIT_OK if taken else failed) from None


def _write(text: str) -> None:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    print(shown, end="")  # noqa: T201


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _not_printed(error: OSError, program: str) -> None:
    # Python would try once more at its end, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        print(f"{program}: stdout: {error.strerror}", file=sys.stderr)  # noqa: T201
