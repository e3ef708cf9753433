"""A real daemon whose monitors want more descriptors than there are."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration

LIMIT, SERVERS = 160, 250


@pytest.fixture
def port() -> Iterator[int]:
    """Where connections are accepted, on all of 127.0.0.0/8, and kept."""
    kept = []
    with socket.create_server(("0.0.0.0", 0), backlog=SERVERS) as listening:

        def accept() -> None:
            try:
                while True:
                    kept.append(listening.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept)
        thread.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in kept:
        each.close()


def pool(folder: Path, count: int) -> None:
    lines = "".join(f"{{'host': '127.0.1.{n}'}}\n" for n in range(1, count + 1))
    (folder / "new").write_text(lines)
    (folder / "new").rename(folder / "pool")


def test_requests_and_pool_lists_have_descriptors_when_monitors_have_none(
    tmp_path: Path, port: int
) -> None:
    pool(tmp_path, SERVERS)
    config = f"""
[global]
state-directory = none
isolation = no

[web]
protocol = tcp
ip = 192.0.2.1
port = {port}
scheduler = wrr
config = file://{tmp_path}/pool
monitors = ['IdleConnection']
"""

    def limited(*command: str) -> list[str]:
        return ["prlimit", f"--nofile={LIMIT}:{LIMIT}", *command]

    with RunningPybal(limited, tmp_path, config, "-n") as pybal:
        until(lambda: "too many open files" in pybal.ask_control("/alerts")[1])
        assert pybal.log.count(f"{SERVERS} connections are to be kept open (IdleConnection)") == 1
        assert f"this process may have {LIMIT}" in pybal.log
        for _ in range(3):
            connections = [socket.socket(socket.AF_UNIX) for _ in range(20)]
            for each in connections:
                each.connect(str(pybal.control_path))
            assert pybal.ask_control("/pools") == (200, "web\n")
            for each in connections:
                each.close()
        pool(tmp_path, SERVERS - 1)
        until(lambda: f"127.0.1.{SERVERS}:" not in pybal.ask_control("/pools/web")[1])
