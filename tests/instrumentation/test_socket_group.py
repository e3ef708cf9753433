"""Who may use the control socket: root, and a group once it is known which that is."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pybal.config.settings import ControlSettings
from pybal.handover.legacy import NO_LEGACY
from pybal.handover.listeners import KeptListeners
from pybal.instrumentation.control_server import LOOK_EVERY_S, ControlServer
from pybal.instrumentation.late_site import LateSite
from pybal.instrumentation.socket_group import GroupIds
from pybal.runtime.threads import NoThreadError
from tests.fakes.deferreds import result_of
from tests.fakes.log import FakeLog
from tests.state.test_file_access import ThreadClock, Threads, answer

MINE = os.getgid()
FILE = f"root:x:0:\n# no group\nmine:x:{MINE}:anna,ben\nodd:x:many:\nshort\n"
DIRECTORY = {"ops": MINE}


class Taking:
    """Takes no connections."""

    def __init__(self, log: FakeLog) -> None:
        self.reactor = ThreadClock()
        self.log = log.logger("instrumentation")

    def accept(self, *_: object) -> Any:
        return self

    def close(self) -> None:
        """There is nothing to be closed."""


class Bench:
    """A control socket of a group; `answer` is that of the directory of groups."""

    def __init__(self, folder: Path, group: str | None) -> None:
        self.path = folder / "control"
        self.log = FakeLog()
        self.threads = Threads()
        taking = Taking(self.log)
        self.clock = taking.reactor
        groups = GroupIds(self.clock, self.threads, lambda: FILE, DIRECTORY.__getitem__)
        settings = ControlSettings(self.path, group)
        kept = KeptListeners(NO_LEGACY)
        self.server = ControlServer(cast(Any, taking), settings, LateSite(), kept, groups)
        self.server.start()

    def answer(self) -> None:
        answer(self.threads, self.clock)

    def change(self, group: str | None) -> None:
        self.server.reconfigure(ControlSettings(self.path, group))

    @property
    def mode(self) -> int:
        return stat.S_IMODE(self.path.stat().st_mode)

    def stop(self) -> None:
        result_of(self.server.stop())


ROOT_ALONE, GROUP_TOO = 0o600, 0o660


@pytest.fixture
def begun(tmp_path: Path) -> Callable[[str | None], Bench]:
    return lambda group: Bench(tmp_path, group)


def test_a_group_of_this_host_is_let_in_at_once_and_no_directory_is_asked(
    begun: Callable[[str | None], Bench],
) -> None:
    bench = begun("mine")
    assert bench.mode == GROUP_TOO
    assert bench.threads.waiting == []
    bench.stop()


def test_a_group_of_a_directory_that_hangs_is_let_in_once_that_answers(
    begun: Callable[[str | None], Bench],
) -> None:
    bench = begun("ops")
    assert bench.server.listens
    assert bench.mode == ROOT_ALONE
    bench.answer()
    assert bench.mode == GROUP_TOO
    bench.stop()


def test_who_is_no_longer_meant_when_the_directory_answers_is_not_let_in(
    begun: Callable[[str | None], Bench],
) -> None:
    bench = begun("ops")
    bench.change(None)
    bench.answer()
    assert bench.mode == ROOT_ALONE
    bench.change("mine")
    assert bench.mode == GROUP_TOO
    bench.change("ops")
    assert bench.mode == ROOT_ALONE
    bench.stop()
    bench.path.touch(0o600)
    bench.answer()
    assert bench.mode == ROOT_ALONE, "it is somebody else's by now"


@pytest.mark.parametrize("group", ["nobody-has-it", "odd", "short", "# no group", "anna"])
def test_a_group_that_nobody_has_is_an_error_in_the_log(
    begun: Callable[[str | None], Bench], group: str
) -> None:
    bench = begun(group)
    bench.answer()
    assert bench.mode == ROOT_ALONE
    assert f"There is no group {group}, which control-socket-group names" in bench.log.take()[-1]
    bench.stop()


def test_without_a_thread_to_ask_in_only_root_is_let_in(tmp_path: Path) -> None:
    bench = Bench(tmp_path, None)
    bench.threads.left = 0
    bench.change("ops")
    assert bench.mode == ROOT_ALONE
    assert "cannot be looked up" in bench.log.take()[-1]
    bench.stop()


def test_a_file_that_cannot_be_read_leaves_it_to_the_directory() -> None:
    def gone() -> str:
        raise FileNotFoundError("/etc/group")

    def full(_: Callable[[], None]) -> None:
        raise NoThreadError("none")

    assert GroupIds(ThreadClock(), full, gone).own("mine") is None
    assert GroupIds(ThreadClock(), full).own("root") == 0


def test_a_socket_that_somebody_removes_is_made_again_with_its_group(
    begun: Callable[[str | None], Bench],
) -> None:
    bench = begun("mine")
    bench.clock.advance(LOOK_EVERY_S)
    assert len(bench.log.lines) == 1
    bench.path.unlink()
    bench.clock.advance(LOOK_EVERY_S)
    assert bench.mode == GROUP_TOO
    assert [line for line in bench.log.lines if "is gone: made again" in line]
    bench.path.unlink()
    bench.path.write_text("another's")
    bench.clock.advance(LOOK_EVERY_S)
    assert bench.path.read_text() == "another's"
    bench.stop()
    assert bench.clock.getDelayedCalls() == []
    assert bench.path.read_text() == "another's"
