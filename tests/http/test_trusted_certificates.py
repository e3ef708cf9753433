"""Files of trusted certificates, as a request names them."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.errors import HTTPLocalFaultError, SourceError
from tests.fakes.deferreds import error_of
from tests.fakes.files import SlowFiles
from tests.http.test_client import Rig, failed_with, request

NO_FILE = request("https://a.example/", ca_file="/nonexistent/ca.pem")


def test_a_missing_file_of_trusted_certificates_is_named() -> None:
    rig = Rig(NO_FILE)
    failed_with(rig, "cannot use the certificates of /nonexistent/ca.pem")


def test_a_server_of_files_that_hangs_is_no_fault_of_the_checked_one() -> None:
    rig = Rig(NO_FILE, files=(files := SlowFiles()))
    assert not rig.fetched.called
    files.looking.errback(SourceError("its file system has not answered for 5 s"))
    error = error_of(rig.fetched)
    assert isinstance(error, HTTPLocalFaultError)
    assert "/nonexistent/ca.pem: its file system has not answered for 5 s" in str(error)


def test_trusted_certificates_are_read_once_their_file_has_been_looked_at() -> None:
    rig = Rig(NO_FILE, files=(files := SlowFiles()))
    assert not rig.fetched.called
    files.looking.callback(None)
    failed_with(rig, "cannot use the certificates of /nonexistent/ca.pem")


@pytest.mark.parametrize("options", [{"tls_verify": False}, {"url": "http://a.example/"}])
def test_a_file_that_is_not_needed_is_not_waited_for(options: dict[str, Any]) -> None:
    asked = request(**{"url": "https://a.example/", "ca_file": "/ca.pem", **options})
    assert Rig(asked, files=SlowFiles()).tried == ["192.0.2.7"]
