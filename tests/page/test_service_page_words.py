"""What the page of one service says of it and of each of its servers, as it is read."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from pybal.bgp.snapshot import AnnouncedPrefix
from pybal.kept_change import KeptSnapshot
from pybal.model import (
    CheckResult,
    Decision,
    HoldDown,
    MonitorSnapshot,
    ServerSnapshot,
    SourceSnapshot,
    Verdict,
)
from pybal.override import Action, LaidOver, Override
from pybal.page.past import Past
from pybal.page.seen import seen_service
from pybal.page.service_page import (
    InKernel,
    KernelPart,
    about,
    head,
    list_section,
    server_row,
    service_page,
)
from pybal.page.tally import Standing, tally
from tests.fakes.view import NO_BGP, NOON, bgp, monitor, server, service
from tests.page.reading import drawn, facts, words

AT = "2023-11-14 22:13:20 UTC"
NOWHERE = KernelPart({}, {})
UP = server("cp1")
DOWN = server("cp2", up=False)


def cells(one: ServerSnapshot, kernel: InKernel | None = None, *, kept: bool = False) -> list[str]:
    """Name, state, monitors, why, weight and connections of a server's row."""
    text = words(drawn(server_row(one, kernel or InKernel(), kept=kept)))
    return [cell.strip() for cell in text.removesuffix("|").split(" | ")]


def decided(verdict: Verdict, cause: str) -> Decision:
    return Decision(verdict, cause, NOON, 4, 3, 2, Fraction(5, 2))


def test_the_service_in_one_line() -> None:
    counts, _ = tally(service("web", [UP, DOWN, server("cp3", up=False, pooled=True)]))
    shown = head("x", Standing.WARNING, counts)
    assert words(shown) == (
        "[WARNING warning] 1 of 3 servers up, 2 pooled / 1 down, still pooled1 down1 serves"
    )
    assert '<span class="key critical">1 down</span>' in shown


@pytest.mark.parametrize(
    ("announced", "with_bgp", "said"),
    [
        ((), False, None),
        ((), True, "no"),
        ([("192.0.2.80/32", None, ())], True, "192.0.2.80/32 to nobody yet"),
        ([("192.0.2.80/32", 0, ("192.0.2.1",))], True, "192.0.2.80/32 to 192.0.2.1 (MED 0)"),
        (
            [("192.0.2.80/32", None, ("192.0.2.1", "192.0.2.2")), ("192.0.2.81/32", 5, ())],
            True,
            "192.0.2.80/32 to 192.0.2.1, 192.0.2.2, 192.0.2.81/32 to nobody yet (MED 5)",
        ),
    ],
)
def test_what_the_service_is(announced: Any, with_bgp: bool, said: str | None) -> None:
    prefixes = tuple(
        AnnouncedPrefix(prefix, "192.0.2.254", med, (), (), ("web",), peers)
        for prefix, med, peers in announced
    )
    found = facts(about("x", ("tcp", "192.0.2.1:80", "wrr", "threshold 0.5"), prefixes, with_bgp))
    assert found.pop("announced", None) == said
    assert found == {"address": "tcp 192.0.2.1:80", "scheduler": "wrr", "depool": "threshold 0.5"}


def test_where_the_list_comes_from() -> None:
    source = SourceSnapshot("file:///x", False, NOON, None)
    fine = list_section("x", source, ())
    assert facts(fine) == {"pool list": "file:///x", "last read": AT}
    assert "<ul" not in fine
    held = KeptSnapshot(("a",), NOON, False, 1, 2, (), 600)
    bad = list_section("x", source._replace(last_error="refused"), (held,))
    assert words(bad).endswith(
        f"last error: refused / [held warning] the list takes away a: 1 would be left that work,"
        f" list-floor wants 2, since {AT}"
    )


# -- a server -----------------------------------------------------------------------------------


def test_a_server_that_serves() -> None:
    assert cells(UP) == [
        "cp1192.0.2.10",
        "[serves ok]enabled/up/pooled",
        "none",
        "not decided yet",
        "10",
        "—",
    ]
    decided_row = UP._replace(decision=decided(Verdict.POOLED, "new"))
    assert '<div class="quiet">new ' in drawn(server_row(decided_row, InKernel(), kept=False))
    row = drawn(server_row(UP, InKernel(), kept=False))
    assert 'data-find="cp1 192.0.2.10 serves enabled/up/pooled"' in row
    nowhere = drawn(server_row(UP._replace(address=None), InKernel(), kept=False))
    assert "None" not in nowhere


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (monitor(up=None), "IdleConnection [not yet off]"),
        (monitor(), f"IdleConnection [up ok] {AT}, 0.25 s"),
        (
            monitor(up=False, reason="refused"),
            f"IdleConnection [down critical] {AT}, 0.25 srefused",
        ),
        (
            monitor()._replace(last=CheckResult(False, "", 0.1, NOON), in_a_row=1, fall=3, rise=5),
            f"IdleConnection [up ok] last down, 1 of 3 {AT}, 0.1 s",
        ),
        (
            monitor(up=False)._replace(
                last=CheckResult(True, "", 0.1, NOON), in_a_row=2, fall=3, rise=5
            ),
            f"IdleConnection [down critical] last up, 2 of 5 {AT}, 0.1 s",
        ),
        (
            monitor(up=None)._replace(last=CheckResult(True, "", 0.1, NOON), in_a_row=1, rise=2),
            f"IdleConnection [not yet off] last up, 1 of 2 {AT}, 0.1 s",
        ),
    ],
    ids=lambda value: "",
)
def test_what_a_monitor_says(one: MonitorSnapshot, said: str) -> None:
    assert cells(UP._replace(monitors=(one,)))[2] == said


COUNTS = f"{AT}3 of 4 were up, 2.5 required, 2 pooled then"
SILENT = monitor("Ping", up=False, reason="silent")


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            UP._replace(decision=decided(Verdict.POOLED, "Ping reported up")),
            f"Ping reported up {AT}",
        ),
        (
            # The reason stands beside it already.
            DOWN._replace(
                monitors=(SILENT,),
                decision=decided(Verdict.DEPOOLED, "Ping reported down: x"),
            ),
            f"{Verdict.DEPOOLED.value}: Ping reported down {COUNTS}",
        ),
        (
            DOWN._replace(decision=decided(Verdict.DEPOOLED, "Ping reported down: x")),
            f"{Verdict.DEPOOLED.value}: Ping reported down: x {COUNTS}",
        ),
        (
            DOWN._replace(
                monitors=(monitor("Ping"),),
                decision=decided(Verdict.DEPOOLED, "Ping reported down: x"),
            ),
            f"{Verdict.DEPOOLED.value}: Ping reported down: x {COUNTS}",
        ),
        (
            DOWN._replace(monitors=(SILENT,), decision=decided(Verdict.DEPOOLED, "Pings: x")),
            f"{Verdict.DEPOOLED.value}: Pings: x {COUNTS}",
        ),
    ],
    ids=lambda value: "",
)
def test_why_a_server_is_as_it_is(one: ServerSnapshot, said: str) -> None:
    assert cells(one)[3] == said


def test_what_else_keeps_a_server_as_it_is() -> None:
    word = Override("web", "cp1", Action.DRAIN, "alice", "new disk", NOON, NOON + 60)
    over = LaidOver(word, 10, listed_enabled=True)
    assert cells(UP._replace(over=over))[3] == f"[override degraded] {over.text}not decided yet"
    assert cells(UP, kept=True)[3] == "[kept warning] its pool list takes it awaynot decided yet"
    held_back = UP._replace(hold_down=HoldDown(4, 300.0, NOON))
    assert cells(held_back)[3] == (
        "[held back warning] is up again, but went down 4 times within 5 min;"
        f" pooled {AT}, or once the pool needs itnot decided yet"
    )


@pytest.mark.parametrize(
    ("kernel", "state", "said"),
    [
        (InKernel(), "", "—"),
        (InKernel(1234, 5678), "", "1,234 + 5,678 ending"),
        (InKernel(0, None), "", "0 + 0 ending"),
        (InKernel(3, 4, True, None, int(NOON)), "[draining degraded]", f"? left, until {AT}"),
        (InKernel(3, 4, True, 1234, int(NOON)), "[draining degraded]", f"1,234 left, until {AT}"),
    ],
)
def test_what_the_kernel_counts_of_a_server(kernel: InKernel, state: str, said: str) -> None:
    found = cells(UP, kernel)
    assert found[1] == f"[serves ok]{state}enabled/up/pooled"
    assert found[5] == said


# -- the whole page -----------------------------------------------------------------------------


def page(
    servers: list[ServerSnapshot], kernel: KernelPart = NOWHERE, **more: Any
) -> dict[str, list[str]]:
    """The words of each slot's pieces."""
    one = service("web", servers)._replace(**more)
    announced = AnnouncedPrefix("192.0.2.80/32", "192.0.2.254", None, (), (), ("web",), ())
    other = announced._replace(prefix="192.0.2.81/32", services=("dns",))
    speaker = replace(bgp(("192.0.2.1", True)), announced=(announced, other))
    made = service_page(seen_service(one, ()), (), kernel, speaker, Past((), (), NOON))
    return {slot.id: [words(drawn(piece)) for piece in slot.pieces] for slot in made.slots}


def test_servers_that_are_out_come_first_and_what_drains_last() -> None:
    gone = InKernel(None, None, True, 5, int(NOON))
    kernel = KernelPart(
        {
            "192.0.2.10:443": InKernel(7, 8),
            "192.0.2.99:443": gone,
            "[2001:db8::9]:443": gone,
            "192.0.2.98:443": InKernel(1, 1),
        },
        {"192.0.2.10": "192.0.2.10:443"},
    )
    found = page([UP, DOWN, server("cp3", enabled=False)], kernel)
    names = [each.partition(" |")[0] for each in found["servers"]]
    assert names == [
        "cp2192.0.2.10",
        "cp3192.0.2.10",
        "cp1192.0.2.10",
        "192.0.2.99:443not in the list any more",
        "[2001:db8::9]:443not in the list any more",
    ]
    assert found["servers"][0].endswith("7 + 8 ending |")
    assert found["servers"][3].partition(" | ")[2] == (
        f"[draining degraded] | none | — | 0 | 5 left, until {AT} |"
    )
    drains = KernelPart({"192.0.2.10:443": gone}, {"192.0.2.10": "192.0.2.10:443"})
    assert len(page([UP], drains)["servers"]) == 1


def test_the_parts_of_the_page() -> None:
    held = KeptSnapshot(("cp2",), NOON, False, 1, 2, (), 600)
    found = page([UP, DOWN], held=(held,))
    assert list(found) == [
        "verdict", "alerts", "about", "list", "strip", "incidents", "events", "servers",
    ]  # fmt: skip
    assert found["verdict"][0].startswith("[DEGRADED degraded] 1 of 2 servers up, 1 pooled")
    assert "192.0.2.80/32 to nobody yet" in found["about"][0]
    assert "192.0.2.81/32" not in found["about"][0]
    assert "threshold 0.5: at least 1 stay pooled" in found["about"][0]
    assert ["takes it away" in each for each in found["servers"]] == [True, False]
    assert "the list takes away cp2" in found["list"][0]


def test_without_bgp_nothing_is_said_of_announcements() -> None:
    seen = seen_service(service("web", [UP]), ())
    made = service_page(seen, (), NOWHERE, NO_BGP, Past((), (), NOON))
    (piece,) = next(slot for slot in made.slots if slot.id == "about").pieces
    assert "announced" not in facts(drawn(piece))


@pytest.mark.parametrize(("number", "more"), [(1000, None), (1001, 1), (2005, 1005)])
def test_of_thousands_of_servers_a_thousand_are_shown(number: int, more: int | None) -> None:
    seen = seen_service(service("web", [UP] * number), ())
    made = service_page(seen, (), NOWHERE, NO_BGP, Past((), (), NOON))
    rows = next(slot for slot in made.slots if slot.id == "servers").pieces
    assert len(rows) == 1000 + bool(more)
    if more:
        assert words(drawn(rows[-1])).startswith(f"and {more:,} more, none of them worse")
        assert 'colspan="6"' in drawn(rows[-1])
