"""Production files load without a complaint, and their other readers can read them too."""

from __future__ import annotations

import configparser
import json
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path

import pytest

from pybal.config.pool_list import parse_pool_list
from pybal.config.settings import EtcdSource, HTTPSource, Settings
from pybal.ipvs.model import Forwarding
from pybal.ipvs.options import ServiceOptions
from pybal.model import L4Protocol
from pybal.monitors.idleconnection import IdleConnectionSettings
from tests.config.texts import load

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests/data/wikimedia"
CONFIGURATIONS = sorted(SAMPLES.rglob("*.conf"))
POOLS = sorted(path for path in SAMPLES.rglob("pybal/*/*") if path.is_file())
EXAMPLE = ROOT / "etc/pybal.conf"


def settings_of(path: Path) -> Settings:
    result = load(path)
    assert [str(problem) for problem in result.problems] == []
    assert result.settings is not None
    return result.settings


def test_the_samples_are_there() -> None:
    assert len(CONFIGURATIONS) == 10
    assert len(POOLS) == 12
    assert sum(len(settings_of(path).services) for path in CONFIGURATIONS) == 88


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda p: str(p.relative_to(SAMPLES)))
def test_a_production_file_loads_as_its_summary_says(path: Path) -> None:
    found = settings_of(path)
    summary = json.loads((SAMPLES / "summary.json").read_text())
    if "2019-09" not in path.parts:
        expected = summary["sites"][path.parts[-3]][path.parts[-2]]
        assert len(found.services) == expected["sections"]
    kind = HTTPSource if path.name == "pybal.http.conf" else EtcdSource
    assert {type(service.source) for service in found.services} == {kind}
    assert found.bgp is not None
    assert found.instrumentation is not None
    assert all(service.monitors for service in found.services)


def test_a_backup_balancer_announces_with_a_higher_med_and_two_more_addresses() -> None:
    found = settings_of(SAMPLES / "esams/secondary/pybal.conf")
    assert found.bgp is not None
    assert (found.bgp.med, found.bgp.local_asn) == (100, 64600)
    assert [peer.address for peer in found.bgp.peers] == [ip_address("10.80.0.1")]
    assert [str(a) for a in found.bgp.advertised_addresses] == ["198.51.100.49", "198.51.100.50"]
    service = {s.name: s for s in found.services}["textlb6_443"]
    assert (service.scheduler, service.ipvs) == ("mh", ServiceOptions(Forwarding.TUNNEL))
    assert service.depool_threshold == Fraction(66, 100)
    assert service.source == EtcdSource(
        "conf1009.eqiad.wmnet", 4001, "/conftool/v1/pools/esams/cache_text/cdn/"
    )


def test_an_idle_connection_on_a_udp_service_is_taken_as_it_is() -> None:
    found = settings_of(SAMPLES / "2019-09/esams/high-traffic2/pybal.conf")
    service = {s.name: s for s in found.services}["dns_rec6_53_udp"]
    assert (service.protocol, service.one_packet) == (L4Protocol.UDP, True)
    assert service.monitors[1] == IdleConnectionSettings()


@pytest.mark.parametrize("path", POOLS, ids=lambda p: str(p.relative_to(SAMPLES)))
def test_a_production_pool_is_read_whole(path: Path) -> None:
    text = path.read_text()
    lines = [line for line in text.splitlines() if line.startswith("{")]
    found = parse_pool_list(text, json_format=False)
    assert found.problems == ()
    assert len(found.servers) == len(lines) > 0
    assert {s.host for s in found.servers if not s.enabled} == {
        line.split("'")[3] for line in lines if "False" in line
    }


@pytest.mark.parametrize("path", [*CONFIGURATIONS, EXAMPLE], ids=lambda p: str(p.relative_to(ROOT)))
def test_the_ipvs_difference_check_reads_the_same_addresses_with_a_plain_parser(
    path: Path,
) -> None:
    plain = configparser.ConfigParser(interpolation=None)
    plain.read(path)
    theirs = {
        name: (ip_address(plain.get(name, "ip")), plain.getint(name, "port"))
        for name in plain.sections()
        if name != "global"
    }
    assert theirs == {s.name: (s.address, s.port) for s in settings_of(path).services}
    assert theirs
