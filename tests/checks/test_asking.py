"""What a check program takes for an answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pybal.checks.asking import AskingError, HTTPAsk


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The URL of a server that gives one answer, then closes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(30)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_a_whole_answer_is_taken() -> None:
    with answering(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK") as url:
        assert HTTPAsk(url, 5.0)("/alerts") == "OK"
    with answering(b"HTTP/1.0 200 OK\r\n\r\nOK") as url:
        assert HTTPAsk(url, 5.0)("/alerts") == "OK"


@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: 3\r\n\r\nOK",
        b"Content-Length: 3\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n9\r\nOK",
    ],
)
def test_what_is_cut_off_is_no_answer(answer: bytes) -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\n" + answer) as url,
        pytest.raises(AskingError),
    ):
        HTTPAsk(url, 5.0)("/pools")
