"""Plain headers: read as h11 reads them, or not at all."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.http.plain_head import PlainHead, read_plain_head

LINES = [
    "Content-Length: 5",
    "content-length:7",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length: 0",
    "CONTENT-LENGTH:   12  ",
    "Content-Length: 9999999999999999999999",
    "Transfer-Encoding: chunked",
    "Server: nginx/1.22 (x)",
    "X-Empty:",
    "X-Blank:  ",
    "X: a:b",
    "X: \t a \t",
    " folded",
    "No colon",
    "Bad name: x",
    ": no name",
    "Connection: close",
    "Upgrade: h2c",
    "X: \xe9",
    "X: \x7f",
]
STATUS_LINES = [
    "HTTP/1.1 200 OK",
    "HTTP/1.0 200",
    "HTTP/1.1 200 ",
    "HTTP/1.1 404 Not  Found",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 101 Switching",
    "HTTP/1.1 600 Odd",
    "HTTP/2.0 200 OK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1 2000 OK",
]


def by_h11(head: bytes) -> tuple[int, dict[str, str]]:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "")]))
    connection.receive_data(head)
    event = connection.next_event()
    assert isinstance(event, h11.Response)
    return event.status_code, {k.decode(): v.decode("latin-1") for k, v in event.headers}


def test_a_plain_answer_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nETag:  W/x \r\nx-a: 2\r\nContent-Length: 3\r\n\r\n"
    headers = {"x-a": "2", "etag": "W/x", "content-length": "3"}
    assert read_plain_head(head) == PlainHead(200, headers, 3)


@pytest.mark.parametrize("line", LINES)
def test_what_is_not_plain_is_left_alone(line: str) -> None:
    plain = {"Server: nginx/1.22 (x)", "X-Empty:", "X-Blank:  ", "X: a:b", "Connection: close"}
    head = f"HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 3\r\n\r\n".encode("latin-1")
    is_plain = read_plain_head(head) is not None
    assert is_plain == (line in plain or line == "Upgrade: h2c")


@given(st.sampled_from(STATUS_LINES), st.lists(st.sampled_from(LINES), max_size=5))
def test_it_reads_as_h11_does(status_line: str, lines: list[str]) -> None:
    head = "".join(f"{line}\r\n" for line in (status_line, *lines, "")).encode("latin-1")
    check(head)


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=20), max_size=4))
def test_it_reads_any_text_as_h11_does(lines: list[str]) -> None:
    everything = ("HTTP/1.1 200 OK", *lines, "Content-Length: 1", "")
    check("".join(f"{line}\r\n" for line in everything).encode("latin-1"))


def check(head: bytes) -> None:
    plain = read_plain_head(head)
    if plain is not None:
        assert (plain.status, plain.headers) == by_h11(head)
        assert int(plain.headers["content-length"]) == plain.length
