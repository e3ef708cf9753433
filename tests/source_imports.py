"""What a source file imports, and which libraries are of the outside world."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

IMPURE_LIBRARIES = {"twisted", "pyroute2", "etcd", "socket", "time", "random", "threading"}


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names of all that a module imports, `from x import y` as x and x.y."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports are not the house's style"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)
