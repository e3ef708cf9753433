"""What a client trusts: the certificates that are in the file now."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from pybal.net.tls import CertificateNameError, TLSConnections, handshake_text, verify_name
from pybal.net.tls_facts import TLSSetupError
from tests.fakes.files import FilesHere


def authority(name: str) -> bytes:
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN={name} -keyout /dev/null"
    )
    return subprocess.run(command.split(), capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def authorities() -> tuple[bytes, bytes]:
    return authority("one"), authority("another")


def trust(connections: TLSConnections, file: Path | None) -> SSL.Context:
    ca_file = None if file is None else str(file)
    made = connections.connection("a.example", verify=True, ca_file=ca_file)
    return made.get_context()


def test_a_file_of_trusted_certificates_is_read_once_and_when_it_has_changed(
    tmp_path: Path, authorities: tuple[bytes, bytes]
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(authorities[0])
    connections = TLSConnections(files=FilesHere())
    first = trust(connections, file)
    assert trust(connections, file) is first
    (tmp_path / "new").write_bytes(authorities[1])
    (tmp_path / "new").replace(file)
    second = trust(connections, file)
    assert second is not first
    assert trust(connections, file) is second


@pytest.mark.parametrize("damage", [None, b"", b"half a certif"])
def test_a_file_that_has_gone_or_is_damaged_leaves_what_was_trusted(
    tmp_path: Path, authorities: tuple[bytes, bytes], damage: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(authorities[0])
    connections = TLSConnections(files=FilesHere())
    first = trust(connections, file)
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    assert trust(connections, file) is first
    file.unlink(missing_ok=True)
    file.write_bytes(authorities[0] + authorities[1])
    assert trust(connections, file) is not first


def test_what_the_platform_trusts_is_read_again_when_its_file_has_changed(
    tmp_path: Path, authorities: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority may be renewed under its name, or be trusted no longer."""
    file = tmp_path / "ca-certificates.crt"
    file.write_bytes(authorities[0])
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    connections = TLSConnections(files=FilesHere())
    first = trust(connections, None)
    assert trust(connections, None) is first
    file.write_bytes(b"half a certif")
    assert trust(connections, None) is first
    file.write_bytes(authorities[0] + authorities[1])
    second = trust(connections, None)
    assert second is not first
    assert trust(connections, None) is second


def test_a_file_that_never_was_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TLSSetupError, match=r"ca\.pem"):
        trust(TLSConnections(files=FilesHere()), tmp_path / "ca.pem")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The certificate of www.example.org and ::1, which is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("served")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
        " -addext subjectAltName=DNS:www.example.org,IP:::1"
    )
    files = ("-keyout", key, "-out", certificate)
    subprocess.run([*command.split(), *files], capture_output=True, check=True)
    return certificate, key


def shaken(client: SSL.Connection, served: tuple[Path, Path]) -> SSL.Connection:
    """The server's side of a handshake that is through."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_file(str(served[0]))
    context.use_privatekey_file(str(served[1]))
    server = SSL.Connection(context, None)
    server.set_accept_state()
    for here, there in ((client, server), (server, client)) * 3:
        with suppress(SSL.WantReadError):
            here.do_handshake()
        with suppress(SSL.WantReadError):
            there.bio_write(here.bio_read(1 << 16))
    return server


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("www.example.org", b"www.example.org"),
        ("www.example.org.", b"www.example.org"),
        ("::1", None),
        ("0:0:0:0:0:0:0:1", None),
    ],
)
def test_a_server_is_named_as_certificates_name_it(
    served: tuple[Path, Path], host: str, said: bytes | None
) -> None:
    client = TLSConnections(files=FilesHere()).connection(host, verify=True, ca_file=str(served[0]))
    assert shaken(client, served).get_servername() == said
    verify_name(client, host)
    for other in ("example.org.", "www.example.org..", "::2"):
        with pytest.raises(CertificateNameError):
            verify_name(client, other)


def certificate(name: str, begins: datetime, ends: datetime) -> tuple[bytes, bytes]:
    """One that is signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(named, named, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begins).not_valid_after(ends)
    made = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return made, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("begins", "ends", "trusted", "fault"),
    [
        (2020, 2021, True, "the certificate has expired on 2021-01-02 00:00 UTC"),
        (2900, 2901, True, "the certificate is not yet valid"),
        (2020, 2900, False, "the certificate is signed by itself alone"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(
    tmp_path: Path, begins: int, ends: int, *, trusted: bool, fault: str
) -> None:
    made, key = certificate(
        "x", datetime(begins, 1, 2, tzinfo=UTC), datetime(ends, 1, 2, tzinfo=UTC)
    )
    (tmp_path / "certificate.pem").write_bytes(made)
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "ca.pem").write_bytes(made if trusted else authority("another"))
    client = TLSConnections(files=FilesHere()).connection(
        "x", verify=True, ca_file=str(tmp_path / "ca.pem")
    )
    with pytest.raises(SSL.Error) as failure:
        shaken(client, (tmp_path / "certificate.pem", tmp_path / "key.pem"))
    assert handshake_text(client, failure.value) == f"certificate verify failed: {fault}"
