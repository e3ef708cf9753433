"""What of a URL may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.net.url_text import without_likely_secrets, without_secrets


@pytest.mark.parametrize(
    ("url", "likely", "every"),
    [
        ("http://h/a/b", "http://h/a/b", "http://h/a/b"),
        ("http://h/?a=b&c=d", "http://h/?a=b&c=d", "http://h/?a=***&c=***"),
        ("http://h/?token=x", "http://h/?token=***", "http://h/?token=***"),
        ("http://h/?a=b&api_key=x;c=d", "http://h/?a=b&api_key=***;c=d", None),
        ("http://h/?access_token=x#f", "http://h/?access_token=***#f", None),
        ("http://h/?X-Amz-Signature=x", "http://h/?X-Amz-Signature=***", None),
        ("http://h/?PASSWORD=x", "http://h/?PASSWORD=***", None),
        ("http://h/?q=aB3dEf6hIj9lMn2pQr5t", "http://h/?q=***", None),
        ("http://h/?action=query&format=json", "http://h/?action=query&format=json", None),
        ("http://h/?hunter2", "http://h/?hunter2", "http://h/?***"),
        ("http://h/a;jsessionid=x/b;v=1?c", "http://h/a;jsessionid=***/b;v=1?c", None),
        ("http://h/a;token=x;v=1", "http://h/a;token=***;v=1", "http://h/a;token=***;v=1"),
        ("http://h/?", "http://h/?", "http://h/?"),
        ("http://h/?token=", "http://h/?token=", "http://h/?token="),
        ("http://me:hunter2@h/a@b", "http://***@h/a@b", "http://***@h/a@b"),
        (
            "['http://me@h/?key=1', 'http://i/?x=2']",
            "['http://***@h/?key=***', 'http://i/?x=2']",
            "['http://***@h/?key=***', 'http://i/?x=***']",
        ),
    ],
)
def test_secrets_are_hidden_and_the_rest_stays(url: str, likely: str, every: str | None) -> None:
    assert without_likely_secrets(url) == likely
    if every is not None:
        assert without_secrets(url) == every


@given(st.text("htp:/?&;=#@ab '\"", max_size=40))
def test_any_text_has_a_form_that_stays_as_it_is_when_it_is_hidden_again(text: str) -> None:
    for hide in (without_secrets, without_likely_secrets):
        assert hide(hide(text)) == hide(text)
