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


def test_services_that_grow_are_counted_together_at_the_cost_of_each() -> None:
    need, kept, counted = DescriptorNeed(OTHERS + 100), dict[str, int](), []

    def of_all() -> dict[str, int]:
        counted.append(dict(kept))
        return kept

    def grows(name: str, connections: int) -> str:
        kept[name] = connections
        return need.grown(name, connections, of_all)

    assert [grows(f"s{number}", 1) for number in range(100)] == [""] * 100
    assert len(counted) == 1, "the first time alone"
    assert grows("s7", 2).startswith("101 connections are")
    assert not grows("s7", 1)


def test_who_has_left_keeps_nothing() -> None:
    need = DescriptorNeed(OTHERS + 100)
    assert not need.grown("a", 90, lambda: {"a": 90})
    # Another one in its place, that nobody has told of.
    assert not need.grown("b", 90, lambda: {"b": 90})
    assert not need.grown("c", 10, lambda: {"b": 90, "c": 10})
    assert need.grown("d", 1, lambda: {"b": 90, "c": 10, "d": 1})


def test_after_a_reload_all_are_counted_anew() -> None:
    need = DescriptorNeed(OTHERS + 100)
    assert not need.grown("a", 10, lambda: {"a": 10})
    need.forget()
    # More monitors, though its list has not grown.
    assert need.grown("b", 1, lambda: {"a": 100, "b": 1})


def test_each_server_has_a_connection_for_each_monitor_that_keeps_one() -> None:
    watched = replace(WEB, monitors=(IDLE, TCPCheckSettings(), IDLE))
    assert kept_connections(watched, 30) == 60
    assert kept_connections(replace(WEB, monitors=(TCPCheckSettings(),)), 30) == 0
