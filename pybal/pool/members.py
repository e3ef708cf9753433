"""The servers of one pool as the policy knows them, so that to change one of thousands, to count
them and to find what has changed costs next to nothing. Pure.

`Members` is a tree over the order of the pool list: its leaves have up to _WIDTH members, its nodes
as many children, and each node knows the `Counts` of all that is below it. A change makes new nodes
on the way from the root to one member and shares the others. So two states that follow one another
differ in few nodes, and these are all that a comparison looks at.
"""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from itertools import chain, zip_longest
from operator import add, eq, is_, sub
from typing import Any

from pybal.pool.member import Counts, Member, counts_of
from pybal.runtime.pieces import Pieces, in_one_go, piecewise

_BITS = 5
_WIDTH = 1 << _BITS
_LEAVES_AT_ONCE = 16
"""When a tree is made in pieces."""
_REBUILT = 8
"""If more than one in so many members changes, and more than so many, the tree is made anew: that
is cheaper."""


_HELD = Counts._fields.index("held")
_SPARES = range(Counts._fields.index("spare"), len(Counts._fields))


class _Node:
    """`items`: Members in a leaf, else _Nodes."""

    __slots__ = ("counts", "items")

    def __init__(self, items: tuple[Member | _Node, ...], counts: tuple[int, ...]) -> None:
        self.items = items
        self.counts = counts


_EMPTY = _Node((), Counts())


class _List:
    """The hosts and their order: the same object as long as these stay the same."""

    __slots__ = ("foreseen", "former", "former_root", "root")

    def __init__(self) -> None:
        self.foreseen: Members | None = None
        """What a list of which it is known that it comes makes of these."""
        self.former: _List | None = None
        """That of which this one was foreseen, until `forget_former`: the same members were at
        `former_root` there and are at `root` here."""
        self.former_root = self.root = _EMPTY


class Members(Mapping[str, Member]):
    """By host, in the order of the pool list. Never changes: `changed` gives another one."""

    __slots__ = ("_counts", "_depth", "_grown_from", "_list", "_positions", "_root")

    _list: _List
    _grown_from: _List | None
    """That of the list of which this one is the continuation."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        """Hosts are unique."""
        found = tuple(members)
        positions = {member.spec.host: number for number, member in enumerate(found)}
        self._become(positions, *_tree(found))
        self._list, self._grown_from = _List(), None

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
            each for kind in _SPARES for each in _of_kind(self._root, kind) if counts_of(each)[kind]
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

    def fast_to_look_up(self, count: int) -> Mapping[str, Member]:
        """The same; where so many are to be looked up that a dict is worth its making, a dict."""
        return self if count < len(self) // _REBUILT else dict(self.items())

    def arranged(self, hosts: Collection[str], others: Mapping[str, Member]) -> Members:
        """These hosts and no others, in this order: each as it is among the `others`, or else as it
        is here. What stays as it was is shared."""
        if self._is_list_of(hosts):
            return self._with(others)
        foreseen = self._list.foreseen
        if foreseen is not None and foreseen._is_list_of(hosts):
            # They are as they were then, but for those that have changed since.
            since = _differing(self._root, foreseen._list.former_root)
            now = {each.spec.host: each for each in since if each.spec.host in foreseen}
            return foreseen._with({**now, **others})
        former = self.fast_to_look_up(len(hosts))
        return in_one_go(
            self._listed_in_pieces([others.get(host) or former[host] for host in hosts])
        )

    def _is_list_of(self, hosts: Collection[str]) -> bool:
        return len(hosts) == len(self) and all(map(eq, hosts, self._positions))

    def _with(self, others: Mapping[str, Member]) -> Members:
        known = self.fast_to_look_up(len(others))
        return self.changed([each for host, each in others.items() if known[host] is not each])

    def foresee(self, hosts: Collection[str]) -> Pieces[None]:
        """These of them are to be `arranged`, in this order. What that makes of them is made in
        pieces, so that `arranged` is cheap; and so it is to find what has changed since."""
        if self._is_list_of(hosts):
            return
        found: list[Member] = []
        yield from piecewise(lambda part: found.extend(map(self.__getitem__, part)), hosts)
        foreseen = yield from self._listed_in_pieces(found)
        of = foreseen._list
        of.former, of.former_root, of.root = self._list, self._root, foreseen._root
        self._list.foreseen = foreseen

    def forget_former(self) -> None:
        """What they were foreseen of is no longer compared with."""
        of = self._list
        of.former, of.former_root, of.root = None, _EMPTY, _EMPTY

    def _listed_in_pieces(self, members: Sequence[Member]) -> Pieces[Members]:
        listed = Members.__new__(Members)
        positions: dict[str, int] = {}
        yield from piecewise(
            lambda part: positions.update((each.spec.host, n) for n, each in part),
            enumerate(members),
        )
        leaves: list[_Node] = []
        former = _leaf_nodes(self._root, self._depth)
        for leaf in _leaves_of(members, former):
            leaves.append(leaf)
            if len(leaves) % _LEAVES_AT_ONCE == 0:
                yield
        listed._become(positions, *_stacked(leaves))
        listed._list, listed._grown_from = _List(), None
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
        grown._list, grown._grown_from = _List(), self._list
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
        Cheap where one has come of the other by `changed` or `arranged`."""
        if self.same_list(before):
            return _differing(self._root, before._root)
        if self.continues(before):
            leaves = _leaf_nodes(self._root, self._depth)
            former = _leaf_nodes(before._root, before._depth)
            both = zip_longest(leaves, former, fillvalue=_EMPTY)
            return chain.from_iterable(_differing_leaf(*each) for each in both)
        if self._list.former is before._list:
            return self._differing_from_former(before)
        known = dict(zip(before._positions, before.in_order(), strict=True))
        return (each for each in self.in_order() if known.get(each.spec.host) is not each)

    def _differing_from_former(self, before: Members) -> Iterator[Member]:
        """Only what has changed since it was foreseen can differ."""
        of = self._list
        since = chain(_differing(self._root, of.root), _differing(before._root, of.former_root))
        hosts = {each.spec.host for each in since}
        places = sorted(self._positions[host] for host in hosts if host in self)
        return (each for each in map(self.at, places) if before.get(each.spec.host) is not each)


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


def _tree(members: Sequence[Member]) -> tuple[_Node, int]:
    return _stacked(list(_leaves_of(members)))


def _leaves_of(members: Sequence[Member], former: Sequence[_Node] = ()) -> Iterator[_Node]:
    for number, start in enumerate(range(0, len(members), _WIDTH)):
        leaf = tuple(members[start : start + _WIDTH])
        known = former[number] if number < len(former) else _EMPTY
        if len(known.items) == len(leaf) and all(map(is_, known.items, leaf)):
            yield known
            continue
        counts = tuple(map(sum, zip(*map(counts_of, leaf), strict=True)))
        yield _Node(leaf, counts)


def _stacked(nodes: list[_Node]) -> tuple[_Node, int]:
    """The tree over these leaves; without any the empty one."""
    depth = 0
    while len(nodes) > 1:
        depth += 1
        groups = [tuple(nodes[n : n + _WIDTH]) for n in range(0, len(nodes), _WIDTH)]
        nodes = [
            _Node(group, tuple(map(sum, zip(*(node.counts for node in group), strict=True))))
            for group in groups
        ]
    return nodes[0] if nodes else _EMPTY, depth


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
        more = tuple(map(sub, counts_of(member), counts_of(before)))
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
