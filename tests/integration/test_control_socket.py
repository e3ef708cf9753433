"""The control socket of a real daemon."""

from __future__ import annotations

import json
import socket as sockets
import stat
import subprocess
from pathlib import Path

import pytest

from tests.dry_run import CONFIG, here
from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration


def daemon(folder: Path, config: str = CONFIG) -> RunningPybal:
    """A dry run."""
    folder.mkdir(exist_ok=True)
    (folder / "pool").write_text("{'host': '192.0.2.10'}\n")
    return RunningPybal(here, folder, config.replace("{folder}", str(folder)), "-n")


def curl(socket: Path, *arguments: str) -> str:
    command = ["curl", "-sS", "--max-time", "5", "--unix-socket", str(socket), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_curl_reads_every_document_and_has_something_done(tmp_path: Path) -> None:
    with daemon(tmp_path) as pybal:
        socket = pybal.control_path
        until(lambda: "192.0.2.10" in curl(socket, "http://pybal/pools/web_80"))
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert curl(socket, "http://pybal/alerts").startswith("OK - ")
        assert "pybal_service_servers{" in curl(socket, "http://pybal/metrics")
        paths = json.loads(curl(socket, "http://pybal/api/v1"))
        assert "/api/v1/services/{service}/confirm" in [v["path"] for v in paths["verbs"]]
        answer = curl(socket, "-X", "POST", "http://pybal/api/v1/services/web_80/confirm")
        assert set(json.loads(answer)) == {"error", "remedy"}, "nothing is held"
        assert pybal.ask_control("/api/v1/services/nosuch/confirm", "POST")[0] == 404
        pybal.wait_said("root asks for /api/v1/services/web_80/confirm: ")
        pybal.stop()
        assert not socket.exists()


@pytest.mark.parametrize("path", ["/alerts", "/metrics", "/api/v1/ipvs"])
def test_who_closes_his_side_after_the_request_has_his_answer(tmp_path: Path, path: str) -> None:
    with daemon(tmp_path) as pybal, sockets.socket(sockets.AF_UNIX) as client:
        until(lambda: pybal.ask_control("/pools")[0] == 200)
        client.settimeout(10)
        client.connect(str(pybal.control_path))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: pybal\r\n\r\n".encode())
        client.shutdown(sockets.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body


def test_the_file_of_a_killed_daemon_is_replaced_that_of_a_live_one_is_not(tmp_path: Path) -> None:
    with daemon(tmp_path / "first") as first:
        until(lambda: first.ask_control("/pools")[0] == 200)
        first.kill()
        assert first.control_path.exists()
        first.start()
        until(lambda: first.ask_control("/pools")[0] == 200)
        socket = first.control_path
        config = CONFIG.replace("[global]", f"[global]\ncontrol-socket = {socket}")
        with daemon(tmp_path / "second", config.replace("web_80", "other_80")) as second:
            second.wait_said("another process listens there")
            assert first.ask_control("/pools") == (200, "web_80\n")
            second.stop()
        assert first.ask_control("/pools") == (200, "web_80\n")
        first.wait_said("control socket")


def test_a_group_that_is_not_there_leaves_the_socket_to_root(tmp_path: Path) -> None:
    config = CONFIG.replace(
        "[global]",
        f"[global]\ncontrol-socket = {tmp_path}/control.sock\ncontrol-socket-group = nosuch-group",
    )
    with daemon(tmp_path, config) as pybal:
        until(lambda: pybal.ask_control("/pools")[0] == 200)
        assert stat.S_IMODE(pybal.control_path.stat().st_mode) == 0o600
        pybal.wait_said("There is no group nosuch-group")


@pytest.mark.parametrize("option", ["# control-socket is not set", "control-socket = no"])
def test_a_dry_run_has_no_control_socket_unless_it_is_asked_for(
    tmp_path: Path, option: str
) -> None:
    with daemon(tmp_path, CONFIG.replace("[global]", f"[global]\n{option}")) as pybal:
        pybal.wait_said("New enabled server")
        assert "control socket" not in pybal.log
