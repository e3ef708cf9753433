"""What the overview says beside services: BGP, the kernel, lists, the configuration, the
director itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pybal.bgp.snapshot import BGPSnapshot, OwnAddress, PeerSnapshot
from pybal.config.snapshot import ConfigSnapshot
from pybal.ipvs.snapshot import DrainSnapshot, IPVSSnapshot
from pybal.kept_change import KeptSnapshot
from pybal.model import DaemonSnapshot, SourceSnapshot
from pybal.override import Override
from pybal.page.html import Child, Markup, element
from pybal.page.words import count_of, listed, moment, service_link, state
from pybal.runtime.naming import duration

_SHOWN = 20
_Listed = tuple[tuple[str, SourceSnapshot, tuple[KeptSnapshot, ...]], ...]


def facts(*pairs: tuple[str, Child] | None) -> Markup:
    """Names and what is to be said of them; None is left out."""
    return element(
        "dl",
        [
            element("div", element("dt", pair[0]), element("dd", pair[1]))
            for pair in pairs
            if pair is not None
        ],
    )


def overrides_section(id_: str, overrides: tuple[Override, ...]) -> Markup:
    """What operators want of servers for a time, what ends soonest first."""
    if not overrides:
        return element("p", "None.", id=id_, class_="quiet")
    ordered = sorted(overrides, key=lambda each: each.until)
    rows = [
        element(
            "li",
            element("strong", each.host),
            " of ",
            service_link(each.service, each.host),
            " ",
            state(each.action.value, "off"),
            f" by {each.by}: {each.reason}, ends ",
            moment(each.until),
        )
        for each in ordered[:_SHOWN]
    ]
    return element("ul", rows, _more(len(overrides) - _SHOWN), id=id_)


def bgp_section(id_: str, bgp: BGPSnapshot) -> Markup:
    """Peers, what is announced, what is held back."""
    if not bgp.enabled:
        return element("p", "BGP is off.", id=id_, class_="quiet")
    rows = [_peer(bgp, peer) for peer in sorted(bgp.peers, key=lambda each: each.established)]
    heads = [
        element("th", name, scope="col")
        for name in ("Peer", "State", "Since", "Prefixes", "Last error")
    ]
    table = element(
        "table",
        element("caption", "Peers", class_="unseen"),
        element("thead", element("tr", heads)),
        element("tbody", rows),
        class_="peers",
    )
    return element(
        "div",
        element(
            "p",
            f"AS {bgp.local_asn}, router id {bgp.router_id or 'not known'}, "
            f"{count_of(len(bgp.announced), 'prefix', 'prefixes')} to announce",
        ),
        _notes(bgp),
        table,
        id=id_,
    )


def _notes(bgp: BGPSnapshot) -> Markup | None:
    """What is announced otherwise than usual."""
    maintenance = [
        element(
            "li",
            "Maintenance: ",
            "this director" if each.service is None else service_link(each.service),
            ", ",
            "withdrawn" if each.withdrawn else "the last choice",
            ", since ",
            moment(each.since),
        )
        for each in bgp.maintenance
    ]
    held = [
        element(
            "li",
            service_link(each.service),
            f" is not announced again yet: withdrawn {count_of(each.withdrawals, 'time')} lately",
        )
        for each in bgp.held
    ]
    others = [_others(each) for each in bgp.own if each.others]
    more = len(others) - _SHOWN
    if more > 0:
        others[_SHOWN:] = [element("li", f"and {more:,} more addresses that others announce")]
    return element("ul", maintenance, held, others) if maintenance or held or others else None


def _others(own: OwnAddress) -> Markup:
    words, level = _PREFERRED.get(own.preferred or "", ("nobody can tell", "off"))
    return element(
        "li",
        own.address,
        " is announced by others, too: preferred are ",
        state(words, "ok" if own.shared else level),
    )


_PREFERRED = {
    "us": ("we", "ok"),
    "others": ("others", "off"),
    "both": ("some routers us, some others", "degraded"),
    "alike": ("both alike", "warning"),
    "nobody": ("neither", "degraded"),
}


def _peer(bgp: BGPSnapshot, peer: PeerSnapshot) -> Markup:
    told = sum(peer.address in one.peers for one in bgp.announced)
    bfd = "" if peer.bfd is None else f", BFD {peer.bfd}"
    error: Child = "—"
    if peer.last_error:
        error = element("span", peer.last_error, " (", moment(peer.last_error_at), ")")
    level = "ok" if peer.established and peer.bfd in (None, "UP") else "warning"
    return element(
        "tr",
        element(
            "th",
            peer.address,
            element(
                "span",
                "" if peer.asn is None else f"AS {peer.asn} ",
                peer.description,
                class_="why",
            ),
            scope="row",
        ),
        element("td", state(f"{peer.state}{bfd}", level), class_="is"),
        element("td", moment(peer.away_since or peer.since), data_label="since", class_="when"),
        element("td", f"{told}/{len(bgp.announced)}", data_label="prefixes", class_="n"),
        element("td", error, class_="where"),
        class_=level,
    )


def kernel_section(id_: str, ipvs: IPVSSnapshot) -> Markup:
    """The IPVS table: in sync, drift, refusals, what drains."""
    error, audit = ipvs.last_error, ipvs.audit
    names = dict(ipvs.names)
    missing = [
        element(
            "li",
            state("refused", "critical"),
            f" {each.service}",
            f": {', '.join(each.servers)}" if each.servers else "",
            ", which stands otherwise than it should" if each.otherwise else "",
        )
        for each in ipvs.missing[:_SHOWN]
    ]
    drift = [
        element(
            "li",
            state("repaired" if each.repaired else "not repaired", "warning"),
            f" {each.service}: {'; '.join(each.differences)} (",
            moment(each.since),
            ")",
        )
        for each in audit.drift[:_SHOWN]
    ]
    draining = [
        element("li", _drain(each, names.get(each.service))) for each in ipvs.draining[:_SHOWN]
    ]
    return element(
        "div",
        facts(
            ("table", _table_state(ipvs)),
            ("holds", f"{count_of(ipvs.services, 'service')}, "
                      f"{count_of(ipvs.destinations, 'server')}"),
            ("changes", f"{ipvs.changes_total:,}, {count_of(ipvs.errors_total, 'error')}"),
            ("last audit", moment(audit.finished_at)),
            None if error is None else ("last error", element("span", error.text, " (",
                                                              moment(error.at), ")")),
            ("not on record", ipvs.ownership_error) if ipvs.ownership_error else None,
            ("left alone", listed(ipvs.unmanaged, 5)) if ipvs.unmanaged else None,
        ),
        _some("Refused by the kernel", missing, len(ipvs.missing)),
        _some("Changed by others", drift, len(audit.drift)),
        _some("Draining", draining, len(ipvs.draining)),
        id=id_,
    )  # fmt: skip


def _table_state(ipvs: IPVSSnapshot) -> Markup:
    if ipvs.dry_run:
        return state("dry run: nothing is changed", "off")
    return state("in sync", "ok") if ipvs.in_sync else state("changes under way", "degraded")


def _drain(drain: DrainSnapshot, name: str | None) -> Markup:
    left = "" if drain.connections is None else f", {count_of(drain.connections, 'connection')}"
    where: Child = drain.service if name is None else service_link(name)
    return element("span", drain.server, " of ", where, left)


def _some(title: str, items: Sequence[Markup], all_: int) -> Markup | None:
    if not items:
        return None
    rest = _more(all_ - len(items))
    return element("div", element("h3", title), element("ul", list(items), rest))


def _first(lines: Sequence[str]) -> list[Markup | None]:
    """A few of them, and how many more there are."""
    return [*(element("li", each) for each in lines[:_SHOWN]), _more(len(lines) - _SHOWN)]


def _more(number: int) -> Markup | None:
    return element("li", f"and {number:,} more", class_="quiet") if number > 0 else None


def lists_section(id_: str, lists: _Listed) -> Markup:
    """Pool lists that are held, old or damaged."""
    rows = [
        element("li", element("strong", service_link(name)), element("ul", said))
        for name, source, held in lists
        if (said := [*source_notes(source), *(element("li", held_words(each)) for each in held)])
    ]
    fine = len(lists) - len(rows)
    return element(
        "div",
        element("ul", rows[:_SHOWN], class_="lists") if rows else None,
        element("p", f"and {len(rows) - _SHOWN:,} more") if len(rows) > _SHOWN else None,
        element(
            "p",
            f"{count_of(fine, 'pool list')} in force as published."
            if not rows
            else f"The other {fine:,} are in force as published.",
            class_="quiet",
        ),
        id=id_,
    )


def source_notes(source: SourceSnapshot) -> list[Markup]:
    """What is wrong with a source, one item a line."""
    notes = []
    if source.stale and source.last_good_at is None:
        notes.append(element("li", state("no list", "warning"), " none that is good has come yet"))
    elif source.stale:
        notes.append(
            element("li", state("old list", "warning"), " the last good one is of ",
                    moment(source.last_good_at))
        )  # fmt: skip
    if source.last_error:
        notes.append(element("li", "last error: ", source.last_error))
    for each in source.damage[:_SHOWN]:
        notes.append(element("li", state("damaged", "warning"), " ", each))
    if more := _more(len(source.damage) - _SHOWN):
        notes.append(more)
    if source.kept:
        notes.append(element("li", "kept for that reason: ", listed(source.kept, _SHOWN)))
    return notes


def held_words(change: KeptSnapshot) -> Markup:
    """A change of a list that is not in force."""
    if change.waiting:
        why = "until servers of the new list work"
    else:
        why = f"{change.left} would be left that work, list-floor wants {change.required}"
    return element(
        "span",
        state("waits" if change.waiting else "held", "warning"),
        " the list takes away ",
        listed(change.servers, _SHOWN),
        f": {why}, since ",
        moment(change.since),
    )


def config_section(id_: str, config: ConfigSnapshot) -> Markup:
    """Which configuration runs, and whether it is the one on disk."""
    last = config.last_reload
    word: Markup
    if config.in_part:
        word = element("span", state("runs in part", "warning"), ": ", "; ".join(config.in_part))
    elif config.is_last_good:
        word = state("runs the last good one: the file had errors at the start", "warning")
    elif config.differs_since is not None:
        word = element("span", state("differs from disk", "degraded"), " since ",
                       moment(config.differs_since))  # fmt: skip
    else:
        word = state("runs as it is on disk", "ok")
    reload: Markup | None = None
    if last is not None:
        said = last.steps if last.successful else last.errors
        reload = element(
            "div",
            state("gone over to" if last.successful else last.outcome.value,
                  "ok" if last.successful else "warning"),
            " ",
            moment(last.at),
            element("ul", _first(said)) if said else None,
        )  # fmt: skip
    return element(
        "div",
        facts(
            ("file", config.path),
            ("state", word),
            ("loaded", moment(config.loaded_at or None)),
            ("modified", moment(config.modified_at, "unknown")),
            ("waits for a restart", listed(config.needs_restart, _SHOWN))
            if config.needs_restart
            else None,
            None if reload is None else ("last reload", reload),
        ),
        id=id_,
    )


def daemon_section(id_: str, daemon: DaemonSnapshot) -> Markup:
    """The process, and what it knows of itself."""
    health = daemon.health
    isolation = health.isolation
    faults = ", ".join(f"{name} {number:,}" for name, number in health.local_faults)
    cut_off: Child = isolation.phase
    if isolation.since is not None:
        cut_off = element("span", state("cut off from its servers", "critical"), " since ",
                          moment(isolation.since))  # fmt: skip
    return element(
        "div",
        facts(
            ("version", daemon.version + (", dry run" if daemon.dry_run else "")),
            ("started", moment(daemon.started_at)),
            ("isolation", cut_off),
            ("isolated so far", count_of(isolation.total, "time")) if isolation.total else None,
            ("lacks", state(health.local_fault, "warning")) if health.local_fault else None,
            ("local faults", faults) if faults else None,
            ("longest stall", duration(health.longest_stall_s)),
            ("lost time", count_of(health.gaps, "gap")) if health.gaps else None,
        ),
        id=id_,
    )
