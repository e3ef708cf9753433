"""The page of one service: `/status/SERVICE`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pybal.bgp.snapshot import AnnouncedPrefix, BGPSnapshot
from pybal.ipvs.snapshot import DestinationStatistics, DrainSnapshot, IPVSSnapshot
from pybal.kept_change import KeptSnapshot
from pybal.model import HoldDown, MonitorSnapshot, ServerSnapshot, SourceSnapshot
from pybal.net.addresses import endpoint, host_of
from pybal.override import LaidOver
from pybal.page.bar import bar
from pybal.page.html import Child, Markup, element
from pybal.page.overview import alerts_section, level_of, threshold_words
from pybal.page.past import Past
from pybal.page.piece import Page, Piece, Slot, piece_id, single
from pybal.page.sections import facts, held_words, source_notes
from pybal.page.seen import SeenService, SinceAlert
from pybal.page.tally import RANK, Care, Standing, Tally, care_of
from pybal.page.timeline import timeline_slots
from pybal.page.words import address_beside, count_of, listed, moment, plain, state
from pybal.runtime.naming import duration

SERVERS_SHOWN = 1000


class InKernel(NamedTuple):
    """What the kernel and the drainer say of a server; connections are None while not counted."""

    active: int | None = None
    inactive: int | None = None
    drains: bool = False
    draining_connections: int | None = None
    drains_until: int | None = None


class KernelPart(NamedTuple):
    """One service's part of the kernel's table, by `address:port` of its servers."""

    servers: Mapping[str, InKernel]
    ports: Mapping[str, str]
    """`address:port` by address: the port there may be another than the service's."""


def kernel_part(ipvs: IPVSSnapshot, service: str, now: float) -> KernelPart:
    """What is known of that service, by its name in pybal.conf."""
    keys = {key for key, name in ipvs.names if name == service}
    found: dict[str, InKernel] = {}
    addresses: dict[str, str] = {}
    for statistics in ipvs.statistics or ():
        if statistics.service in keys:
            for each in statistics.destinations:
                found[each.server] = _counted(each)
                addresses[str(each.address)] = each.server
    for drain in ipvs.draining:
        if drain.service in keys:
            found[drain.server] = _draining(found.get(drain.server), drain, now)
            addresses.setdefault(host_of(drain.server), drain.server)
    return KernelPart(found, addresses)


def _counted(each: DestinationStatistics) -> InKernel:
    return InKernel(each.active, each.inactive)


def _draining(counted: InKernel | None, drain: DrainSnapshot, now: float) -> InKernel:
    counted = counted or InKernel()
    until = round((now + drain.seconds_left) / 5) * 5
    return InKernel(counted.active, counted.inactive, True, drain.connections, until)


def service_page(
    seen: SeenService,
    alerts: tuple[SinceAlert, ...],
    kernel: KernelPart,
    bgp: BGPSnapshot,
    past: Past,
) -> Page:
    """All of it; servers that are out come first, the rest in the order of the list."""
    service = seen.service
    announced = tuple(each for each in bgp.announced if service.name in each.services)
    what = (
        service.protocol.value,
        endpoint(service.address, service.port),
        service.scheduler,
        threshold_words(service, seen.counts),
    )
    servers = sorted(service.servers, key=lambda each: RANK[care_of(each)])
    gone = [(at, part) for at, part in kernel.servers.items() if part.drains]
    if gone:
        known = {str(server.address) for server in service.servers}
        gone = [each for each in gone if host_of(each[0]) not in known]
    kept = frozenset(host for change in service.held for host in change.servers)
    rows = [
        server_row(each, _in_kernel(kernel, each), kept=each.host in kept)
        for each in servers[:SERVERS_SHOWN]
    ]
    rows += [_gone_piece(*each) for each in gone]
    if len(servers) > SERVERS_SHOWN:
        rows.append(Piece("server-more", _more_row, (len(servers) - SERVERS_SHOWN,)))
    return Page(
        (
            single("verdict", head, seen.standing, seen.counts),
            single("alerts", alerts_section, alerts),
            single("about", about, what, announced, bgp.enabled),
            single("list", list_section, service.source, service.held),
            *timeline_slots(past),
            Slot("servers", tuple(rows)),
        )
    )


def head(id_: str, standing: Standing, counts: Tally) -> Markup:
    """The service in one line."""
    return element(
        "div",
        element(
            "p",
            state(standing.value.upper(), standing.level),
            f" {counts.up} of {count_of(counts.servers, 'server')} up, {counts.pooled} pooled",
            class_="verdict",
        ),
        bar(counts),
        element("p", _legend(counts), class_="legend"),
        id=id_,
    )


def _legend(counts: Tally) -> list[Child]:
    return [
        element("span", care.said_of(number), class_=f"key {level_of(care)}")
        for care, number in counts.cares
    ]


def about(
    id_: str,
    what: tuple[str, str, str, str],
    announced: tuple[AnnouncedPrefix, ...],
    with_bgp: bool,
) -> Markup:
    """Where it is, how it balances, whether it is announced."""
    protocol, where, scheduler, threshold = what
    said: Child = "no"
    if announced:
        said = listed(
            [
                f"{each.prefix} to {', '.join(each.peers) or 'nobody yet'}"
                + ("" if each.med is None else f" (MED {each.med})")
                for each in announced
            ]
        )
    return element(
        "div",
        facts(
            ("address", f"{protocol} {where}"),
            ("scheduler", scheduler),
            ("depool", threshold),
            ("announced", said) if with_bgp else None,
        ),
        id=id_,
    )


def list_section(id_: str, source: SourceSnapshot, held: tuple[KeptSnapshot, ...]) -> Markup:
    """Where the pool list comes from, and what of it is not in force."""
    notes = [*source_notes(source), *(element("li", held_words(each)) for each in held)]
    return element(
        "div",
        facts(("pool list", source.url), ("last read", moment(source.last_good_at))),
        element("ul", notes) if notes else None,
        id=id_,
    )


def server_row(server: ServerSnapshot, kernel: InKernel, *, kept: bool) -> Piece:
    """A server in the list of a service's servers; `kept` though its pool list takes it away."""
    return Piece(piece_id("server", server.host), _server_row, (server, kernel, kept))


def _more_row(id_: str, more: int) -> Markup:
    words = f"and {more:,} more, none of them worse: look for their names on the director's page"
    return element("tr", element("td", words, colspan=6, class_="quiet"), id=id_)


def _in_kernel(kernel: KernelPart, server: ServerSnapshot) -> InKernel:
    at = kernel.ports.get(str(server.address)) if kernel.ports else None
    return _NOTHING if at is None else kernel.servers[at]


_NOTHING = InKernel()


def _server_row(id_: str, server: ServerSnapshot, kernel: InKernel, kept: bool) -> Markup:
    care = care_of(server)
    states = [state(care.value, level_of(care))]
    if kernel.drains:
        states.append(state("draining", "degraded"))
    return element(
        "tr",
        element("th", server.host, address_beside(server), scope="row"),
        element("td", *states, element("span", server.status, class_="why"), class_="is"),
        element("td", [_monitor(each) for each in server.monitors] or "none", class_="monitors"),
        element(
            "td",
            _override(server.over),
            _KEPT if kept else None,
            _held_back(server.hold_down),
            _why(server, care),
            class_="where",
        ),
        element("td", f"{server.weight}", class_="n", data_label="weight"),
        element("td", _connections(kernel), class_="n", data_label="connections"),
        id=id_,
        class_=level_of(care),
        data_find=f"{server.host} {server.address or ''} {care.value} {server.status}",
    )


def _monitor(monitor: MonitorSnapshot) -> Markup:
    last = monitor.last
    level = "off" if monitor.up is None else "ok" if monitor.up else "critical"
    word = "not yet" if monitor.up is None else "up" if monitor.up else "down"
    parts: list[Child] = [element("b", monitor.name), " ", state(word, level)]
    if last is not None:
        if last.up is not monitor.up:
            need = monitor.rise if last.up else monitor.fall
            parts.append(f" last {'up' if last.up else 'down'}, {monitor.in_a_row} of {need}")
        parts += [" ", moment(last.at), f", {duration(last.duration_s)}"]
        if last.reason:
            parts.append(element("span", last.reason, class_="reason"))
    return element("div", parts, class_="monitor")


def _why(server: ServerSnapshot, care: Care) -> Markup:
    decision = server.decision
    if decision is None:
        return element("span", "not decided yet", class_="quiet")
    counts = (
        f"{decision.up} of {decision.configured} were up, "
        f"{plain(float(decision.required))} required, {decision.pooled} pooled then"
    )
    calm = care is Care.SERVES
    return element(
        "div",
        None if calm else element("b", decision.verdict.value),
        None if calm else ": ",
        _cause(decision.cause, server.monitors),
        " ",
        moment(decision.at),
        None if calm else element("span", counts, class_="why"),
        class_="quiet" if calm else None,
    )


def _override(over: LaidOver | None) -> Markup | None:
    if over is None:
        return None
    return element("div", state("override", "degraded"), " ", over.text, class_="override")


_KEPT = element("div", state("kept", "warning"), " its pool list takes it away", class_="override")


def _held_back(hold_down: HoldDown | None) -> Markup | None:
    if hold_down is None:
        return None
    return element(
        "div",
        state("held back", "warning"),
        f" is up again, but went down {hold_down.flaps} times within "
        f"{duration(hold_down.window_s)}; pooled ",
        moment(hold_down.until),
        ", or once the pool needs it",
        class_="override",
    )


def _cause(cause: str, monitors: tuple[MonitorSnapshot, ...]) -> str:
    """Without the reason of a monitor that stands beside it."""
    for monitor in monitors:
        said = f"{monitor.name} reported down"
        if cause.startswith(said + ":") and monitor.up is False:
            return said
    return cause


def _connections(kernel: InKernel) -> Markup:
    if kernel.drains:
        left = "?" if kernel.draining_connections is None else f"{kernel.draining_connections:,}"
        return element("span", element("b", left), " left, until ", moment(kernel.drains_until))
    if kernel.active is None:
        return element("span", "—", class_="quiet")
    return element(
        "span", element("b", f"{kernel.active:,}"), f" + {kernel.inactive or 0:,} ending"
    )


def _gone_piece(at: str, kernel: InKernel) -> Piece:
    return Piece(piece_id("gone", at), _gone_row, (at, kernel))


def _gone_row(id_: str, at: str, kernel: InKernel) -> Markup:
    return element(
        "tr",
        element("th", at, element("span", "not in the list any more", class_="why"), scope="row"),
        element("td", state("draining", "degraded"), class_="is"),
        element("td", "none", class_="monitors"),
        element("td", "—", class_="where"),
        element("td", "0", class_="n", data_label="weight"),
        element("td", _connections(kernel), class_="n", data_label="connections"),
        id=id_,
        class_="degraded",
        data_find=f"{at} draining",
    )
