"""What a client trusts: the certificates that are in the file now."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from OpenSSL import SSL

from pybal.net.tls import TLSConnections
from pybal.net.tls_facts import TLSSetupError


def authority(name: str) -> bytes:
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN={name} -keyout /dev/null"
    )
    return subprocess.run(command.split(), capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def authorities() -> tuple[bytes, bytes]:
    return authority("one"), authority("another")


def trust(connections: TLSConnections, file: Path) -> SSL.Context:
    made = connections.connection("a.example", verify=True, ca_file=str(file))
    return made.get_context()


def test_a_file_of_trusted_certificates_is_read_once_and_when_it_has_changed(
    tmp_path: Path, authorities: tuple[bytes, bytes]
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(authorities[0])
    connections = TLSConnections()
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
    connections = TLSConnections()
    first = trust(connections, file)
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    assert trust(connections, file) is first
    file.unlink(missing_ok=True)
    file.write_bytes(authorities[0] + authorities[1])
    assert trust(connections, file) is not first


def test_a_file_that_never_was_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TLSSetupError, match=r"ca\.pem"):
        trust(TLSConnections(), tmp_path / "ca.pem")
