"""Restarts of a whole daemon whose names answer late, not at all, or otherwise, and whose state
directory may be lost: seen in the kernel's table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from pybal.errors import ControlError
from tests.pool.site import ELSEWHERE, KNOWN, A, B, Begin, C, Site, X, Y


def lost(site: Site) -> None:
    shutil.rmtree(site.folder / "state")


def damaged(site: Site) -> None:
    for path in (site.folder / "state").rglob("*.json"):
        path.write_bytes(path.read_bytes()[:-40])


def of_another_host(site: Site) -> None:
    """Where names were for other addresses, and which read another list."""
    path = site.folder / "state" / "addresses.json"
    document = json.loads(path.read_text())
    document["addresses"] = [[host, ELSEWHERE] for host, _ in document["addresses"]]
    path.write_text(json.dumps(document))
    for path in (site.folder / "state").rglob("*.json"):
        path.write_text(path.read_text().replace("file://", "file:///elsewhere"))


Spoil = Callable[[Site], None]

members = pytest.mark.parametrize(
    ("threshold", "spoilt"),
    [("0", lost), (".5", lost), ("1", lost), ("0", damaged), ("0", of_another_host)],
)


@members
def test_names_that_are_silent_take_nobody_out(begin: Begin, threshold: str, spoilt: Spoil) -> None:
    site = begin(threshold)
    assert site.table == {A, B, C}
    spoilt(site)
    site.names = {}
    site.start()
    assert site.table == {A, B, C}
    for host, address in KNOWN.items():
        site.answer(host, address)
        assert site.table == {A, B, C}
    service = site.bench.daemon.view.service("web")
    assert service is not None
    assert service.standing == ()
    assert all(server.pooled for server in service.servers)
    site.dead.add(A)
    site.run(5)
    assert site.table == ({A, B, C} if threshold == "1" else {B, C})


@members
def test_some_names_are_late_and_one_server_dies(
    begin: Begin, threshold: str, spoilt: Spoil
) -> None:
    site = begin(threshold)
    spoilt(site)
    del site.names["c.example"]
    site.dead.add(A)
    site.start()
    assert site.table - {ELSEWHERE} == ({A, B, C} if threshold == "1" else {B, C})
    assert ELSEWHERE not in site.table or threshold == "1", (
        "all are to be pooled, whatever they are"
    )
    site.dead.discard(A)
    site.run(15)
    assert site.table == {A, B, C}
    site.answer("c.example", C)
    assert site.table == {A, B, C}


@members
def test_names_that_answer_with_other_addresses_are_made_before_the_former_are_broken(
    begin: Begin, threshold: str, spoilt: Spoil
) -> None:
    site = begin(threshold)
    spoilt(site)
    site.names |= {"a.example": X, "b.example": Y}
    site.dead |= {X, Y}
    site.start()
    assert site.table >= {A, B, C}
    if threshold != "1":
        assert site.table == {A, B, C}
    site.dead -= {X, Y}
    site.run(15)
    assert site.table == {X, Y, C}


def test_a_process_that_is_killed_again_and_again_leaves_all_as_it_stands(
    begin: Begin,
) -> None:
    site = begin("0")
    lost(site)
    site.names = {"a.example": A}
    for seconds in (0.1, 3.0, 8.0):
        site.start(seconds)
        assert site.table == {A, B, C}
    site.bench.stop()
    site.start()
    assert site.table == {A, B, C}


@pytest.mark.parametrize("threshold", ["0", ".5"])
@pytest.mark.parametrize("spoilt", [None, lost])
def test_who_left_the_list_meanwhile_leaves_the_kernel(
    begin: Begin, threshold: str, spoilt: Spoil | None
) -> None:
    site = begin(threshold)
    site.bench.stop()
    if spoilt is not None:
        spoilt(site)
    site.list("a.example", "c.example")
    site.start()
    assert site.table == {A, C}


@pytest.mark.parametrize("threshold", ["0", ".5"])
def test_who_left_the_list_meanwhile_leaves_the_kernel_though_another_is_dead(
    begin: Begin, threshold: str
) -> None:
    site = begin(threshold)
    site.dead.add(C)
    site.run(3)
    assert site.table == {A, B}
    site.bench.stop()
    site.list("a.example", "c.example")
    site.start()
    assert site.table == {A}


def test_an_operator_ends_what_stays_though_no_list_is_held(begin: Begin) -> None:
    """The remedy that docs/operating.md names."""
    site = begin(".5")
    lost(site)
    site.names = {"a.example": A}
    site.start()
    service = site.bench.daemon.view.service("web")
    assert service is not None
    assert (service.held, service.standing) == ((), (B, C))
    controls = site.bench.daemon.controls
    assert set(controls.confirm("web", "op")["confirmed"]) == {B, C}
    site.run(1)
    assert site.table == {A}
    with pytest.raises(ControlError, match="Nothing of web is held back"):
        controls.confirm("web", "op")


def test_nothing_is_given_up_before_a_list_has_said_who_is_a_server(begin: Begin) -> None:
    site = begin(".5")
    lost(site)
    site.list()
    site.start()
    service = site.bench.daemon.view.service("web")
    assert service is not None
    assert (service.servers, service.standing) == ((), (A, B, C))
    with pytest.raises(ControlError, match="The pool list of web has not come yet"):
        site.bench.daemon.controls.confirm("web", "op")
    site.run(1)
    assert site.table == {A, B, C}
