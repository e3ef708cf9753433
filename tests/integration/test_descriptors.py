"""A real daemon whose monitors want more descriptors than there are."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration

LIMIT, SERVERS = 520, 600
# The last time more than monitors leave to others (main.LEFT_DESCRIPTORS): the reserve helps. What
# was lent of it monitors may take once the connections are closed; in its place it then has some of
# what was left to others. That is larger, unless the limit is very low.
AT_ONCE = (20, 20, 70)


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


def server(number: int) -> str:
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


def pool(folder: Path, count: int) -> None:
    lines = "".join(f"{{'host': '{server(n)}'}}\n" for n in range(count))
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
        pybal.wait_said(f"this process may have {LIMIT}")
        for count in AT_ONCE:
            connections = [socket.socket(socket.AF_UNIX) for _ in range(count)]
            for each in connections:
                each.connect(str(pybal.control_path))
            assert pybal.ask_control("/pools") == (200, "web\n")
            for each in connections:
                each.close()
        pool(tmp_path, SERVERS - 1)
        until(lambda: f"{server(SERVERS - 1)}:" not in pybal.ask_control("/pools/web")[1])
