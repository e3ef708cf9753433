from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.page.html import Markup, element, joined, path_to

TEXTS = st.text(
    st.characters(
        blacklist_categories=["Cs", "Cc"],
        blacklist_characters="\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
        "\u2066\u2067\u2068\u2069",
    )
)
EVIL = "<script>alert('x')</script><img src=x onerror=\"y\">&amp;</td>"


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@given(TEXTS, TEXTS)
def test_any_text_comes_out_of_an_element_and_an_attribute_as_it_went_in(
    text: str, value: str
) -> None:
    reader = read(element("b", text, [text, None], title=value))
    assert reader.tags == [("b", [("title", value)])]
    assert reader.text == text + text


def test_markup_made_here_is_not_escaped_again() -> None:
    assert element("p", element("b", "x & y"), 3) == "<p><b>x &amp; y</b>3</p>"
    assert joined([EVIL]) == joined([str(joined([EVIL]))]).replace("&amp;", "&")
    assert "<script" not in joined([EVIL])


def test_attributes_without_a_value_and_names_that_python_has_taken() -> None:
    assert element("input", class_="a", data_find="b", disabled=True, hidden=False, x=None) == (
        '<input class="a" data-find="b" disabled>'
    )


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "//evil.example", "https://evil.example", "/\\evil.example", "x", ""],
)
def test_a_link_leads_nowhere_else(link: str) -> None:
    for name in ("href", "src", "action"):
        with pytest.raises(ValueError, match="out of this server"):
            element("a", "x", **{name: link})
    assert element("a", "x", href="#here") == '<a href="#here">x</a>'


@given(TEXTS.filter(bool), TEXTS)
def test_a_path_holds_any_name(name: str, query: str) -> None:
    path = urlsplit(path_to("status", name, q=query))
    assert [unquote(each) for each in path.path.split("/")] == ["", "status", name]
    assert parse_qs(path.query, keep_blank_values=True) == ({"q": [query]} if query else {})
    assert path.netloc == ""


def test_a_name_of_dots_is_not_the_way_up() -> None:
    assert path_to("status", "..") == "/status/%2E%2E"
    assert path_to("status", ".") == "/status/%2E"
    assert path_to("status", "a.b") == "/status/a.b"


def test_no_other_module_makes_markup() -> None:
    modules = sorted((Path(__file__).parents[2] / "pybal/page").glob("*.py"))
    assert len(modules) > 10
    for path in modules:
        made = re.search(r"Markup\(", path.read_text("utf-8"))
        assert made is None or path.name == "html.py", path
    assert isinstance(element("b"), Markup)


@pytest.mark.parametrize("hidden", ["\x00", "\x1b", "\r", "\x9b", "\u202e", "\u2066", "\ud800"])
def test_what_is_not_seen_and_changes_what_is_seen_is_replaced(hidden: str) -> None:
    shown = element("p", f"a{hidden}b", title=f"c{hidden}d")
    assert shown == '<p title="c\N{REPLACEMENT CHARACTER}d">a\N{REPLACEMENT CHARACTER}b</p>'


def test_letters_of_any_script_and_lines_stay() -> None:
    text = "müller שלום 三\n\t\N{NO-BREAK SPACE}x"
    assert element("p", text) == f"<p>{text}</p>"
