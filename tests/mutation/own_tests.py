"""Which tests are a module's own: the unit tests that import it. Pure but for reading the tree."""

from __future__ import annotations

import ast
import re
from pathlib import Path


def pure_modules(root: Path) -> list[Path]:
    """The modules whose docstring says that they are pure, relative to the project's root; the
    files that only name a room are none."""
    found = []
    for path in sorted((root / "pybal").rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_bytes())) or ""
        if path.name != "__init__.py" and re.search(r"\bPure\b", docstring):
            found.append(path.relative_to(root))
    return found


def module_name(path: Path) -> str:
    """pybal/bgp/update.py is pybal.bgp.update."""
    return ".".join(path.with_suffix("").parts)


class OwnTests:
    """Looks up tests by what they import; each file is read once."""

    def __init__(self, root: Path) -> None:
        self._tests: dict[Path, frozenset[str]] = {}
        for path in sorted((root / "tests").rglob("test_*.py")):
            relative = path.relative_to(root)
            if not {"kernel", "integration", "vm"} & set(relative.parts):
                self._tests[relative] = _imports(path.read_text("utf-8"))
        self._modules = {
            module_name(path.relative_to(root)): _imports(path.read_text("utf-8"))
            for path in sorted((root / "pybal").rglob("*.py"))
        }

    def of(self, module: Path) -> list[Path]:
        """Those with the module's own name first, then those of its room, then the others. Where
        none imports it, those of the modules that do."""
        names = seen = frozenset({module_name(module)})
        while names:
            found = [path for path, imported in self._tests.items() if names & imported]
            if found:
                return sorted(found, key=lambda path: _distance(path, module))
            names = frozenset(n for n, imported in self._modules.items() if names & imported) - seen
            seen |= names
        return []


def _distance(test: Path, module: Path) -> tuple[bool, bool, Path]:
    return (test.stem != f"test_{module.stem}", test.parent.name != module.parent.name, test)


def _imports(text: str) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)
