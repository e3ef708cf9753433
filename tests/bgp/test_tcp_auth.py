"""Keys of TCP connections as the kernel takes them. No kernel that the tests run on has TCP-AO:
of that only the option's bytes are checked, and what is said where it is missing."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from pybal.bgp.settings import AOSettings, PeerSettings
from pybal.bgp.tcp_auth import ao_key, set_key

AO = AOSettings("hmac(sha1)", 100, 101)


class Socket:
    """Remembers what is set."""

    def __init__(self, error: int = 0) -> None:
        self.options: list[tuple[int, int, bytes]] = []
        self._error = error

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        if self._error:
            raise OSError(self._error, "no")
        self.options.append((level, option, value))


def key(network: str, ao: AOSettings | None, handle: Any) -> None:
    peer = PeerSettings(ip_address("192.0.2.1"), password=b"s3cret", ao=ao)
    set_key(handle, ip_network(network), peer)


def test_the_bytes_of_a_tcp_ao_key() -> None:
    # struct tcp_ao_add of linux/tcp.h: 288 bytes.
    option = ao_key(ip_network("192.0.2.1"), b"s3cret", AO)
    assert len(option) == 288
    assert option[:8] == socket.AF_INET.to_bytes(2, "little") + b"\0\0" + bytes((192, 0, 2, 1))
    assert option[128:192].rstrip(b"\0") == b"hmac(sha1)"
    assert option[192:202] == bytes(10), "interface, flags, reserved"
    assert tuple(option[202:208]) == (32, 100, 101, 0, 0, 6), "prefix, IDs, MAC, flags, length"
    assert option[208:].rstrip(b"\0") == b"s3cret"
    assert ao_key(ip_network("2001:db8::/64"), b"s3cret", AO)[202] == 64


def test_one_peer_and_a_network_have_options_of_their_own_for_md5() -> None:
    one, many, ao = Socket(), Socket(), Socket()
    key("192.0.2.1", None, one)
    key("192.0.2.0/24", None, many)
    key("192.0.2.1", AO, ao)
    assert [o[:2] for s in (one, many, ao) for o in s.options] == [(6, 14), (6, 32), (6, 38)]
    assert tuple(many.options[0][2][128:130]) == (1, 24), "the flag of a prefix, its length"
    assert tuple(one.options[0][2][128:130]) == (0, 0)


def test_without_a_password_nothing_is_set() -> None:
    handle: Any = Socket()
    set_key(handle, ip_network("192.0.2.1"), PeerSettings(ip_address("192.0.2.1")))
    assert handle.options == []


def test_a_kernel_without_tcp_ao_is_named() -> None:
    with pytest.raises(OSError, match="this kernel has no TCP-AO"):
        key("192.0.2.1", AO, Socket(errno.ENOPROTOOPT))
    with pytest.raises(OSError, match="no"):
        key("192.0.2.1", AO, Socket(errno.EINVAL))
