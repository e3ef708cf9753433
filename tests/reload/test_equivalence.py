"""Whatever two configurations are: starting with one and reloading the other ends where a start
with the other ends. And what did not change is not touched on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from pybal.sources.inotify import Inotify
from tests.fakes.daemon import DaemonBench

REFUSING = {"10.0.0.3"}
POOLS = {
    "one": "{ 'host': '10.0.0.1' }\n{ 'host': '10.0.0.2', 'weight': 5 }\n{ 'host': '10.0.0.3' }\n",
    "two": "{ 'host': '10.0.0.2' }\n{ 'host': '10.0.0.4', 'weight': 0 }\n",
}
BGP = """bgp-local-asn = 64600
bgp-peer-address = {peers}
bgp-nexthop-ipv4 = 192.0.2.254
bgp-med = {med}
"""


def with_pools(text: str, folder: Path) -> str:
    for name, content in POOLS.items():
        (folder / name).write_text(content)
    return text.replace("POOLS", str(folder))


def section(name: str, address: int, **options: str) -> str:
    keys = {
        "protocol": "tcp",
        "ip": f"198.51.100.{address}",
        "port": "80",
        "scheduler": "wrr",
        "config": "file://POOLS/one",
        "monitors": "['IdleConnection']",
        **{key.replace("_", "-"): value for key, value in options.items()},
    }
    lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
    return f"[{name}]\n{lines}\n"


def configuration(random: Random) -> str:
    text = "[global]\nstate-directory = none\ncontrol-socket = no\n"
    if random.random() < 0.7:
        peers = random.choice(["192.0.2.1", "['192.0.2.1', '192.0.2.2']"])
        text += "bgp = yes\n" + BGP.format(peers=peers, med=random.choice([0, 100]))
    text += random.choice(["", "isolation = no\n", "ipvs-audit-interval = 5\n"])
    for name, address in zip(
        random.sample("abcd", random.randrange(1, 5)), random.sample(range(1, 6), 4), strict=False
    ):
        text += section(
            name,
            address,
            scheduler=random.choice(["wrr", "sh"]),
            # What another list takes away is held by the floor, wherever it comes from.
            list_floor="0",
            config=f"file://POOLS/{random.choice(sorted(POOLS))}",
            depool_threshold=random.choice(["0", ".5", "1"]),
            monitors=random.choice(["[]", "['IdleConnection']", "['TCPCheck', 'IdleConnection']"]),
            bgp=random.choice(["yes", "no"]),
            tunneling=random.choice(["yes", "no"]),
        )
    return text


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.slow
def test_a_reload_ends_where_a_start_ends(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    first, second = (with_pools(configuration(random), tmp_path) for _ in range(2))
    reloaded = DaemonBench(tmp_path, first, REFUSING)
    reloaded.reload(second)
    fresh = DaemonBench(tmp_path, second, REFUSING)
    reloaded.run(40)
    fresh.run(40)
    ours, theirs = reloaded.state(), fresh.state()
    for what, wanted in theirs.items():
        assert ours[what] == wanted, what
    assert reloaded.reload(second) == ()
    reloaded.stop()
    fresh.stop()


def test_a_reload_touches_nothing_but_what_changed(tmp_path: Path) -> None:
    services = [section(f"s{n}", n) for n in range(1, 5)]
    text = with_pools("[global]\nstate-directory = none\ncontrol-socket = no\n", tmp_path)
    bench = DaemonBench(tmp_path, text + with_pools("".join(services), tmp_path), REFUSING)
    before, changes = bench.state(), bench.daemon.view.ipvs().changes_total
    connections = bench.network.connections
    since = {
        (s.name, server.host): [m.since for m in server.monitors]
        for s in bench.daemon.view.services()
        for server in s.servers
    }
    services[0] = section("s1", 1, scheduler="sh")
    steps = bench.reload(text + with_pools("".join(services), tmp_path))
    assert steps == ("adjust service s1: scheduler wrr -> sh",)
    assert bench.daemon.view.ipvs().changes_total == changes + 1
    after = bench.state()
    assert after["servers"] == before["servers"]
    others = {key: entry for key, entry in after["table"].items() if "100.1:" not in key}
    assert others.items() <= before["table"].items()
    again = {
        (s.name, server.host): [m.since for m in server.monitors]
        for s in bench.daemon.view.services()
        for server in s.servers
    }
    assert again == since
    # The one that refuses is tried again and again, by all services alike.
    assert bench.network.connections - connections < 4 * 20
    bench.stop()


def test_a_moved_service_stands_before_the_former_one_goes(tmp_path: Path) -> None:
    text = with_pools("[global]\nstate-directory = none\ncontrol-socket = no\n", tmp_path)
    bench = DaemonBench(tmp_path, text + with_pools(section("s", 1), tmp_path), REFUSING)
    bench.path.write_text(text + with_pools(section("s", 2), tmp_path))
    done = bench.daemon.reload()
    seen = []
    while not done.called:
        seen.append(sorted(bench.state()["table"]))
        bench.clock.advance(0.01)
    bench.run()
    one, two = "tcp 198.51.100.1:80", "tcp 198.51.100.2:80"
    assert [one, two] in seen
    assert all(seen)
    assert list(bench.state()["table"]) == [two]
    # What was known to be down is down in the new one from the beginning on.
    (service,) = bench.daemon.view.services()
    assert {s.host: s.pooled for s in service.servers} == {
        "10.0.0.1": True, "10.0.0.2": True, "10.0.0.3": False,
    }  # fmt: skip
    bench.stop()


def test_a_renamed_service_leaves_the_kernel_alone(tmp_path: Path) -> None:
    text = with_pools("[global]\nstate-directory = none\ncontrol-socket = no\n", tmp_path)
    bench = DaemonBench(tmp_path, text + with_pools(section("s", 1), tmp_path), REFUSING)
    table, changes = bench.state()["table"], bench.daemon.view.ipvs().changes_total
    steps = bench.reload(text + with_pools(section("renamed", 1), tmp_path))
    assert steps == ("rename service s to renamed: tcp 198.51.100.1:80 stays",)
    assert bench.state()["table"] == table
    assert bench.daemon.view.ipvs().changes_total == changes
    assert [s.name for s in bench.daemon.view.services()] == ["renamed"]
    bench.stop()


@pytest.mark.parametrize(("name", "address"), [("s", 1), ("renamed", 1), ("s", 2)])
def test_a_damaged_list_takes_nobody_out_though_its_source_is_new(
    tmp_path: Path, name: str, address: int
) -> None:
    good = "".join(f"{{'host': '10.0.1.{n}'}}\n" for n in range(1, 4))
    (tmp_path / "good").write_text(good)
    (tmp_path / "damaged").write_text(good.replace("'10.0.1.2'}", "'10.0.1.2'"))
    text = "[global]\nstate-directory = none\ncontrol-socket = no\n"
    bench = DaemonBench(tmp_path, text + section("s", 1, config=f"file://{tmp_path}/good"))
    bench.run(5)
    bench.reload(text + section(name, address, config=f"file://{tmp_path}/damaged"))
    bench.run(60)
    (service,) = bench.daemon.view.services()
    assert [(s.host, s.pooled) for s in service.servers] == [
        (f"10.0.1.{n}", True) for n in range(1, 4)
    ]
    assert service.source.kept == ("10.0.1.2",)
    (tmp_path / "damaged").write_text(good.replace("{'host': '10.0.1.2'}\n", ""))
    bench.run(15)
    (service,) = bench.daemon.view.services()
    assert [s.host for s in service.servers] == ["10.0.1.1", "10.0.1.3"]
    bench.stop()


@pytest.mark.parametrize(("name", "address"), [("renamed", 1), ("s", 2)])
def test_what_was_held_stays_held_when_the_service_becomes_another(
    tmp_path: Path, name: str, address: int
) -> None:
    def listed(*hosts: int) -> None:
        (tmp_path / "many").write_text("".join(f"{{'host': '10.0.1.{n}'}}\n" for n in hosts))

    text = "[global]\nstate-directory = none\ncontrol-socket = no\n"
    many = f"file://{tmp_path}/many"
    listed(*range(1, 7))
    bench = DaemonBench(tmp_path, text + section("s", 1, config=many), REFUSING)
    bench.run(5)
    listed(6)
    bench.run(15)
    (before,) = bench.daemon.view.services()
    assert [change.servers for change in before.held] == [tuple(f"10.0.1.{n}" for n in range(1, 6))]
    bench.reload(text + section(name, address, config=many))
    bench.run(120)
    (after,) = bench.daemon.view.services()
    assert [(s.host, s.pooled) for s in after.servers] == [(s.host, True) for s in before.servers]
    assert [(change.servers, change.since) for change in after.held] == [
        (change.servers, change.since) for change in before.held
    ]
    bench.stop()


def test_services_that_swap_their_addresses_keep_all_their_servers_pooled(tmp_path: Path) -> None:
    text = with_pools("[global]\nstate-directory = none\ncontrol-socket = no\n", tmp_path)
    one, two = section("one", 1), section("two", 2, config="file://POOLS/two")
    bench = DaemonBench(tmp_path, text + with_pools(one + two, tmp_path), REFUSING)
    one, two = section("one", 2), section("two", 1, config="file://POOLS/two")
    bench.path.write_text(text + with_pools(one + two, tmp_path))
    bench.network.silent = True
    done = bench.daemon.reload()
    while not done.called:
        assert len(bench.state()["table"]) == 2
        bench.clock.advance(0.01)
    bench.run(1.0)
    pooled = {key: server[0] for key, server in bench.state()["servers"].items()}
    assert pooled == {
        ("one", "10.0.0.1"): True,
        ("one", "10.0.0.2"): True,
        ("one", "10.0.0.3"): False,
        ("two", "10.0.0.2"): True,
        ("two", "10.0.0.4"): True,
    }
    bench.stop()


def test_a_daemon_that_has_stopped_holds_no_descriptors(
    tmp_path: Path, descriptors: Callable[[], int]
) -> None:
    text = with_pools("[global]\nstate-directory = none\ncontrol-socket = no\n", tmp_path)
    before = descriptors()
    text += with_pools(section("s", 1), tmp_path)
    bench = DaemonBench(tmp_path, text, REFUSING, new_inotify=Inotify)
    bench.stop()
    for thread in bench.threads:  # inotify is closed in one
        thread()
    assert descriptors() == before
