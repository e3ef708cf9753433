from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from pybal.net.unix_socket import UNIXListener, is_served, peer_uid


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_only_the_owner_may_connect_and_the_directory_is_made(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    listener = UNIXListener(path, None)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o755
    assert is_served(path)
    listener.socket.close()
    listener.remove()
    assert not path.exists()


def test_a_group_may_connect_too(tmp_path: Path) -> None:
    path = tmp_path / "s"
    group = os.getgroups()[0] if os.getgroups() else os.getegid()
    with UNIXListener(path, group).socket:
        assert mode(path) == 0o660
        assert os.lstat(path).st_gid == group


def test_the_file_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    UNIXListener(path, None).socket.close()
    assert path.exists()
    assert not is_served(path)
    with UNIXListener(path, None).socket:
        assert is_served(path)


def test_a_live_socket_is_left_alone_even_one_that_accepts_nobody(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with UNIXListener(path, None).socket as busy:
        busy.listen(0)
        waiting = []
        for _ in range(5):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            waiting.append(client)
            try:
                client.connect(str(path))
            except BlockingIOError:
                break
        with pytest.raises(FileExistsError, match="another process listens there"):
            UNIXListener(path, None)
        for client in waiting:
            client.close()
        assert path.exists()


@pytest.mark.parametrize("what", ["file", "link", "directory"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, what: str) -> None:
    path = tmp_path / "s"
    if what == "file":
        path.write_text("mine")
    elif what == "link":
        path.symlink_to("nowhere")
    else:
        path.mkdir()
    with pytest.raises(FileExistsError, match="no socket"):
        UNIXListener(path, None)
    assert os.path.lexists(path)


def test_another_ones_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = UNIXListener(path, None)
    first.socket.close()
    with UNIXListener(path, None).socket:
        first.remove()
        assert path.exists()


def test_who_connected_is_known(tmp_path: Path) -> None:
    with (
        UNIXListener(tmp_path / "s", None).socket as listening,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(tmp_path / "s"))
        with listening.accept()[0] as accepted:
            assert peer_uid(accepted) == os.getuid()
