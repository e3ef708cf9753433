"""A service that is renamed again before it has a list of its own: it goes on with the last one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pybal.pool.list_steps import ListSteps
from tests.fakes.daemon import STEP_S, DaemonBench
from tests.reload.test_renamed import config

HOSTS = tuple(f"192.0.2.{number}" for number in range(11, 19))
DEAD = HOSTS[-1]


def pool(*hosts: str) -> str:
    return "".join(f"{{'host': '{host}'}}\n" for host in hosts)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[DaemonBench]:
    (tmp_path / "pool").write_text(pool(*HOSTS))
    bench = DaemonBench(tmp_path, config(tmp_path, "web"), {DEAD})
    bench.run(5)
    yield bench
    bench.stop()


def pooled(bench: DaemonBench) -> set[str]:
    (service,) = bench.daemon.view.services()
    return {server.host for server in service.servers if server.pooled}


def listless(bench: DaemonBench, name: str, port: int = 80) -> None:
    """Its source, which is slow, has said nothing yet."""
    text = config(bench.path.parent, name)
    text = text.replace(f"file://{bench.path.parent}", "http://192.0.2.200")
    bench.path.write_text(text.replace("port = 80", f"port = {port}"))
    done = bench.daemon.reload()
    while not done.called:
        bench.clock.advance(STEP_S)
    (service,) = bench.daemon.view.services()
    assert (service.name, service.servers) == (name, ())


def test_its_first_list_is_held_against_the_last_one_that_was_in_force(
    bench: DaemonBench, tmp_path: Path
) -> None:
    assert pooled(bench) == {*HOSTS} - {DEAD}
    listless(bench, "text")
    listless(bench, "www")
    (tmp_path / "pool").write_text(pool(HOSTS[0]))
    assert bench.reload(config(tmp_path, "last"))
    bench.run(5)
    (service,) = bench.daemon.view.services()
    assert service.held
    assert pooled(bench) == {*HOSTS} - {DEAD}


def test_who_was_down_is_down_until_its_monitors_say_otherwise(
    bench: DaemonBench, tmp_path: Path
) -> None:
    for port in (81, 82):
        listless(bench, "web", port)
    seen: set[str] = set()
    bench.path.write_text(config(tmp_path, "web").replace("port = 80", "port = 83"))
    bench.daemon.reload()
    for _ in range(100):
        bench.clock.advance(0.05)
        seen |= pooled(bench) if bench.daemon.view.services() else set()
    assert seen == {*HOSTS} - {DEAD}


def test_one_whose_list_has_come_and_is_not_in_force_yet_is_no_other(
    bench: DaemonBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise ValueError("a mistake")

    (tmp_path / "pool").write_text(pool(HOSTS[0]))
    with monkeypatch.context() as patch:
        patch.setattr(ListSteps, "take", fails)
        assert bench.reload(config(tmp_path, "text"))
    assert bench.reload(config(tmp_path, "www"))
    bench.run(5)
    (service,) = bench.daemon.view.services()
    assert service.held
    assert pooled(bench) == {*HOSTS} - {DEAD}


def test_another_source_that_is_damaged_leaves_what_was_in_force(
    bench: DaemonBench, tmp_path: Path
) -> None:
    listless(bench, "text")
    (tmp_path / "pool").write_text(pool(HOSTS[0]) + "{'host': ")
    assert bench.reload(config(tmp_path, "text"))
    bench.run(5)
    (service,) = bench.daemon.view.services()
    assert not service.held, "it is no list yet that would take them away"
    assert pooled(bench) == {*HOSTS} - {DEAD}


@pytest.mark.parametrize("changes", [("web", "text"), ("port = 80", "port = 81")])
def test_while_its_source_is_away_it_goes_on_with_what_was_in_force_and_no_list_of_long_ago(
    bench: DaemonBench, tmp_path: Path, changes: tuple[str, str]
) -> None:
    bench.reload(config(tmp_path, "text"))
    (tmp_path / "pool").write_text(pool(*HOSTS[2:]))
    bench.run(5)
    bench.reload(config(tmp_path, "web"))
    (tmp_path / "pool").write_text(pool(*HOSTS[1:]))
    bench.run(5)
    (tmp_path / "pool").unlink()
    bench.run(60)
    (service,) = bench.daemon.view.services()
    good_at = service.source.last_good_at
    bench.reload(config(tmp_path, "web").replace(*changes))
    assert pooled(bench) == {*HOSTS[1:]} - {DEAD}
    (service,) = bench.daemon.view.services()
    assert service.source.stale
    assert good_at is not None
    assert service.source.last_good_at == good_at
    (tmp_path / "pool").write_text(pool(*HOSTS))
    bench.run(5)
    assert pooled(bench) == {*HOSTS} - {DEAD}


def test_a_rename_to_another_source_that_is_away_goes_on_too(
    bench: DaemonBench, tmp_path: Path
) -> None:
    bench.reload(config(tmp_path, "text").replace("/pool", "/late"))
    assert pooled(bench) == {*HOSTS} - {DEAD}


def test_the_list_in_force_keeps_its_date_while_another_source_is_away(
    bench: DaemonBench, tmp_path: Path
) -> None:
    (service,) = bench.daemon.view.services()
    good_at = service.source.last_good_at
    bench.reload(config(tmp_path, "web").replace("/pool", "/late"))
    bench.run(60)
    (service,) = bench.daemon.view.services()
    assert (service.source.stale, len(service.servers)) == (True, len(HOSTS))
    assert service.source.last_good_at is not None
    assert good_at is not None
    assert good_at <= service.source.last_good_at < good_at + 60


def test_another_service_does_not_go_on_with_what_another_source_said(
    bench: DaemonBench, tmp_path: Path
) -> None:
    text = config(tmp_path, "web").replace("/pool", "/late").replace("port = 80", "port = 81")
    bench.reload(text)
    assert pooled(bench) == set()
