"""What is printed for a person who asks something on the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable


def say(lines: Iterable[str]) -> None:
    """Print to stdout. A character that cannot be shown is escaped; who stops reading, as `head`
    does, has read enough."""
    try:
        for line in lines:
            encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
            print(line.encode(encoding, "backslashreplace").decode(encoding))  # noqa: T201
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"pybal: stdout: {error.strerror}", file=sys.stderr)  # noqa: T201
