"""Requests wait for the code that answers them, and not for good."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs

from pybal.daemon.daemon import Daemon
from pybal.instrumentation.late_site import LateSite
from pybal.ipvs.memory import MemoryKernel
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.registry import BUILT_IN, MonitorTypes
from pybal.reload.running import started
from pybal.runtime.threads import InThread, NoThreadError
from tests.bgp.memory import MemoryNetwork
from tests.config.texts import load
from tests.fakes.daemon import Answering, Reactor, memory_ports
from tests.fakes.deferreds import at_once, result_of

CONFIG = """\
[global]
instrumentation = no
history-retention = 0
state-directory = {folder}/state
control-socket = {folder}/{socket}
"""
LATER_S = 1.0
LONG_AFTER_S = 10.0


def test_one_who_cannot_begin_to_answer_keeps_no_other_from_it() -> None:
    def broken(_: object) -> None:
        raise OSError("stuck")

    site: Any = object()
    late, begun = LateSite(), list[object]()
    for begin in (begun.append, broken, begun.append):
        late.when_there(begin)
    with capturedLogs() as logged:
        late.serve(site)
    assert begun == [site, site]
    texts = [event["log_format"] for event in logged]
    assert texts == ["Nothing is answered at one of the addresses"]
    late.when_there(begun.append)
    assert begun == [site] * 3


class Rig:
    """A daemon with a control socket, started at this moment."""

    def __init__(
        self,
        folder: Path,
        load_answers: Callable[[], str | None] = lambda: None,
        in_thread: InThread = at_once,
        monitors: MonitorTypes = BUILT_IN,
    ) -> None:
        self.path = folder / "control"
        config = folder / "pybal.conf"
        config.write_text(CONFIG.format(folder=folder, socket=self.path.name))
        result = load(config)
        assert result.settings is not None
        self.reactor = Reactor()
        network, routers = Answering(self.reactor, set()), MemoryNetwork(self.reactor)
        ports = memory_ports(
            self.reactor, at_once, network, MemoryKernel(), routers, lambda _: None
        )
        ports = ports._replace(
            load_answers=load_answers, read_in_thread=in_thread, monitors=monitors
        )
        self.daemon = Daemon(started(result, result.settings, 1e9), ports)
        self.daemon.start()

    def serves(self) -> bool:
        """Whether connections are taken from the kernel."""
        return bool(self.reactor.readers)

    def stop(self) -> None:
        result_of(Deferred.fromCoroutine(self.daemon.stop()))
        self.reactor.advance(LATER_S)


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def no_thread(_: Callable[[], Any]) -> Deferred[Any]:
    return fail(NoThreadError("no thread"))


@pytest.mark.parametrize("in_thread", [at_once, no_thread])
def test_it_listens_at_once_and_answers_a_moment_later(tmp_path: Path, in_thread: InThread) -> None:
    rig = Rig(tmp_path, in_thread=in_thread)
    assert connects(rig.path)
    assert not rig.serves()
    rig.reactor.advance(LATER_S)
    assert rig.serves()
    rig.stop()
    assert not rig.serves()


def test_what_could_never_be_answered_is_not_listened_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda: "PyBal has been upgraded")
    rig.reactor.advance(LATER_S)
    assert not rig.path.exists()
    rig.stop()


@pytest.mark.parametrize("in_thread", [at_once, no_thread])
@pytest.mark.parametrize(
    "error", [ImportError("not yet"), OSError(errno.EMFILE, "many"), MemoryError(), SyntaxError()]
)
def test_what_cannot_be_answered_now_is_tried_again(
    tmp_path: Path, error: Exception, in_thread: InThread
) -> None:
    obstacles = [error, error]

    def load_answers() -> None:
        if obstacles:
            raise obstacles.pop()

    rig = Rig(tmp_path, load_answers, in_thread)
    rig.reactor.advance(LATER_S)
    assert connects(rig.path)
    rig.reactor.advance(LONG_AFTER_S)
    assert not rig.serves()
    rig.reactor.advance(LONG_AFTER_S)
    assert rig.serves()
    rig.stop()


def test_what_answers_may_be_loaded_and_find_no_memory_to_begin_with(tmp_path: Path) -> None:
    short = [True]

    class Monitors(dict[str, MonitorType]):
        """Those whose metrics are to be shown."""

        def values(self) -> Any:
            if loaded and short:
                short.pop()
                raise MemoryError
            return super().values()

    loaded: list[bool] = []
    rig = Rig(tmp_path, lambda: loaded.append(True), monitors=Monitors(BUILT_IN))
    rig.reactor.advance(LATER_S)
    assert not short and not rig.serves()
    rig.reactor.advance(LONG_AFTER_S)
    assert rig.serves()
    rig.stop()


def test_it_is_not_tried_for_good(tmp_path: Path) -> None:
    def load_answers() -> None:
        raise ModuleNotFoundError("gone")

    rig = Rig(tmp_path, load_answers)
    rig.reactor.advance(LATER_S)
    for _ in range(40):
        rig.reactor.advance(LONG_AFTER_S)
    assert not rig.path.exists()
    rig.path.with_name("pybal.conf").write_text(CONFIG.format(folder=tmp_path, socket="other"))
    assert result_of(rig.daemon.reload()) is not None
    assert not (tmp_path / "other").exists()
    rig.stop()


def test_a_stop_ends_that(tmp_path: Path) -> None:
    def load_answers() -> None:
        raise OSError(errno.EMFILE, "too many")

    rig = Rig(tmp_path, load_answers)
    rig.reactor.advance(LATER_S)
    rig.stop()
    assert not rig.reactor.getDelayedCalls()


def test_a_stop_before_it_answers_ends_all(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.stop()
    assert not rig.path.exists()
    assert not rig.serves()


def test_a_stop_while_the_code_is_loaded_ends_all(tmp_path: Path) -> None:
    loading: Deferred[Any] = Deferred()
    threads: list[InThread] = [at_once]
    rig = Rig(tmp_path, in_thread=lambda function: threads[-1](function))
    threads.append(lambda _: loading)
    rig.reactor.advance(LATER_S)
    threads.pop()
    rig.stop()
    loading.callback(None)
    assert not rig.serves()
