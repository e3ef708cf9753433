"""Code that a configuration does without is not loaded; and never that of another version."""

from __future__ import annotations

import ast
import re
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from pybal.config.loader import parse_content
from pybal.config.settings import MonitorSettings, Settings
from pybal.daemon.on_demand import ANSWERS, PIECES, CodeOnDemand, Piece
from tests.config.texts import KINDS

ROOT = Path(__file__).parent.parent.parent
CONFIG = """
[global]
[web]
protocol = tcp
ip = 192.0.2.1
port = 80
scheduler = wrr
config = {source}
monitors = {monitors}
proxyfetch.url = {urls}
"""
ROOM = "room_for_test_on_demand"


def settings(source: str, monitors: str = "[]", urls: str = '["http://a/"]') -> Settings:
    text = CONFIG.format(source=source, monitors=monitors, urls=urls)
    found = parse_content(text.encode(), "pybal.conf", KINDS)
    assert found.settings is not None, found.errors
    return found.settings


FILE, ETCD = settings("file:///pool"), settings("etcd://h/pools/web/")


def is_etcd(settings: Settings) -> bool:
    return settings is ETCD


def code_in(room: Path) -> CodeOnDemand:
    return CodeOnDemand([Piece("etcd", "service", ROOM, (room,), is_etcd)])


@dataclass(frozen=True, slots=True)
class NTPSettings(MonitorSettings):
    """Of a monitor that another package has."""

    monitor: ClassVar[str] = "NTP"


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, ROOM, raising=False)
    file = tmp_path / f"{ROOM}.py"
    file.write_text("")
    return file


def test_it_is_loaded_with_the_first_configuration_that_needs_it(room: Path) -> None:
    code = code_in(room)
    assert code.load(FILE) is None
    assert ROOM not in sys.modules
    assert code.load(ETCD) is None
    assert ROOM in sys.modules


def test_code_that_may_not_be_read_is_told_with_its_file(room: Path) -> None:
    room.write_text(f"raise PermissionError(13, 'Permission denied', {str(room)!r})")
    assert code_in(room).load(ETCD) == f"etcd's code cannot be loaded: {room}: Permission denied"


def test_of_a_package_that_was_upgraded_since_nothing_is_loaded(room: Path) -> None:
    code = code_in(room)
    new = room.with_name("new")
    new.write_text("")
    new.rename(room)
    error = code.load(ETCD)
    assert error is not None
    assert "systemctl restart pybal" in error
    assert ROOM not in sys.modules
    assert code.load(FILE) is None


def test_of_a_package_that_was_removed_since_nothing_is_loaded(room: Path) -> None:
    code = code_in(room)
    room.unlink()
    assert code.load(ETCD) is not None


def test_what_is_loaded_already_is_used_whatever_is_on_the_disk_now(room: Path) -> None:
    code = code_in(room)
    assert code.load(ETCD) is None
    room.unlink()
    assert code.load(ETCD) is None


def test_a_library_that_is_missing_is_an_error_in_words(room: Path) -> None:
    room.write_text("import there_is_no_such_library")
    error = code_in(room).load(ETCD)
    assert error is not None
    assert "there_is_no_such_library" in error


def test_what_answers_is_loaded_when_that_is_asked_for(room: Path) -> None:
    answers = Piece("HTTP", "request", ROOM, (room,), lambda _: True)
    code = CodeOnDemand([], answers)
    assert code.load(FILE) is None
    assert ROOM not in sys.modules
    assert code.load_answers() is None
    assert ROOM in sys.modules
    room.unlink()
    assert code.load_answers() is None
    code = CodeOnDemand([], answers._replace(module="another", files=(ROOT,)))
    with pytest.raises(ImportError, match="another"):
        code.load_answers()


def test_what_answers_is_not_loaded_if_it_is_of_another_version(room: Path) -> None:
    code = CodeOnDemand([], Piece("HTTP", "request", ROOM, (room,), lambda _: True))
    room.write_text("OTHER = True")
    error = code.load_answers()
    assert error is not None
    assert "upgraded" in error
    assert ROOM not in sys.modules


IMPORT_IN_A_FUNCTION = re.compile(r"^[ \t].*\bimport\b", re.M)
"""There is none in a file without this."""

LOADING = """
import importlib, os, sys
import pybal.main
before = set(sys.modules)
print("all", *before, flush=True)
for module in sys.argv[1:]:
    if not os.fork():
        importlib.import_module(module)
        print(module, *(set(sys.modules) - before), flush=True)
        os._exit(0)
    os.wait()
assert pybal.main.CodeOnDemand().load_answers() is None
print("pybal.daemon.http_answers", *(set(sys.modules) - before), flush=True)
"""


@pytest.fixture(scope="module")
def loaded_besides() -> dict[str, list[str]]:
    """The modules that each piece's own loads that all do not, and under "all" what all load: in an
    interpreter of its own."""
    command = [sys.executable, "-c", LOADING, *(piece.module for piece in PIECES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {module: loaded for module, *loaded in lines}


@pytest.mark.parametrize("piece", [*PIECES, ANSWERS], ids=lambda piece: piece.name)
def test_all_files_of_that_code_are_known(
    piece: Piece, loaded_besides: dict[str, list[str]]
) -> None:
    """A file that the piece comes to import is on the list, or loaded by all; and so is each of
    the list."""
    files, by_all = files_of(loaded_besides[piece.module]), files_of(loaded_besides["all"])
    assert files
    assert files <= set(piece.files)
    assert set(piece.files) <= files | by_all


def test_what_answers_is_not_loaded_before_the_daemon_runs(
    loaded_besides: dict[str, list[str]],
) -> None:
    answering = {"twisted.web.http", "prometheus_client.openmetrics", "pybal.page.pages"}
    loaded = set(loaded_besides[ANSWERS.module])
    assert answering <= loaded
    assert not answering & set(loaded_besides["all"])
    assert not loaded & {"prometheus_client.metrics", "prometheus_client.exposition"}


def files_of(modules: list[str]) -> set[Path]:
    """Ours, of those that are loaded."""
    ours = {ROOT / each.replace(".", "/") for each in modules if each.startswith("pybal.")}
    return {
        path / "__init__.py" if path.is_dir() else path.with_name(f"{path.name}.py")
        for path in ours
    }


def test_bgp_is_loaded_where_pybal_conf_wants_it() -> None:
    assert names_of_pieces(FILE) == []
    text = CONFIG.format(source="file:///pool", monitors="[]", urls='["http://a/"]')
    bgp = """[global]
bgp = yes
bgp-local-asn = 64512
bgp-peer-address = 192.0.2.9
bgp-nexthop-ipv4 = 192.0.2.1
"""
    found = parse_content(text.replace("[global]\n", bgp).encode(), "pybal.conf", KINDS)
    assert found.settings is not None, found.errors
    assert names_of_pieces(found.settings) == ["BGP"]


def names_of_pieces(settings: Settings) -> list[str]:
    return [piece.name for piece in PIECES if piece.wanted(settings)]


def test_tls_is_loaded_for_checks_and_lists_over_https_alone() -> None:
    checks = '["IdleConnection", "ProxyFetch", "TCPCheck", "Ping"]'
    assert names_of_pieces(settings("file:///pool", checks)) == []
    assert names_of_pieces(settings("http://lists/pool")) == []
    assert names_of_pieces(settings("file:///pool", checks, '["http://a/", "HTTPS://a/"]')) == [
        "TLS"
    ]
    assert names_of_pieces(settings("https://lists/pool")) == ["TLS"]
    assert names_of_pieces(settings("k8s://token@h/")) == ["TLS"]
    assert names_of_pieces(ETCD) == ["etcd"]


def test_what_a_monitor_of_another_package_speaks_is_not_known() -> None:
    (service,) = FILE.services
    foreign = replace(service, monitors=(NTPSettings(),))
    assert names_of_pieces(replace(FILE, services=(foreign,))) == ["TLS"]


def imported_until_an_answer(tmp_path: Path) -> set[str]:
    """By a daemon with one service whose servers are asked over HTTP, until it has made its first
    check and has answered a request."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as asking:
        server.settimeout(60)
        asking.settimeout(60)
        url = f"http://localhost:{server.getsockname()[1]}/"
        (tmp_path / "pool").write_text("{'host': '127.0.0.1', 'weight': 1, 'enabled': True}")
        text = CONFIG.format(
            source=f"file://{tmp_path}/pool", monitors='["ProxyFetch"]', urls=f'["{url}"]'
        )
        options = f"control-socket = {tmp_path}/control\nstate-directory = {tmp_path}\n"
        config = tmp_path / "pybal.conf"
        text = text.replace("[global]\n", f"[global]\n{options}").replace("port = 80", "port = 81")
        config.write_text(text + f"proxyfetch.port = {server.getsockname()[1]}\n")
        command = [sys.executable, "-X", "importtime", "-m", "pybal", "-n", "-c", str(config)]
        log = tmp_path / "log"
        with log.open("w") as output, subprocess.Popen(command, stderr=output) as daemon:
            try:
                server.accept()[0].close()
                asking.connect(str(tmp_path / "control"))
                asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                assert asking.recv(100).startswith(b"HTTP/1.0 200 OK")
            finally:
                daemon.terminate()
    found = re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", log.read_text(), re.M)
    return set(found)


@pytest.mark.slow
def test_a_small_daemon_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    loaded = imported_until_an_answer(tmp_path)
    packages = {name.partition(".")[0] for name in loaded}
    assert {"pybal.main", "pybal.http.exchange", "twisted.web.http"} <= loaded
    assert {"pybal.ipvs.netlink", "pyroute2.netlink"} <= loaded
    # OpenSSL itself was asked for, in vain, and Python's ssl, which loads _ssl.
    assert not packages & {"_ssl", "cryptography", "service_identity", "pyasn1"}, "no TLS"
    assert not packages & {"etcd", "urllib3", "dns"}, "no etcd"
    assert not packages & {"pytest", "unittest", "hypothesis"}, "nothing of tests"
    assert not loaded & {"pybal.bgp.speaker", "pybal.announce.failover"}, "no BGP"
    assert not loaded & {"pyroute2.iproute", "pyroute2.ndb", "twisted.web.server", "pybal.ctl"}
    assert "importlib.metadata" not in loaded, "no plug-ins"
    assert not loaded & {"http.client", "http.server", "urllib.request"}, "no HTTP of Python's own"
    assert not {name for name in loaded if name.startswith("twisted.spread")}


def test_nothing_else_is_imported_once_the_daemon_runs() -> None:
    """A package may be upgraded under it at any time."""
    found = {
        (file.relative_to(ROOT).as_posix(), getattr(node, "module", "import"))
        for file in (ROOT / "pybal").rglob("*.py")
        if IMPORT_IN_A_FUNCTION.search(text := file.read_text("utf-8"))
        for function in ast.walk(ast.parse(text))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    before_it_runs = {
        ("pybal/__main__.py", "pybal.main"),
        ("pybal/__main__.py", "pybal.runtime.entry_points"),
        ("pybal/__main__.py", "pybal.runtime.lean_imports"),
        ("pybal/main.py", "pybal.ctl.main"),
        ("pybal/main.py", "pybal.ctl.place"),
        ("pybal/main.py", "pybal.daemon.config_check"),
        ("pybal/main.py", "pybal.ipvs.netlink"),
        ("pybal/runtime/entry_points.py", "importlib.metadata"),
    }
    loaded_by_then = {
        ("pybal/sources/create.py", "pybal.sources.etcd"),
        ("pybal/http/client.py", "pybal.http.tls_exchange"),
        ("pybal/daemon/http_part.py", "pybal.daemon.http_answers"),
        ("pybal/daemon/bgp_part.py", "pybal.daemon.bgp_speaking"),
        ("pybal/main.py", "pybal.daemon.bgp_speaking"),
    }
    assert found == loaded_by_then | before_it_runs
