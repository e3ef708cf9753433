"""What installed packages offer, without what knows all of a package where none does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def entry_points_of(group: str) -> Iterable[EntryPoint]:
    """As `importlib.metadata.entry_points(group=group)`. That comes with Python's parser of mail
    and with archives, a thirtieth of the start: it is loaded only where some package may name the
    group."""
    if not _are_files_alone() or any(_may_name(group.encode(), folder) for folder in sys.path):
        from importlib.metadata import entry_points

        return entry_points(group=group)
    return ()


def _are_files_alone() -> bool:
    """Whether packages are found in the folders of sys.path, and nowhere else."""
    return not any(
        hasattr(finder, "find_distributions") for finder in sys.meta_path if finder != PathFinder
    )


def _may_name(group: bytes, folder: str) -> bool:
    """Whether a package in the folder has an `entry_points.txt` in which the group is: all that
    pip, setuptools and distributions leave there, `NAME.dist-info`, `NAME.egg-info` and
    `EGG-INFO`."""
    try:
        names = os.listdir(folder or ".")
    except NotADirectoryError:
        return True  # an archive
    except OSError:
        return False
    return any(
        group in _content(Path(folder, name, "entry_points.txt"))
        for name in names
        if name.lower().endswith("-info")
    )


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
