"""The map of which changed copies are cheap: it is a dict in all but its order."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.runtime.persistent_map import PersistentMap, difference


class Key:
    """Many of them have the same hash."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return -(self.number % 5) << 60

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other.number == self.number


def found(one: Mapping[int, str], other: Mapping[int, str]) -> dict[int, tuple[str | None, ...]]:
    found = [each for each in difference(one, other) if each is not None]
    assert len({key for key, _, _ in found}) == len(found), "each key once"
    return {key: (mine, theirs) for key, mine, theirs in found}


def expected(one: Mapping[int, str], other: Mapping[int, str]) -> dict[int, tuple[str | None, ...]]:
    keys = [*one, *(key for key in other if key not in one)]
    return {k: (one.get(k), other.get(k)) for k in keys if one.get(k) != other.get(k)}


changes = st.tuples(
    st.dictionaries(st.integers(-50, 400), st.sampled_from("abc"), max_size=120),
    st.lists(st.integers(-50, 400), max_size=120),
)


@given(st.lists(changes, max_size=8))
def test_it_is_as_a_dict_after_any_changes_and_differs_from_all_others_by_what_differs(
    history: list[tuple[dict[int, str], list[int]]],
) -> None:
    versions: list[tuple[PersistentMap[int, str], dict[int, str]]] = [(PersistentMap(), {})]
    for put, removed in history:
        persistent, plain = versions[-1]
        after = {k: v for k, v in {**plain, **put}.items() if k not in removed}
        versions.append((persistent.updated(put, removed), after))
    for persistent, plain in versions:
        assert dict(persistent) == plain
        assert len(persistent) == len(plain)
        assert persistent == PersistentMap(plain)
        assert persistent == plain
        assert all(persistent[key] == value for key, value in plain.items())
        assert -51 not in persistent
        for other, plain_other in versions:
            assert found(persistent, other) == expected(plain, plain_other)
            assert found(persistent, plain_other) == expected(plain, plain_other)
            assert (persistent == other) is (plain == plain_other)


def test_keys_of_one_hash_are_kept_apart() -> None:
    keys = [Key(number) for number in range(300)]
    all_of_them = PersistentMap({key: str(key.number) for key in keys})
    some = all_of_them.updated({}, keys[::2])
    assert len(some) == 150
    assert all(key not in some for key in keys[::2])
    assert all(some[key] == str(key.number) for key in keys[1::2])


def test_a_change_of_nothing_is_the_same_map() -> None:
    some = PersistentMap({number: str(number) for number in range(100)})
    assert some.updated({7: some[7]}, [1000]) is some


def test_a_difference_looks_only_at_what_is_not_shared() -> None:
    large = PersistentMap({number: str(number) for number in range(10_000)})
    changed = large.updated({5: "five", 20_000: "more"}, [6])
    assert sum(each is None for each in difference(large, changed)) <= 6
    assert found(large, changed) == {
        5: ("5", "five"), 20_000: (None, "more"), 6: ("6", None)
    }  # fmt: skip


def test_a_key_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        PersistentMap({1: "one"})[2]


def test_it_is_as_a_dict_that_has_the_same_in_it() -> None:
    one = PersistentMap({"a": 1})
    assert one == {"a": 1} and one == PersistentMap({"a": 1})
    assert one != {"a": 2} and one != PersistentMap({"a": 2}) and one != 1
    assert repr(one) == "PersistentMap({'a': 1})"


def test_a_leaf_that_was_divided_is_compared_with_one_that_was_not() -> None:
    """The keys' lowest four bits agree, so that the second division tells them apart."""
    divided = PersistentMap({16 * n: n for n in range(30)})
    whole = PersistentMap({16 * n: n for n in range(20)} | {16 * n + 1: n for n in range(10)})
    found = {each for each in difference(divided, whole) if each is not None}
    assert found == {(16 * n, n, None) for n in range(20, 30)} | {
        (16 * n + 1, None, n) for n in range(10)
    }


def test_a_long_comparison_pauses_after_every_some_dozen_keys() -> None:
    one, other = ({n: n for n in range(500)} for _ in range(2))
    assert list(difference(one, other)).count(None) >= 40


def test_a_map_that_is_divided_again_and_again_has_what_was_put_into_it() -> None:
    """The keys' lowest bits agree, so that they lie deep."""
    made: PersistentMap[int, int] = PersistentMap()
    for n in range(600):
        made = made.updated({n << 8: n})
    assert made == {n << 8: n for n in range(600)}
    for n in range(0, 600, 2):
        made = made.updated({}, [n << 8])
    assert dict(made) == {n << 8: n for n in range(1, 600, 2)}
    assert len(made) == 300 and 256 in made and 512 not in made


def test_a_copy_of_which_little_was_changed_is_compared_by_what_that_was() -> None:
    compared: list[int] = []

    class Value(Key):
        def __eq__(self, other: object) -> bool:
            compared.append(self.number)
            return super().__eq__(other)

        __hash__ = Key.__hash__

    one = PersistentMap({n: Value(n) for n in range(1000)})
    other = one.updated({1: Value(1), 2: Value(7)}, [2, 3, 2000])
    found = [each for each in difference(one, other) if each is not None]
    assert [(key, after) for key, _, after in found] == [(2, None), (3, None)]
    assert compared == [1, 2, 3], "and none of those that were not touched"
    back = other.updated({2: Value(2), 3: Value(3)})
    assert list(difference(one, back)).count(None) < 6, "of another version it is as ever"


def test_items_and_values_are_walked_over_in_the_order_of_the_keys() -> None:
    plain = {f"h{number}": number for number in range(1, 2000)}
    persistent = PersistentMap(plain).updated({"h7": 70, "new": 1}, ["h9"])
    keys = list(persistent)
    assert list(persistent.items()) == [(key, persistent[key]) for key in keys]
    assert list(persistent.values()) == [persistent[key] for key in keys]
    assert ("h7", 70) in persistent.items()
    assert len(persistent.items()) == len(persistent.values()) == len(persistent)
