"""What a source file imports and says of itself, and which libraries are of the outside world."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IMPURE_LIBRARIES = {"twisted", "pyroute2", "etcd", "socket", "time", "random", "threading"}


@dataclass(frozen=True)
class Source:
    docstring: str
    imports: frozenset[str]


@functools.cache
def source(path: Path) -> Source:
    """Each file is read once: it takes two milliseconds, and there are hundreds."""
    tree = ast.parse(path.read_text("utf-8"))
    return Source(ast.get_docstring(tree) or "", frozenset(_imported(tree)))


def imports(path: Path) -> frozenset[str]:
    """Dotted names of all that a module imports, `from x import y` as x and x.y."""
    return source(path).imports


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports are not the house's style"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All within it, however deep, without looking into expressions, which are nearly all."""
    for field in ("body", "handlers", "cases", "orelse", "finalbody"):
        for inner in getattr(node, field, ()):
            yield inner
            yield from _statements(inner)
