"""That descriptors will be missing is said before they are."""

from __future__ import annotations

from pybal.health.descriptor_need import OTHERS, DescriptorNeed, shortage


def test_where_there_is_room_nothing_is_said() -> None:
    assert shortage(20_000 - OTHERS, 20_000) == ""
    assert DescriptorNeed(20_000).look([11_000, 8_000]) == ""


def test_a_shortage_names_the_number_the_limit_and_the_remedy() -> None:
    text = shortage(25_000, 20_000)
    assert "25000 connections" in text
    assert f"about {25_000 + OTHERS} descriptors" in text
    assert "may have 20000" in text
    assert "LimitNOFILE=32768" in text


def test_it_is_said_once_and_again_when_it_has_grown_or_come_back() -> None:
    need = DescriptorNeed(1000)
    assert need.look([1000])
    assert not need.look([1050])
    assert need.look([1200])
    assert not need.look([100])
    assert need.look([1000])
