from __future__ import annotations

import json
from typing import Any

from pybal.page.html import Markup, element
from pybal.page.piece import Page, Piece, Slot
from pybal.page.rendered_page import RenderedPage

RENDERED: list[str] = []


def bold(id_: str, text: str) -> Markup:
    RENDERED.append(id_)
    return element("b", text, id=id_)


def shout(id_: str, text: str) -> Markup:
    return bold(id_, text.upper())


def page(**texts: str) -> Page:
    return Page((Slot("rows", tuple(Piece(id_, bold, (text,)) for id_, text in texts.items())),))


def updated(rendered: RenderedPage, page: Page) -> list[str]:
    """What had to be rendered."""
    RENDERED.clear()
    for _ in rendered.update(page):
        pass
    return list(RENDERED)


def since(rendered: RenderedPage, version: int) -> dict[str, Any]:
    changes: dict[str, Any] = json.loads(rendered.since(version))
    return changes


def test_only_what_has_changed_is_rendered_and_sent() -> None:
    rendered = RenderedPage("e")
    assert updated(rendered, page(a="x", b="y")) == ["a", "b"]
    assert rendered.state == "e.1"
    assert rendered.slot("rows") == '<b id="a">x</b><b id="b">y</b>'
    assert updated(rendered, page(a="x", b="z")) == ["b"]
    assert since(rendered, 1) == {"pieces": {"b": '<b id="b">z</b>'}, "order": {}}
    assert rendered.slot("rows") == '<b id="a">x</b><b id="b">z</b>'


def test_nothing_new_is_no_new_version() -> None:
    rendered = RenderedPage("e")
    updated(rendered, page(a="x"))
    assert updated(rendered, page(a="x")) == []
    # Other values may look the same.
    other = Page((Slot("rows", (Piece("a", shout, ("X",)),)),))
    updated(rendered, Page((Slot("rows", (Piece("a", bold, ("X",)),)),)))
    assert rendered.version == 2
    assert updated(rendered, other) == ["a"]
    assert rendered.version == 2
    assert updated(rendered, other) == []


def test_who_has_missed_several_versions_is_sent_all_that_is_new() -> None:
    rendered = RenderedPage("e")
    updated(rendered, page(a="x", b="y", c="z"))
    updated(rendered, page(a="x", b="2", c="z"))
    updated(rendered, page(c="3", a="x"))
    assert since(rendered, 1) == {
        "pieces": {"c": '<b id="c">3</b>'},
        "order": {"rows": ["c", "a"]},
    }
    assert since(rendered, 0)["pieces"].keys() == {"a", "c"}
    assert rendered.since(1) is rendered.since(1)
    updated(rendered, page(c="4", a="x"))
    assert since(rendered, 1)["pieces"] == {"c": '<b id="c">4</b>'}


def test_the_version_of_another_run_and_nonsense_are_none() -> None:
    rendered = RenderedPage("e")
    updated(rendered, page(a="x"))
    assert rendered.version_of("e.1") == rendered.version_of("e." + "1".zfill(15)) == 1
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
        assert rendered.version_of(state) == 0


def test_an_update_that_is_given_up_leaves_the_former_version() -> None:
    rendered = RenderedPage("e")
    updated(rendered, page(a="x", b="y"))
    next(iter(rendered.update(page(a="1", b="2"))))
    assert rendered.slot("rows") == '<b id="a">x</b><b id="b">y</b>'
    assert rendered.version == 1
    updated(rendered, page(a="1", b="2"))
    assert since(rendered, 1)["pieces"].keys() == {"a", "b"}


def test_what_was_sent_is_kept_for_some_versions_only() -> None:
    rendered = RenderedPage("e")
    updated(rendered, page(a="x"))
    first = rendered.since(0)
    for version in range(1, 32):
        rendered.since(version)
    assert rendered.since(0) is first
    rendered.since(32)
    assert rendered.since(0) is not first
    assert rendered.since(0) == first
