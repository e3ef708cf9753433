"""Small pybal.conf texts, and shorthands for reading them."""

from __future__ import annotations

from pathlib import Path

from pybal.config import loader
from pybal.config import report as reports
from pybal.config.problems import LoadResult, Problem
from pybal.config.settings import MonitorSettings, ServiceSettings, Settings
from pybal.monitors.registry import BUILT_IN, kinds_of

FILE = "pybal.conf"
KINDS = kinds_of(BUILT_IN)
REQUIRED = {
    "protocol": "tcp",
    "ip": "192.0.2.1",
    "port": "80",
    "scheduler": "wrr",
    "config": "file:///etc/pybal/pool",
    "monitors": "['IdleConnection']",
}
GLOBAL_BGP = """[global]
bgp = yes
bgp-local-asn = 64600
bgp-peer-address = 198.51.100.1
bgp-nexthop-ipv4 = 198.51.100.2
bgp-nexthop-ipv6 = 2001:db8::2
"""


def load(path: Path) -> LoadResult:
    """As the daemon loads a file, with the monitors that are built in."""
    return loader.load(path, KINDS)


def parse(text: str, file: str = FILE) -> LoadResult:
    """As the daemon parses a text, with the monitors that are built in."""
    return loader.parse(text, file, KINDS)


def report(result: LoadResult) -> tuple[str, ...]:
    """As `--check-config` reports, with the monitors that are built in."""
    return reports.report(result, KINDS)


def service(name: str = "svc", /, **changes: str | None) -> str:
    """A service's section; `a_b` names the key `a-b`, `a__b` the key `a.b`, None leaves out."""
    keys: dict[str, str | None] = {**REQUIRED}
    keys |= {k.replace("__", ".").replace("_", "-"): v for k, v in changes.items()}
    lines = [f"{key} = {value}" for key, value in keys.items() if value is not None]
    return "\n".join([f"[{name}]", *lines, ""])


def settings(text: str) -> Settings:
    """The settings of a text that must have no problem at all."""
    result = parse(text, FILE)
    assert [str(p) for p in result.problems] == []
    assert result.settings is not None
    return result.settings


def only_service(text: str) -> ServiceSettings:
    """The single service of a text, with an empty [global] before it."""
    (found,) = settings("[global]\n" + text).services
    return found


def only_monitor(text: str) -> MonitorSettings:
    (found,) = only_service(text).monitors
    return found


def only_problem(text: str) -> Problem:
    (problem,) = parse(text, FILE).problems
    return problem


def problem_of(key: str, text: str) -> Problem:
    """The single problem that a text has with a key."""
    (problem,) = (p for p in parse(text, FILE).problems if p.key == key)
    return problem


def shown(text: str) -> list[str]:
    """All problems of a text as a person sees them."""
    return [str(problem) for problem in parse(text, FILE).problems]
