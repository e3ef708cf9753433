"""Throw-away certificates, made by the openssl program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of a server certificate that is its own authority, and of its key."""

    certificate: Path
    key: Path


def make_certificate(directory: Path, *names: str) -> Certificate:
    """A certificate for `names`, in openssl's notation: `DNS:localhost`, `IP:127.0.0.1`."""
    files = Certificate(directory / "server.pem", directory / "server.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=PyBal test",
         "-addext", f"subjectAltName={','.join(names)}",
         "-keyout", str(files.key), "-out", str(files.certificate)],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return files
