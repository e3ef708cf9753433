"""A file of which sections are known reads as the whole file does, whatever was changed in it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.ini import read_ini
from pybal.config.known_text import KnownTexts, read_known

LINES = [
    "[a]", "[b]", "[c] # comment", "[ a ]", "['b']", "[[peer 192.0.2.1]]", " [d]", "[DEFAULT]",
    "[e", "[[f]", "[g] h", "k = 1", "k: 2", "K = 'x'", "l = [ 'x',", "'y' ]", "  indented",
    "  m = 2", "junk", "# comment", "; comment", "", "  ", "n = '''", "'''",
    'o = """one line"""', "p = [", "q =", "\ufeff", "= 3", "r = 1 ; s", "\tt = [ [1], ", "u = a\r",
    "v = (\n[c]\n)",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(LINES), max_size=14).map("\n".join)


@given(st.lists(TEXTS, min_size=2, max_size=5))
def test_what_is_known_changes_nothing(texts: list[str]) -> None:
    known: KnownTexts = {}
    for text in texts:
        document, known = read_known(text, known, few=1.0)
        assert document == read_ini(text)


@pytest.mark.parametrize("seed", range(60))
def test_sections_that_move_change_or_are_said_twice_read_the_same(seed: int) -> None:
    random = Random(seed)
    texts = [f"[s{n}]\nport = {n}\n# of it\n  [[x {n}]]\n  y = [1,\n2]\n" for n in range(6)]
    texts += ["[s1]\nport = 1\n", "[s9]\nport 9\n", "[odd\n", "[s8]\nz = '''\n[s0]\n'''\n"]
    known: KnownTexts = {}
    for _ in range(6):
        sound = random.choices(texts[:6], k=5) if random.random() < 0.3 else texts[:6]
        parts = random.sample(sound, 5) + random.sample(texts[6:], random.randrange(2))
        text = "\n" * random.randrange(3) + "".join(parts)
        document, known = read_known(text, known, few=1.0)
        assert document == read_ini(text), text


def test_only_what_has_changed_is_taken_apart() -> None:
    text = "[a]\nk = 1\n[b]\nk = 2\n[c]\n[d]\n"
    first, known = read_known(text, {})
    again, _ = read_known(text.replace("2", "3"), known)
    assert again.sections[0] is first.sections[0]
    assert again.sections[1].entries["k"].text == "3"
    moved, _ = read_known("# more\n" + text, known)
    assert [section.line for section in moved.sections] == [2, 4, 6, 7]
    assert moved.sections[1].entries["k"].line == 5


def test_of_many_changes_the_whole_is_read_and_known_again() -> None:
    text = "".join(f"[s{n}]\nk = {n}\n" for n in range(8))
    _, known = read_known(text, {})
    for changed in (2, 3):
        document, now = read_known(text.replace("k = ", "l = ", changed), known)
        kept = [section for section in document.sections if section in known.values()]
        assert len(kept) == 8 - changed
        assert len(now) == 8
        assert (kept[0] is known[f"[s{changed}]\nk = {changed}"]) is (changed == 2)


def test_a_section_that_is_there_twice_is_not_taken_for_one() -> None:
    _, known = read_known("[a]\nk = 1\n", {})
    document, _ = read_known("[a]\nk = 1\n[a]\nk = 1\n", known, few=1.0)
    assert [fault.line for fault in document.faults] == [3]


WHOLE = "# ours\n[a]\nk = 1\n[[peer 192.0.2.1]]\nl = 2\n[b]\nm = 3\n[c]\n[d]\n[e]\n"


def test_of_a_section_that_changed_the_others_are_not_read_again() -> None:
    document, known = read_known(WHOLE, {})
    assert [section.name for section in known.values()] == ["a", "b", "c", "d", "e"]
    again, now = read_known(WHOLE.replace("m = 3", "m = 4"), known)
    assert again == read_ini(WHOLE.replace("m = 3", "m = 4"))
    same = [one is other for one, other in zip(document.sections, again.sections, strict=True)]
    assert same == [True, False, True, True, True]
    assert len(now) == 5


@pytest.mark.parametrize("own", ["[f]\njunk\n", "[DEFAULT]\nk = 1\n", "[a]\n", "[f\n"])
def test_a_section_that_does_not_stand_for_itself_is_read_with_the_whole(own: str) -> None:
    known = read_known(WHOLE, {})[1]
    assert read_known(WHOLE + own, known)[0] == read_ini(WHOLE + own)
