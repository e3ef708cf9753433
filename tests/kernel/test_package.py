"""The package on a booted Debian 12 and a booted Debian 13: installed, run in the unit's sandbox,
upgraded, removed, purged."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.kernel.debian import SUITES, Debian, install, shown
from tests.running import until
from tests.stage import VIP4, Host, Stage

ROOT = Path(__file__).parents[2]
PORT = 80

CONFIG = """
[global]
instrumentation = yes
runcommand-user = daemon

[web]
protocol = tcp
ip = {vip}
port = 80
scheduler = sh
config = file:///etc/pybal/pools/web
monitors = [ 'IdleConnection', 'ProxyFetch', 'RunCommand', 'Ping' ]
proxyfetch.url = 'http://www.example.org/'
proxyfetch.interval = 1
ping.interval = 1
runcommand.interval = 1
runcommand.command = /bin/sh
runcommand.arguments = [ '-c', 'id -un' ]
"""


@pytest.fixture(scope="module", params=SUITES)
def debian(
    request: pytest.FixtureRequest,
    network: Stage,
    package: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Debian]:
    """It is the network's director, and has the package installed."""
    folder = tmp_path_factory.mktemp(request.param)
    with Debian(request.param, folder, network.director.namespace) as booted:
        install(booted, package)
        yield booted


@contextmanager
def web_server(host: Host) -> Iterator[None]:
    """It says the host's name."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(host.name.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with host.inside():
        server = ThreadingHTTPServer(("0.0.0.0", PORT), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def web_servers(network: Stage) -> Iterator[None]:
    with ExitStack() as stack:
        for real in network.reals:
            stack.enter_context(web_server(real))
        yield


def ask(client: Host) -> str:
    """What the service says."""
    connection = HTTPConnection(str(VIP4), PORT, timeout=5)
    with client.inside():
        connection.connect()
    connection.request("GET", "/")
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


_HOW_IT_IS = """
curl --silent http://127.0.0.1:9090/alerts || true
curl --silent http://127.0.0.1:9090/metrics | grep ^pybal_monitor_status || true
journalctl --no-pager --unit pybal --lines 60
"""


@pytest.fixture(scope="module")
def running(debian: Debian, network: Stage, web_servers: None) -> Debian:
    """With a configuration, started, and all that it checks is up."""
    network.clear()
    pool = "".join(f"{{'host': '{real.ipv4}'}}\n" for real in network.reals)
    write(debian, "/etc/pybal/pools/web", pool)
    write(debian, "/etc/pybal/pybal.conf", CONFIG.format(vip=VIP4))
    debian.run("systemctl", "restart", "pybal")
    try:
        until(lambda: len(monitors_up(debian)) == 4 * len(network.reals))
    except AssertionError as error:
        raise AssertionError(f"{error}\n{debian.run('sh', '-c', _HOW_IT_IS)}") from None
    return debian


def write(debian: Debian, path: str, text: str) -> None:
    (debian.shared / "text").write_text(text)
    debian.run("cp", "/srv/text", path)


def monitors_up(debian: Debian) -> list[str]:
    """The monitors that are up, one for each server."""
    metrics = debian.run("sh", "-c", "curl --silent http://127.0.0.1:9090/metrics || true")
    return re.findall(r'^pybal_monitor_status\{.*monitor="(\w+)".*\} 1.0$', metrics, re.MULTILINE)


def test_it_is_enabled_and_without_a_configuration_no_failure(debian: Debian) -> None:
    assert debian.run("systemctl", "is-enabled", "pybal").strip() == "enabled"
    debian.run("systemctl", "start", "pybal")
    assert shown(debian, "ActiveState") == "inactive"
    assert shown(debian, "ConditionResult") == "no"
    assert "pybal" not in debian.run("systemctl", "list-units", "--failed", "--no-legend")


def test_its_own_tests_pass(debian: Debian, network: Stage) -> None:
    network.clear()
    shutil.copytree(ROOT / "debian/tests", debian.shared / "tests", dirs_exist_ok=True)
    for name in ("command-line", "service"):
        debian.run("mkdir", f"/run/{name}")
        debian.run("env", f"AUTOPKGTEST_TMP=/run/{name}", f"/srv/tests/{name}")


def test_in_its_sandbox_it_balances_checks_and_runs_commands(
    running: Debian, network: Stage
) -> None:
    assert {ask(network.client) for _ in range(4)} <= {real.name for real in network.reals}
    assert set(monitors_up(running)) == {"IdleConnection", "ProxyFetch", "RunCommand", "Ping"}
    assert " sh" in running.run("ipvsadm", "-Ln")
    log = running.run("journalctl", "--unit=pybal", "--output=cat").splitlines()
    assert any(line.endswith("daemon") and "RunCommand" in line for line in log)


def test_exactly_one_process_of_root_is_pybal(running: Debian) -> None:
    # A command has our arguments between its fork and its exec.
    def found() -> list[str]:
        return running.run("pgrep", "--full", "--uid=root", "/usr/sbin/pybal").split()

    until(lambda: found() == [shown(running, "MainPID")])


def test_the_sandbox_is_rated_3_or_better(debian: Debian) -> None:
    text = debian.run("systemd-analyze", "security", "--no-pager", "pybal.service")
    rating = re.search(r"Overall exposure level for pybal\.service: ([\d.]+)", text)
    assert rating, text
    assert float(rating[1]) <= 3.0, text


def test_its_log_is_a_file_too_and_can_be_rotated(running: Debian) -> None:
    def logged() -> str:
        return running.run("cat", "/var/log/pybal.log")

    until(lambda: "[pybal] INFO: Created LVS service 'web'" in logged())
    running.run("logrotate", "--force", "/etc/logrotate.d/pybal")
    running.run("systemctl", "restart", "pybal")
    until(lambda: "[pybal] INFO: Created LVS service 'web'" in logged())
    assert "Created LVS service" in running.run("cat", "/var/log/pybal.log.1")


def test_an_upgrade_leaves_the_old_one_running_and_says_so(running: Debian, package: Path) -> None:
    before = shown(running, "MainPID")
    assert "until: systemctl restart pybal.service" in install(running, package)
    assert shown(running, "MainPID") == before


def test_a_removal_stops_it_and_a_purge_leaves_nothing(running: Debian, package: Path) -> None:
    running.run("dpkg", "--remove", "pybal")
    assert running.run("pgrep", "--full", "/usr/sbin/pybal", status=1) == ""
    assert str(VIP4) in running.run("ipvsadm", "-Ln")
    running.run("ls", "/var/lib/pybal", "/etc/pybal/pybal.conf")
    # Nothing runs that would still be an older version.
    assert "systemctl restart" not in install(running, package)
    running.run("dpkg", "--purge", "pybal")
    running.run("ls", "/var/lib/pybal", status=2)
    running.run("sh", "-c", "ls /etc/logrotate.d/pybal /var/log/pybal.log*", status=2)
