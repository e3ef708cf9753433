"""The verdict, the alerts, the services and the hosts of the overview, as they are read."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.model import Alert, Decision, ServerSnapshot, Severity, Verdict
from pybal.page.overview import (
    alerts_section,
    hosts_pieces,
    level_of,
    number_of,
    overview,
    service_row,
    threshold_words,
    verdict,
)
from pybal.page.past import Past
from pybal.page.piece import Slot
from pybal.page.seen import Seen, SeenService, SinceAlert, seen_service
from pybal.page.tally import Care, HostTrouble, tally
from tests.fakes.view import CONFIG, DAEMON, NO_BGP, NOON, ipvs, monitor, server, service
from tests.page.reading import drawn, words

AT = "2023-11-14 22:13:20 UTC"
OK, WARNING, CRITICAL = Severity


@pytest.mark.parametrize(
    ("severities", "said"),
    [
        ((0, 0), "[OK ok] no alerts"),
        ((0, 1), "[WARNING warning] 1 warning"),
        ((0, 2), "[WARNING warning] 2 warnings"),
        ((1, 0), "[CRITICAL critical] 1 critical"),
        ((1200, 1), "[CRITICAL critical] 1,200 critical, 1 warning"),
    ],
)
def test_the_director_in_one_word(severities: tuple[int, int], said: str) -> None:
    assert words(verdict("x", severities)) == said


def alert(severity: Severity, text: str = "x", where: str | None = None) -> SinceAlert:
    return SinceAlert(Alert("too-small", severity, where, text), NOON)


def test_alerts_are_there_the_most_severe_first() -> None:
    assert words(alerts_section("x", ())) == "None."
    some = (alert(OK, "known to alice"), alert(WARNING, "b", "web"), alert(CRITICAL, "c"))
    where = f"since {AT} · docs/operating.md#too-small"
    assert words(alerts_section("x", some)) == (
        f"[critical critical]c{where} / [warning warning]bweb · {where} / "
        f"[known off]known to alice{where}"
    )


@pytest.mark.parametrize(
    ("number", "more"), [(50, ""), (51, "and 1 more"), (1051, "and 1,001 more")]
)
def test_of_many_alerts_fifty_are_shown(number: int, more: str) -> None:
    shown = words(alerts_section("x", tuple(alert(WARNING, f"t{n}") for n in range(number))))
    assert shown.count("[warning") == 50
    assert ("more: /api/v1/alerts" in shown) == bool(more)
    assert more in shown


def test_of_an_alert_that_names_a_thousand_servers_the_ends_are_shown() -> None:
    text = f"web: Servers {', '.join(f'cp{n}' for n in range(1000))} are marked down but pooled"
    shown = words(alerts_section("x", (alert(CRITICAL, text, "web"),)))
    assert "]web: Servers cp0, cp1, " in shown
    assert "… (all of it: /api/v1/alerts) …" in shown
    assert "cp999 are marked down but pooled" in shown
    assert len(shown) < 800


def seen(servers: list[ServerSnapshot], *alerts: Alert) -> SeenService:
    return seen_service(service("web", servers), alerts)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            seen([server("a"), server("b")]),
            "web | [ok ok] | | 2/2 | 2/2 | tcp 198.51.100.1:443 |",
        ),
        (
            seen([server("a"), server("b", up=False, pooled=True), server("c", up=False)]),
            "webout: b, c | [degraded degraded] | | 1/3 | 2/3 | tcp 198.51.100.1:443 |",
        ),
        (
            seen([server("a", up=False)], alert(CRITICAL, "It is bad").alert),
            "webIt is bad | [critical critical] | | 0/1 | 0/1 | tcp 198.51.100.1:443 |",
        ),
    ],
    ids=["fine", "degraded", "critical"],
)
def test_a_service_in_the_list_of_all(found: SeenService, said: str) -> None:
    row = drawn(service_row(found))
    assert words(row) == said
    assert f'data-find="web tcp 198.51.100.1:443 {found.standing.value}"' in row


def test_a_number_of_all() -> None:
    assert number_of(7, 8) == "<span><b>7</b>/8</span>"


def trouble(host: str, *cares: Care, since: float | None = NOON) -> HostTrouble:
    services = tuple((f"s{number}", care) for number, care in enumerate(cares))
    return HostTrouble(host, services, since, "Ping: silent")


def hosts(*troubles: HostTrouble) -> list[str]:
    return [words(drawn(piece)) for piece in hosts_pieces(troubles)]


def test_hosts_that_are_out() -> None:
    assert hosts() == ["None. |"]
    assert hosts(
        trouble("cp1", Care.DOWN, since=None),
        trouble("cp2", Care.HELD, Care.DOWN, Care.DOWN, Care.DOWN),
        trouble("cp3", Care.WAITING, Care.WAITING),
    ) == [
        "cp1Ping: silent | [down critical] | 1 service: s0 | unknown |",
        "cp2Ping: silent | [down, still pooled (1) critical][down (3) critical] | "
        f"4 services: s0, s1, s2 and 1 more | {AT} |",
        f"cp3Ping: silent | [not pooled warning] | 2 services: s0, s1 | {AT} |",
    ]
    (piece,) = hosts_pieces((trouble("cp1", Care.DOWN),))
    assert 'data-find="cp1 Ping: silent s0"' in drawn(piece)


@pytest.mark.parametrize(
    ("number", "more"), [(50, ""), (51, "and 1 more host |"), (1052, "and 1,002 more hosts |")]
)
def test_of_many_hosts_fifty_are_shown(number: int, more: str) -> None:
    shown = hosts(*(trouble(f"h{n}", Care.DOWN) for n in range(number)))
    assert len(shown) == 50 + bool(more)
    assert (shown[-1] == more) == bool(more)
    assert 'colspan="4"' in drawn(hosts_pieces(())[0])


def test_how_bad_each_state_of_a_server_is() -> None:
    assert {care.name: level_of(care) for care in Care} == {
        "HELD": "critical",
        "DOWN": "critical",
        "WAITING": "warning",
        "UNPROVEN": "degraded",
        "DRAINED": "off",
        "IDLE": "off",
        "DISABLED": "off",
        "SERVES": "ok",
    }


def test_what_the_threshold_asks_for() -> None:
    one = service("web", [server("a"), server("b"), server("c")], threshold="1/2")
    counts, _ = tally(one)
    assert threshold_words(one, counts) == "threshold 0.5: at least 1.5 stay pooled"


def test_the_whole_page() -> None:
    down = monitor("Ping", up=False, reason="silent")
    decision = Decision(Verdict.DEPOOLED, "Ping reported down", NOON, 2, 1, 1, 1)  # type: ignore[arg-type]
    bad = seen([server("a"), server("b", up=False, monitors=(down,), decision=decision)])
    fine = seen([server("a")])._replace(service=service("fine", [server("a")]))
    alerts = (alert(WARNING), alert(CRITICAL), alert(OK), alert(WARNING))
    page = overview(
        Seen((fine, bad), alerts, DAEMON, ipvs(), NO_BGP, CONFIG, ()), Past((), (), NOON)
    )
    slots: dict[str, Slot] = {slot.id: slot for slot in page.slots}

    def said(id_: str) -> list[str]:
        return [words(drawn(piece)) for piece in slots[id_].pieces]

    assert list(slots) == [
        "verdict", "tiles", "alerts", "services", "hosts", "strip", "incidents", "events",
        "overrides", "bgp", "kernel", "lists", "config", "daemon",
    ]  # fmt: skip
    assert said("verdict") == ["[CRITICAL critical] 1 critical, 2 warnings"]
    assert said("hosts") == [f"bPing: silent | [down critical] | 1 service: web | {AT} |"]
    assert [each.partition(" |")[0] for each in said("services")] == ["webout: b", "fine"]
    assert said("lists") == ["2 pool lists in force as published."]
    values: Any = {piece.id: piece.values for piece in slots["tiles"].pieces}
    assert values["tile-hosts-h"][2:] == ("1", "warning")
