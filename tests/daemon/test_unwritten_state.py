"""The state directory cannot be written for a while: that is said, and nothing of it is lost."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred

from pybal.override import Action
from pybal.overrides.file import override_file
from pybal.overrides.wish import Scope, Wish
from tests.fakes.daemon import DaemonBench
from tests.fakes.deferreds import result_of
from tests.reload.test_renamed import config


def alerts(bench: DaemonBench) -> set[str]:
    return {each.alert.id for each in bench.daemon._alerts()}


def test_a_drain_that_could_not_be_written_is_there_for_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n{'host': '192.0.2.12'}\n")
    state = tmp_path / "state"
    state.write_text("in the way")
    bench = DaemonBench(tmp_path, config(tmp_path, "web", "dns"))
    wish = Wish(Action.DRAIN, Scope("192.0.2.11", ("web",), False), 86400.0, "disk")
    result_of(Deferred.fromCoroutine(bench.daemon.controls.override(wish, "anna")))
    bench.run(35)
    unwritten = dict(bench.daemon.view.daemon().unwritten)
    assert unwritten[str(state / "overrides.json")] == "File exists"
    assert "state-unwritten" in alerts(bench)
    state.unlink()
    bench.run(300)
    assert bench.daemon.view.daemon().unwritten == ()
    assert "state-unwritten" not in alerts(bench)
    (kept,) = override_file(state).load() or ()
    assert (kept.service, kept.host) == ("web", "192.0.2.11")
    bench.stop()
