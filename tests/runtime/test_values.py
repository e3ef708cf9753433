"""Our `dataclass` makes what the standard library's makes."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.runtime.values import dataclass

ROOT = Path(__file__).parent.parent.parent
NAMES = ("self_", "name", "cls", "other", "value", "at", "hash", "field_0", "field_1")

T = TypeVar("T")
Decorator = Callable[..., Callable[[type], type]]


@dataclass(frozen=True, slots=True)
class Point:
    """A value."""

    x: int
    y: int = 0

    def moved(self) -> Point:
        return dataclasses.replace(self, x=self.x + 1)


@dataclass(frozen=True, slots=True)
class Box(Generic[T]):
    inside: T


@dataclass(frozen=True, slots=True)
class Named(Point):
    """One that inherits."""

    text: str = "a"


def of_either(fields: list[str], defaults: list[int]) -> list[Any]:
    """The class with these fields, the last of them with defaults: ours, the standard library's."""
    space = dict(zip(reversed(fields), defaults, strict=False))
    annotations = dict.fromkeys(fields, "int")
    made: list[Any] = []
    for decorator in (dataclass, dataclasses.dataclass):
        written = type(
            "Made", (), {"__annotations__": annotations, "__module__": __name__, **space}
        )
        made.append(decorator(frozen=True, slots=True)(written))
    return made


SHAPES = st.tuples(
    st.lists(st.sampled_from(NAMES), unique=True), st.lists(st.integers(), max_size=4)
)
VALUES = st.lists(st.integers(0, 2), min_size=len(NAMES), max_size=len(NAMES))


@given(SHAPES, VALUES, VALUES)
def test_it_behaves_as_the_standard_librarys(
    shape: tuple[list[str], list[int]], left: list[int], right: list[int]
) -> None:
    fields, _ = shape
    ours, theirs = of_either(*shape)
    a, b = (ours(*values[: len(fields)]) for values in (left, right))
    c, d = (theirs(*values[: len(fields)]) for values in (left, right))
    assert repr(a) == repr(c)
    assert [getattr(a, name) for name in fields] == left[: len(fields)]
    assert (a == b, a != b, hash(a) == hash(b)) == (c == d, c != d, hash(c) == hash(d))
    assert hash(a) == hash(c), "the same code"
    assert a != c, "of another class"
    assert ours.__match_args__ == theirs.__match_args__
    assert ours.__slots__ == theirs.__slots__
    assert not hasattr(a, "__dict__")
    assert dataclasses.asdict(a) == dataclasses.asdict(c)
    for one, other in zip(dataclasses.fields(ours), dataclasses.fields(theirs), strict=True):
        assert (one.name, one.type, one.default) == (other.name, other.type, other.default)
    assert copy.copy(a) == copy.deepcopy(a) == a
    if fields:
        changed = dataclasses.replace(a, **{fields[0]: 7})
        assert getattr(changed, fields[0]) == 7 != getattr(a, fields[0])
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
            setattr(a, fields[0], 1)
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete"):
            delattr(a, fields[0])


@given(SHAPES, st.integers(0, len(NAMES) + 1))
def test_the_wrong_number_of_arguments_is_refused_alike(
    shape: tuple[list[str], list[int]], count: int
) -> None:
    said = []
    for made in of_either(*shape):
        try:
            made(*range(count))
        except TypeError as error:
            said.append(str(error))
        else:
            said.append("made")
    assert said[0] == said[1]


def test_arguments_may_be_named_and_defaults_left_out() -> None:
    assert Point(y=2, x=1) == Point(1, 2)
    assert Point(1) == Point(1, 0)
    assert Point(1).moved() == Point(2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Point(1, z=2)  # type: ignore[call-arg]
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_a_value_is_of_its_module_and_survives_pickling() -> None:
    assert (Point.__module__, Point.__qualname__, Point.__doc__) == (__name__, "Point", "A value.")
    assert Point.__init__.__qualname__ == "Point.__init__"
    assert pickle.loads(pickle.dumps(Point(1, 2))) == Point(1, 2)  # noqa: S301  # our own


def test_a_generic_class_stays_one_and_another_may_inherit() -> None:
    assert Box[int](3) == Box(3)
    assert Named(1, 2, "b") == Named(x=1, y=2, text="b")
    assert Named(1) != Point(1)
    assert [each.name for each in dataclasses.fields(Named)] == ["x", "y", "text"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Named(1).x = 2  # type: ignore[misc]


def test_what_is_out_of_the_ordinary_is_as_in_the_standard_library() -> None:
    @dataclass(frozen=True, slots=True)
    class WithOptions:
        shown: int
        hidden: int = dataclasses.field(default=1, repr=False, compare=False)
        many: list[int] = dataclasses.field(default_factory=list)
        shared: ClassVar[int] = 3

        def __post_init__(self) -> None:
            self.many.append(self.shown)

    assert repr(WithOptions(1)).endswith("WithOptions(shown=1, many=[1])")
    assert WithOptions(1, 2) == WithOptions(1, 3)
    assert WithOptions.shared == 3

    @dataclass(slots=True)
    class Changing:
        at: int

    changing = Changing(1)
    changing.at = 2
    assert changing == Changing(2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(changing)

    @dataclass(frozen=True, slots=True)
    class Other:
        at: int

        def __eq__(self, other: object) -> bool:
            return True

        def __repr__(self) -> str:
            return "other"

    assert (Other(1) == 5, repr(Other(1))) == (True, "other")


@pytest.mark.parametrize("decorator", [dataclass, dataclasses.dataclass])
@pytest.mark.parametrize(
    "space",
    [
        {"a": 1, "__annotations__": {"a": "int", "b": "int"}},
        {"a": [], "__annotations__": {"a": ""}},
    ],
)
def test_mistakes_are_found_alike(decorator: Decorator, space: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        decorator(frozen=True, slots=True)(type("Wrong", (), space))


def test_what_the_daemon_loads_has_its_dataclasses_from_here() -> None:
    """Programs of their own, which have few, do without."""
    alone = ("ctl", "checks", "migration", "runtime/values.py")
    imported = re.compile(r"^from dataclasses import .*\bdataclass\b|^import dataclasses", re.M)
    files = [
        path.relative_to(ROOT / "pybal").as_posix()
        for path in sorted((ROOT / "pybal").rglob("*.py"))
        if imported.search(path.read_text("utf-8"))
    ]
    assert len(files) > 3
    assert [file for file in files if not file.startswith(alone)] == []
