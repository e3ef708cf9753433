"""Listening sockets over a restart: nobody is refused, and nothing is listened on for ever."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pybal.handover.legacy import NO_LEGACY, Legacy
from pybal.handover.listeners import KeptListeners
from pybal.net.unix_socket import UNIXListener, is_served, what_is_at
from tests.fakes.handover import Store


def at(port: int = 0) -> Callable[[], socket.socket]:
    return lambda: socket.create_server(("127.0.0.1", port))


def never() -> socket.socket:
    raise AssertionError("there is one")


def life(store: Store, place: str = "here") -> KeptListeners:
    return KeptListeners(Legacy(store, place, store.left()))


def is_let_in(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_next_process_has_the_socket_and_who_waited_there(store: Store) -> None:
    first = life(store).open("http", at())
    port = first.getsockname()[1]
    first.close()  # as a process that is killed
    with socket.create_connection(("127.0.0.1", port)) as waiting:
        again = life(store)
        taken = again.open("http", never)
        taken.settimeout(5)
        accepted, peer = taken.accept()
        assert peer == waiting.getsockname()
        accepted.close()
    again.close("http", taken)
    assert store.kept == {}
    assert not is_let_in(port)


def test_what_is_closed_for_a_restart_stays_open_for_the_next_process(store: Store) -> None:
    listeners = life(store)
    listening = listeners.open_self_closing("http", at())
    port = listening.getsockname()[1]
    listeners.leave()
    listening.close()
    assert is_let_in(port)
    again = life(store).open_self_closing("http", never)
    again.close()
    assert not is_let_in(port)
    assert store.kept == {}


def test_another_socket_of_the_same_port_takes_its_place(store: Store) -> None:
    first = life(store).open("bgp, no key", at())
    port = first.getsockname()[1]
    first.close()
    listeners = life(store)
    second = listeners.open("bgp, a key", at(port))
    assert is_let_in(port)
    listeners.close("bgp, a key", second)
    assert not is_let_in(port)


def test_a_port_that_another_has_is_an_error(store: Store) -> None:
    with at()() as other, pytest.raises(OSError, match="in use"):
        life(store).open("http", at(other.getsockname()[1]))


@pytest.mark.parametrize("why", ["place", "unwanted", "never asked for"])
def test_what_is_not_taken_is_closed(store: Store, why: str) -> None:
    first = life(store).open("http", at())
    port = first.getsockname()[1]
    first.close()
    place = "elsewhere" if why == "place" else "here"
    listeners = KeptListeners(Legacy(store, place, store.left(), wanted=why != "unwanted"))
    if why == "place":
        listeners.open("http", at(port))
        assert is_let_in(port)
        return
    listeners.drop_left()
    assert not is_let_in(port)
    assert store.kept == {}


def test_without_a_store_nothing_is_different() -> None:
    listeners = KeptListeners(NO_LEGACY)
    listening = listeners.open("http", at())
    listeners.leave()
    port = listening.getsockname()[1]
    listeners.close("http", listening)
    assert not is_let_in(port)


def test_one_that_was_shut_down_hides_none_that_listens(store: Store) -> None:
    first = life(store).open("http", at())
    port = first.getsockname()[1]
    name = next(iter(store.kept))
    first.close()
    # As by a process that was killed after it had shut it down, and the one that came next.
    dead, pipe = socket.socket(), os.pipe()
    store.kept[name][:0] = [dead.detach(), *pipe]
    taken = life(store).open("http", never)
    assert taken.getsockname()[1] == port
    assert is_let_in(port)
    taken.close()


def test_of_what_listens_no_more_nothing_stays_in_the_store(store: Store) -> None:
    first = life(store).open("http", at())
    name = next(iter(store.kept))
    first.shutdown(socket.SHUT_RDWR)
    first.close()
    listeners = life(store)
    assert name in store.kept
    store.works = False  # what comes next does not hide it
    listeners.open("http", at()).close()
    assert name not in store.kept


def control(store: Store, path: Path) -> tuple[KeptListeners, socket.socket]:
    listeners = life(store)
    listening = UNIXListener(path, None, listeners.take(what_is_at(path)))
    return listeners, listeners.keep(what_is_at(path), listening.socket)


def test_a_unix_socket_stays_with_its_file_and_who_waited_there(
    store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    listeners, listening = control(store, path)
    before = what_is_at(path)
    listeners.leave()
    listening.close()
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(path))
        again, taken = control(store, path)
        taken.settimeout(5)
        taken.accept()[0].close()
    assert what_is_at(path) == before
    again.drop_left()
    assert is_served(path)
    taken.close()
    assert not is_served(path)
    assert store.kept == {}


def test_a_unix_socket_without_its_file_is_of_no_use(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "s"
    _, first = control(store, path)
    first.detach()  # as a process that is killed
    path.unlink()
    listeners, second = control(store, path)
    assert is_served(path)
    listeners.drop_left()
    assert is_served(path)
    second.close()
    assert store.kept == {}
