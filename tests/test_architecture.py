"""The house rules that can be read off the source: who may import whom, and what nobody does."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "pybal").rglob("*.py"))

PURE = (
    "pybal/errors.py",
    "pybal/model.py",
    "pybal/health/stalls.py",
    "pybal/health/isolation.py",
    "pybal/pool/policy.py",
    "pybal/pool/events.py",
    "pybal/pool/log_lines.py",
    "pybal/linear_regex.py",
    "pybal/http/plain_head.py",
    "pybal/runtime/coalescing.py",
    "pybal/net/icmp.py",
    "pybal/monitors/dnswire.py",
    "pybal/pool/desired.py",
    "pybal/pool/withdrawal.py",
    "pybal/config/",
    "pybal/ipvs/model.py",
    "pybal/ipvs/options.py",
    "pybal/ipvs/kernelwide_codec.py",
    "pybal/ipvs/plan.py",
    "pybal/ipvs/ipvsadm.py",
    "pybal/ipvs/messages.py",
    "pybal/ipvs/wire.py",
    "pybal/ipvs/codec.py",
    "pybal/ipvs/kernel.py",
    "pybal/ipvs/memory.py",
    "pybal/ipvs/settings.py",
    "pybal/ipvs/work_queue.py",
    "pybal/ipvs/batch.py",
    "pybal/ipvs/slices.py",
    "pybal/ipvs/drift.py",
    "pybal/ipvs/drain.py",
    "pybal/ipvs/statistics_codec.py",
    "pybal/instrumentation/alerts.py",
    "pybal/instrumentation/pools.py",
    "pybal/instrumentation/api.py",
    "pybal/instrumentation/bgp_document.py",
    "pybal/instrumentation/negotiation.py",
    "pybal/instrumentation/responses.py",
    "pybal/instrumentation/routes.py",
    "pybal/instrumentation/view.py",
    "pybal/instrumentation/why.py",
)
IMPURE_LIBRARIES = {"twisted", "pyroute2", "etcd", "socket", "time", "random", "threading"}
APART = ("pybal.ipvs", "pybal.bgp", "pybal.monitors")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Dotted names of all that a module imports, `from x import y` as x and x.y."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports are not the house's style"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_there_are_modules_and_every_pure_one_exists() -> None:
    assert len(MODULES) > 30
    for pure in PURE:
        assert any(name(path).startswith(pure) for path in MODULES), pure


@pytest.mark.parametrize("path", [p for p in MODULES if name(p).startswith(PURE)], ids=name)
def test_pure_modules_import_nothing_of_the_outside_world(path: Path) -> None:
    roots = {imported.split(".")[0] for imported in imports(path)}
    assert not roots & IMPURE_LIBRARIES
    # ... not even through another module of ours.
    ours = {i for i in imports(path) if i.startswith("pybal.")}
    files = {ROOT / (i.replace(".", "/") + ".py") for i in ours}
    allowed = {p for p in MODULES if name(p).startswith(PURE)}
    assert {f for f in files if f.exists()} <= allowed


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_rooms_that_do_the_work_do_not_know_one_another(path: Path) -> None:
    room = next((r for r in APART if name(path).startswith(r.replace(".", "/") + "/")), None)
    if room is None:
        return
    for imported in imports(path):
        assert not any(imported.startswith(other) for other in APART if other != room), imported


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_main_knows_the_global_reactor(path: Path) -> None:
    if name(path) != "pybal/main.py":
        assert "twisted.internet.reactor" not in imports(path)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_is_ever_executed_and_no_module_grows_too_long(path: Path) -> None:
    text = path.read_text("utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "compile", "__import__"}
    assert len(text.splitlines()) <= 450


def test_the_packaging_knows_every_package() -> None:
    for folder in {path.parent for path in MODULES}:
        assert (folder / "__init__.py").exists(), folder
