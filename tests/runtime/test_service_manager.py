"""What a service manager is told, seen at the other end of its socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pybal.runtime.service_manager import (
    ServiceManager,
    is_journal,
    is_managed,
    watchdog_s,
)


def test_how_often_the_manager_wants_to_hear_is_read() -> None:
    assert watchdog_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 7) == 30.0


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
    ],
)
def test_what_is_for_another_process_or_nonsense_counts_as_not_set(said: dict[str, str]) -> None:
    assert watchdog_s(said, 7) == 0.0


@pytest.fixture
def listener(tmp_path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "notify"))
    sock.settimeout(10)
    return sock


def manager_of(listener: socket.socket) -> ServiceManager:
    return ServiceManager(listener.getsockname(), 30.0)


def test_each_word_is_one_datagram(listener: socket.socket) -> None:
    manager = manager_of(listener)
    manager.ready()
    manager.reloading(12.5)
    manager.alive()
    manager.stopping()
    manager.extend_timeout(90.5)
    assert [listener.recv(4096) for _ in range(5)] == [
        b"READY=1",
        b"RELOADING=1\nMONOTONIC_USEC=12500000",
        b"WATCHDOG=1",
        b"STOPPING=1",
        b"EXTEND_TIMEOUT_USEC=90500000",
    ]
    listener.close()


def test_the_status_is_one_line_and_said_once(listener: socket.socket) -> None:
    manager = manager_of(listener)
    manager.status("2 services\nMAINPID=1")
    manager.status("2 services\nMAINPID=1")
    manager.status("3 services")
    assert listener.recv(4096) == b"STATUS=2 services MAINPID=1"
    assert listener.recv(4096) == b"STATUS=3 services"
    listener.close()


def test_an_abstract_socket_is_reached() -> None:
    name = f"pybal-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        sock.settimeout(10)
        ServiceManager("@" + name).ready()
        assert sock.recv(100) == b"READY=1"


def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "gone")):
        manager = ServiceManager(address)
        manager.ready()


def test_the_journal_is_known_by_its_stream(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        status = os.fstat(file.fileno())
        said = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(file.fileno(), said)
        assert not is_journal(file.fileno(), {})
        assert not is_journal(file.fileno(), {"JOURNAL_STREAM": "1:1"})
    assert not is_journal(987654, said)


def test_a_process_is_managed_if_a_manager_has_started_this_very_one() -> None:
    assert not is_managed({}, 7)
    assert not is_managed({"SYSTEMD_EXEC_PID": "6", "NOTIFY_SOCKET": ""}, 7)
    assert is_managed({"SYSTEMD_EXEC_PID": "7"}, 7)
    assert is_managed({"NOTIFY_SOCKET": "/run/notify"}, 7)
