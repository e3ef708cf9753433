"""What a host's files tell of its kernel's modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybal.ipvs.modules import KernelModules, Presence, kernel_notes, scheduler_notes

RELEASE = "6.1.0-test"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with ip_vs loaded, rr loadable, wrr built in."""
    write(tmp_path / "proc/modules", "ip_vs 172032 3 ip_vs_sh,\nlibcrc32c 1 1 -\n")
    write(tmp_path / "proc/sys/kernel/modprobe", "/bin/sh\n")
    write(tmp_path / "proc/sys/kernel/modules_disabled", "0\n")
    folder = tmp_path / "lib/modules" / RELEASE
    write(folder / "modules.builtin", "kernel/net/netfilter/ipvs/ip_vs_wrr.ko\n")
    write(
        folder / "modules.dep",
        "kernel/net/netfilter/ipvs/ip_vs.ko: kernel/lib/libcrc32c.ko\n"
        "kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n"
        "kernel/net/netfilter/ipvs/ip-vs-lc.ko: kernel/net/netfilter/ipvs/ip_vs.ko\n",
    )
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def presence(root: Path, name: str) -> Presence:
    return KernelModules(root, RELEASE).presence(name)


def test_each_kind_of_presence_is_told_apart(root: Path) -> None:
    assert presence(root, "ip_vs") is Presence.LOADED
    assert presence(root, "ip_vs_wrr") is Presence.LOADED
    assert presence(root, "ip_vs_rr") is Presence.LOADABLE
    assert presence(root, "ip_vs_lc") is Presence.LOADABLE
    assert presence(root, "ip_vs_mh") is Presence.MISSING


def test_what_sysfs_shows_is_loaded(root: Path) -> None:
    (root / "sys/module/ip_vs_mh").mkdir(parents=True)
    assert presence(root, "ip_vs_mh") is Presence.LOADED


@pytest.mark.parametrize(
    ("setting", "text"), [("modules_disabled", "1\n"), ("modprobe", "\n"), ("modprobe", "/no/such")]
)
def test_a_kernel_that_may_not_load_by_itself_is_said_to_need_help(
    root: Path, setting: str, text: str
) -> None:
    write(root / "proc/sys/kernel" / setting, text)
    assert presence(root, "ip_vs_rr") is Presence.BY_HAND
    modules = KernelModules(root, RELEASE)
    assert list(kernel_notes(modules)) == []
    (note,) = scheduler_notes(modules, [("web", ("ip_vs_rr",))])
    assert note.startswith("[web]: ip_vs_rr is not loaded")
    assert "modprobe ip_vs_rr;" in note


def test_services_that_need_what_is_missing_are_named_and_no_others(root: Path) -> None:
    kernel = f"this kernel ({RELEASE}) has no module"
    needs = [("a", ("ip_vs_mh",)), ("b", ("ip_vs_rr",)), ("c", ("ip_vs_mh", "ip_vs_pe_sip"))]
    assert list(scheduler_notes(KernelModules(root, RELEASE), needs)) == [
        f"[a], [c]: {kernel} ip_vs_mh: not balanced; other services are",
        f"[c]: {kernel} ip_vs_pe_sip: not balanced; other services are",
    ]


def test_a_host_without_ipvs_or_without_any_list_says_so_and_fails_nothing(
    root: Path, tmp_path: Path
) -> None:
    write(root / "proc/modules", "")
    write(root / "lib/modules" / RELEASE / "modules.dep", "")
    (note,) = kernel_notes(KernelModules(root, RELEASE))
    assert "has no IPVS" in note
    bare = KernelModules(tmp_path / "bare", RELEASE)
    (note,) = kernel_notes(bare)
    assert "not known" in note
    assert list(scheduler_notes(bare, [("a", ("ip_vs_mh",))])) == []
