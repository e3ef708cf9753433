"""A check's ClientHello has one key share, and yet finds a group with every server."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from OpenSSL import SSL

from pybal.net.tls import TLSConnections
from tests.fakes.files import FilesHere
from tests.integration.certificates import Certificate, make_certificate
from tests.integration.tls_server import extensions, server_context

pytestmark = pytest.mark.integration

SUPPORTED_GROUPS, KEY_SHARE = 10, 51
P256, X25519 = 0x17, 0x1D


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:web.example")


def hello(client: SSL.Connection) -> dict[int, bytes]:
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    return dict(extensions(client.bio_read(65536)))


def shares(content: bytes) -> list[int]:
    found, at = [], 2
    while at < len(content):
        group, size = (int.from_bytes(content[i : i + 2], "big") for i in (at, at + 2))
        found.append(group)
        at += 4 + size
    return found


@pytest.mark.parametrize("verify", [False, True])
def test_x25519_is_the_only_share(verify: bool) -> None:
    connections = TLSConnections(post_quantum=False, files=FilesHere())
    said = hello(connections.connection("web.example", verify=verify, ca_file=None))
    assert shares(said[KEY_SHARE]) == [X25519]
    groups = said[SUPPORTED_GROUPS]
    listed = [int.from_bytes(groups[i : i + 2], "big") for i in range(2, len(groups), 2)]
    assert listed[:2] == [X25519, P256] and len(listed) >= 4


@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1", None])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_of_any_group_is_understood(
    certificate: Certificate, curve: str | None, version: ssl.TLSVersion
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = server_context(certificate, version, curve)
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    connections = TLSConnections(post_quantum=False, files=FilesHere())
    client = connections.connection("web.example", verify=False, ca_file=None)
    for _ in range(4):
        try:
            client.do_handshake()
            break
        except SSL.WantReadError:
            incoming.write(client.bio_read(65536))
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
        client.bio_write(outgoing.read())
    else:
        pytest.fail("no handshake")
