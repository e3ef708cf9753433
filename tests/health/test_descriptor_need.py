"""That descriptors will be missing is said before they are."""

from __future__ import annotations

from dataclasses import replace

from pybal.health.descriptor_need import OTHERS, DescriptorNeed, kept_connections, shortage
from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.tcpcheck import TCPCheckSettings
from tests.announce.bench import WEB

IDLE = IdleConnectionSettings()


def test_where_there_is_room_nothing_is_said() -> None:
    assert shortage(20_000 - OTHERS, 20_000) == ""
    assert DescriptorNeed(20_000).look([11_000, 8_000]) == ""


def test_a_shortage_names_the_number_the_limit_and_the_remedy() -> None:
    text = shortage(25_000, 20_000)
    assert "25000 connections" in text
    assert "about 25512 descriptors" in text
    assert "may have 20000" in text
    assert "LimitNOFILE=32768" in text
    # A quarter of room at least: 1.25 * 26216 is 32770.
    assert "LimitNOFILE=33792" in shortage(25_704, 20_000)


def test_it_is_said_once_and_again_when_it_has_grown_or_come_back() -> None:
    need = DescriptorNeed(1000)
    assert need.look([1000])
    assert not need.look([1050])
    assert need.look([1200])
    assert not need.look([100])
    assert need.look([1000])
    # A tenth is enough.
    assert need.look([1100])


def test_one_connection_too_many_is_said_as_often_as_it_comes() -> None:
    need = DescriptorNeed(OTHERS)
    assert need.look([1])
    assert not need.look([])
    assert need.look([1])


def test_where_not_even_the_others_have_room_that_is_said_once() -> None:
    need = DescriptorNeed(300)
    text = need.look([])
    assert text.startswith("This process may have 300 descriptors, and takes up to 512:")
    assert "LimitNOFILE=1024" in text
    assert not need.look([0])
    assert need.look([1]).startswith("1 connections are")
    assert not need.look([1])


def test_each_server_has_a_connection_for_each_monitor_that_keeps_one() -> None:
    watched = replace(WEB, monitors=(IDLE, TCPCheckSettings(), IDLE))
    assert kept_connections(watched, 30) == 60
    assert kept_connections(replace(WEB, monitors=(TCPCheckSettings(),)), 30) == 0
