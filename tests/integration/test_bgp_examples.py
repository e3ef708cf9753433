"""The configurations of docs/bgp: PyBal's side with that of routers, as files to copy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bgp.pair import HOST, HOST6, VIP, VIP6, Pair, wait_routes
from tests.bgp.rig import OUR_IPV4, OUR_IPV6, OUR_SECOND_IPV4, ROUTER_IPV4, ROUTER_IPV6, eventually
from tests.bgp.routers import Bird, ExaBGP, GoBGP, OpenBGPD, Router
from tests.bgp.routers.frr import FrrIntegrated
from tests.running import RunningPybal

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

EXAMPLES = Path(__file__).parents[2] / "docs/bgp"
FILES = sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".conf", ".toml"))
# Where the tests have their wire.
PLACES = (
    ("2001:db8:100::10", OUR_IPV6),
    ("2001:db8:100::1", ROUTER_IPV6),
    ("198.51.100.10", OUR_IPV4),
    ("198.51.100.11", OUR_SECOND_IPV4),
    ("198.51.100.1", ROUTER_IPV4),
    ("198.51.100.0/24", "10.77.0.0/24"),
    ("eth0", "v0"),
)
KINDS: dict[str, type[Router]] = {
    "bird": Bird,
    "frr": FrrIntegrated,
    "gobgp": GoBGP,
    "openbgpd": OpenBGPD,
    "exabgp": ExaBGP,
}
SERVICE = """
[web{version}]
protocol = tcp
ip = {vip}
port = 80
scheduler = rr
config = file://{pool}
"""
DRY = "[global]\ndryrun = yes\ndry-run-bgp = yes\nstate-directory = none\ninstrumentation = yes\n"


def example(name: str) -> str:
    text = (EXAMPLES / name).read_text("utf-8")
    for written, real in PLACES:
        text = re.sub(rf"(?<![\w:.]){re.escape(written)}(?![\w:.])", real, text)
    return text


@contextmanager
def daemon(pair: Pair, folder: Path, name: str, more: str = "") -> Iterator[RunningPybal]:
    config = example(f"{name}.pybal.conf").replace("[global]\n", DRY + more, 1)
    for version, (vip, server) in {4: (VIP, "192.0.2.80"), 6: (VIP6, "2001:db8::80")}.items():
        pool = folder / f"pool{version}"
        pool.write_text(f"{{'host': '{server}', 'weight': 1}}\n")
        config += SERVICE.format(version=version, vip=vip, pool=pool)

    with RunningPybal(pair.wire.in_ours, folder, config) as running:
        yield running


def router(pair: Pair, file: str) -> Router:
    return pair.router(KINDS[file.split(".")[1]], text=example(file))


ROUTERS = [file.name for file in FILES if not file.name.endswith(".pybal.conf")]


def test_there_are_examples_for_both_sides() -> None:
    assert len(ROUTERS) > 8
    names = {name.split(".")[0] for name in ROUTERS}
    assert names == {f.name.split(".")[0] for f in FILES if f.name.endswith(".pybal.conf")}


@pytest.mark.parametrize("file", ROUTERS)
def test_both_sides_understand_each_other(pair: Pair, tmp_path: Path, file: str) -> None:
    name = file.split(".")[0]
    there = router(pair, file)
    with daemon(pair, tmp_path, name) as pybal:
        try:
            routes = wait_routes(there, HOST, HOST6, limit_s=60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{pybal.log[-3000:]}") from error
        if name in ("restart", "far"):
            eventually("BFD is up", lambda: pybal.json("/api/v1/bgp")["peers"][0]["bfd"] == "UP")
        if name == "confederation":
            assert "(64512)" in routes[HOST]
        if name == "prefix":
            assert re.search(r"LB:64512:|unknown 0x4004, 64512", routes[HOST])
        assert pybal.json("/api/v1/bgp")["peers"][0]["not_told"] == []


@pytest.mark.parametrize("file", ["import.bird.conf", "import.frr.conf"])
def test_the_standby_sees_the_active_director(pair: Pair, tmp_path: Path, file: str) -> None:
    there = router(pair, file)
    other = pair.speaker(
        peer={"local_address": OUR_SECOND_IPV4},
        listen=[OUR_SECOND_IPV4],
        router_id=OUR_SECOND_IPV4,
        next_hop_ipv4=OUR_SECOND_IPV4,
        next_hop_ipv6="fd77::3",
    )
    other.wait_established(60)
    with daemon(pair, tmp_path, "import", f"bgp-local-ips = ['{OUR_IPV4}']\n") as pybal:

        def preferred() -> dict[str, str]:
            return {one["address"]: one["preferred"] for one in addresses()}

        def addresses() -> list[Any]:
            found: list[Any] = pybal.json("/api/v1/bgp")["addresses"]
            return found

        def all_are(what: str) -> bool:
            return preferred() == dict.fromkeys((VIP, VIP6), what)

        wait_routes(there, HOST, HOST6, limit_s=60)
        eventually("we are preferred", lambda: all_are("us"))
        other.announce("web", {"address": VIP}, {"address": VIP6})
        eventually("the other is preferred", lambda: all_are("others"))
        [first] = next(one["others"] for one in addresses() if one["address"] == VIP)
        assert (first["med"], first["path_length"]) == (0, 2)
        assert (first["next_hop"], first["as_path"]) == (OUR_SECOND_IPV4, [64600, 64512])
        other.announce("web", {"address": VIP, "med": 100}, {"address": VIP6, "med": 100})
        # Which of two equal ones a router takes is its own affair.
        eventually("it is said", lambda: set(preferred().values()) <= {"alike", "us"})
        other.announce("web", {"address": VIP, "med": 200})
        eventually("we are preferred again", lambda: all_are("us"))
        pybal.stop()
        assert f"Nobody else announces {VIP6}, as far as" in pybal.log


def test_the_document_shows_the_files_as_they_are() -> None:
    document = (EXAMPLES.parent / "bgp.md").read_text("utf-8")
    for file in FILES:
        assert f"\n```\n{file.read_text('utf-8')}```\n" in document, file.name
