"""The control socket is found where the configuration has put it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pybal.ctl.place import DEFAULT_SOCKET, place_of, place_of_running, usual_place


@pytest.mark.parametrize(
    "line",
    [
        "control-socket = {}",
        "  Control-Socket: {}",
        "control-socket = '{}'",
        'control-socket="{}"  # ours',
    ],
)
def test_a_socket_that_was_moved_is_found(tmp_path: Path, line: str) -> None:
    place = tmp_path / "here it is.sock"
    config = tmp_path / "pybal.conf"
    config.write_text(f"[global]\n#control-socket = /no\n{line.format(place)}\nbgp = no\n")
    assert usual_place(config) == place


@pytest.mark.parametrize("line", ["", "control-socket = no", "#control-socket = /x", "\0"])
def test_otherwise_it_is_at_its_default(tmp_path: Path, line: str) -> None:
    config = tmp_path / "pybal.conf"
    config.write_text(f"[global]\n{line}\n")
    assert usual_place(config) == DEFAULT_SOCKET
    assert usual_place(tmp_path) == DEFAULT_SOCKET
    assert usual_place(tmp_path / "missing") == DEFAULT_SOCKET


def test_a_place_at_which_there_is_a_socket_is_taken(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        assert place_of(place) == place
    assert place_of(None) == DEFAULT_SOCKET


def test_a_file_that_moves_the_socket_is_compared_by_the_one_that_is_there(tmp_path: Path) -> None:
    config, there, new = tmp_path / "pybal.conf", tmp_path / "there", tmp_path / "new"
    config.write_text(f"[global]\ncontrol-socket = {there}\n")
    assert place_of_running(new, config) == new, "nobody is anywhere: the file's is named"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(there))
        assert place_of_running(new, config) == there
        assert place_of_running(None, config) == there
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(new))
            assert place_of_running(new, config) == new


def test_one_that_may_not_be_looked_at_is_taken_for_there(tmp_path: Path) -> None:
    config, there = tmp_path / "pybal.conf", tmp_path / "there"
    config.write_text(f"[global]\ncontrol-socket = {there}\n")
    unseen = tmp_path / ("x" * 300)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(there))
        assert place_of_running(unseen, config) == unseen, "to connect says what is wrong with it"


def test_it_is_found_at_the_end_of_a_large_configuration(tmp_path: Path) -> None:
    config = tmp_path / "pybal.conf"
    config.write_text("#\n" * 1_000_000 + "control-socket = /x/y\n")
    assert usual_place(config) == Path("/x/y")
