from __future__ import annotations

import json
from typing import Any

from pybal.page.html import Markup, element
from pybal.page.piece import Page, Piece, Slot
from pybal.page.publication import Publication

RENDERED: list[str] = []


def bold(id_: str, text: str) -> Markup:
    RENDERED.append(id_)
    return element("b", text, id=id_)


def shout(id_: str, text: str) -> Markup:
    return bold(id_, text.upper())


def page(**texts: str) -> Page:
    return Page((Slot("rows", tuple(Piece(id_, bold, (text,)) for id_, text in texts.items())),))


def updated(publication: Publication, page: Page) -> list[str]:
    """What had to be rendered."""
    RENDERED.clear()
    for _ in publication.update(page):
        pass
    return list(RENDERED)


def since(publication: Publication, version: int) -> dict[str, Any]:
    changes: dict[str, Any] = json.loads(publication.since(version))
    return changes


def test_only_what_has_changed_is_rendered_and_sent() -> None:
    publication = Publication("e")
    assert updated(publication, page(a="x", b="y")) == ["a", "b"]
    assert publication.state == "e.1"
    assert publication.slot("rows") == '<b id="a">x</b><b id="b">y</b>'
    assert updated(publication, page(a="x", b="z")) == ["b"]
    assert since(publication, 1) == {"pieces": {"b": '<b id="b">z</b>'}, "order": {}}
    assert publication.slot("rows") == '<b id="a">x</b><b id="b">z</b>'


def test_nothing_new_is_no_new_version() -> None:
    publication = Publication("e")
    updated(publication, page(a="x"))
    assert updated(publication, page(a="x")) == []
    # Other values may look the same.
    other = Page((Slot("rows", (Piece("a", shout, ("X",)),)),))
    updated(publication, Page((Slot("rows", (Piece("a", bold, ("X",)),)),)))
    assert publication.version == 2
    assert updated(publication, other) == ["a"]
    assert publication.version == 2
    assert updated(publication, other) == []


def test_who_has_missed_several_versions_is_sent_all_that_is_new() -> None:
    publication = Publication("e")
    updated(publication, page(a="x", b="y", c="z"))
    updated(publication, page(a="x", b="2", c="z"))
    updated(publication, page(c="3", a="x"))
    assert since(publication, 1) == {
        "pieces": {"c": '<b id="c">3</b>'},
        "order": {"rows": ["c", "a"]},
    }
    assert since(publication, 0)["pieces"].keys() == {"a", "c"}
    assert publication.since(1) is publication.since(1)
    updated(publication, page(c="4", a="x"))
    assert since(publication, 1)["pieces"] == {"c": '<b id="c">4</b>'}


def test_the_version_of_another_run_and_nonsense_are_none() -> None:
    publication = Publication("e")
    updated(publication, page(a="x"))
    assert publication.version_of("e.1") == publication.version_of("e." + "1".zfill(15)) == 1
    for state in (
        "",
        "f.1",
        "e.2",
        "e.-1",
        "e.x",
        "1",
        "e.1.1",
        "e." + "1".zfill(16),
        "e." + "9" * 5000,
        "e.\u00b2",
    ):
        assert publication.version_of(state) == 0


def test_an_update_that_is_given_up_leaves_the_former_version() -> None:
    publication = Publication("e")
    updated(publication, page(a="x", b="y"))
    next(iter(publication.update(page(a="1", b="2"))))
    assert publication.slot("rows") == '<b id="a">x</b><b id="b">y</b>'
    assert publication.version == 1
    updated(publication, page(a="1", b="2"))
    assert since(publication, 1)["pieces"].keys() == {"a", "b"}


def test_what_was_sent_is_kept_for_some_versions_only() -> None:
    publication = Publication("e")
    updated(publication, page(a="x"))
    first = publication.since(0)
    for version in range(1, 32):
        publication.since(version)
    assert publication.since(0) is first
    publication.since(32)
    assert publication.since(0) is not first
    assert publication.since(0) == first
