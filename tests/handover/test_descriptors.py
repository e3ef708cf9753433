"""Descriptors that come with the start, go to the manager, and what the kernel says of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybal.handover import inherited
from pybal.handover.connection import byte_counts, cookie
from pybal.handover.inherited import take_descriptors
from pybal.handover.store import ManagerStore, manager_store


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    with one, other:
        yield one, other


def test_descriptors_are_taken_by_name_and_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = os.memfd_create("a")
    first, second = 700, 701
    os.dup2(made, first, inheritable=True)
    os.dup2(made, second, inheritable=False)
    os.close(made)
    monkeypatch.setattr(inherited, "FIRST_DESCRIPTOR", first)
    said = {"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "x:x", "PATH": "/"}
    said["LISTEN_PIDFDID"] = "1"
    assert take_descriptors(said, 7) == {"x": [first, second]}
    assert not os.get_inheritable(first)
    assert said == {"PATH": "/"}
    said = {"LISTEN_PID": "7", "LISTEN_FDS": "0003", "LISTEN_FDNAMES": "x"}
    assert take_descriptors(said, 7) == {"x": [first], "": [second]}, "702 is none"


def test_a_process_that_becomes_the_next_program_says_where_they_are() -> None:
    said = {"LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "x:y:x"}
    made = [os.memfd_create("a") for _ in range(3)]
    said[inherited.NUMBERS] = ":".join(map(str, reversed(made)))
    assert take_descriptors(said, 7) == {"x": [made[2], made[0]], "y": [made[1]]}
    assert said == {}
    for number in made:
        os.close(number)


@pytest.mark.parametrize("numbers", ["x", "0:1", "-7", ":", "1000000", "3.0"])
def test_numbers_that_are_none_are_no_descriptors(numbers: str) -> None:
    said = {"LISTEN_PID": "7", "LISTEN_FDS": "2", inherited.NUMBERS: numbers}
    assert take_descriptors(said, 7) == {}
    assert said == {}


def test_the_first_is_3_as_sd_listen_fds_has_it() -> None:
    assert inherited.FIRST_DESCRIPTOR == 3


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"LISTEN_PID": "8", "LISTEN_FDS": "1"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "-1"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "all"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "1234567"},
    ],
)
def test_nonsense_and_what_is_for_another_process_are_no_descriptors(said: dict[str, str]) -> None:
    assert take_descriptors(said, 7) == {}
    assert said == {}


def test_a_store_is_sent_descriptors_with_their_name(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.settimeout(10)
    store = ManagerStore(listener.getsockname())
    file = os.memfd_create("a")
    assert store.keep("bgp.1", [file, file])
    data, descriptors, _, _ = socket.recv_fds(listener, 4096, 10)
    assert data == b"FDSTORE=1\nFDNAME=bgp.1"
    assert [os.fstat(one).st_ino for one in descriptors] == [os.fstat(file).st_ino] * 2
    store.forget("bgp.1")
    assert socket.recv_fds(listener, 4096, 10)[:2] == (b"FDSTOREREMOVE=1\nFDNAME=bgp.1", [])
    listener.close()
    (tmp_path / "notify").unlink()
    assert not store.keep("bgp.1", [file])


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        ({"NOTIFY_SOCKET": "/n", "FDSTORE": "512"}, True),
        ({"NOTIFY_SOCKET": "@n", "FDSTORE": "1"}, True),
        ({"NOTIFY_SOCKET": "/n", "FDSTORE": "0"}, False),
        ({"NOTIFY_SOCKET": "/n"}, False),
        ({"NOTIFY_SOCKET": "/n", "FDSTORE": "many"}, False),
        ({"FDSTORE": "512"}, False),
    ],
)
def test_there_is_a_store_where_the_manager_says_so(said: dict[str, str], is_one: bool) -> None:
    assert (manager_store(said) is not None) is is_one


def test_what_is_written_and_read_is_counted_wherever_it_waits(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    start, there = byte_counts(one), byte_counts(other)
    one.send(b"x" * 1000)
    assert byte_counts(one).given == start.given + 1000
    assert other.recv(300) == b"x" * 300
    assert byte_counts(other).taken == there.taken + 300
    other.setblocking(False)
    one.setblocking(False)
    written = 0
    try:
        while True:
            written += one.send(b"y" * 65536)
    except BlockingIOError:
        pass
    assert byte_counts(one).given == start.given + 1000 + written
    other.shutdown(socket.SHUT_WR)
    assert not byte_counts(one).is_open


def test_a_socket_has_a_number_of_its_own(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    assert cookie(one) != cookie(other)
    with socket.socket(fileno=os.dup(one.fileno())) as copy:
        assert cookie(copy) == cookie(one)
