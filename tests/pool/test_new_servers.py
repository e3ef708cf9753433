"""What is known of servers before their monitors report: from the kernel, and from the last run."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybal.kept_change import ListPast
from pybal.model import IPAddress, ServerSpec
from pybal.pool.new_servers import NewServers
from tests.fakes.coordinator import Bench
from tests.pool.reference_entry import service_entry

A, B, X = (ip_address(f"10.0.0.{number}") for number in (1, 2, 99))
OTHER_FAMILY = ip_address("2001:db8::1")
SETTINGS = Bench().settings


def servers(*in_kernel: tuple[IPAddress, int], **remembered: IPAddress) -> NewServers:
    """With these in the kernel, if any; and names of the last run."""
    adopted = service_entry(SETTINGS, list(in_kernel)) if in_kernel else None
    return NewServers(SETTINGS, adopted, lambda host, _: remembered.get(host))


def test_a_server_is_where_the_kernel_and_the_last_run_say() -> None:
    new = servers((A, 1), (B, 0), a=A, b=B, c=X)
    assert new.former_addresses("abcd", None) == {"a": A}
    new.first_list_is_in_force("abcd", 0.0)
    assert new.former_addresses("abcd", None) == {}


def test_what_the_last_run_said_of_a_moving_server_counts_before_all() -> None:
    new = servers((A, 10), a=A, b=B)
    past = ListPast(0.0, moving=(("a", str(X)), ("b", str(B))))
    assert new.former_addresses("abc", past) == {"a": X, "b": B}
    assert servers().former_addresses("ab", past) == {"a": X, "b": B}
    assert servers(a=A).former_addresses("a", ListPast(0.0)) == {}


@pytest.mark.parametrize("text", ["", "rubbish", "0.0.0.0", str(OTHER_FAMILY)])
def test_what_can_be_no_address_of_a_server_is_not_used(text: str) -> None:
    past = ListPast(0.0, moving=(("a", text),))
    assert servers((A, 10), a=A).former_addresses("a", past) == {}


def test_the_family_of_the_service_is_asked_for() -> None:
    asked: list[tuple[str, int]] = []

    def remembered(host: str, family: int) -> None:
        asked.append((host, family))

    adopted = service_entry(SETTINGS, [(A, 10)])
    NewServers(SETTINGS, adopted, remembered).former_addresses("ab", None)
    assert asked == [("a", 4), ("b", 4)]


@pytest.mark.parametrize(
    ("weight_there", "weight", "stood"),
    [(10, 10, True), (0, 10, False), (0, 0, True), (1, 1, True)],
)
def test_a_weight_of_0_that_is_not_its_own_is_left_of_a_drain(
    weight_there: int, weight: int, stood: bool
) -> None:
    new = servers((A, weight_there))
    assert new.stood_pooled(ServerSpec("a", weight), A) is stood
    assert new.stood_pooled(ServerSpec("a", weight), X) is False
    assert new.stood_pooled(ServerSpec("a", weight), None) is False
    assert servers().stood_pooled(ServerSpec("a", weight), A) is None


def test_the_dead_come_back_with_an_objection() -> None:
    new = servers()
    new.left_down({"a": A}, 100.0)
    candidate = new.candidate(ServerSpec("a"), A, "", 200.0)
    assert (candidate.ready, candidate.objection) == (True, "it was down when it left it")
    assert new.candidate(ServerSpec("a"), None, "", 200.0).objection == ""
    new.left_down({"a": A}, 100.0)
    assert new.candidate(ServerSpec("a"), A, "it is odd", 200.0).objection == "it is odd"


def came_without_an_address() -> NewServers:
    new = servers((A, 10))
    new.candidate(ServerSpec("b"), None, "", 0.0)
    new.first_list_is_in_force("b", 0.0)
    assert new.may_have_stood("b")
    return new


def test_the_first_address_of_a_late_server_counts_and_no_other() -> None:
    new = came_without_an_address()
    assert "was missing" in new.late_objection("b", B, 1.0)
    assert new.late_objection("b", X, 2.0) == ""


@pytest.mark.parametrize("down", [False, True])
def test_how_a_server_stood_when_it_came_does_not_matter_once_it_has_left(down: bool) -> None:
    new = came_without_an_address()
    new.left("b", None, 1.0, down=down)
    assert not new.may_have_stood("b")
    assert new.late_objection("b", B, 2.0) == ""
    assert new.departed(2.0) == ((("b", 1.0),) if down else ())


def test_a_server_that_comes_back_with_an_address_is_no_late_one() -> None:
    new = came_without_an_address()
    assert new.candidate(ServerSpec("b"), B, "", 1.0).objection == ""
    assert not new.may_have_stood("b")
    assert new.late_objection("b", X, 2.0) == "", "it has moved"
