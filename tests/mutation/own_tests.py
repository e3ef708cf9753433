"""Which tests are a module's own: the unit tests that import it. Pure but for reading the tree."""

from __future__ import annotations

from pathlib import Path

from tests.source_imports import IMPURE_LIBRARIES, imports


def pure_modules(root: Path) -> list[Path]:
    """The modules that import no reactor, socket, clock or random source, not even through another
    module; relative to the project's root. The files that only name a room are none."""
    wanted = {
        path.relative_to(root): imports(path) for path in sorted((root / "pybal").rglob("*.py"))
    }
    impure = {
        module_name(path)
        for path, imported in wanted.items()
        if IMPURE_LIBRARIES & {name.split(".")[0] for name in imported}
    }
    grown = True
    while grown:
        more = {module_name(path) for path, imported in wanted.items() if impure & imported}
        grown = not more <= impure
        impure |= more
    return [
        path
        for path in wanted
        if module_name(path) not in impure and path.name not in ("__init__.py", "__main__.py")
    ]


def module_name(path: Path) -> str:
    """pybal/bgp/update.py is pybal.bgp.update."""
    return ".".join(path.with_suffix("").parts)


class OwnTests:
    """Looks up tests by what they import; each file is read once."""

    def __init__(self, root: Path) -> None:
        self._tests: dict[Path, frozenset[str]] = {}
        self._by_helpers: dict[Path, frozenset[str]] = {}
        for path in sorted((root / "tests").rglob("test_*.py")):
            relative = path.relative_to(root)
            if not {"kernel", "integration", "vm"} & set(relative.parts):
                self._tests[relative] = imports(path)
                self._by_helpers[relative] = _imports_of_helpers(root, path)
        self._modules = {
            module_name(path.relative_to(root)): imports(path)
            for path in sorted((root / "pybal").rglob("*.py"))
        }

    def of(self, module: Path) -> list[Path]:
        """Those with the module's own name first, then those of its room, then the others. A part
        that has no tests of its name is tested by way of the modules of its room that import it,
        be it through others of the room, by way of the helpers of its room's tests, too: those
        tests of its room. Where no test imports any of these, those of the modules that do."""
        names = seen = frozenset({module_name(module)})
        named = {path for path in self._tests if _is_named_for(path, module)}
        near: set[Path] = set()
        if not any(path.stem == f"test_{module.stem}" for path in self._tests):
            whole = self._within_room(names, module_name(module.parent) + ".")
            near = {
                path
                for path, imported in self._tests.items()
                if whole & (imported | self._by_helpers[path])
                and path.parent.name == module.parent.name
            }
        while names:
            found = {path for path, imported in self._tests.items() if names & imported}
            if found := found | named | near:
                return sorted(found, key=lambda path: _distance(path, module))
            names = frozenset(n for n, imported in self._modules.items() if names & imported) - seen
            seen |= names
        return []

    def _within_room(self, names: frozenset[str], room: str) -> frozenset[str]:
        """With those of the room that import them, and so on."""
        while True:
            more = {n for n, imported in self._modules.items() if names & imported}
            more = {name for name in more if name.startswith(room)}
            if more <= names:
                return names
            names |= more


def _is_named_for(test: Path, module: Path) -> bool:
    """Whether a test is of the module's room and name, whatever it imports."""
    same = f"{test.stem}_".startswith(f"test_{module.stem}_")
    return same and test.parent.name == module.parent.name


def _imports_of_helpers(root: Path, test: Path) -> frozenset[str]:
    """What a test imports by way of a helper in its own folder, or its folder's file of fakes."""
    fakes = root / "tests" / "fakes" / f"{test.parent.name}.py"
    helpers = (root.joinpath(*name.split(".")).with_suffix(".py") for name in imports(test))
    near = (path for path in helpers if path.parent == test.parent or path == fakes)
    found = (path for path in near if path.is_file() and not path.stem.startswith("test_"))
    return frozenset[str]().union(*map(imports, found))


def _distance(test: Path, module: Path) -> tuple[bool, bool, Path]:
    return (test.stem != f"test_{module.stem}", test.parent.name != module.parent.name, test)
