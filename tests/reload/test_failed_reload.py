"""A reload that fails with one service: the next one mends what is left of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from twisted.internet.defer import Deferred, fail

from pybal.announce.announcer import Announcer
from pybal.announce.failover import BGPFailover
from pybal.bgp.speaker import Speaker
from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from pybal.daemon import daemon
from pybal.daemon.overrides_part import OverridesPart
from pybal.ipvs.controller import IPVSController
from pybal.override import Action
from pybal.overrides.wish import Scope, Wish
from pybal.pool.coordinator import Coordinator
from pybal.pool.service import LVSService
from pybal.reload.service_names import ServiceNames
from pybal.reload.service_set import ServiceSet
from tests.bgp.memory import Router
from tests.fakes.daemon import STEP_S, DaemonBench
from tests.fakes.deferreds import result_of
from tests.reload.test_renamed import config, in_maintenance


def made(folder: Path, text: str) -> DaemonBench:
    (folder / "pool").write_text("{'host': '192.0.2.11'}\n{'host': '192.0.2.12'}\n")
    return DaemonBench(folder, text)


def reloaded(bench: DaemonBench, text: str) -> ReloadSnapshot:
    bench.path.write_text(text)
    done = bench.daemon.reload()
    while not done.called:
        bench.clock.advance(STEP_S)
    bench.run(5)
    return result_of(done)


def afresh(folder: Path, text: str) -> dict[str, Any]:
    """What a daemon that starts with this configuration comes to."""
    (folder / "other").mkdir()
    other = DaemonBench(folder / "other", text.replace(f"{folder}/state", f"{folder}/other/state"))
    state = other.state()
    other.stop()
    return state


@contextmanager
def failing(owner: Any, name: str) -> Iterator[None]:
    """A mistake of ours there, for so long."""

    def fails(*_: Any, **__: Any) -> NoReturn:
        raise ValueError("a mistake")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, fails)
        yield


def kept_maintenance(folder: Path) -> dict[str, float]:
    """Of services, for the next start: it is kept while BGP is off, too."""
    return dict(json.loads((folder / "state/maintenance.json").read_text())["services"])


def overridden(bench: DaemonBench, doing: Coroutine[Any, Any, object]) -> None:
    done = Deferred.fromCoroutine(doing)
    bench.run(1)
    result_of(done)


def disable(bench: DaemonBench, service: str) -> None:
    wish = Wish(Action.DISABLE, Scope("192.0.2.11", (service,)), 3600.0, "new disk", force=True)
    overridden(bench, bench.daemon.controls.override(wish, "alice"))


def undo(bench: DaemonBench, service: str) -> None:
    overridden(bench, bench.daemon.controls.undo(Scope("192.0.2.11", (service,)), "alice"))


def disabled(bench: DaemonBench) -> list[tuple[str, str]]:
    """The servers that an operator has disabled, and that are out of the pool."""
    found = [(each.service, each.host) for each in bench.daemon.view.overrides()]
    for name, host in found:
        service = bench.daemon.view.service(name)
        assert service is not None
        assert not next(server for server in service.servers if server.host == host).pooled
    return found


def at_once(_: LVSService) -> Deferred[None]:
    raise OSError("a mistake")


def later(_: LVSService) -> Deferred[None]:
    return fail(OSError("a mistake"))


@pytest.mark.parametrize("stop", [at_once, later])
def test_a_service_that_cannot_be_stopped_leaves_and_ends_no_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Callable[[LVSService], Deferred[None]]
) -> None:
    bench = made(tmp_path, config(tmp_path, "web", "dns"))
    with monkeypatch.context() as patch:
        patch.setattr(LVSService, "stop", stop)
        assert reloaded(bench, config(tmp_path, "text", "dns")).successful
    text = config(tmp_path, "www", "dns", "more")
    assert reloaded(bench, text).successful
    assert bench.state() == afresh(tmp_path, text)
    bench.stop()


@pytest.mark.parametrize(
    "part",
    [
        (OverridesPart, "go_over_to"),
        (OverridesPart, "gone_over_to"),
        (IPVSController, "stands"),
        (LVSService, "follow"),
        (Announcer, "forget"),
        (ServiceNames, "go_over_to"),
        (ServiceNames, "gone_over_to"),
    ],
    ids=lambda part: f"{part[0].__name__}.{part[1]}",
)
@pytest.mark.parametrize("then", ["the same", "as it was", "another one"])
@pytest.mark.parametrize("change", ["name", "port"])
def test_what_a_reload_that_failed_has_left_is_mended_by_the_next(
    tmp_path: Path,
    part: tuple[type, str],
    then: str,
    change: str,
) -> None:
    def text(name: str, port: int) -> str:
        if change == "name":
            return config(tmp_path, name, "dns")
        return config(tmp_path, "web", "dns").replace("port = 80", f"port = {port}", 1)

    bench = made(tmp_path, text("web", 80))
    disable(bench, "web")

    with failing(*part):
        outcome = reloaded(bench, text("text", 81))
    assert outcome.errors == ("ValueError: a mistake",)
    assert outcome.outcome is ReloadOutcome.IN_PART
    assert outcome.steps != ()
    texts = {"the same": ("text", 81), "as it was": ("web", 80), "another one": ("www", 82)}
    last = text(*texts[then])
    assert reloaded(bench, last).successful
    name = texts[then][0] if change == "name" else "web"
    assert disabled(bench) == [(name, "192.0.2.11")]
    undo(bench, name)
    assert bench.state() == afresh(tmp_path, last)
    assert reloaded(bench, last).steps == ()
    bench.stop()


def test_that_a_configuration_was_applied_in_part_stands_until_one_is_applied_wholly(
    tmp_path: Path,
) -> None:
    former = config(tmp_path, "web", "dns")
    bench = made(tmp_path, former)

    def in_part() -> tuple[str, ...]:
        return bench.daemon.view.config().in_part

    with failing(LVSService, "follow"):
        reloaded(bench, config(tmp_path, "text", "dns"))
    assert in_part() == ("ValueError: a mistake",)
    assert reloaded(bench, "[").outcome is ReloadOutcome.REFUSED
    assert in_part() == ("ValueError: a mistake",)
    assert reloaded(bench, former).successful
    assert in_part() == ()
    bench.stop()


@pytest.mark.parametrize("then", ["back", "undone", "gone"])
def test_the_overrides_of_a_service_that_a_reload_has_removed_and_not_ended(
    tmp_path: Path, then: str
) -> None:
    both = config(tmp_path, "dns", "web")
    bench = made(tmp_path, both)
    disable(bench, "web")
    with failing(Announcer, "forget"):
        assert not reloaded(bench, config(tmp_path, "dns")).successful
    if then == "undone":
        undo(bench, "web")
    if then == "gone":
        assert reloaded(bench, config(tmp_path, "dns")).successful
    assert reloaded(bench, both).successful
    assert disabled(bench) == ([("web", "192.0.2.11")] if then == "back" else [])
    bench.stop()


def test_over_a_restart_in_between_an_override_goes_on_too(tmp_path: Path) -> None:
    for name, part in (("web", "follow"), ("www", "stop"), ("www", "follow")):
        folder = tmp_path / f"{name} {part}"
        folder.mkdir()
        bench = made(folder, config(folder, "web", "dns"))
        disable(bench, "web")
        bench.daemon.controls.maintenance("web", begin=True, by="alice")
        with failing(LVSService, part):
            reloaded(bench, config(folder, "text", "dns"))
        bench.stop()
        after = DaemonBench(folder, config(folder, name, "dns"), kernel=bench.kernel)
        assert disabled(after) == [(name, "192.0.2.11")]
        assert in_maintenance(after) == [name]
        after.stop()


def test_a_list_of_long_ago_is_not_that_of_a_service_that_only_was_to_be_called_so(
    tmp_path: Path,
) -> None:
    bench = made(tmp_path, config(tmp_path, "web"))
    lists = tmp_path / "state/pool-lists"
    long_ago = (lists / "web.json").read_text().replace("192.0.2.1", "192.0.2.9")
    (lists / "text.json").write_text(long_ago)
    os.utime(lists / "text.json", (1e9, 1e9))
    with failing(LVSService, "follow"):
        reloaded(bench, config(tmp_path, "text"))
    bench.stop()
    (tmp_path / "pool").unlink()
    after = DaemonBench(tmp_path, config(tmp_path, "web"), kernel=bench.kernel)
    (service,) = after.daemon.view.services()
    assert {server.host for server in service.servers} == {"192.0.2.11", "192.0.2.12"}
    after.stop()


@pytest.mark.parametrize("bgp", ["yes", "no"])
@pytest.mark.parametrize("then", ["text", "web", "www"])
def test_maintenance_that_was_ended_after_a_reload_that_failed_does_not_come_back(
    tmp_path: Path, then: str, bgp: str
) -> None:
    def text(*names: str, on: str = bgp) -> str:
        return config(tmp_path, *names).replace("bgp = yes", f"bgp = {on}")

    bench = made(tmp_path, text("web", "dns", on="yes"))
    for name in ("web", "dns"):
        bench.daemon.controls.maintenance(name, begin=True, by="alice")
    reloaded(bench, text("web", "dns"))
    with failing(LVSService, "follow"):
        reloaded(bench, text("text", "dns"))
    # A service that did not come can be named all the same.
    assert set(kept_maintenance(tmp_path)) == {"web", "text", "dns"}
    assert bench.daemon.controls.maintenance("text", begin=False, by="alice")["changed"]
    assert set(kept_maintenance(tmp_path)) == {"dns"}
    assert reloaded(bench, text(then, "dns")).successful
    assert set(kept_maintenance(tmp_path)) == {"dns"}
    bench.stop()


def test_the_end_of_what_has_left_does_not_end_the_maintenance_of_what_came(tmp_path: Path) -> None:
    bench = made(tmp_path, config(tmp_path, "web", "dns"))
    bench.daemon.controls.maintenance("web", begin=True, by="alice")
    with failing(ServiceSet, "_withdraw"):
        reloaded(bench, config(tmp_path, "text", "dns"))
    assert bench.daemon.controls.maintenance("web", begin=False, by="alice")["changed"]
    assert in_maintenance(bench) == ["text"]
    assert reloaded(bench, config(tmp_path, "text", "dns")).successful
    assert in_maintenance(bench) == ["text"]
    bench.stop()


def test_no_route_goes_as_the_former_file_is_put_back_after_a_change_of_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def announced() -> set[str]:
        return {each.prefix for each in bench.daemon.view.bgp().announced}

    former = config(tmp_path, "web")
    bench = made(tmp_path, former)
    with failing(ServiceSet, "_withdraw"):
        reloaded(bench, former.replace("192.0.2.1\n", "192.0.2.3\n"))
    assert announced() == {"192.0.2.1/32", "192.0.2.3/32"}
    with monkeypatch.context() as patch:
        stopping: Deferred[None] = Deferred()
        patch.setattr(LVSService, "stop", lambda _: stopping)
        bench.path.write_text(former)
        done = bench.daemon.reload()
        bench.run(1)
        assert announced() == {"192.0.2.1/32", "192.0.2.3/32"}
        stopping.callback(None)
    while not done.called:
        bench.clock.advance(STEP_S)
        assert "192.0.2.1/32" in announced()
    bench.run(1)
    assert announced() == {"192.0.2.1/32"}
    bench.stop()


@pytest.mark.parametrize("then", ["the same", "as it was", "another one"])
@pytest.mark.parametrize("part", [Announcer, Coordinator])
@pytest.mark.parametrize(
    ("former", "new", "third"),
    [
        ("scheduler = wrr", "scheduler = wlc", "scheduler = rr"),
        ("/pool", "/pool2", "/pool3"),
        ('"IdleConnection"', '"TCPCheck"', '"IdleConnection", "TCPCheck"'),
        ("bgp-med = 1", "bgp-med = 2", "bgp-med = 3"),
    ],
)
def test_a_service_whose_adjusting_has_failed_is_as_the_next_reload_says(
    tmp_path: Path,
    former: str,
    new: str,
    third: str,
    part: type,
    then: str,
) -> None:
    def text(value: str) -> str:
        found = config(tmp_path, "web", "dns").replace("port = 80", "port = 80\nbgp-med = 1")
        return found.replace(former, value)

    for name in ("pool2", "pool3"):
        (tmp_path / name).write_text(f"{{'host': '192.0.2.1{name[-1]}'}}\n")
    bench = made(tmp_path, text(former))

    with failing(part, "adjust" if part is Announcer else "reconfigure"):
        assert reloaded(bench, text(new)).outcome is ReloadOutcome.IN_PART
    last = text({"the same": new, "as it was": former, "another one": third}[then])
    assert reloaded(bench, last).successful
    assert bench.state() == afresh(tmp_path, last)
    bench.stop()


def test_while_another_source_could_not_be_made_the_former_is_read(tmp_path: Path) -> None:
    text = config(tmp_path, "web", "dns")
    bench = made(tmp_path, text)

    with failing(daemon, "create_source"):
        outcome = reloaded(bench, text.replace("/pool", "/pool2"))
    assert outcome.outcome is ReloadOutcome.IN_PART
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n{'host': '192.0.2.13'}\n")
    bench.run(20)
    assert {host for _, host in bench.state()["servers"]} == {"192.0.2.11", "192.0.2.13"}
    assert reloaded(bench, text).successful
    bench.stop()


def test_what_was_adjusted_before_a_later_step_failed_is_undone_with_the_former_file(
    tmp_path: Path,
) -> None:
    former = config(tmp_path, "web", "dns")
    bench = made(tmp_path, former)

    with failing(ServiceSet, "_withdraw"):
        outcome = reloaded(bench, former.replace("scheduler = wrr", "scheduler = wlc"))
    assert outcome.outcome is ReloadOutcome.IN_PART
    assert reloaded(bench, former).successful
    assert bench.state() == afresh(tmp_path, former)
    bench.stop()


def test_what_left_in_one_reload_that_failed_and_in_the_next_leaves_the_kernel_at_last(
    tmp_path: Path,
) -> None:
    bench = made(tmp_path, config(tmp_path, "web", "dns", "more"))

    for names in (("web", "dns"), ("web",)):
        with failing(ServiceSet, "_withdraw"):
            assert reloaded(bench, config(tmp_path, *names)).outcome is ReloadOutcome.IN_PART
    last = config(tmp_path, "web")
    assert reloaded(bench, last).successful
    assert bench.state() == afresh(tmp_path, last)
    bench.stop()


@pytest.mark.parametrize("then", ["the same", "as it was", "another one", "off"])
@pytest.mark.parametrize("what", ["adjusted", "begun"])
def test_bgp_is_what_the_next_reload_says_though_one_has_failed(
    tmp_path: Path, what: str, then: str
) -> None:
    def text(med: int) -> str:
        return config(tmp_path, "web").replace("[web]", f"bgp-med = {med}\n[web]")

    def off() -> str:
        return config(tmp_path, "web").replace("bgp = yes", "bgp = no")

    bench = made(tmp_path, text(1) if what == "adjusted" else off())

    with failing(BGPFailover, "reconfigure" if what == "adjusted" else "start"):
        outcome = reloaded(bench, text(2))
    assert outcome.errors == ("ValueError: a mistake",)
    texts = {"the same": text(2), "another one": text(3), "off": off()}
    last = texts.get(then) or (text(1) if what == "adjusted" else off())
    assert reloaded(bench, last).successful
    assert bench.state() == afresh(tmp_path, last)
    bench.stop()


@pytest.mark.parametrize("then", ["the same", "off"])
def test_of_a_speaker_that_fails_amid_its_start_nothing_goes_on(tmp_path: Path, then: str) -> None:
    off = config(tmp_path, "web").replace("bgp = yes", "bgp = no")
    on = config(tmp_path, "web")
    bench = made(tmp_path, off)
    router = Router(bench.routers, "192.0.2.253")
    router.listen()

    # The last thing that it does: it listens by then, and connects.
    with failing(Speaker, "_look_for_neighbours"):
        assert reloaded(bench, on).errors == ("ValueError: a mistake",)
    assert set(bench.routers.listeners) == {router.address}
    bench.run(60)
    assert router.ends == []
    last = on if then == "the same" else off
    assert reloaded(bench, last).successful
    bench.run(60)
    assert len(router.ends) == (then == "the same")
    assert bench.state() == afresh(tmp_path, last)
    bench.stop()
