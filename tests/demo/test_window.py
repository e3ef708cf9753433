"""The window's two ends, joined by a folder."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.demo.actors import Answer
from tests.demo.window import Outside, serve_inside

pytestmark = pytest.mark.integration


@contextmanager
def window(folder: Path, get: Callable[[str, str], Answer]) -> Iterator[str]:
    outside, done = Outside(folder), threading.Event()

    def inside() -> None:
        while not done.wait(0.01):
            serve_inside(folder, get)

    outside.start()
    thread = threading.Thread(target=inside)
    thread.start()
    try:
        yield outside.url
    finally:
        done.set()
        thread.join()
        outside.stop()


def fetch(url: str, accept: str = "text/plain") -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 - loopback
    answer = urllib.request.urlopen(request, timeout=10)  # noqa: S310
    assert isinstance(answer, http.client.HTTPResponse)
    return answer


def test_answer_comes_through_with_its_status_and_type(tmp_path: Path) -> None:
    def get(path: str, accept: str) -> Answer:
        return Answer(200, "application/json", f'["{path}", "{accept}"]')

    with window(tmp_path, get) as url, fetch(f"{url}/pools", "application/json") as answer:
        assert answer.read() == b'["/pools", "application/json"]'
        assert answer.headers.get_content_type() == "application/json"
    assert list(tmp_path.iterdir()) == []


def test_pybal_that_does_not_answer_is_a_bad_gateway(tmp_path: Path) -> None:
    def get(path: str, accept: str) -> Answer:
        raise ConnectionRefusedError("refused")

    with window(tmp_path, get) as url, pytest.raises(urllib.error.HTTPError, match="502"):
        fetch(f"{url}/pools")
