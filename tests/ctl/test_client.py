"""Daemons that are not there, do not answer, or answer nonsense: one line, with what would help."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from pybal.ctl.client import NoDaemonError, SocketClient
from pybal.ctl.main import main, wants_colour
from pybal.errors import ControlError
from tests.ctl.served import ctl


def client(path: Path) -> SocketClient:
    return SocketClient(path, lambda: "", read_timeout_s=0.05)


def test_a_socket_that_is_missing_is_said_with_the_units_state(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    assert ctl(path, "status") == (
        3,
        "",
        f"pybalctl: The control socket {path} is not there (systemd: pybal.service is inactive). "
        "Start the daemon (systemctl start pybal), or say where its socket is (pybalctl --socket"
        " PATH); a dry run has one only if control-socket is set\n",
    )


def test_a_socket_at_which_nobody_listens_is_said(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(NoDaemonError, match="nobody listens at it"):
        client(path).get("services")


def test_what_is_no_socket_and_a_path_that_is_too_long_are_said(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    for each, what in ((path, "is no socket"), (tmp_path / ("x" * 200), "control socket")):
        with pytest.raises(NoDaemonError, match=what):
            client(each).get("services")


def test_a_daemon_that_does_not_answer_is_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        asked = client(tmp_path / "s")
        with pytest.raises(NoDaemonError, match=r"gives no answer within 0\.05 s"):
            asked.get("services")
        # Neither does a verb wait for minutes that is done at once.
        with pytest.raises(NoDaemonError, match=r"gives no answer within 0\.05 s"):
            asked.post("overrides", "begin", body={})


def test_who_finds_others_waiting_waits_too(tmp_path: Path) -> None:
    """Dozens may ask at once while the daemon is restarted, say: nobody has to start it."""
    with socket.socket(socket.AF_UNIX) as listening, contextlib.ExitStack() as others:
        listening.bind(str(tmp_path / "s"))
        listening.listen(0)
        waiting = others.enter_context(socket.socket(socket.AF_UNIX))
        waiting.connect(str(tmp_path / "s"))
        with pytest.raises(NoDaemonError, match=r"has others waiting, for 0\.05 s and more"):
            client(tmp_path / "s").get("services")

        def serve() -> None:
            listening.accept()[0].close()
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        threading.Timer(0.1, serve).start()
        assert SocketClient(tmp_path / "s", lambda: "").get("services") == {}


def answered(folder: Path, answer: bytes) -> SocketClient:
    """A client of something that answers once."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "s"))
    listening.listen()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, listening:
            connection.recv(65536)
            connection.sendall(answer)

    threading.Thread(target=serve).start()
    return SocketClient(folder / "s", lambda: "")


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (b"", NoDaemonError, "broke off the exchange"),
        (b"SSH-2.0-x\r\n\r\n", NoDaemonError, "broke off the exchange"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", NoDaemonError, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{", ControlError, "no JSON"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", ControlError, "HTTP status 500"),
        (b'HTTP/1.1 409 X\r\nContent-Length: 15\r\n\r\n{"error": "no"}', ControlError, "no"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_good_is_one_line(
    tmp_path: Path, answer: bytes, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        answered(tmp_path, answer).get("services")


def endless(folder: Path, head: bytes, drop: bytes) -> None:
    """Something at a socket there that answers once, and goes on until nobody listens."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "s"))
    listening.listen()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, listening, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(head)
            while True:
                connection.sendall(drop)
                time.sleep(0.001)

    threading.Thread(target=serve).start()


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_drips_is_given_up(tmp_path: Path, head: bytes) -> None:
    endless(tmp_path, head, b" ")
    with pytest.raises(NoDaemonError, match=r"gives no answer within 0\.05 s"):
        client(tmp_path / "s").get("services")


def test_an_answer_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybal.ctl.client.MAX_ANSWER_BYTES", 2**20)
    endless(tmp_path, b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536)
    with pytest.raises(NoDaemonError, match="the answer is larger than 1 MiB"):
        SocketClient(tmp_path / "s", lambda: "").get("services")


@pytest.mark.parametrize("status", ["200 OK", "500 X"])
def test_a_stream_is_read_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr("pybal.ctl.client.MAX_EVENT_BYTES", 2**20)
    endless(tmp_path, f"HTTP/1.1 {status}\r\n\r\ndata: ".encode(), b"x" * 65536)
    said = "an event is larger than 1 MiB" if status == "200 OK" else "HTTP status 500"
    with pytest.raises((NoDaemonError, ControlError), match=said):
        next(SocketClient(tmp_path / "s", lambda: "").follow("events"))


def test_a_document_of_another_version_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "s"
    answered(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    status, out, errors = ctl(path, "sources")
    assert (status, out, errors.count("\n")) == (1, "", 1)
    assert "another version" in errors


@pytest.mark.parametrize(
    "words", ["", "nosuch", "pool", "config diff x", "config -c x", "maintenance", "names x"]
)
def test_a_wrong_command_line_exits_with_2(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    said = capsys.readouterr().err
    assert said.startswith("pybalctl")
    assert said.endswith("--help` says what is right\n")
    assert said.count("\n") == 1


def test_a_word_too_many_names_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["reload", "now"])
    said = "unrecognized arguments: now. `pybalctl reload --help` says what is right"
    assert capsys.readouterr().err == f"pybalctl reload: {said}\n"


def test_colours_can_be_switched_off() -> None:
    assert wants_colour({"TERM": "xterm"}, is_terminal=True)
    assert not wants_colour({"TERM": "xterm"}, is_terminal=False)
    assert not wants_colour({"TERM": "xterm", "NO_COLOR": "1"}, is_terminal=True)
    assert not wants_colour({"TERM": "dumb"}, is_terminal=True)


def test_it_starts_without_twisted_and_anything_of_the_daemon() -> None:
    script = (
        "import sys, pybal.ctl.main; "
        "print([m for m in sys.modules if m.split('.')[0] in ('twisted', 'pyroute2') "
        "or m.startswith('pybal.') and not m.startswith(('pybal.ctl', 'pybal.errors'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_who_may_not_use_it_is_told_who_may() -> None:
    nobody = 65534
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        path = Path(folder) / "control.sock"
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        Path(folder).chmod(0o755)
        own = os.geteuid()
        if own == 0:  # may use whatever there is
            os.chown(path, 0, nobody)
            os.seteuid(nobody)
        try:
            with pytest.raises(NoDaemonError) as raised:
                client(path).get("services")
        finally:
            os.seteuid(own)
    assert f"{path} may not be used: permission denied. Run it as root or" in str(raised.value)
    assert f"a member of the group {grp.getgrgid(nobody if own == 0 else os.getegid())[0]}" in str(
        raised.value
    )
