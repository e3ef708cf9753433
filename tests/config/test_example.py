"""The shipped example documents every option, with its true default, and is itself good."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from pybal.config.monitor_kinds import COMMON_OPTIONS
from pybal.config.pool_list import parse_pool_list
from pybal.config.settings import FileSource, Settings
from pybal.monitors.proxyfetch import ProxyFetchSettings
from pybal.reload.keys import BGP_KEYS, GLOBAL_KEYS, PEER_KEYS, SERVICE_KEYS, SWITCHES
from tests.config.texts import KINDS, load, parse

ETC = Path(__file__).parents[2] / "etc"
TEXT = (ETC / "pybal.conf").read_text("utf-8")
WITH_BGP = TEXT.replace("#bgp = no", "bgp = yes", 1)
KEY = re.compile(r"^#?([a-z][\w.-]*) =(?: |$)", re.MULTILINE)
KEYS = {
    name
    for key in (*GLOBAL_KEYS, *BGP_KEYS, *PEER_KEYS, *SWITCHES, *SERVICE_KEYS)
    for name in key.names
}


def settings_of(text: str) -> Settings:
    result = parse(text, "example")
    assert [str(problem) for problem in result.problems] == []
    assert result.settings is not None
    return result.settings


def test_the_example_loads_without_a_complaint() -> None:
    result = load(ETC / "pybal.conf")
    assert result.problems == ()
    assert result.settings is not None
    assert len(result.settings.services) == 2


def test_every_option_is_in_the_example() -> None:
    found = set(KEY.findall(TEXT))
    own = {kind.key(option) for kind in KINDS.by_name.values() for option in kind.own_options}
    # What all monitors have is shown once at least.
    assert own | KEYS <= found <= {*KEYS, *KINDS.option_keys}
    for option in COMMON_OPTIONS:
        assert any(key.endswith(f".{option.name}") for key in found), option.name


@pytest.mark.parametrize("text", [TEXT, WITH_BGP], ids=["as it is", "with bgp on"])
def test_the_defaults_shown_are_the_true_ones(text: str) -> None:
    shown = re.sub(r"^#([a-z][\w.-]* =(?: |$))", r"\1", text, flags=re.MULTILINE)
    assert shown.count("\n#bgp") == 0 < text.count("\n#bgp")
    implicit = settings_of(text)
    # A service's MED is the global one until it is set.
    services = tuple(
        replace(s, bgp=replace(s.bgp, med=s.bgp.med or None)) for s in settings_of(shown).services
    )
    explicit = replace(settings_of(shown), services=services)
    assert explicit.control is not None
    # The control socket's default is the same, but for a dry run.
    control = replace(explicit.control, asked_for=False)
    assert replace(explicit, control=control) == implicit


def test_the_example_is_still_good_with_bgp_on() -> None:
    found = settings_of(WITH_BGP)
    assert found.bgp is not None
    assert [peer.address for peer in found.bgp.peers] == [ip_address("192.0.2.1")]
    assert found.bgp.as_path == (64600,)


def test_the_examples_use_addresses_and_names_of_documentation_only() -> None:
    for service in settings_of(TEXT).services:
        assert str(service.address).startswith(("198.51.100.", "2001:db8:"))
        for monitor in service.monitors:
            if isinstance(monitor, ProxyFetchSettings):
                assert all("example.org" in url for url in monitor.urls)


def test_the_example_pools_are_good_and_are_those_the_example_names() -> None:
    paths = [s.source.path for s in settings_of(TEXT).services if isinstance(s.source, FileSource)]
    assert [path.parent for path in paths] == [Path("/etc/pybal/pools")] * 2
    for path in paths:
        text = (ETC / "pools" / path.name).read_text("utf-8")
        found = parse_pool_list(text, json_format=path.name.endswith(".json"))
        assert found.problems == ()
        assert len(found.servers) >= 3
