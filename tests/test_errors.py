"""Errors as people read them, and which of the system's are our own fault."""

from __future__ import annotations

import ast
import errno
from pathlib import Path

import pytest

import pybal.errors
from pybal.errors import (
    ControlError,
    HTTPFetchError,
    HTTPLocalFaultError,
    KernelError,
    NoSuchThingError,
    describe_os_error,
    is_local_fault,
    said_by,
)

_STR = ast.dump(ast.Name("str", ast.Load()))

OURS = ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ENOSPC", "EAGAIN", "EADDRNOTAVAIL", "EADDRINUSE",
        "EPERM")  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_what_this_host_lacks_says_nothing_of_a_server(name: str) -> None:
    assert is_local_fault(OSError(getattr(errno, name), "x"))


@pytest.mark.parametrize("name", ["ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ECONNRESET"])
def test_what_the_network_says_is_of_the_server(name: str) -> None:
    assert not is_local_fault(OSError(getattr(errno, name), "x"))


def test_an_error_of_the_system_is_in_the_words_of_the_system() -> None:
    assert describe_os_error(OSError(errno.ECONNREFUSED, "x")) == "connection refused"
    assert describe_os_error(OSError("its own words")) == "its own words"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "No space left on device"),
        (OSError("its own words"), "its own words"),
        (TimeoutError(), "TimeoutError"),
        (ControlError("ours"), "ours"),
        (KeyError("web"), "KeyError: 'web'"),
        (None, ""),
    ],
)
def test_what_an_exception_says_has_neither_numbers_nor_names_of_our_classes(
    error: BaseException | None, said: str
) -> None:
    assert said_by(error) == said


def test_no_error_of_the_system_is_said_with_its_number() -> None:
    """`str()` of an OSError is `[Errno 2] No such file or directory: '/x'`."""
    handlers = [
        (path, handler)
        for path in Path(pybal.errors.__file__).parent.rglob("*.py")
        if "OSError" in (text := path.read_text())
        for handler in ast.walk(ast.parse(text))
        if isinstance(handler, ast.ExceptHandler) and handler.name and handler.type
        if any("OSError" in ast.dump(part) for part in ast.walk(handler.type))
    ]
    assert len(handlers) > 40
    told = [
        f"{path}:{node.lineno}"
        for path, handler in handlers
        for node in ast.walk(handler)
        if isinstance(node, ast.FormattedValue)
        or (isinstance(node, ast.Call) and ast.dump(node.func) == _STR)
        for said in ([node.value] if isinstance(node, ast.FormattedValue) else node.args)
        if isinstance(said, ast.Name) and said.id == handler.name
    ]
    assert told == []


def test_an_error_is_its_text_and_knows_the_rest() -> None:
    control = NoSuchThingError("There is none", "Look there")
    assert (str(control), control.remedy) == ("There is none", "Look there")
    assert (str(ControlError("no")), ControlError("no").remedy) == ("no", "")
    fetch = HTTPFetchError("GET /x: refused after 1 s", "refused")
    assert (str(fetch), fetch.what) == ("GET /x: refused after 1 s", "refused")
    assert HTTPFetchError("refused").what == "refused"
    cause = OSError(errno.EMFILE, "x")
    local = HTTPLocalFaultError("not tried", cause)
    assert (str(local), local.cause) == ("not tried", cause)


def test_what_the_kernel_refuses_is_said_with_its_word_and_a_hint() -> None:
    error = KernelError("adding tcp 192.0.2.1:80", errno.EEXIST)
    assert str(error) == "adding tcp 192.0.2.1:80: File exists (EEXIST)"
    assert error.errno == errno.EEXIST
    hinted = KernelError("adding", 9999, "load ip_vs")
    assert str(hinted) == "adding: Unknown error 9999 (9999); load ip_vs"
    assert hinted.hint == "load ip_vs"
