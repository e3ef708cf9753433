"""Who may be asked whether this director is cut off."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

import pytest

from pybal.health.probe_round import ProbeTarget
from pybal.model import IPAddress, ServerSpec
from pybal.monitors.runcommand import RunCommandSettings
from pybal.pool.member import Member
from pybal.pool.probing import probe_of
from tests.fakes.coordinator import IDLE, Bench

ADDRESS = ip_address("10.0.0.1")
UP = Member(ServerSpec("a"), ready=True, up=True, pooled=True, results=MappingProxyType({}))


def test_a_server_that_is_up_may_be_asked() -> None:
    assert probe_of(Bench().settings, "a", UP, ADDRESS) == ProbeTarget("a", ADDRESS, 80)


def test_it_is_asked_as_the_first_check_by_tcp_asks_it() -> None:
    command = RunCommandSettings(command=Path("/bin/true"), port=7)
    by_tcp = replace(IDLE, port=8080, source_address=ip_address("192.0.2.9"))
    settings = Bench(monitors=(command, by_tcp, IDLE)).settings
    wanted = ProbeTarget("a", ADDRESS, 8080, ip_address("192.0.2.9"))
    assert probe_of(settings, "a", UP, ADDRESS) == wanted


@pytest.mark.parametrize(
    ("member", "address"), [(None, ADDRESS), (UP, None), (replace(UP, up=False), ADDRESS)]
)
def test_who_is_not_known_has_no_address_or_is_down_is_not_asked(
    member: Member | None, address: IPAddress | None
) -> None:
    assert probe_of(Bench().settings, "a", member, address) is None


def test_what_nobody_checks_is_not_asked() -> None:
    assert probe_of(Bench(monitors=()).settings, "a", UP, ADDRESS) is None
