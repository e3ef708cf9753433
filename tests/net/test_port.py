"""What an error is called, in reasons and in labels."""

from __future__ import annotations

import errno

import pytest

from pybal.errors import describe_os_error, is_local_fault
from pybal.net.port import label
from tests.fakes.environment import make_target
from tests.fakes.network import os_error


@pytest.mark.parametrize(
    ("error", "said", "labelled"),
    [
        (os_error(errno.ECONNREFUSED), "connection refused", "ConnectionRefusedError"),
        (os_error(errno.ECONNRESET), "connection reset by peer", "ConnectionResetError"),
        (os_error(errno.ETIMEDOUT), "connection timed out", "TimeoutError"),
        (os_error(errno.EHOSTUNREACH), "no route to host", "EHOSTUNREACH"),
        (OSError("what it was"), "what it was", "OSError"),
        (OSError(99999, "odd"), "unknown error 99999", "OSError"),
    ],
)
def test_errors_have_words_and_labels(error: OSError, said: str, labelled: str) -> None:
    assert describe_os_error(error) == said
    assert label(error) == labelled


def test_a_clean_end_has_a_label_too() -> None:
    assert label(None) == "ConnectionDone"


def test_only_the_directors_own_faults_are_local() -> None:
    assert is_local_fault(os_error(errno.EMFILE))
    assert is_local_fault(os_error(errno.EADDRNOTAVAIL))
    assert is_local_fault(os_error(errno.ENOSPC))
    assert not is_local_fault(os_error(errno.ECONNREFUSED))
    assert not is_local_fault(os_error(errno.EHOSTUNREACH))
    assert not is_local_fault(OSError("without a number"))


def test_an_endpoint_is_unambiguous_in_either_family() -> None:
    assert make_target("192.0.2.7").endpoint == "192.0.2.7:443"
    assert make_target("2001:db8::7").endpoint == "[2001:db8::7]:443"
