"""Odd answers by a real server: what curl and http.client both take, ProxyFetch calls up."""

from __future__ import annotations

import http.client
import random
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from pybal.model import CheckResult
from pybal.monitors.proxyfetch import ProxyFetchSettings
from tests.http.odd_answers import ODD_ANSWERS, OK, with_lines
from tests.integration.reactors import real_client, run_in_reactor
from tests.integration.real_monitors import Watched

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl"),
]

ANY = (range(100, 1000),)
TAKEN_BY_BOTH = 60
"""At least so many of the odd answers are; else the comparison has become empty."""


@contextmanager
def server(answers: list[bytes]) -> Iterator[int]:
    """Answers requests for /0, /1… with these, and closes; gives its port."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                answer(connection)

    def answer(connection: socket.socket) -> None:
        connection.settimeout(5)
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(4096)
            if not data:
                return
            request += data
        connection.sendall(answers[int(request.split()[1][1:])])
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass

    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def by_curl(port: int, number: int) -> int | None:
    """The status that curl has from the server; None if it is not content."""
    command = ["curl", "-s", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}"]
    url = f"http://127.0.0.1:{port}/{number}"
    done = subprocess.run([*command, url], capture_output=True, timeout=10, check=False)
    return int(done.stdout) if done.returncode == 0 else None


def by_http_client(port: int, number: int) -> int | None:
    """The same of Python's http.client."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", f"/{number}", headers={"Connection": "close"})
        response = connection.getresponse()
        response.read()
    except (http.client.HTTPException, OSError, ValueError, OverflowError):
        return None
    else:
        return response.status
    finally:
        connection.close()


def by_proxyfetch(port: int, count: int) -> list[CheckResult]:
    """What ProxyFetch says of each answer, if any status is right."""

    async def main(reactor: Any) -> list[CheckResult]:
        http = real_client(reactor)
        results: list[CheckResult] = []
        for number in range(count):
            urls = (f"http://web.example/{number}",)
            settings = ProxyFetchSettings(urls, ANY, interval_s=0.01, timeout_s=3)
            results.append(await Watched(reactor, settings, port, http=http).first_result())
        return results

    return run_in_reactor(main, limit_s=120)


def mutated(seed: int) -> bytes:
    """A good answer with a few bytes of its head changed."""
    source = random.Random(seed)
    head = bytearray(with_lines(b"Server: nginx", b"Date: Sat, 28 Nov 2026 10:00:00 GMT"))
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(OK) - 5, len(head) - 2)
        if source.random() < 0.5:
            head[at] = source.randrange(256)
        else:
            head[at:at] = source.choice([b" ", b"\t", b":", b"\r\n", b"\n", b"\0", b"\xff", b","])
    return bytes(head)


def test_what_curl_and_http_client_both_take_is_up() -> None:
    names = [*ODD_ANSWERS, *(f"mutation {seed}" for seed in range(120))]
    answers = [*ODD_ANSWERS.values(), *map(mutated, range(120))]
    with server(answers) as port:
        results = by_proxyfetch(port, len(answers))
        wrong, taken = [], 0
        for number, (name, result) in enumerate(zip(names, results, strict=True)):
            models = {by_curl(port, number), by_http_client(port, number)}
            taken += None not in models
            if None not in models and not result.up:
                wrong.append(f"{name}: taken by both, but {result.reason}")
            elif models == {None} and result.up:
                wrong.append(f"{name}: taken by neither, but {result.reason}")
            elif None not in models and len(models) == 1 and not says(result, models):
                wrong.append(f"{name}: {models}, but {result.reason}")
    assert not wrong, "\n".join(wrong)
    assert taken >= TAKEN_BY_BOTH


def says(result: CheckResult, statuses: set[int | None]) -> bool:
    found = re.search(r"answered (\d+)", result.reason)
    return found is not None and int(found[1]) in statuses


def test_a_reason_shows_what_came_in_place_of_an_answer() -> None:
    answers = [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\0\x02\x02\n", b"HTTP/1.1 OK\r\n\r\n"]
    shown = ["'SSH-2.0-OpenSSH_9.2'", r"'\x15\x03\x01\x00\x02\x02'", "'HTTP/1.1 OK'"]
    with server(answers) as port:
        for result, text in zip(by_proxyfetch(port, len(answers)), shown, strict=True):
            assert not result.up
            assert f"no HTTP status line: {text}" in result.reason
