"""`pybalctl check` against a real server with TLS on loopback."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.dry_run import here
from tests.integration.certificates import make_certificate
from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration

CONFIG = """
[global]
state-directory = none

[web]
protocol = tcp
ip = 127.0.0.9
port = {port}
scheduler = wrr
config = file://{folder}/pool
monitors = [ "ProxyFetch", "IdleConnection", "RunCommand" ]
proxyfetch.url = https://www.example.org/health?token=hunter2
proxyfetch.headers = {{'Authorization': 'Basic hunter2'}}
proxyfetch.interval = 600
runcommand.command = /bin/sh
runcommand.arguments = [ "-c", "echo checked $0; exit 3", server.host ]
runcommand.interval = 600
"""


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Set-Cookie", "session=hunter2")
        self.end_headers()
        self.wfile.write(b"all is well")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    files = make_certificate(tmp_path, "DNS:www.example.org")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join(30)
    server.server_close()


def test_the_exchange_is_shown_from_the_connection_to_the_answer(tmp_path: Path, port: int) -> None:
    (tmp_path / "pool").write_text("{'host': '127.0.0.1'}\n")
    config = CONFIG.format(folder=tmp_path, port=port)
    with RunningPybal(here, tmp_path, config, "-n") as pybal:
        until(lambda: "127.0.0.1" in pybal.ask_control("/pools/web")[1])

        def ctl(*words: str) -> tuple[int, str]:
            command = [sys.executable, "-m", "pybal.ctl", f"--socket={pybal.control_path}", *words]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            return done.returncode, done.stdout + done.stderr

        def results() -> list[Any]:
            shown = json.loads(ctl("pool", "web", "--json")[1])
            return [m["down_results"] + m["up_results"] for m in shown["servers"][0]["monitors"]]

        before = results()
        status, out = ctl("check", "web", "127.0.0.1", "-v")
        assert status == 1, "the command fails"
        for said in (
            "ProxyFetch: up after",
            f"connected to 127.0.0.1:{port} from 127.0.0.1:",
            "TLSv1.3, ",
            "certificate of PyBal test, www.example.org, until 20",
            "> GET /health?token=*** HTTP/1.1",
            "> Authorization: ***",
            "< HTTP/1.0 200 OK",
            "< Set-Cookie: ***",
            "< body: 'all is well'",
            "IdleConnection: up after",
            "RunCommand: down after",
            "| checked 127.0.0.1",
            "exit status 3",
        ):
            assert said in out, (said, out)
        assert "hunter2" not in out
        document = json.loads(ctl("check", "web", "127.0.0.1", "--json")[1])
        assert [each["up"] for each in document["checks"]] == [True, True, False]
        assert results() == before, "the checks that run know nothing of it"
        assert ctl("check", "web", "127.0.0.2")[1].count("\n") == 1
