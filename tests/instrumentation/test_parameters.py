"""A parameter that a document has not: it would be taken for a choice, were it passed over."""

from __future__ import annotations

import json

import pytest

from tests.fakes.view import FakeView, server, service
from tests.instrumentation.exchange import Client


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("pretty=%C3%BE&%F3%A2%BD%AA=1", "There is no parameter '\\U000e2f6a'"),
        ("pretty&a=%FE%86", "The query is not UTF-8, or too long"),
        ("=&&pretty", "There is no parameter ''"),
        ("service=text_443", "There is no parameter 'service'"),
    ],
)
def test_a_parameter_that_a_document_has_not_is_refused_and_what_checks_read_takes_any(
    query: str, wrong: str
) -> None:
    client = Client(FakeView([service("text_443", [server("cp1")])]))
    answer = client.get(f"/api/v1/services?{query}")
    assert answer.status == 400
    assert json.loads(answer.text) == {"error": wrong, "remedy": "There is pretty"}
    for path in ("/pools", "/pools/text_443", "/alerts", "/metrics"):
        assert client.get(f"{path}?{query}").status == 200, path
