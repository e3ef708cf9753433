from __future__ import annotations

import pytest

from pybal.net.local_address import is_local


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.255.0.7", True),
        ("::1", True),
        ("255.255.255.255", False),
        ("192.0.2.199", False),
        ("2001:db8:ffff::199", False),
    ],
)
def test_an_address_is_on_this_host_or_not(address: str, local: bool) -> None:
    assert is_local(address) is local
