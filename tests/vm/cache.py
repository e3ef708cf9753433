"""The rig's cache, outside the repository: what is made once, by whom soever, and kept."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    """Where the guest's parts are kept; made if need be."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(os.environ.get("PYBAL_DEV_CACHE") or f"{home}/pybal-dev") / "vm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def key_of(*parts: bytes | str | Path) -> str:
    """A short name for what is made of `parts`: of a Path its content counts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part
        data = data.encode() if isinstance(data, str) else data
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, filled by `build(folder)` if it is not there yet.

    It appears whole or not at all. When two builds meet, the first to finish counts.
    """
    final = cache_folder() / name
    if final.is_dir():
        return final
    work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=final.parent))
    try:
        build(work)
        work.chmod(0o755)
        with contextlib.suppress(OSError):
            work.rename(final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final
