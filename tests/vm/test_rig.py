"""The rig tests itself, from the host: what the other tests rely on holds."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.vm import packages
from tests.vm.cache import cache_folder, cached
from tests.vm.processors import one_of_its_own

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
VM = str(REPOSITORY / "scripts/vm")
ENGINES = [engine for engine in ("uml", "qemu") if not packages.missing(engine)]


def vm(*arguments: str, engine: str = "auto") -> subprocess.CompletedProcess[str]:
    command = [VM, "--engine", engine, "--timeout", "120", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def processes_with(text: str) -> set[str]:
    """The ids of the processes that have `text` on their command line."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text.encode() in (entry / "cmdline").read_bytes():
                found.add(entry.name)
    return found


def test_this_machine_has_an_engine() -> None:
    assert ENGINES


@pytest.mark.parametrize("engine", ENGINES)
def test_guest_is_root_on_a_kernel_with_ipvs_in_the_repository(engine: str) -> None:
    script = "ipvsadm -Ln && id -u && pwd && hostname && echo $PYBAL_IN_VM"
    done = vm("--", "sh", "-c", script, engine=engine)
    assert done.returncode == 0, done.stderr
    head, *_, user, folder, name, inside = done.stdout.splitlines()
    assert head.startswith("IP Virtual Server version")
    assert (user, folder, name, inside) == ("0", str(REPOSITORY), "pybal-vm", "1")


def test_a_command_may_read_more_files_than_one_process_of_ours_may_have_open() -> None:
    script = "find /usr/lib/python3* -type f | head -1500 | xargs cat >/dev/null"
    limited = f"ulimit -Sn 500; exec {VM} -- sh -c '{script}'"
    command = ["sh", "-c", limited]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_and_status_come_back_unmixed_and_unchanged(engine: str) -> None:
    script = "printf 'a\\tb\\r\\nno end'; printf 'wrong\\n' >&2; head -c 300000 /dev/zero; exit 7"
    done = vm("--", "sh", "-c", script, engine=engine)
    assert done.returncode == 7
    assert done.stderr == "wrong\n"
    command = [VM, "--engine", engine, "--", "sh", "-c", script]
    raw = subprocess.run(command, capture_output=True, timeout=240, check=False).stdout
    assert raw == b"a\tb\r\nno end" + bytes(300000)


@pytest.mark.parametrize("engine", ENGINES)
def test_command_writes_to_the_share_and_not_to_the_host(engine: str, tmp_path: Path) -> None:
    share, other = tmp_path / "share", tmp_path / "other"
    other.mkdir()
    script = f'echo kept >"$PYBAL_VM_SHARE/file"; echo lost >{other}/file; cat {other}/file'
    done = vm("--share", str(share), "--", "sh", "-c", script, engine=engine)
    assert (done.returncode, done.stdout) == (0, "lost\n"), done.stderr
    assert (share / "file").read_text() == "kept\n"
    assert list(other.iterdir()) == []


def test_environment_and_arguments_arrive_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = 'it\'s "$HOME"\n\\ *'
    monkeypatch.setenv("ODD_VALUE", odd)
    done = vm("--", "sh", "-c", 'printf "%s|%s" "$ODD_VALUE" "$1"', "sh", odd)
    assert done.stdout == f"{odd}|{odd}"


def test_namespaces_and_devices_come_on_demand() -> None:
    script = """set -e
    ip netns add one
    ip link add veth0 type veth peer name veth1 netns one
    for kind in dummy bridge; do ip link add test0 type $kind; ip link del test0; done
    ip netns exec one ip link add tunnel0 type ipip external
    ip netns exec one ip link add tunnel1 type ip6tnl external
    ip netns exec one ipvsadm -A -t 192.0.2.1:80 -s mh
    ip netns exec one ipvsadm -Ln | grep -q mh
    ! ipvsadm -Ln | grep mh
    """
    done = vm("--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr


def test_time_limit_kills_the_machine(tmp_path: Path) -> None:
    command = [VM, "--timeout", "5", "--", "sh", "-c", "echo started; sleep 600"]
    environment = dict(os.environ, TMPDIR=str(tmp_path))
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.returncode == 124
    assert done.stdout == "started\n"
    assert processes_with(f"rig_control={tmp_path}") == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_machine_ends_with_the_one_who_started_it(number: signal.Signals, tmp_path: Path) -> None:
    mark = f"rig_control={tmp_path}"
    command = [VM, "--timeout", "60", "--", "sh", "-c", "echo started; sleep 600"]
    environment = dict(os.environ, TMPDIR=str(tmp_path))
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        assert processes_with(mark)
        process.send_signal(number)
        process.wait(30)
        deadline = time.monotonic() + 30
        while (processes_with(mark) or any(tmp_path.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert processes_with(mark) == set()
    assert list(tmp_path.iterdir()) == []


def test_machines_side_by_side_are_held_to_different_processors_while_there_are_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "vm").mkdir()
    for part in cache_folder().iterdir():
        if not part.name.startswith("processor-"):  # which other machines may have
            (tmp_path / "vm" / part.name).symlink_to(part)
    monkeypatch.setenv("PYBAL_DEV_CACHE", str(tmp_path))
    allowed = sorted(os.sched_getaffinity(0))[:2]
    command = ["taskset", "-c", ",".join(map(str, allowed))]
    command += [VM, "--engine", "uml", "--timeout", "60", "--", "sh", "-c", "echo up; sleep 600"]
    held = []
    with contextlib.ExitStack() as machines:
        for n in range(len(allowed) + 1):
            (tmp_path / str(n)).mkdir()
            environment = dict(os.environ, TMPDIR=str(tmp_path / str(n)))
            process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
            machines.enter_context(process)
            machines.callback(process.terminate)
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            processes = processes_with(f"rig_control={tmp_path / str(n)}/")
            assert processes
            held.append({frozenset(os.sched_getaffinity(int(each))) for each in processes})
    assert held[:-1] == [{frozenset({each})} for each in reversed(allowed)]
    assert held[-1] == {frozenset(allowed)}


def test_a_processor_is_free_again_when_its_machine_has_ended(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    with one_of_its_own(tmp_path) as first:
        assert len(first) == 1
        with contextlib.ExitStack() as others:
            for _ in range(len(allowed) - 1):
                others.enter_context(one_of_its_own(tmp_path))
            assert others.enter_context(one_of_its_own(tmp_path)) == allowed
        with pytest.raises(BlockingIOError), one_of_its_own(tmp_path):
            raise BlockingIOError
    with one_of_its_own(tmp_path) as again:
        assert again == first


def test_missing_packages_are_named_once_each() -> None:
    absent = ["/usr/bin/linux.uml", "modprobe", "depmod"]
    assert packages.missing("uml", lambda thing: thing not in absent) == ["kmod", "user-mode-linux"]
    assert packages.missing("qemu", lambda thing: thing not in absent) == ["kmod"]


def test_cached_part_is_built_once_and_never_seen_unfinished(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYBAL_DEV_CACHE", str(tmp_path))
    final = tmp_path / "vm/part"

    def build(folder: Path) -> None:
        assert not final.exists()
        (folder / "one").touch()
        if os.environ.get("FAIL"):
            raise OSError("disk full")
        # Another run finishes first.
        cached("part", lambda other: (other / "one").touch()) if not final.exists() else None

    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(OSError, match="disk full"):
        cached("part", build)
    assert list(final.parent.iterdir()) == []
    monkeypatch.delenv("FAIL")
    assert cached("part", build) == final
    assert [path.name for path in final.parent.iterdir()] == ["part"]
    assert cached("part", lambda _: pytest.fail("built again")) == final
