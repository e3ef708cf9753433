"""The page of the whole director: `/status`. Pure."""

from __future__ import annotations

from collections import Counter

from pybal.instrumentation.alerts import in_order
from pybal.model import Alert, ServiceSnapshot, Severity
from pybal.net.addresses import endpoint
from pybal.page.bar import bar
from pybal.page.html import Markup, element
from pybal.page.past import Past
from pybal.page.piece import Page, Piece, Slot, piece_id, single
from pybal.page.sections import (
    bgp_section,
    config_section,
    daemon_section,
    kernel_section,
    lists_section,
    overrides_section,
)
from pybal.page.seen import Seen, SeenService, SinceAlert
from pybal.page.tally import RANK, Care, HostTrouble, Standing, Tally, in_trouble
from pybal.page.tiles import tiles
from pybal.page.timeline import timeline_slots
from pybal.page.words import count_of, listed, moment, plain, service_link, state
from pybal.runtime.naming import ends_of

HOSTS_SHOWN = 50
ALERTS_SHOWN = 50
LONGEST_ALERT = 600


def overview(seen: Seen, past: Past) -> Page:
    """All of it."""
    troubles = in_trouble((each.service.name, each.out) for each in seen.services)
    lists = tuple(
        (each.service.name, each.service.source, each.service.held) for each in seen.services
    )
    return Page(
        (
            single("verdict", verdict, _severities(seen.alerts)),
            Slot("tiles", tiles(seen, len(troubles))),
            single("alerts", alerts_section, seen.alerts),
            Slot("services", tuple(service_row(each) for each in seen.worst_first)),
            Slot("hosts", hosts_pieces(troubles)),
            *timeline_slots(past),
            single("overrides", overrides_section, seen.overrides),
            single("bgp", bgp_section, seen.bgp),
            single("kernel", kernel_section, seen.ipvs),
            single("lists", lists_section, lists),
            single("config", config_section, seen.config),
            single("daemon", daemon_section, seen.daemon),
        )
    )


def _severities(alerts: tuple[SinceAlert, ...]) -> tuple[int, int]:
    counts = Counter(each.alert.severity for each in alerts)
    return counts[Severity.CRITICAL], counts[Severity.WARNING]


def verdict(id_: str, severities: tuple[int, int]) -> Markup:
    """The director in one word."""
    critical, warnings = severities
    parts = []
    if critical:
        parts.append(f"{critical:,} critical")
    if warnings:
        parts.append(count_of(warnings, "warning"))
    word, level = ("CRITICAL", "critical") if critical else ("WARNING", "warning")
    if not parts:
        word, level, parts = "OK", "ok", ["no alerts"]
    return element("p", state(word, level), " ", ", ".join(parts), id=id_, class_="verdict")


def alerts_section(id_: str, alerts: tuple[SinceAlert, ...]) -> Markup:
    """All alerts, the most severe first."""
    if not alerts:
        return element("p", "None.", id=id_, class_="quiet")
    by_alert = {each.alert: each for each in alerts}
    ordered = [by_alert[alert] for alert in in_order(by_alert)]
    more = len(ordered) - ALERTS_SHOWN
    rows = [_alert(each) for each in ordered[:ALERTS_SHOWN]]
    if more > 0:
        rows.append(element("li", f"and {more:,} more: /api/v1/alerts", class_="quiet"))
    return element("ul", rows, id=id_, class_="alerts")


def _alert(each: SinceAlert) -> Markup:
    alert = each.alert
    about = () if alert.service is None else (service_link(alert.service), " · ")
    return element(
        "li",
        # One that an operator has acknowledged is OK; its text says who and why.
        state(
            "known" if alert.severity is Severity.OK else alert.severity.value,
            "off" if alert.severity is Severity.OK else alert.severity.value,
        ),
        element("span", _words(alert), class_="text"),
        element(
            "span",
            *about,
            "since ",
            moment(each.since),
            " · docs/operating.md#",
            alert.id,
            class_="quiet",
        ),
        class_=alert.severity.value,
    )


def _words(alert: Alert) -> str:
    return ends_of(alert.text, LONGEST_ALERT, "/api/v1/alerts")


def service_row(seen: SeenService) -> Piece:
    """A service in the list of all."""
    service = seen.service
    what = service.protocol.value, endpoint(service.address, service.port)
    why = tuple(map(_words, seen.alerts))
    id_ = piece_id("service", service.name)
    return Piece(id_, _service_row, (service.name, what, seen.standing, seen.counts, why))


def _service_row(
    id_: str,
    name: str,
    what: tuple[str, str],
    standing: Standing,
    counts: Tally,
    why: tuple[str, ...],
) -> Markup:
    notes = [element("span", text, class_="why") for text in why]
    if counts.out and not why:
        notes.append(element("span", "out: ", listed(counts.out), class_="why"))
    return element(
        "tr",
        element("th", service_link(name), *notes, scope="row"),
        element("td", state(standing.value, standing.level), class_="is"),
        element("td", bar(counts), class_="how"),
        element("td", number_of(counts.up, counts.servers), class_="n", data_label="up"),
        element("td", number_of(counts.pooled, counts.servers), class_="n", data_label="pooled"),
        element("td", f"{what[0]} {what[1]}", class_="where"),
        id=id_,
        class_=standing.level,
        data_find=f"{name} {what[0]} {what[1]} {standing.value}",
    )


def number_of(some: int, all_: int) -> Markup:
    """`7/8`."""
    return element("span", element("b", f"{some}"), f"/{all_}")


def hosts_pieces(troubles: tuple[HostTrouble, ...]) -> tuple[Piece, ...]:
    """Hosts that are out somewhere; of many, how many more."""
    rows = [
        Piece(piece_id("host", each.host), _host_row, (each,)) for each in troubles[:HOSTS_SHOWN]
    ]
    if not troubles:
        rows.append(Piece("host-none", _hosts_note, ("None.",)))
    elif len(troubles) > HOSTS_SHOWN:
        more = f"and {count_of(len(troubles) - HOSTS_SHOWN, 'more host')}"
        rows.append(Piece("host-more", _hosts_note, (more,)))
    return tuple(rows)


def _hosts_note(id_: str, text: str) -> Markup:
    return element("tr", element("td", text, colspan=4, class_="quiet"), id=id_)


def _host_row(id_: str, trouble: HostTrouble) -> Markup:
    cares = Counter(care for _, care in trouble.services)
    states = [
        state(f"{care.value} ({cares[care]})" if len(cares) > 1 else care.value, level_of(care))
        for care in sorted(cares, key=RANK.__getitem__)
    ]
    where: list[Markup | str] = [service_link(n, trouble.host) for n, _ in trouble.services]
    number = len(where)
    return element(
        "tr",
        element("th", trouble.host, element("span", trouble.reason, class_="why"), scope="row"),
        element("td", *states, class_="is"),
        element(
            "td", element("b", count_of(number, "service")), ": ", listed(where), class_="where"
        ),
        element("td", moment(trouble.since, "unknown"), class_="when"),
        id=id_,
        class_=level_of(trouble.worst),
        data_find=" ".join((trouble.host, trouble.reason, *(name for name, _ in trouble.services))),
    )


_LEVELS = {
    Care.HELD: "critical",
    Care.DOWN: "critical",
    Care.WAITING: "warning",
    Care.UNPROVEN: "degraded",
    Care.DRAINED: "off",
    Care.IDLE: "off",
    Care.DISABLED: "off",
    Care.SERVES: "ok",
}


def level_of(care: Care) -> str:
    """The level of a server that is so."""
    return _LEVELS[care]


def threshold_words(service: ServiceSnapshot, counts: Tally) -> str:
    """What the depool threshold asks for."""
    threshold = plain(float(service.depool_threshold))
    return f"threshold {threshold}: at least {plain(float(counts.required))} stay pooled"
