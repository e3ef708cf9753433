"""The faults that scripts/mutants puts in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.faults import faults
from tests.mutation.main import chosen, known_equivalents
from tests.mutation.own_tests import OwnTests, pure_modules

ROOT = Path(__file__).parent.parent.parent


def mutants(source: str) -> set[str]:
    data = source.encode()
    return {fault.in_source(data).decode() for fault in faults(data)}


@pytest.mark.parametrize(
    ("source", "mutant"),
    [
        ("x = a < b", "x = a <= b"),
        ("x = a is not b", "x = a is b"),
        ("x = a not in b", "x = a in b"),
        ("x = a and b", "x = a or b"),
        ("x = (a # and so on\n and b)", "x = (a # and so on\n or b)"),
        ("x = ((a) # < 3\n < (b))", "x = ((a) # < 3\n <= (b))"),
        ("x = a + b", "x = a - b"),
        ("x = a >> 8", "x = a << 8"),
        ("x = not a", "x = (a)"),
        ("x = 7", "x = (7 + 1)"),
        ("x = True", "x = False"),
        ("x = b if a else c", "x = b if (not (a)) else c"),
        ("x = [a for a in b if a]", "x = [a for a in b if (not (a))]"),
        ("if a:\n    b()", "if not (a):\n    b()"),
        ("if a:\n    b()", "if a:\n    pass"),
        ("def f(a=1):\n    return a", "def f(a=(1 + 1)):\n    return a"),
        ("def f(a=1):\n    return a", "def f(a=1):\n    return None"),
        ("for a in b:\n    continue", "for a in b:\n    pass"),
        ("self.x = a", "pass"),
        ("x: int = 1", "x: int = (1 + 1)"),
        ("é = 'é' if a == 1 else 2", "é = 'é' if a != 1 else 2"),
    ],
)
def test_each_kind_of_fault(source: str, mutant: str) -> None:
    assert mutant in mutants(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""Words of 3 lines."""',
        "import a",
        "from __future__ import annotations",
        "x: Literal[1]",
        "x = f'{a:>3}'",
        "class Port(Protocol):\n    def f(self) -> int:\n        return 1",
        "def f():\n    return None",
    ],
)
def test_what_no_test_can_judge_is_left_alone(source: str) -> None:
    assert mutants(source) == set()


@pytest.mark.slow
def test_every_fault_of_a_real_module_is_another_program_of_its_length_and_line() -> None:
    source = (ROOT / "pybal/bgp/update.py").read_bytes()
    found = faults(source)
    assert len(found) > 100
    assert len({fault.in_source(source) for fault in found}) == len(found)
    assert all(fault.in_source(source) != source for fault in found)


@pytest.mark.slow
def test_a_sample_depends_on_its_seed_alone() -> None:
    found = faults((ROOT / "pybal/bgp/update.py").read_bytes())
    path = Path("pybal/bgp/update.py")
    assert chosen(found, 10, 1, path) == chosen(found, 10, 1, path) != chosen(found, 10, 2, path)
    assert len(chosen(found, 10, 1, path)) == 10
    assert chosen(found, None, 1, path) == list(found) == chosen(found, 10**6, 1, path)


@pytest.mark.slow
def test_pure_modules_have_tests_of_their_own() -> None:
    own_tests = OwnTests(ROOT)
    modules = pure_modules(ROOT)
    assert len(modules) > 100
    assert Path("tests/bgp/test_update.py") == own_tests.of(Path("pybal/bgp/update.py"))[0]
    assert [path for path in modules if not own_tests.of(path)] == []


def test_an_equivalent_has_a_reason() -> None:
    line = "pybal/a.py | `<` became `<=` | if a < b: | they are never equal"
    key = ("pybal/a.py", "`<` became `<=`", "if a < b:")
    assert known_equivalents(f"# why\n\n{line}\n") == {key}
    bars = "pybal/a.py | `|` became `&` | a = b | c | c is 0"
    assert known_equivalents(bars) == {("pybal/a.py", "`|` became `&`", "a = b | c")}
    with pytest.raises(ValueError, match="not `path"):
        known_equivalents("pybal/a.py | `<` became `<=` | if a < b:\n")


def test_the_projects_own_equivalents_can_be_read_and_still_are_there() -> None:
    known = known_equivalents((Path(__file__).parent / "equivalents.txt").read_text("utf-8"))
    for path, _, line in known:
        lines = {each.strip() for each in (ROOT / path).read_text("utf-8").splitlines()}
        assert line in lines, f"{path}: {line}"
