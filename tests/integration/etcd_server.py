"""A real etcd with the v2 API over TLS, on loopback, for one test after another."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path

from tests.integration.certificates import Certificate


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class EtcdServer:
    """One etcd process. start() and stop() may alternate: its data stay, as does its port."""

    def __init__(self, directory: Path, certificate: Certificate) -> None:
        self.port = free_port()
        self._peer_port = free_port()
        self._directory = directory
        self._certificate = certificate
        self._context = ssl.create_default_context(cafile=str(certificate.certificate))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        url = f"https://127.0.0.1:{self.port}"
        peer_url = f"http://127.0.0.1:{self._peer_port}"
        with (self._directory / "etcd.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["etcd", "--enable-v2", "--data-dir", str(self._directory / "data"),
                 "--unsafe-no-fsync",
                 "--listen-client-urls", url, "--advertise-client-urls", url,
                 "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
                 "--initial-cluster", f"default={peer_url}",
                 "--cert-file", str(self._certificate.certificate),
                 "--key-file", str(self._certificate.key)],
                stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (self._directory / "etcd.log").read_text()
            assert time.monotonic() < deadline, "etcd did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill it, connections and all."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def put(self, key: str, value: object) -> None:
        """Set a key; a value that is not text is written as JSON."""
        text = value if isinstance(value, str) else json.dumps(value)
        self._request("PUT", key, urllib.parse.urlencode({"value": text}).encode())

    def make_events(self, count: int) -> None:
        """So many changes of keys that nobody watches."""
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=5, context=self._context)
        with closing(connection):
            for _ in range(count):
                connection.request("PUT", "/v2/keys/elsewhere?value=x")
                connection.getresponse().read()

    def delete(self, key: str) -> None:
        """Delete a key, or a directory and all below it."""
        self._request("DELETE", f"{key}?recursive=true")

    def _answers(self) -> bool:
        try:
            self._request("PUT", "/ready", b"value=yes")
        except OSError:
            return False
        return True

    def _request(self, method: str, key: str, data: bytes | None = None) -> None:
        url = f"https://127.0.0.1:{self.port}/v2/keys{key}"
        request = urllib.request.Request(url, data, method=method)
        with urllib.request.urlopen(request, timeout=5, context=self._context):  # noqa: S310
            pass
