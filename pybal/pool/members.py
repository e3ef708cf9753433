"""The servers of one pool as the policy knows them, so that to change one of thousands, to count
them and to find what has changed costs next to nothing. Pure.

`Members` is a tree over the order of the pool list: its leaves have up to _WIDTH members, its nodes
as many children, and each node knows the `Counts` of all that is below it. A change makes new nodes
on the way from the root to one member and shares the others. So two states that follow one another
differ in few nodes, and these are all that a comparison looks at.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from itertools import chain, zip_longest
from operator import add, eq, is_, sub
from typing import Any, NamedTuple

from pybal.model import Decision, ServerSpec, status_text
from pybal.override import LaidOver

_BITS = 5
_WIDTH = 1 << _BITS
_REBUILT = 8
"""If more than one in so many members changes, and more than so many, the tree is made anew: that
is cheaper."""


@dataclass(frozen=True, slots=True)
class Member:
    """One server as the policy knows it.

    `results` has an item for each monitor of the service: True, False, or None while that
    monitor has not reported.
    """

    spec: ServerSpec
    ready: bool
    up: bool
    pooled: bool
    results: Mapping[str, bool | None]
    decision: Decision | None = None
    refused: bool = False
    """By the kernel: it does not take its address."""
    over: LaidOver | None = None
    """What an operator wants of it; where that is in effect, `spec` is what it makes of the
    list's."""

    @property
    def eligible(self) -> bool:
        """May be pooled at all."""
        return self.spec.enabled and self.ready and not self.refused

    @property
    def drained(self) -> bool:
        """An operator has taken it out for a time."""
        return self.over is not None and self.over.drains

    @property
    def held(self) -> bool:
        """Pooled though down."""
        return self.pooled and not self.up

    @property
    def partially_up(self) -> bool:
        """Some of its monitors, though not all, say up."""
        return any(self.results.values())

    @property
    def status(self) -> str:
        """The contract's status string."""
        return status_text(
            enabled=self.spec.enabled,
            up=self.up,
            partially_up=self.partially_up,
            pooled=self.pooled,
        )


class Counts(NamedTuple):
    """How many members there are of a kind. Those that an operator drains count in `ready`,
    `pooled`, `drained` and `held` only. `weight_up` is the sum of weights of those that are `up`.
    The four kinds of spare servers, eligible and not pooled, are in the order in which they are to
    be pooled, if they must be: servers of weight 0 serve nobody and come last; of the others, those
    that some of their monitors call up come first."""

    enabled: int = 0
    ready: int = 0
    up: int = 0
    """Up and eligible."""
    confirmed: int = 0
    """The same, and all their monitors say so."""
    weight_up: int = 0
    pooled: int = 0
    drained: int = 0
    """Pooled and drained."""
    held: int = 0
    spare: int = 0
    spare_down: int = 0
    spare_weightless: int = 0
    spare_weightless_down: int = 0


_HELD = Counts._fields.index("held")
_SPARES = range(Counts._fields.index("spare"), len(Counts._fields))


def _counts(member: Member) -> tuple[int, ...]:
    """As Counts, of one member."""
    spec, ready, pooled, over = member.spec, member.ready, member.pooled, member.over
    drained = over is not None and over.drains
    eligible = spec.enabled and ready and not member.refused
    up = eligible and member.up and not drained
    spare = -1
    if eligible and not pooled and not drained:
        spare = 2 * (spec.weight == 0) + (not member.partially_up)
    return (
        spec.enabled and not drained,
        ready,
        up,
        up and all(member.results.values()),
        spec.weight if up else 0,
        pooled,
        pooled and drained,
        pooled and not member.up,
        spare == 0,
        spare == 1,
        spare == 2,
        spare == 3,
    )


class _Node:
    """`items`: Members in a leaf, else _Nodes."""

    __slots__ = ("counts", "items")

    def __init__(self, items: tuple[Member | _Node, ...], counts: tuple[int, ...]) -> None:
        self.items = items
        self.counts = counts


_EMPTY = _Node((), Counts())


class Members(Mapping[str, Member]):
    """By host, in the order of the pool list. Never changes: `changed` gives another one."""

    __slots__ = ("_counts", "_depth", "_grown_from", "_list", "_positions", "_root")

    _list: object
    """The same one as long as the hosts and their order stay the same."""
    _grown_from: object | None
    """That of the list of which this one is the continuation."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        """Hosts are unique."""
        found = tuple(members)
        positions = {member.spec.host: number for number, member in enumerate(found)}
        self._become(positions, *_tree(found))
        self._list, self._grown_from = object(), None

    def _become(self, positions: dict[str, int], root: _Node, depth: int) -> None:
        self._positions = positions
        self._root = root
        self._depth = depth
        self._counts: Counts | None = None

    @property
    def counts(self) -> Counts:
        """Of all members."""
        if self._counts is None:
            self._counts = Counts._make(self._root.counts)
        return self._counts

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions)

    def __contains__(self, host: object) -> bool:
        return host in self._positions

    def __getitem__(self, host: str) -> Member:
        return self.at(self._positions[host])

    def at(self, position: int) -> Member:
        """The one in that place of the list, from 0."""
        node = self._root
        for shift in range(self._depth * _BITS, 0, -_BITS):
            node = node.items[position >> shift & _WIDTH - 1]  # type: ignore[assignment]
        return node.items[position & _WIDTH - 1]  # type: ignore[return-value]

    def get(self, host: str, default: Any = None) -> Any:
        """See Mapping."""
        position = self._positions.get(host)
        return default if position is None else self.at(position)

    def values(self) -> ValuesView[Member]:
        """See Mapping."""
        return _Values(self)

    def items(self) -> ItemsView[str, Member]:
        """See Mapping."""
        return _Items(self)

    def position(self, host: str) -> int:
        """Its place in the list, from 0; KeyError."""
        return self._positions[host]

    def in_order(self) -> Iterator[Member]:
        """All of them; faster than by host."""
        return _leaves(self._root, self._depth)

    def held(self) -> Iterator[Member]:
        """Those that are pooled though down, in order."""
        return (each for each in _of_kind(self._root, _HELD) if each.held)

    def spare(self) -> Iterator[Member]:
        """Those that may be pooled and are not, in the order in which they are to be."""
        return (
            each for kind in _SPARES for each in _of_kind(self._root, kind) if _counts(each)[kind]
        )

    def changed(self, members: Iterable[Member]) -> Members:
        """With these in the place of those of their names."""
        new = {self._positions[member.spec.host]: member for member in members}
        if not new:
            return self
        changed = Members.__new__(Members)
        changed._list, changed._grown_from = self._list, self._grown_from
        if len(new) > max(_REBUILT, len(self) // _REBUILT):
            all_of_them = list(self.in_order())
            for position, member in new.items():
                all_of_them[position] = member
            changed._become(self._positions, *_tree(all_of_them))
            return changed
        root = self._root
        for position, member in new.items():
            root, _ = _replaced(root, self._depth, position, member)
        changed._become(self._positions, root, self._depth)
        return changed

    def listed(self, members: Sequence[Member]) -> Members:
        """These and no others, in this order. What stays as it was is shared."""
        if len(members) == len(self) and all(
            host == member.spec.host for host, member in zip(self._positions, members, strict=True)
        ):
            now = zip(self.in_order(), members, strict=True)
            return self.changed([member for before, member in now if before is not member])
        listed = Members.__new__(Members)
        positions = {member.spec.host: number for number, member in enumerate(members)}
        listed._become(positions, *_tree(members, _leaf_nodes(self._root, self._depth)))
        listed._list, listed._grown_from = object(), None
        return listed

    def grown(self, members: Sequence[Member]) -> Members:
        """With these, which are new, at the end."""
        if not members:
            return self
        grown = Members.__new__(Members)
        positions = self._positions.copy()
        positions.update((each.spec.host, n) for n, each in enumerate(members, len(self)))
        whole = len(self) // _WIDTH
        leaves = _leaf_nodes(self._root, self._depth)
        last: tuple[Any, ...] = leaves[whole].items if whole < len(leaves) else ()
        grown._become(positions, *_stacked([*leaves[:whole], *_leaves_of((*last, *members))]))
        grown._list, grown._grown_from = object(), self._list
        return grown

    def continues(self, other: Members) -> bool:
        """Whether the first hosts are those of the other one, in the same order."""
        return self._grown_from is other._list or (
            len(other) <= len(self) and all(map(eq, self._positions, other._positions))
        )

    def same_list(self, other: Members) -> bool:
        """Whether it is known that both have the same hosts in the same order."""
        return self._list is other._list

    def differing(self, before: Members) -> Iterator[Member]:
        """The members that are not the very same objects as those of their names before, in order.
        Cheap where one has come of the other by `changed` or `listed`."""
        if self.same_list(before):
            return _differing(self._root, before._root)
        if self.continues(before):
            leaves = _leaf_nodes(self._root, self._depth)
            former = _leaf_nodes(before._root, before._depth)
            both = zip_longest(leaves, former, fillvalue=_EMPTY)
            return chain.from_iterable(_differing_leaf(*each) for each in both)
        known = dict(zip(before._positions, before.in_order(), strict=True))
        return (each for each in self.in_order() if known.get(each.spec.host) is not each)


class _Values(ValuesView[Member]):
    """Walks over the tree, and not from its root to each member."""

    _mapping: Members

    def __iter__(self) -> Iterator[Member]:
        return self._mapping.in_order()


class _Items(ItemsView[str, Member]):
    """The same."""

    _mapping: Members

    def __iter__(self) -> Iterator[tuple[str, Member]]:
        return zip(self._mapping, self._mapping.in_order(), strict=True)


def _tree(members: Sequence[Member], former: Sequence[_Node] = ()) -> tuple[_Node, int]:
    """A tree, with those of the `former` leaves that have the same members."""
    if not members:
        return _EMPTY, 0
    return _stacked(list(_leaves_of(members, former)))


def _leaves_of(members: Sequence[Member], former: Sequence[_Node] = ()) -> Iterator[_Node]:
    for number, start in enumerate(range(0, len(members), _WIDTH)):
        leaf = tuple(members[start : start + _WIDTH])
        known = former[number] if number < len(former) else _EMPTY
        if len(known.items) == len(leaf) and all(map(is_, known.items, leaf)):
            yield known
            continue
        counts = tuple(map(sum, zip(*map(_counts, leaf), strict=True)))
        yield _Node(leaf, counts)


def _stacked(nodes: list[_Node]) -> tuple[_Node, int]:
    """The tree over these leaves."""
    depth = 0
    while len(nodes) > 1:
        depth += 1
        groups = [tuple(nodes[n : n + _WIDTH]) for n in range(0, len(nodes), _WIDTH)]
        nodes = [
            _Node(group, tuple(map(sum, zip(*(node.counts for node in group), strict=True))))
            for group in groups
        ]
    return nodes[0], depth


def _replaced(
    node: _Node, depth: int, position: int, member: Member
) -> tuple[_Node, tuple[int, ...]]:
    """The node with another member, and how its counts differ."""
    items = node.items
    index = position >> depth * _BITS & _WIDTH - 1
    before = items[index]
    new: Member | _Node = member
    if isinstance(before, _Node):
        new, more = _replaced(before, depth - 1, position, member)
    else:
        more = tuple(map(sub, _counts(member), _counts(before)))
    changed = (*items[:index], new, *items[index + 1 :])
    return _Node(changed, tuple(map(add, node.counts, more))), more


def _leaves(node: _Node, depth: int) -> Iterator[Member]:
    if not depth:
        return iter(node.items)  # type: ignore[arg-type]
    return chain.from_iterable(_leaves(each, depth - 1) for each in node.items)  # type: ignore[arg-type]


def _leaf_nodes(node: _Node, depth: int) -> list[_Node]:
    if not depth:
        return [node]
    return [leaf for each in node.items for leaf in _leaf_nodes(each, depth - 1)]  # type: ignore[arg-type]


def _of_kind(node: _Node, kind: int) -> Iterator[Member]:
    """The members of all leaves in which there is one of the kind."""
    if not node.counts[kind]:
        return
    for each in node.items:
        if isinstance(each, _Node):
            yield from _of_kind(each, kind)
        else:
            yield each


def _differing_leaf(leaf: _Node, before: _Node) -> Iterator[Member]:
    """Of leaves in the same place, of which the one before may be shorter."""
    if leaf is before:
        return
    for each, former in zip_longest(leaf.items, before.items):
        if each is not former:
            yield each  # type: ignore[misc]


def _differing(node: _Node, before: _Node) -> Iterator[Member]:
    if node is before:
        return
    for each, former in zip(node.items, before.items, strict=True):
        if each is former:
            continue
        if isinstance(each, _Node) and isinstance(former, _Node):
            yield from _differing(each, former)
        elif isinstance(each, Member):
            yield each
