"""Idle connections over restarts and kill -9: the servers are not to notice."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bgp.fork import Fork
from tests.bgp.rig import eventually
from tests.handover.manager import FakeManager
from tests.monitors.idle_process import run

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

COUNT = 200
CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_header_timeout 600s;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 0.0.0.0:{port}; location = /status {{ stub_status; }} }}
}}
"""


class Nginx:
    """One that is 200 servers, on as many addresses of loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("0.0.0.0", 0)) as free:
            self.port = free.getsockname()[1]
        path = folder / "nginx.conf"
        path.write_text(CONFIG.format(folder=folder, port=self.port))
        self._process = subprocess.Popen(["nginx", "-c", str(path), "-e", str(folder / "error")])

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)

    def accepted(self) -> int:
        """How many connections ever, without the one that asks."""
        address = f"http://127.0.0.1:{self.port}/status"
        with urllib.request.urlopen(address, timeout=10) as answer:
            words = answer.read().decode().split()
        self._asked = getattr(self, "_asked", 0) + 1
        return int(words[words.index("requests") + 1]) - self._asked


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    made = Nginx(tmp_path)
    eventually("nginx listens", lambda: listens(made.port))
    made.accepted()
    yield made
    made.close()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Life:
    def __init__(self, manager: FakeManager, folder: Path, port: int) -> None:
        given = {"store": manager.address, "left": manager.left(), "count": COUNT, "port": port}
        self.child = Fork(run, given, "", folder / "log", answers_within_s=60)

    def ask(self, word: str = "") -> dict[str, int]:
        self.child.console.write(f"{word}\n")
        self.child.console.flush()
        counts: dict[str, int] = json.loads(self.child.console.readline())
        return counts


def test_no_idle_connection_is_opened_anew_and_no_server_is_unknown(
    nginx: Nginx, tmp_path: Path
) -> None:
    with FakeManager(tmp_path) as manager:
        life = Life(manager, tmp_path, nginx.port)
        eventually("all are up", lambda: life.ask() == {"True": COUNT})
        accepted = eventually("all are accepted", lambda: nginx.accepted())
        time.sleep(0.5)  # what has only just been opened is kept a moment later
        for how in ("kill", "leave", "kill", "kill"):
            if how == "leave":
                life.ask("leave")
                life.child.wait(10)
            else:
                life.child.kill()
            life = Life(manager, tmp_path, nginx.port)
            assert life.ask() == {"True": COUNT}, "from the first moment on"
            assert nginx.accepted() == accepted
        life.child.close()
