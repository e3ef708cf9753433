"""Overrides in a whole daemon: from an operator's word to the kernel's table, over restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs

from pybal.daemon.overrides_part import OverridesPart
from pybal.errors import ControlError, NoSuchThingError
from pybal.instrumentation.verbs import Outcome
from pybal.override import Action
from pybal.overrides.wish import Scope, Wish
from tests.fakes.daemon import DaemonBench
from tests.fakes.deferreds import result_of
from tests.instrumentation.exchange import HeldTurns
from tests.overrides.test_acknowledgements import Ports

SERVICE = """
[{name}]
protocol = tcp
ip = 192.0.2.1
port = {port}
scheduler = wrr
config = file://{folder}/pool
monitors = [ "IdleConnection" ]
"""


def config(folder: Path, *names: str, dry_run: bool = False) -> str:
    head = (
        f"[global]\ncontrol-socket = no\nhistory-size = 0\nstate-directory = {folder}/state\n"
        + "dry-run = yes\n" * dry_run
    )
    return head + "".join(
        SERVICE.format(name=name, port=80 + number, folder=folder)
        for number, name in enumerate(names)
    )


def write_pool(folder: Path, *hosts: int) -> None:
    lines = (f"{{'host': '192.0.2.1{host}'}}\n" for host in hosts)
    (folder / "pool").write_text("".join(lines))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[DaemonBench]:
    write_pool(tmp_path, 1, 2, 3, 4)
    bench = DaemonBench(tmp_path, config(tmp_path, "web", "tls"))
    yield bench
    bench.stop()


def done(bench: DaemonBench, outcome: Outcome) -> Mapping[str, Any]:
    asked = Deferred.fromCoroutine(cast(Any, outcome))
    bench.run(1)
    found: Mapping[str, Any] = result_of(asked)
    return found


def wish(
    bench: DaemonBench, host: int, *services: str, action: Action = Action.DRAIN, **more: Any
) -> Mapping[str, Any]:
    scope = Scope(f"192.0.2.1{host}", services, more.pop("everywhere", False))
    return done(
        bench, bench.daemon.controls.override(Wish(action, scope, 600.0, "why", **more), "alice")
    )


def weights(bench: DaemonBench, port: int = 80) -> dict[str, int]:
    (entry,) = [
        bench.kernel.read(each.key)
        for each in bench.kernel.services().services
        if each.key.port == port
    ]
    assert entry is not None
    return {str(d.key.address): d.weight for d in entry.destinations.values()}


def test_drained_in_all_services_for_ten_minutes(bench: DaemonBench) -> None:
    answer = wish(bench, 1, everywhere=True)
    assert [each["service"] for each in answer["overrides"]] == ["web", "tls"]
    assert weights(bench, 80)["192.0.2.11"] == weights(bench, 81)["192.0.2.11"] == 0
    bench.run(600)
    assert weights(bench, 80)["192.0.2.11"] == weights(bench, 81)["192.0.2.11"] == 10
    assert bench.daemon.view.overrides() == ()


def test_all_or_nothing(bench: DaemonBench) -> None:
    wish(bench, 1, "web")
    wish(bench, 2, "web")
    with pytest.raises(ControlError, match="nothing was changed: web: 1 working server") as refused:
        wish(bench, 3, everywhere=True)
    assert "--force" in refused.value.remedy
    assert weights(bench, 81)["192.0.2.13"] == 10
    wish(bench, 3, everywhere=True, force=True)
    assert weights(bench, 80)["192.0.2.13"] == weights(bench, 81)["192.0.2.13"] == 0


def test_undone_and_undone_again(bench: DaemonBench) -> None:
    wish(bench, 1, "web", action=Action.DISABLE)
    assert "192.0.2.11" not in weights(bench)
    ended = done(bench, bench.daemon.controls.undo(Scope("192.0.2.11"), "bob"))["ended"]
    assert [each["service"] for each in ended] == ["web"]
    assert weights(bench)["192.0.2.11"] == 10
    for scope in (Scope("192.0.2.11"), Scope("192.0.2.11", ("web",)), Scope("x", ("nosuch",))):
        with pytest.raises(NoSuchThingError):
            done(bench, bench.daemon.controls.undo(scope, "bob"))


def test_it_outlives_the_process_and_comes_to_its_end_in_the_next(
    bench: DaemonBench, tmp_path: Path
) -> None:
    wish(bench, 1, "web", action=Action.DISABLE)
    bench.stop()
    after = DaemonBench(tmp_path, config(tmp_path, "web", "tls"))
    assert set(weights(after)) == {"192.0.2.12", "192.0.2.13", "192.0.2.14"}
    (kept,) = after.daemon.view.overrides()
    assert (kept.by, kept.reason, kept.action) == ("alice", "why", Action.DISABLE)
    after.run(700)
    assert len(weights(after)) == 4
    document = json.loads((tmp_path / "state/overrides.json").read_text())
    assert document == {"format": 1, "overrides": []}
    after.stop()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    write_pool(tmp_path, 1, 2)
    dry = DaemonBench(tmp_path, config(tmp_path, "web", dry_run=True))
    wish(dry, 1)
    assert len(dry.daemon.view.overrides()) == 1
    assert not (tmp_path / "state").exists()
    dry.stop()


def test_over_a_reload_it_stays_with_its_service_or_ends_with_it(
    bench: DaemonBench, tmp_path: Path
) -> None:
    wish(bench, 1, everywhere=True)
    bench.reload(config(tmp_path, "web").replace("wrr", "wlc"))
    assert weights(bench)["192.0.2.11"] == 0
    assert [each.service for each in bench.daemon.view.overrides()] == ["web"]
    bench.reload(config(tmp_path, "text").replace("wrr", "wlc"))
    assert [each.service for each in bench.daemon.view.overrides()] == ["text"]
    assert weights(bench)["192.0.2.11"] == 0


def test_a_server_that_leaves_the_list_is_out_again_when_it_returns(
    bench: DaemonBench, tmp_path: Path
) -> None:
    wish(bench, 1, "web", action=Action.DISABLE)
    write_pool(tmp_path, 2, 3, 4)
    bench.run(60)
    assert len(bench.daemon.view.overrides()) == 1
    write_pool(tmp_path, 1, 2, 3, 4)
    bench.run(60)
    assert "192.0.2.11" not in weights(bench, 80)
    assert "192.0.2.11" in weights(bench, 81)


def test_what_a_reload_takes_away_while_it_is_asked_for_is_in_no_book() -> None:
    class Service:
        hosts = ("a",)

        def override_objection(self, _: object) -> str:
            return ""

        def overrides_changed(self) -> Deferred[None]:
            """It has heard."""
            return succeed(None)

    services, turns, ports = {"web": Service(), "tls": Service()}, HeldTurns(), Ports()
    part = OverridesPart(cast(Any, ports), cast(Any, services), turns, None)
    wish = Wish(Action.DRAIN, Scope("a", (), True), 60.0, "why")
    asked = Deferred.fromCoroutine(part.begin(wish, "alice"))
    del services["tls"]
    turns.release()
    assert [each.service for each in result_of(asked).overrides] == ["web"]
    assert [each.service for each in part.all()] == ["web"]
    asked = Deferred.fromCoroutine(part.begin(wish, "alice"))
    services.clear()
    turns.release()
    with pytest.raises(NoSuchThingError):
        result_of(asked)
    assert len(part.all()) == 1


@pytest.mark.parametrize("ends", ["undone", "by itself"])
def test_a_service_that_fails_or_is_slow_keeps_no_override_from_the_others(ends: str) -> None:
    class Service:
        hosts = ("a",)

        def __init__(self, answer: Deferred[None] | Exception) -> None:
            self.answer = answer
            self.drained: list[bool] = []

        def overrides_changed(self) -> Deferred[None]:
            self.drained.append(bool(part.all()))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    slow: Deferred[None] = Deferred()
    services = {
        "web": Service(OSError("at once")),
        "mail": Service(fail(OSError("later"))),
        "ntp": Service(slow),
        "dns": Service(succeed(None)),
    }
    turns, ports = HeldTurns(), Ports()
    part = OverridesPart(cast(Any, ports), cast(Any, services), turns, None)
    with capturedLogs() as logged:
        wish = Wish(Action.DRAIN, Scope("a", (), True), 60.0, "why", force=True)
        begun = Deferred.fromCoroutine(part.begin(wish, "alice"))
        turns.release()
        assert [each.drained for each in services.values()] == [[True]] * 4
        assert not begun.called, "an operator hears of it when it is in force"
        slow.callback(None)
        assert len(result_of(begun).overrides) == 4
        services["ntp"].answer = Deferred()
        services["mail"].answer = fail(OSError("later"))
        if ends == "undone":
            Deferred.fromCoroutine(part.end(Scope("a"), "alice"))
        else:
            ports.reactor.advance(60.0)
        turns.release()
    assert [each.drained for each in services.values()] == [[True, False]] * 4
    failures = [event for event in logged if "log_failure" in event]
    found = {(event["name"], str(event["log_failure"].value)) for event in failures}
    assert found == {("web", "at once"), ("mail", "later")}
