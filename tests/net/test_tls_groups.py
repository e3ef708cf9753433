"""The groups of a TLS client: in which words OpenSSL is told, and what is made of its answers. What
goes over the wire is in tests/integration/test_tls_groups.py."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pybal.net import tls_groups
from pybal.net.tls_groups import GROUPS, offer_x25519_alone

POST_QUANTUM = 0x30500000
CONTEXT = cast(Any, SimpleNamespace(_context=4711))


class Library:
    """OpenSSL as cryptography shows it; `knows` is the line that it takes."""

    def __init__(self, knows: bytes | None) -> None:
        self._knows = knows
        self.told: list[tuple[object, bytes]] = []
        self.cleared = 0

    def shown(self) -> object:
        """By newer versions."""
        return SimpleNamespace(SSL_CTX_set1_curves_list=self._set, ERR_clear_error=self._clear)

    def hidden(self) -> object:
        """By those that have no name for what is wanted."""
        return SimpleNamespace(ERR_clear_error=self._clear)

    def _set(self, context: object, groups: bytes) -> int:
        self.told.append((context, groups))
        return 1 if groups == self._knows else 0

    def _clear(self) -> None:
        self.cleared += 1


@pytest.fixture
def openssl(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def be(library: object, version: int = POST_QUANTUM) -> None:
        ffi = SimpleNamespace(cast=lambda _, pointer: pointer)
        known = SimpleNamespace(OPENSSL_VERSION_NUMBER=version, _lib=library, _ffi=ffi)
        monkeypatch.setattr(tls_groups, "SSL", known)

    return be


@pytest.fixture
def linked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., int]], None]:
    def be(control: Callable[..., int]) -> None:
        monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(SSL_CTX_ctrl=control))

    return be


def test_before_there_was_a_second_share_nothing_is_said(openssl: Callable[..., None]) -> None:
    library = Library(None)
    openssl(library.shown(), POST_QUANTUM - 1)
    assert offer_x25519_alone(CONTEXT)
    assert library.told == []


@pytest.mark.parametrize("number", range(len(GROUPS)))
def test_the_first_line_that_is_known_counts(openssl: Callable[..., None], number: int) -> None:
    library = Library(GROUPS[number])
    openssl(library.shown())
    assert offer_x25519_alone(CONTEXT)
    assert library.told == [(4711, groups) for groups in GROUPS[: number + 1]]
    assert library.cleared == number, "what was refused leaves no error behind"


def test_without_a_line_that_is_known_it_is_not_to_be_had(openssl: Callable[..., None]) -> None:
    library = Library(None)
    openssl(library.shown())
    assert not offer_x25519_alone(CONTEXT)
    assert library.cleared == len(GROUPS)


def test_a_library_that_shows_no_name_for_it_is_asked_by_number(
    openssl: Callable[..., None], linked: Callable[[Callable[..., int]], None]
) -> None:
    asked: list[tuple[object, ...]] = []

    def control(*arguments: object) -> int:
        asked.append(arguments)
        return 1

    library = Library(None)
    openssl(library.hidden())
    linked(control)
    assert offer_x25519_alone(CONTEXT)
    # SSL_CTRL_SET_GROUPS_LIST of ssl.h
    assert asked == [(4711, 92, 0, GROUPS[0])]
    assert library.cleared == 0
    assert cast(Any, control).restype is ctypes.c_long
    assert cast(Any, control).argtypes == (
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_long,
        ctypes.c_char_p,
    )


@pytest.mark.parametrize("answer", [0, 2, -1])
def test_any_other_answer_than_1_is_a_no(
    openssl: Callable[..., None], linked: Callable[[Callable[..., int]], None], answer: int
) -> None:
    openssl(Library(None).hidden())

    def control(*_: object) -> int:
        return answer

    linked(control)
    assert not offer_x25519_alone(CONTEXT)


def test_a_library_with_its_own_openssl_cannot_be_asked(
    openssl: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl(Library(None).hidden())
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    assert not offer_x25519_alone(CONTEXT)

    def missing(_: object) -> None:
        raise OSError("no such file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not offer_x25519_alone(CONTEXT)
