"""The house rules that can be read off the source: who may import whom, and what nobody does."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from tests.source_imports import IMPURE_LIBRARIES, imports, source

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "pybal").rglob("*.py"))

HOUSE = (ROOT / "docs/architecture.md").read_text("utf-8")
TABLE = HOUSE.split("| room |", 1)[1].split("\n\n", 1)[0]
"""The rooms, and what lives there."""
GROUND = "model"
"""A room of the ground floor, whose modules may share values."""

OF_THE_PACKAGE = {"__version__", "DEFAULT_CONFIG"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def floors() -> list[set[str]]:
    """The rooms from top to bottom, as docs/architecture.md has them."""
    block = HOUSE.split("## Rooms", 1)[1].split("| room |", 1)[0]
    lines = [line for line in block.splitlines() if line.startswith("    ")]
    return [{room.strip() for room in line.split("|")} for line in lines]


def room(module: str) -> str:
    """`pybal.pool.policy` -> `pool`; the package itself is the ground."""
    return [*module.split("."), GROUND][1]


def room_of(path: Path) -> str:
    """`pybal/bgp/bfd/kept.py` -> `bgp`; empty for a module of the package itself."""
    return path.relative_to(ROOT / "pybal").parts[0].removesuffix(path.name)


def is_pure(path: Path) -> bool:
    """Whether its docstring says so."""
    return path.name != "__init__.py" and re.search(r"\bPure\b", source(path).docstring) is not None


PURE = [path for path in MODULES if is_pure(path)]


def test_the_table_of_rooms_names_every_folder_and_module_that_there_is() -> None:
    named = set(re.findall(r"`([\w/.]+)`", "".join(re.findall(r"^\| (`.*?) \|", TABLE, re.M))))
    folders = {f"{path.parent.name}/" for path in MODULES if path.parent.parent.name == "pybal"}
    loose = {path.name for path in MODULES if path.parent.name == "pybal"} - {"__init__.py"}
    assert named == folders | loose
    assert set().union(*floors()) == {each.removesuffix("/").removesuffix(".py") for each in named}
    assert len(loose) <= 8


def test_every_file_that_the_document_names_exists_and_is_the_only_one_of_that_name() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", HOUSE.replace(TABLE, "")))
    assert len(named) > 40
    files = [path for room in ("tests", "bench") for path in (ROOT / room).rglob("*.py")]
    known = {name(path) for path in (*files, *MODULES)}
    # A room and a file of it; a file alone, where no other room has one of that name.
    known |= {path.relative_to(ROOT / "pybal").as_posix() for path in MODULES if room_of(path)}
    alone = Counter(path.name for path in MODULES)
    known |= {each for each, number in alone.items() if number == 1}
    assert named - known == set()


def test_every_name_that_the_document_gives_is_one_of_the_code() -> None:
    given = re.findall(r"`([A-Za-z_][\w.]*)(?:\([\w, ]*\))?`", HOUSE)
    names = {part for each in given if not each.endswith(".py") for part in each.split(".")}
    assert len(names) > 100
    there = set(re.findall(r"\w+", "".join(path.read_text("utf-8") for path in MODULES)))
    assert names - there == set()


def test_what_is_measured_can_be_found() -> None:
    """docs/measuring.md has a line for each command of bench/."""
    text = (ROOT / "docs/measuring.md").read_text("utf-8")
    commands = {path.stem for path in (ROOT / "bench").glob("*.py")} - {"__init__"}
    lines = re.findall(r"^\| `(\w+)` \|", text, re.M)
    assert len(lines) == len(set(lines)) > 15
    assert set(lines) | set(re.findall(r"`bench\.(\w+)`", text)) == commands


def wrong_imports(path: Path, level: dict[str, int]) -> Iterator[str]:
    """What runs up or across."""
    ours = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for imported in imports(path):
        there = room(imported)
        if not imported.startswith("pybal.") or there == room(ours) or there in OF_THE_PACKAGE:
            continue
        lower = level[there] > level[room(ours)]
        if not (lower or level[there] == level[GROUND] or ours == "pybal.__main__"):
            yield imported


def test_imports_run_down_the_rooms_and_never_up_or_across() -> None:
    level = {room: number for number, floor in enumerate(floors()) for room in floor}
    assert len(MODULES) > 400
    assert [(name(path), bad) for path in MODULES for bad in wrong_imports(path, level)] == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    wanted = {module: imports(path) & files.keys() for module, path in files.items()}
    TopologicalSorter(wanted).prepare()  # raises CycleError


def test_pure_modules_are_found_by_their_word() -> None:
    assert len(PURE) >= 60
    assert {"pool/policy.py", "ipvs/operations.py", "bgp/fsm.py", "health/isolation.py"} <= {
        path.relative_to(ROOT / "pybal").as_posix() for path in PURE
    }


def impure_way(path: Path, files: dict[str, Path]) -> list[str]:
    """By which modules of ours it comes to one of the outside world, if it does."""
    todo, seen = [[path]], {path}
    while todo:
        way = todo.pop()
        imported = imports(way[-1])
        if {each.split(".")[0] for each in imported} & IMPURE_LIBRARIES:
            return [name(each) for each in way]
        found = {files[each] for each in imported if each in files} - seen
        todo += [[*way, file] for file in found]
        seen |= found
    return []


def test_pure_modules_import_nothing_of_the_outside_world() -> None:
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    assert impure_way(ROOT / "pybal/daemon/daemon.py", files)
    assert [way for path in PURE if (way := impure_way(path, files))] == []


def test_every_error_is_one_of_the_tree() -> None:
    bases = {
        node.name: [ast.unparse(base) for base in node.bases]
        for path in MODULES
        if re.search(r"\bclass \w+Error\b", text := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
    }
    errors = {each for each in bases if each.endswith("Error")} - {"PyBalError"}
    assert len(errors) > 30
    tree = {"PyBalError"}
    while more := {each for each in errors - tree if tree.intersection(bases[each])}:
        tree |= more
    assert errors - tree == set()


def test_only_main_knows_the_global_reactor() -> None:
    knowing = [name(path) for path in MODULES if "twisted.internet.reactor" in imports(path)]
    assert knowing == ["pybal/main.py"]


def test_nothing_is_ever_executed_and_no_module_grows_too_long() -> None:
    executing, long = [], []
    for path in MODULES:
        text = path.read_text("utf-8")
        if re.search(r"\b(eval|exec|compile|__import__)\(", text):
            executing += [
                f"{name(path)}:{node.lineno}"
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                if node.func.id in {"eval", "exec", "compile", "__import__"}
            ]
        if len(text.splitlines()) > 450:
            long.append(name(path))
    assert (executing, long) == ([], [])


def test_no_tests_grow_too_long() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert len(files) > 300
    long = [name(path) for path in files if len(path.read_text("utf-8").splitlines()) > 450]
    assert long == []


def test_the_packaging_knows_every_package() -> None:
    for folder in {path.parent for path in MODULES}:
        assert (folder / "__init__.py").exists(), folder
