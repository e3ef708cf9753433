"""`dataclass`, as in the standard library, which takes five times as long: it compiles six methods
for each class, and a start makes 300 classes. That was a quarter of it.

The methods of frozen classes with slots differ in names alone. So the standard library makes one
class for each number of fields, and all others get copies of its methods with names of their own.
A class that is out of the ordinary, as one whose fields have options, is made by the standard
library itself.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from functools import lru_cache
from types import CodeType, FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any

_COPIED = ("__init__", "__eq__", "__hash__")
_OWN = {*_COPIED, "__repr__", "__setattr__", "__delattr__", "__getstate__", "__setstate__"}
_OUT_OF_THE_ORDINARY = _OWN | {"__post_init__", "__slots__"}
_NOT_FIELDS = ("ClassVar", "InitVar", "KW_ONLY")


def _dataclass(**options: Any) -> Callable[[type], type]:
    def made(cls: type) -> type:
        if options == {"frozen": True, "slots": True} and _is_ordinary(cls):
            return _make(cls)
        standard: type = dataclasses.dataclass(**options)(cls)
        return standard

    return made


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _dataclass


def _is_ordinary(cls: type) -> bool:
    space, annotations = cls.__dict__, _annotations(cls)
    written = {name for name in space.keys() & _OUT_OF_THE_ORDINARY if space[name] is not None}
    inherits = any(hasattr(base, "__dataclass_fields__") for base in cls.__bases__)
    if written or inherits or type(cls) is not type:
        return False
    if any(not isinstance(text, str) for text in annotations.values()):
        return False
    if any(word in text for text in annotations.values() for word in _NOT_FIELDS):
        return False
    # Those without a default come first, and a default may be shared.
    has_default = [name in space for name in annotations]
    defaults = _defaults(cls).values()
    return (
        has_default == sorted(has_default)
        and "self" not in annotations
        and not any(isinstance(value, dataclasses.Field) for value in defaults)
        and all(type(value).__hash__ is not None for value in defaults)
    )


def _annotations(cls: type) -> dict[str, str]:
    found: dict[str, str] = cls.__annotations__
    return found


def _defaults(cls: type) -> dict[str, Any]:
    return {name: cls.__dict__[name] for name in _annotations(cls) if name in cls.__dict__}


def _make(cls: type) -> type:
    """The class with slots, which is another one; the one that was written is let go."""
    fields, defaults = tuple(_annotations(cls)), _defaults(cls)
    left_out = {*fields, "__dict__", "__weakref__", "__hash__"}
    space = {name: value for name, value in cls.__dict__.items() if name not in left_out}
    space |= {"__slots__": fields, "__match_args__": fields, "__qualname__": cls.__qualname__}
    space |= _copies(cls, fields, defaults)
    space |= _SHARED
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        space[name] = _OnDemand(name, _annotations(cls), defaults)
    made: type = type(cls)(cls.__name__, cls.__bases__, space)
    return made


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{type(self).__qualname__}({shown})"


def _set(self: Any, name: str, value: object) -> None:
    if name in self.__match_args__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _delete(self: Any, name: str) -> None:
    if name in self.__match_args__:
        raise FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def _state(self: Any) -> list[object]:
    return [getattr(self, name) for name in self.__match_args__]


def _set_state(self: Any, state: list[object]) -> None:
    for name, value in zip(self.__match_args__, state, strict=True):
        object.__setattr__(self, name, value)


_SHARED = {
    "__repr__": _repr,
    "__setattr__": _set,
    "__delattr__": _delete,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
"""What need not be fast is the same function in all classes."""


@lru_cache(maxsize=64)
def _pattern(count: int) -> type:
    names = [f"field_{number}" for number in range(count)]
    return dataclasses.make_dataclass("pattern", names, frozen=True)


def _copies(cls: type, fields: tuple[str, ...], defaults: dict[str, Any]) -> dict[str, Any]:
    """The methods of the pattern, for these fields."""
    pattern = _pattern(len(fields))
    its = [field.name for field in dataclasses.fields(pattern)]
    there: dict[str, str] = dict(zip(its, fields, strict=True))
    space = sys.modules[cls.__module__].__dict__
    made: dict[str, Any] = {}
    for name in _COPIED:
        function: FunctionType = pattern.__dict__[name]
        code = _renamed(function.__code__, there, f"{cls.__qualname__}.{name}")
        made[name] = FunctionType(code, space, name, None, function.__closure__)
    made["__init__"].__defaults__ = tuple(defaults.values()) or None
    return made


def _renamed(code: CodeType, there: dict[str, str], qualified: str) -> CodeType:
    def new(names: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(there.get(name, name) if type(name) is str else name for name in names)

    return code.replace(
        co_names=new(code.co_names),
        co_varnames=new(code.co_varnames),
        co_consts=new(code.co_consts),
        co_qualname=qualified,
    )


_FIELDS_ALONE = dataclasses.dataclass(frozen=True, init=False, repr=False, eq=False)


class _OnDemand:
    """What fields(), replace() and a class that inherits ask for, made when they do."""

    __slots__ = ("_annotations", "_defaults", "_name")

    def __init__(self, name: str, annotations: dict[str, str], defaults: dict[str, Any]) -> None:
        self._name = name
        self._annotations = annotations
        self._defaults = MappingProxyType(defaults)

    def __get__(self, instance: object, owner: type) -> Any:
        space = {"__annotations__": self._annotations, "__doc__": "", **self._defaults}
        home = next(each for each in owner.__mro__ if each.__dict__.get(self._name) is self)
        written = type(home.__name__, (), {**space, "__module__": home.__module__})
        plain: type = _FIELDS_ALONE(written)
        for name in ("__dataclass_fields__", "__dataclass_params__"):
            setattr(home, name, getattr(plain, name))
        return getattr(plain, self._name)
