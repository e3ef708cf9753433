"""Code that a configuration does without is not loaded; and never that of another version."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pybal.config.loader import parse_content
from pybal.config.settings import Settings
from pybal.sources import on_demand
from pybal.sources.on_demand import CodeOnDemand
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
monitors = []
"""
ROOM = "room_for_test_on_demand"


def settings(source: str) -> Settings:
    found = parse_content(CONFIG.format(source=source).encode(), "pybal.conf", KINDS).settings
    assert found is not None
    return found


FILE, ETCD = settings("file:///pool"), settings("etcd://h/pools/web/")


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, ROOM, raising=False)
    file = tmp_path / f"{ROOM}.py"
    file.write_text("")
    return file


def test_it_is_loaded_with_the_first_configuration_that_needs_it(room: Path) -> None:
    code = CodeOnDemand([room], ROOM)
    assert code.load(FILE) is None
    assert ROOM not in sys.modules
    assert code.load(ETCD) is None
    assert ROOM in sys.modules


def test_of_a_package_that_was_upgraded_since_nothing_is_loaded(room: Path) -> None:
    code = CodeOnDemand([room], ROOM)
    new = room.with_name("new")
    new.write_text("")
    new.rename(room)
    error = code.load(ETCD)
    assert error is not None
    assert "systemctl restart pybal" in error
    assert ROOM not in sys.modules
    assert code.load(FILE) is None


def test_of_a_package_that_was_removed_since_nothing_is_loaded(room: Path) -> None:
    code = CodeOnDemand([room], ROOM)
    room.unlink()
    assert code.load(ETCD) is not None


def test_what_is_loaded_already_is_used_whatever_is_on_the_disk_now(room: Path) -> None:
    code = CodeOnDemand([room], ROOM)
    assert code.load(ETCD) is None
    room.unlink()
    assert code.load(ETCD) is None


def test_a_library_that_is_missing_is_an_error_in_words(room: Path) -> None:
    room.write_text("import there_is_no_such_library")
    error = CodeOnDemand([room], ROOM).load(ETCD)
    assert error is not None
    assert "there_is_no_such_library" in error


def test_all_files_of_that_code_are_known() -> None:
    """A file that etcd.py comes to import is on the list, or loaded by all."""
    script = (
        "import sys, pybal.main; before = set(sys.modules); import pybal.sources.etcd; "
        "print(*sorted(m for m in set(sys.modules) - before if m.startswith('pybal.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == sorted(f"pybal.sources.{f.stem}" for f in on_demand._FILES)
    assert all(file.exists() for file in on_demand._FILES)


def test_a_daemon_without_etcd_has_loaded_nothing_of_it_nor_what_only_tests_and_commands_use() -> (
    None
):
    script = (
        "import sys, pybal.main; print(*sorted({'.'.join(m.split('.')[:2]) for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"pybal.main", "pybal.daemon", "pybal.sources", "twisted.web"} <= loaded
    assert not loaded & {"etcd", "urllib3", "dns", "pyroute2", "pybal.ctl"}


def test_nothing_else_is_imported_once_the_daemon_runs() -> None:
    """A package may be upgraded under it at any time."""
    found = {
        (file.relative_to(ROOT).as_posix(), getattr(node, "module", "import"))
        for file in (ROOT / "pybal").rglob("*.py")
        for function in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    before_it_runs = {
        ("pybal/__main__.py", "pybal.main"),
        ("pybal/main.py", "pybal.ctl.main"),
        ("pybal/main.py", "pybal.ctl.place"),
        ("pybal/main.py", "pybal.ipvs.netlink"),
    }
    assert found == {("pybal/sources/create.py", "pybal.sources.etcd"), *before_it_runs}
