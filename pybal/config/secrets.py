"""Reads a file that holds one secret, if only its owner can. Pure but for reading it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pybal.config.bad_value import BadValueError

_MAX_BYTES = 4096


def read_secret(path: Path) -> str:
    """The file's only line. BadValueError says what is wrong, and nothing of the content."""
    try:
        # Opening a FIFO must not wait, and opening a device must not do anything.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
            _check(os.fstat(file.fileno()))
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadValueError(f"cannot be read: {error.strerror or error}") from error
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise BadValueError("is not UTF-8 text") from error
    if len(content) > _MAX_BYTES or not text.isprintable():
        raise BadValueError("must hold one line of printable text")
    return text


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadValueError("is not a regular file")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise BadValueError(f"others than its owner may use it (mode {mode:04o}); chmod 600 it")
    if status.st_uid not in (0, os.geteuid()):
        raise BadValueError("belongs neither to root nor to the user that runs this")
