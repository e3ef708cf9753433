"""What an operator is shown of a check: bounded, printable, without secrets."""

from __future__ import annotations

import pytest

from pybal.monitors.exchange import (
    Record,
    Step,
    bytes_text,
    command_text,
    request_lines,
    response_lines,
    sent_text,
    tls_text,
)
from pybal.net.tls_facts import TLSFacts


def test_steps_are_timed_from_the_beginning_of_the_check() -> None:
    times = iter((100.0, 100.5, 102.0, 99.0))
    record = Record(lambda: next(times))
    record.note("connecting")
    record.note("connected", "sent")
    record.note("over")
    assert record.steps == (
        Step(0.5, "connecting"),
        Step(2.0, "connected"),
        Step(2.0, "sent"),
        Step(0.0, "over"),  # whatever a clock does, nothing was before the beginning
    )


def test_of_very_many_steps_the_first_two_hundred_are_kept() -> None:
    record = Record(lambda: 0.0)
    record.note(*map(str, range(199)))
    record.note("x", "y")
    record.note("z")
    assert [step.text for step in record.steps] == [*map(str, range(199)), "x"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "0 bytes"),
        (b"a", "1 byte: 'a'"),
        (b"a\n", "2 bytes: 'a\\n'"),
        (b"a" * 200, f"200 bytes: {'a' * 200!r}"),
        (b"a" * 201, f"201 bytes: {'a' * 200!r}…"),
    ],
)
def test_of_bytes_the_first_two_hundred_are_shown(data: bytes, text: str) -> None:
    assert bytes_text(data) == sent_text(data) == text


def test_of_a_body_the_first_two_hundred_bytes_are_shown() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    assert response_lines(head) == ["< HTTP/1.1 200 OK"]
    assert response_lines(head + b"b" * 200)[1] == f"< body: {'b' * 200!r}"
    assert response_lines(head + b"b" * 201)[1] == f"< body: {'b' * 200!r}…"


def test_of_an_answers_headers_forty_are_shown_and_no_secret() -> None:
    headers = b"".join(b"X-%d: v\r\n" % number for number in range(38))
    lines = response_lines(
        b"HTTP/1.1 302 Found\r\nSet-Cookie: s=hunter2\r\nLocation: /y?q=hunter2\r\n"
        + headers
        + b"X-Last: v\r\n\r\n"
    )
    assert lines[1:4] == ["< Set-Cookie: ***", "< Location: /y?q=***", "< X-0: v"]
    assert (len(lines), *lines[-2:]) == (42, "< X-37: v", "< 1 header more")


def test_a_header_is_cut_and_made_printable() -> None:
    [_, odd, long] = response_lines(b"HTTP/1.1 200 OK\r\nX: \x1b'[2J\r\nY: " + b"y" * 600)
    assert odd == "< X: \\x1b'[2J"
    assert long == "< Y: " + "y" * 496 + "…"


def test_of_a_request_only_headers_that_are_known_are_shown() -> None:
    assert request_lines(b"GET / HTTP/1.1\r\nHost: a\r\nX-Thing: hunter2\r\n\r\nHost: body") == [
        "> GET / HTTP/1.1",
        "> Host: a",
        "> X-Thing: ***",
    ]


def test_a_command_without_secrets_is_shown_as_one_would_write_it() -> None:
    assert command_text(["/bin/check", "-H", "a\n"]) == "/bin/check -H 'a\\n'"
    assert command_text(["/bin/check", "--token", "hunter2"]) == (
        "/bin/check (its 2 arguments not shown: they may hold a secret)"
    )
    # The program's own name is no secret.
    assert command_text(["/bin/check_password", "-v"]) == "/bin/check_password -v"


def test_of_a_certificate_five_names_are_shown() -> None:
    facts = TLSFacts("TLSv1.3", "AES", tuple("abcdef"), None)
    assert tls_text(facts, str) == "TLSv1.3, AES; certificate of a, b, c, d, e, without an end"
    bare = TLSFacts("TLSv1.3", "AES", (), None)
    assert tls_text(bare, str) == "TLSv1.3, AES; certificate of no name, without an end"
