"""A service that goes on under another name: what operators have said of it goes with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from pybal.errors import ControlError, NoSuchThingError
from pybal.override import Action
from pybal.overrides.wish import Scope, Wish
from pybal.reload.service_names import renames
from tests.fakes.daemon import STEP_S, DaemonBench, Reactor

HEAD = """
[global]
control-socket = no
history-size = 0
state-directory = {folder}/state
bgp = yes
bgp-local-asn = 64600
bgp-peer-address = 192.0.2.253
bgp-nexthop-ipv4 = 192.0.2.254
bgp-maintenance-med = 500
"""
SERVICE = """
[{name}]
protocol = tcp
ip = 192.0.2.{number}
port = 80
scheduler = wrr
config = file://{folder}/pool
monitors = [ "IdleConnection" ]
"""


def config(folder: Path, *names: str) -> str:
    services = (
        SERVICE.format(name=name, number=number, folder=folder)
        for number, name in enumerate(names, 1)
    )
    return HEAD.format(folder=folder) + "".join(services)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[DaemonBench]:
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n{'host': '192.0.2.12'}\n")
    bench = DaemonBench(tmp_path, config(tmp_path, "web", "dns"))
    yield bench
    bench.stop()


def meds(bench: DaemonBench) -> dict[str, int | None]:
    return {each.prefix: each.med for each in bench.daemon.view.bgp().announced}


def in_maintenance(bench: DaemonBench) -> list[str | None]:
    return [each.service for each in bench.daemon.view.bgp().maintenance]


def test_maintenance_goes_on_and_no_router_takes_the_service_back_meanwhile(
    bench: DaemonBench, tmp_path: Path
) -> None:
    bench.daemon.controls.maintenance("web", begin=True, by="alice")
    bench.run(1)
    moved = {"192.0.2.1/32": 500, "192.0.2.2/32": 0}
    assert meds(bench) == moved
    (began_at,) = [each.since for each in bench.daemon.view.bgp().maintenance]
    bench.path.write_text(config(tmp_path, "text", "dns"))
    done = bench.daemon.reload()
    for _ in range(100):
        bench.clock.advance(STEP_S)
        assert meds(bench) == moved
    assert done.called
    (shown,) = bench.daemon.view.bgp().maintenance
    assert (shown.service, shown.since) == ("text", began_at)
    bench.daemon.controls.maintenance("text", begin=False, by="alice")
    bench.run(1)
    assert meds(bench)["192.0.2.1/32"] == 0


@pytest.mark.parametrize("former", ["port = 80", "ip = 192.0.2.1"])
def test_maintenance_goes_on_for_what_is_replaced_until_it_has_gone(
    bench: DaemonBench, tmp_path: Path, former: str
) -> None:
    bench.daemon.controls.maintenance("web", begin=True, by="alice")
    bench.run(1)
    new = {"port = 80": "port = 81", "ip = 192.0.2.1": "ip = 192.0.2.3"}[former]
    text = config(tmp_path, "web", "dns").replace(former, new, 1)
    bench.path.write_text(text.replace("/pool", "/late", 1))
    bench.daemon.reload()
    for _ in range(20):
        bench.clock.advance(STEP_S)
        assert meds(bench) == {"192.0.2.1/32": 500, "192.0.2.2/32": 0}
    (tmp_path / "late").write_text("{'host': '192.0.2.11'}\n")
    for _ in range(40):
        bench.clock.advance(STEP_S)
        assert {med for prefix, med in meds(bench).items() if prefix != "192.0.2.2/32"} == {500}
    assert in_maintenance(bench) == ["web"]


@pytest.mark.parametrize("name", ["web", "text"])
def test_a_route_stays_until_the_servers_of_what_comes_in_its_place_are_known(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n")

    def text(name: str, port: int) -> str:
        careful = f"port = {port}\nbgp-withdraw-on-down = yes"
        return config(tmp_path, name).replace("port = 80", careful)

    bench = DaemonBench(tmp_path, text("web", 80))
    bench.run(1)
    bench.path.write_text(text(name, 80 + (name == "web")))
    done = bench.daemon.reload()
    for _ in range(300):
        bench.clock.advance(0.01)
        assert meds(bench) == {"192.0.2.1/32": 0}
    assert done.called
    bench.stop()


def test_maintenance_of_a_service_that_has_left_is_shown_and_can_be_ended(
    bench: DaemonBench, tmp_path: Path
) -> None:
    bench.daemon.controls.maintenance("web", begin=True, by="alice")
    bench.reload(config(tmp_path, "dns").replace("192.0.2.1\n", "192.0.2.2\n"))
    assert in_maintenance(bench) == ["web"]
    with pytest.raises(NoSuchThingError):
        bench.daemon.controls.maintenance("web", begin=True, by="alice")
    answer = bench.daemon.controls.maintenance("web", begin=False, by="alice")
    assert answer["changed"]
    assert in_maintenance(bench) == []
    with pytest.raises(NoSuchThingError):
        bench.daemon.controls.maintenance("web", begin=False, by="alice")


def test_an_alert_that_is_known_stays_so(bench: DaemonBench, tmp_path: Path) -> None:
    def strict(*names: str) -> str:
        return config(tmp_path, *names).replace("wrr", "wrr\ndepool-threshold = 1")

    bench.reload(strict("web", "dns"))
    bench.daemon.controls.acknowledge("too-small", "web", 3600.0, "new rack", "alice")
    bench.reload(strict("text", "dns"))
    with pytest.raises(NoSuchThingError):
        bench.daemon.controls.unacknowledge("too-small", "web", "alice")
    answer = bench.daemon.controls.unacknowledge("too-small", "text", "alice")
    assert [each["service"] for each in answer["ended"]] == ["text"]


def bgp_off(text: str) -> str:
    return text.replace("bgp = yes", "bgp = no")


@pytest.mark.parametrize("over_restarts", [False, True])
def test_maintenance_goes_on_for_a_service_that_is_renamed_while_bgp_is_off(
    tmp_path: Path, over_restarts: bool
) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n")
    bench = DaemonBench(tmp_path, config(tmp_path, "web", "dns"))
    bench.daemon.controls.maintenance("web", begin=True, by="alice")
    off = [bgp_off(config(tmp_path, name, "dns")) for name in ("web", "text")]
    for text in (*off, config(tmp_path, "text", "dns")):
        if over_restarts:
            bench.stop()
            bench = DaemonBench(tmp_path, text, kernel=bench.kernel)
        else:
            bench.reload(text)
    assert in_maintenance(bench) == ["text"]
    assert meds(bench).get("192.0.2.1/32", 500) == 500, "the last choice, or withdrawn by now"
    bench.stop()


def test_maintenance_can_be_ended_while_bgp_is_off(tmp_path: Path) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n")
    bench = DaemonBench(tmp_path, config(tmp_path, "web", "dns"))
    for name in ("web", "dns", None):
        bench.daemon.controls.maintenance(name, begin=True, by="alice")
    bench.reload(bgp_off(config(tmp_path, "web", "dns")))
    for name in ("web", None):
        assert bench.daemon.controls.maintenance(name, begin=False, by="alice")["changed"]
        with pytest.raises(ControlError, match="BGP is off"):
            bench.daemon.controls.maintenance(name, begin=False, by="alice")
    with pytest.raises(ControlError, match="BGP is off"):
        bench.daemon.controls.maintenance("dns", begin=True, by="alice")
    bench.reload(config(tmp_path, "web", "dns"))
    assert in_maintenance(bench) == ["dns"]
    bench.stop()


def lasting(folder: Path) -> dict[str, float]:
    """By service: since when something has been so that will be an alert."""
    document = json.loads((folder / "state/lasting.json").read_text())
    return {service: began_at for _, service, _, began_at in document["lasting"]}


def test_a_server_is_disabled_for_as_long_as_it_was_under_the_former_name(tmp_path: Path) -> None:
    pool = "{'host': '192.0.2.11'}\n{'host': '192.0.2.12', 'enabled': False}\n"
    (tmp_path / "pool").write_text(pool)
    bench = DaemonBench(tmp_path, config(tmp_path, "web"))
    began_at = lasting(tmp_path)["web"]
    bench.run(30)
    bench.reload(config(tmp_path, "text"))
    bench.run(120)
    assert lasting(tmp_path) == {"text": began_at}
    bench.stop()
    after = DaemonBench(tmp_path, config(tmp_path, "www"), kernel=bench.kernel)
    assert lasting(tmp_path)["www"] == began_at
    after.stop()


WEB, DNS, TLS = "tcp 192.0.2.1:80", "udp 192.0.2.2:53", "tcp 192.0.2.1:443"


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ({}, {"web": WEB}, ()),
        ({"web": WEB}, {"web": WEB}, ()),
        ({"web": WEB, "dns": DNS}, {"text": WEB, "dns": DNS}, (("web", "text"),)),
        ({"web": WEB}, {"text": TLS}, ()),
        ({"web": WEB, "tls": TLS}, {"tls": WEB}, ()),
        ({"web": WEB}, {"text": WEB, "web": TLS}, ()),
        ({"web": WEB, "tls": TLS}, {"web": TLS, "tls": WEB}, ()),
    ],
)
def test_the_same_service_by_another_name_is_renamed_and_nothing_else_is(
    before: dict[str, str], now: dict[str, str], found: tuple[tuple[str, str], ...]
) -> None:
    assert renames(before, now) == found


def begin_all(bench: DaemonBench) -> None:
    """Of all that operators may say of web."""
    bench.daemon.controls.maintenance("web", begin=True, by="alice")
    wish = Wish(Action.DISABLE, Scope("192.0.2.11", ("web",)), 3600.0, "new disk", force=True)
    begun = Deferred.fromCoroutine(bench.daemon.controls.override(wish, "alice"))
    bench.run(1)
    assert begun.called
    bench.daemon.controls.acknowledge("too-small", "web", 3600.0, "new rack", "alice")


def test_over_a_restart_all_goes_on_too_and_over_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n{'host': '192.0.2.12'}\n")
    small = "depool-threshold = 0.9\nscheduler"
    bench = DaemonBench(tmp_path, config(tmp_path, "web", "dns").replace("scheduler", small))
    begin_all(bench)
    for _ in range(2):
        bench.stop()
        text = config(tmp_path, "text", "dns").replace("scheduler", small)
        bench = DaemonBench(tmp_path, text, kernel=bench.kernel)
        assert meds(bench) == {"192.0.2.1/32": 500, "192.0.2.2/32": 0}
        assert in_maintenance(bench) == ["text"]
        assert [each.service for each in bench.daemon.view.overrides()] == ["text"]
    answer = bench.daemon.controls.unacknowledge("too-small", "text", "alice")
    assert len(answer["ended"]) == 1
    bench.stop()


def test_a_renamed_service_begins_with_its_list_and_lets_no_restart_empty_its_pool(
    tmp_path: Path,
) -> None:
    pool = tmp_path / "pool"
    pool.write_text("".join(f"{{'host': '192.0.2.1{n}'}}\n" for n in range(8)))
    bench = DaemonBench(tmp_path, config(tmp_path, "web"))
    bench.stop()
    pool.write_text("{'host': '192.0.2.10'}\n")
    after = DaemonBench(tmp_path, config(tmp_path, "text"), kernel=bench.kernel)
    (service,) = after.daemon.view.services()
    assert service.held
    assert sum(server.pooled for server in service.servers) == 8
    assert [each.name for each in (tmp_path / "state/pool-lists").iterdir()] == ["text.json"]
    after.stop()


def test_a_reload_is_known_to_the_next_start(bench: DaemonBench, tmp_path: Path) -> None:
    bench.reload(config(tmp_path, "text", "dns"))
    bench.daemon.controls.maintenance("text", begin=True, by="alice")
    bench.stop()
    after = DaemonBench(tmp_path, config(tmp_path, "web", "dns"), kernel=bench.kernel)
    assert in_maintenance(after) == ["web"]
    after.stop()


class BusyReactor(Reactor):
    """While it is busy no turn has time for a second piece."""

    busy = False

    def seconds(self) -> float:
        self.rightNow += 0.004 * self.busy
        return super().seconds()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        return super().callLater(delay or STEP_S * self.busy, callable, *args, **kw)


@pytest.mark.parametrize("name", ["text", None])
def test_a_drained_server_stays_so_while_its_service_leaves_amid_a_long_list(
    tmp_path: Path, name: str | None
) -> None:
    drained, *others = (f"10.1.{n // 200}.{n % 200 + 1}" for n in range(320))

    def listed(weight: int) -> str:
        hosts = (drained, *others)
        return "".join(f"{{'host': '{host}', 'weight': {weight}}}\n" for host in hosts)

    def decided(host: str) -> int:
        service = director.daemon.view.service("web")
        assert service is not None
        return next(server.weight for server in service.servers if server.host == host)

    def in_kernel() -> dict[str, int]:
        entries = (director.kernel.read(each.key) for each in director.kernel.services().services)
        found = [each.destinations for each in entries if each and str(each.service.key) == WEB]
        return {str(d.key.address): d.weight for d in found[0].values()} if found else {}

    (tmp_path / "pool").write_text(listed(10))
    clock = BusyReactor()
    director = DaemonBench(tmp_path, config(tmp_path, "web"), clock=clock, running_s=5.0)
    wish = Wish(Action.DRAIN, Scope(drained), 3600.0, "new disk")
    Deferred.fromCoroutine(director.daemon.controls.override(wish, "alice"))
    director.run(1)
    assert (in_kernel()[drained], in_kernel()[others[0]]) == (0, 10)

    (tmp_path / "pool").write_text(listed(20))
    clock.busy = True
    while decided(others[0]) != 20:
        clock.advance(STEP_S)
    assert decided(others[-1]) == 10, "the rest of the list has yet to come"
    other = SERVICE.format(name="dns", number=2, folder=tmp_path / "none")
    text = HEAD.format(folder=tmp_path) + other if name is None else config(tmp_path, name)
    director.path.write_text(text)
    done = director.daemon.reload()
    while not done.called:
        clock.advance(STEP_S)
        assert in_kernel().get(drained, 0) == 0
    clock.busy = False
    director.run(5)
    assert in_kernel().get(drained) == (None if name is None else 0)
    kept = [each.service for each in director.daemon.view.overrides()]
    assert kept == ([] if name is None else [name])
    assert director.daemon._history.chronicle.overridden == {}, "a later web has another list"
    director.stop()
