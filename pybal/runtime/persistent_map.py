"""A map that never changes, of which a changed copy costs next to nothing, and so does the
difference between two that have come of one another, however large they are. Pure.

It is a hash trie: a leaf is a small dict; one that grows beyond _LEAF is divided into _WIDTH leaves
by the next bits of the keys' hashes. A changed copy shares all nodes but those on the way to what
has changed, and a comparison passes over what both share. A copy of which little was changed knows
what that was: to compare it with the map that it was made of takes a fifth of the time.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import chain
from typing import Any, TypeVar, Union

_K = TypeVar("_K")
_V = TypeVar("_V")

_BITS = 4
_WIDTH = 1 << _BITS
_LEAF = 24
_DEEPEST = 12
"""Keys whose hashes agree in all bits so far share a leaf, however many they are."""
_LITTLE = 250
"""A copy remembers so many changes at most, and with them the nodes that it does not share."""

_Node = Union[dict[Any, Any], tuple[Any, ...]]

Difference = tuple[_K, Union[_V, None], Union[_V, None]]
"""A key with its values in the one and in the other map; None: it has none there."""


class PersistentMap(Mapping[_K, _V]):
    """In an order of its own, which is the same for the same history. Values are never None."""

    __slots__ = ("_changed", "_former", "_root", "_size")

    def __init__(self, items: Mapping[_K, _V] | None = None) -> None:
        self._root: _Node = _divided(dict(items or {}), 0)
        self._size = len(items or ())
        self._former: _Node | None = None
        """The root of the map that it was made of by changing these keys."""
        self._changed: tuple[_K, ...] = ()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[_K]:
        return chain.from_iterable(_leaves(self._root))

    def __contains__(self, key: object) -> bool:
        return key in self._leaf(key)

    def __getitem__(self, key: _K) -> _V:
        value: _V = self._leaf(key)[key]
        return value

    def get(self, key: object, default: Any = None) -> Any:
        """See Mapping."""
        return self._leaf(key).get(key, default)

    def items(self) -> ItemsView[_K, _V]:
        """See Mapping."""
        root = self._root
        return root.items() if type(root) is dict else _Items(self)

    def values(self) -> ValuesView[_V]:
        """See Mapping."""
        root = self._root
        return root.values() if type(root) is dict else _Values(self)

    def _leaf(self, key: object) -> dict[Any, Any]:
        node, bits = self._root, hash(key)
        # Not isinstance(), which is a call: in a storm this is looked up some five times a server.
        while type(node) is tuple:
            node = node[bits & _WIDTH - 1]
            bits >>= _BITS
        return node  # type: ignore[return-value]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PersistentMap):
            return self is other or (
                len(self) == len(other) and all(d is None for d in difference(self, other))
            )
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PersistentMap({dict(self)})"

    def updated(
        self, changes: Mapping[_K, _V], removed: Iterable[_K] = ()
    ) -> PersistentMap[_K, _V]:
        """With these values, and then without the keys that are `removed`; the same object if
        nothing changes."""
        if len(changes) > max(_LEAF, self._size // 2):
            return PersistentMap({**self, **changes}).updated({}, removed)
        root, size, gone = self._root, self._size, tuple(removed)
        for key, value in changes.items():
            root, grown = _with(root, hash(key), key, value, 0)
            size += grown
        for key in gone:
            less = _without(root, hash(key), key)
            size -= less is not root
            root = less
        if root is self._root:
            return self
        copy: PersistentMap[_K, _V] = PersistentMap.__new__(PersistentMap)
        copy._root, copy._size = root, size
        is_little = len(changes) + len(gone) <= _LITTLE
        copy._former = self._root if is_little else None
        copy._changed = tuple(dict.fromkeys((*changes, *gone))) if is_little else ()
        return copy


class _Items(ItemsView[_K, _V]):
    """Walks over the leaves, and not from the root to each key."""

    _mapping: PersistentMap[_K, _V]

    def __iter__(self) -> Iterator[tuple[_K, _V]]:
        return chain.from_iterable(leaf.items() for leaf in _leaves(self._mapping._root))


class _Values(ValuesView[_V]):
    """The same."""

    _mapping: PersistentMap[Any, _V]

    def __iter__(self) -> Iterator[_V]:
        return chain.from_iterable(leaf.values() for leaf in _leaves(self._mapping._root))


def difference(one: Mapping[_K, _V], other: Mapping[_K, _V]) -> Iterator[Difference[_K, _V] | None]:
    """What differs, in any order; and None now and then, after some dozen keys that do not. Cheap
    if both are PersistentMaps that share most of what they are made of."""
    if one is other:
        return iter(())
    # Not isinstance(), which asks an abstract class and takes ten times as long.
    if type(one) is PersistentMap and type(other) is PersistentMap:
        if other._former is one._root:
            return _known_difference(one, other)
        return _node_difference(one._root, other._root, 0)
    return _plain_difference(one, other)


def _known_difference(
    one: PersistentMap[_K, _V], other: PersistentMap[_K, _V]
) -> Iterator[Difference[_K, _V] | None]:
    for number, key in enumerate(other._changed, 1):
        before, after = one.get(key), other.get(key)
        if before is not after and before != after:
            yield key, before, after
        if number % _LEAF == 0:
            yield None


def _plain_difference(
    one: Mapping[_K, _V], other: Mapping[_K, _V]
) -> Iterator[Difference[_K, _V] | None]:
    # The order is that of the other map, then that of the one: additions come as they are listed.
    for number, (key, value) in enumerate(other.items(), 1):
        former = one.get(key)
        if former is not value and former != value:
            yield key, former, value
        if number % _LEAF == 0:
            yield None
    for number, (key, value) in enumerate(one.items(), 1):
        if key not in other:
            yield key, value, None
        if number % _LEAF == 0:
            yield None


def _node_difference(one: _Node, other: _Node, depth: int) -> Iterator[Any]:
    if one is other:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        yield from _plain_difference(one, other)
        yield None
        return
    # Only one of them may be divided: it was larger once.
    parts = one if isinstance(one, tuple) else _parts(one, depth)
    others = other if isinstance(other, tuple) else _parts(other, depth)
    for part, counterpart in zip(parts, others, strict=True):
        if part is not counterpart:
            yield from _node_difference(part, counterpart, depth + 1)


def _leaves(node: _Node) -> Iterator[dict[Any, Any]]:
    if isinstance(node, dict):
        yield node
    else:
        for each in node:
            yield from _leaves(each)


def _divided(items: dict[Any, Any], depth: int) -> _Node:
    if len(items) <= _LEAF or depth == _DEEPEST:
        return items
    return tuple(_divided(part, depth + 1) for part in _parts(items, depth))


def _parts(items: dict[Any, Any], depth: int) -> tuple[dict[Any, Any], ...]:
    parts: tuple[dict[Any, Any], ...] = tuple({} for _ in range(_WIDTH))
    shift = depth * _BITS
    for key, value in items.items():
        parts[hash(key) >> shift & _WIDTH - 1][key] = value
    return parts


def _with(node: _Node, bits: int, key: Any, value: Any, depth: int) -> tuple[_Node, bool]:
    """The node with the value, and whether the key is new in it."""
    if isinstance(node, dict):
        before = node.get(key)
        if before is value:
            return node, False
        return _divided({**node, key: value}, depth), before is None
    index = bits & _WIDTH - 1
    part, grown = _with(node[index], bits >> _BITS, key, value, depth + 1)
    if part is node[index]:
        return node, False
    return (*node[:index], part, *node[index + 1 :]), grown


def _without(node: _Node, bits: int, key: Any) -> _Node:
    if isinstance(node, dict):
        if key not in node:
            return node
        # Nothing is compared or hashed anew for a copy.
        left = node.copy()
        del left[key]
        return left
    index = bits & _WIDTH - 1
    part = _without(node[index], bits >> _BITS, key)
    return node if part is node[index] else (*node[:index], part, *node[index + 1 :])
