"""The dead come back dead, within ten minutes."""

from __future__ import annotations

from ipaddress import ip_address

from pybal.pool.departed import REMEMBERED_S, DepartedServers

A, B = ip_address("192.0.2.1"), ip_address("192.0.2.2")


def test_a_server_that_left_down_comes_back_down_once() -> None:
    departed = DepartedServers()
    departed.left_down("a", A, 100.0)
    assert departed.came("a", A, 100.0 + REMEMBERED_S - 1)
    assert not departed.came("a", A, 101.0)


def test_it_is_known_by_its_name_and_by_its_address() -> None:
    departed = DepartedServers()
    departed.left_down("a", A, 100.0)
    assert departed.came("192.0.2.1", A, 101.0)
    departed.left_down("a", A, 100.0)
    assert departed.came("a", B, 101.0)
    departed.left_down("b", None, 100.0)
    assert departed.came("b", B, 101.0)
    assert not departed.came("c", None, 101.0)


def test_it_is_known_by_its_name_however_that_is_spelt() -> None:
    departed = DepartedServers()
    departed.left_down("A.example.", None, 100.0)
    assert departed.came("a.EXAMPLE", B, 101.0)


def test_it_is_forgotten_after_ten_minutes() -> None:
    departed = DepartedServers()
    departed.left_down("a", A, 100.0)
    assert not departed.came("a", A, 700.0)
    departed.left_down("a", A, 100.0)
    assert departed.came("a", A, 699.0)


def test_of_very_many_the_4096_that_left_last_are_remembered() -> None:
    departed = DepartedServers()
    departed.left_down("a", None, 100.0)
    departed.left_down("b", None, 100.0)
    departed.left_down("a", None, 101.0)
    for number in range(4094):
        departed.left_down(f"h{number}", None, 102.0)
    departed.left_down("h0", None, 103.0)
    # All of them are remembered; one more, and the one that left first is not.
    departed.left_down("more", None, 104.0)
    assert not departed.came("b", None, 105.0)
    assert departed.came("a", None, 105.0)
    assert departed.came("h0", None, 105.0)
    assert departed.came("more", None, 105.0)


def test_4096_are_remembered_all() -> None:
    departed = DepartedServers()
    for number in range(4096):
        departed.left_down(f"h{number}", None, 100.0)
    assert departed.came("h0", None, 101.0)
