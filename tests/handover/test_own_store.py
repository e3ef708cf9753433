"""Without a service manager the process keeps descriptors itself, for the program it becomes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from pybal.handover.inherited import NUMBERS, take_descriptors
from pybal.handover.own_store import OwnStore
from pybal.handover.successor import Successor

NEXT = """
    import os, signal, socket, sys
    from pybal.handover.inherited import take_descriptors
    signal.signal(signal.SIGHUP, lambda *_: print("hup", flush=True))
    left = take_descriptors(os.environ, os.getpid())
    print(os.getpid(), {name: len(own) for name, own in sorted(left.items())}, sys.argv[1:])
    (one,) = left["one"]
    print(os.pread(one, 10, 0).decode(), os.get_inheritable(one), "LISTEN_FDS" in os.environ)
    listening = socket.socket(fileno=left["two"][0])
    print(listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), flush=True)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
"""
FIRST = """
    import os, resource, signal, socket, sys, threading
    from pybal.handover.own_store import OwnStore
    from pybal.handover.successor import Successor
    store = OwnStore({})
    memory = os.memfd_create("one")
    os.write(memory, b"hello")
    # In the way of where they are to be.
    taken = [os.dup(memory) for _ in range(4)]
    store.keep("one", [memory])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        store.keep("two", [listening.fileno(), taken[0]])
    store.keep("gone", [memory])
    store.forget("gone")
    print(os.getpid(), flush=True)
    # There is room for one more, and no second.
    taken += [os.dup(memory) for _ in range(20)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[-1] + 1,) * 2)
    os.close(taken.pop())
    # One that takes signals as well.
    threading.Thread(target=signal.pause, daemon=True).start()
    command = [sys.executable, *sys.argv[1:]]
    successor = Successor(store, sys.executable, command, os.environ, sys.stdout.flush)
    successor.take_place(lambda: [signal.SIGHUP])
"""


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def test_the_next_program_has_the_process_its_descriptors_and_its_signals(tmp_path: Path) -> None:
    first, second = program(tmp_path, "first", FIRST), program(tmp_path, "second", NEXT)
    done = subprocess.run(
        [sys.executable, first, second, "-c", "x"], capture_output=True, text=True, check=True,
        env=dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2])),
    )  # fmt: skip
    pid, *rest = done.stdout.splitlines()
    assert rest == [f"{pid} {{'one': 1, 'two': 2}} ['-c', 'x']", "hello False False", "1", "hup"]


def test_of_two_threads_that_come_to_it_one_runs_the_next_program() -> None:
    came: list[int] = []
    one_came = threading.Event()

    class Store(OwnStore):
        def hand_over(self, process_id: int) -> dict[str, str]:
            came.append(process_id)
            one_came.set()
            threading.Event().wait()
            raise AssertionError

    successor = Successor(Store({}), sys.executable, ["x"], {}, lambda: 0)
    threads = [threading.Thread(target=successor.take_place, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert one_came.wait(30)
    for thread in threads:
        thread.join(0.05)
    assert came == [os.getpid()]


def test_what_is_kept_outlives_its_owner_and_is_kept_once_by_each_name() -> None:
    one, other = socket.socketpair()
    store = OwnStore({"a": [one.fileno()]})
    assert store.keep("a", [one.fileno()])
    assert store.keep("b", [one.fileno()])
    one.close()
    other.send(b"still open")
    store.forget("a")
    other.send(b"still open")
    store.forget("b")
    with pytest.raises(BrokenPipeError):
        other.send(b"gone")
    store.forget("b")
    other.close()


def test_what_cannot_be_kept_is_said_to_be_so_and_nothing_of_it_is_kept() -> None:
    one, other = socket.socketpair()
    store = OwnStore({})
    assert not store.keep("a", [one.fileno(), 1 << 20])
    one.close()
    with pytest.raises(BrokenPipeError):
        other.send(b"gone")
    other.close()


def test_what_the_program_before_left_is_kept() -> None:
    one, other = socket.socketpair()
    store = OwnStore({"a": [one.fileno()]})
    one.close()
    other.send(b"still open")
    store.forget("a")
    other.close()


def test_what_others_close_at_the_last_moment_is_not_what_is_handed_over() -> None:
    """A thread may be about to close any descriptor that it has, and closes its number, whatever is
    there by then."""
    files = [os.memfd_create(name) for name in ("one", "two", "three")]
    for number, file in enumerate(files):
        os.write(file, b"%d" % number)
    child_end, parent_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store = OwnStore({"b": files[:2], "a": files[2:]})
            theirs = set(range(3, 1024)) - {each for own in store._kept.values() for each in own}
            environment = store.hand_over(77)
            for number in theirs - {parent_end}:
                with contextlib.suppress(OSError):
                    os.close(number)
            inheritable = [os.get_inheritable(int(n)) for n in environment[NUMBERS].split(":")]
            left = take_descriptors(environment, 77)
            found = {name: [os.pread(n, 9, 0).decode() for n in own] for name, own in left.items()}
            open_now = len(os.listdir("/proc/self/fd")) - 1
            os.write(parent_end, f"{found} {inheritable} {open_now} {environment}".encode())
        finally:
            os._exit(0)
    os.close(parent_end)
    with os.fdopen(child_end) as told:
        lines = told.read()
    os.waitpid(child, 0)
    for each in files:
        os.close(each)
    # Three standard ones, the pipe, and those three: nothing is there twice.
    assert lines == "{'b': ['0', '1'], 'a': ['2']} [True, True, True] 7 {}"


def check(folder: Path, text: str) -> tuple[str, ...]:
    script = program(folder, "check", text)
    command = ["pybal", str(script), "-c", "f", "--strict"]
    return Successor(OwnStore({}), sys.executable, command, os.environ, lambda: 0).objections()


def test_the_next_program_is_asked_whether_it_could_start(tmp_path: Path) -> None:
    say = (
        "import sys;print({!r} if sys.argv[1:] == ['-c', 'f', '--check-config', '--json'] else 0);"
    )
    assert check(tmp_path, say.format('{"refusal": []}')) == ()
    bad = say.format('{"good": false, "refusal": ["f:2: y", "f:3: z; did you mean a?"]}')
    assert check(tmp_path, bad + "sys.exit(1)") == ("f:2: y", "f:3: z; did you mean a?")
    for other in ("[]", "{}", '{"refusal": 3}', "ERROR: the plug-in is broken"):
        said = check(tmp_path, say.format(other) + "sys.exit(1)")
        assert said in (("it ends with 1", other), ("the plug-in is broken",))
    broken = check(tmp_path, "import nothing_of_that_name")
    assert broken[0] == "it ends with 1"
    assert "No module named 'nothing_of_that_name'" in broken[-1]
    (gone,) = Successor(OwnStore({}), "/nowhere", ["x"], {}, lambda: 0).objections()
    assert "No such file" in gone
