"""What an operator must look at, and `/alerts`, which says it in one line. Pure.

A new alert is a line of KINDS, a section of docs/operating.md, and a PendingAlert in here, or in
`service_alerts.py` if it is about one pool.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pybal.bgp.snapshot import BGPSnapshot, MaintenanceSnapshot, OwnAddress, PeerSnapshot
from pybal.config.snapshot import ConfigSnapshot, ReloadOutcome
from pybal.instrumentation.pending_alert import PendingAlert
from pybal.ipvs.snapshot import DriftSnapshot, IPVSSnapshot, MissingSnapshot
from pybal.model import Alert, DaemonSnapshot, ServiceSnapshot, Severity
from pybal.runtime.naming import named, printable, shortened

_PEER_AWAY_S = 60.0
_ALIKE_S = 60.0
_DIFFERS_S = 3600.0
"""Many write the file and choose the time of the reload themselves."""
_OTHERWISE_S = 10.0
_UNWRITTEN_S = 30.0
"""It is tried again before."""
_ERROR_SHOWN = 200


class Kind(NamedTuple):
    """Alerts of one id. `/alerts` shows so many of them (None: all) and then counts, if there are
    two more at least: `more` says of what."""

    id: str
    shown: int | None = 3
    more: str = "more of this"


KINDS = (
    # The contract's, then ours; within a severity in this order.
    Kind("isolated"),
    Kind("down-but-pooled", shown=None),
    Kind("too-small", shown=None),
    Kind("nobody-served", more="more pools serve nobody"),
    Kind("not-in-kernel", more="more services are not in the kernel as they should be"),
    Kind("local-fault"),
    Kind("drift", more="more services were changed"),
    Kind("list-held", more="more pools have a list that is held"),
    Kind("override-suspended", more="more overrides are suspended"),
    Kind("same-address", more="more addresses of several servers are overridden for some of them"),
    Kind("list-failed", more="more pools have a list that could not be put in force"),
    Kind("list-damaged", more="more pools have a damaged list"),
    Kind("list-stale", more="more pools have a list that cannot be had"),
    Kind("standing", more="more pools keep what stood in the kernel"),
    Kind("no-address", more="more pools have servers without an address"),
    Kind("bgp-peer-away", more="more BGP peers are away"),
    Kind("bgp-alike", more="more addresses are announced alike by another"),
    Kind("maintenance", more="more pools are in maintenance"),
    Kind("overridden-long", more="more servers are overridden for more than a day"),
    Kind("disabled-long", more="more servers are disabled for more than a day"),
    Kind("config-refused"),
    Kind("config-in-part"),
    Kind("config-differs"),
    Kind("state-unwritten"),
    Kind("address-not-local", more="more announced addresses are on no interface"),
)
_SEVERITIES = (Severity.CRITICAL, Severity.WARNING, Severity.OK)
_RANK = {kind.id: rank for rank, kind in enumerate(KINDS)}


class Situation(NamedTuple):
    """All that alerts are made of. `not_local` are announced addresses that are on no interface
    of this host."""

    services: Sequence[ServiceSnapshot]
    daemon: DaemonSnapshot
    ipvs: IPVSSnapshot
    bgp: BGPSnapshot
    config: ConfigSnapshot
    not_local: tuple[str, ...] = ()


class Headline(NamedTuple):
    """All alerts in one word and one line: the contract's `/alerts`. What sources and peers say is
    in them: a line break of theirs would have a check read another line as ours."""

    severity: Severity
    message: str

    def as_text(self) -> str:
        """`OK - …`, `WARNING - …` or `CRITICAL - …`, without a newline."""
        return f"{self.severity.value.upper()} - {printable(self.message)}"

    def as_json(self) -> dict[str, str]:
        """The contract's JSON object."""
        return {"status": self.severity.value, "msg": printable(self.message)}


def general_alerts(situation: Situation) -> Iterator[PendingAlert]:
    """What concerns no single pool."""
    health = situation.daemon.health
    if health.isolation.since is not None:
        text = "This director is cut off from its servers, all pools are held as they are"
        yield PendingAlert(Alert("isolated", Severity.CRITICAL, None, text))
    if health.local_fault:
        text = f"This director cannot make all its checks: {health.local_fault}"
        yield PendingAlert(Alert("local-fault", Severity.WARNING, None, text))
    names = dict(situation.ipvs.names)
    for drift in situation.ipvs.audit.drift:
        alert = _drift(drift, names.get(drift.service))
        yield PendingAlert(alert, details=tuple(drift.differences))
    for missing in situation.ipvs.missing:
        yield _missing(missing, names.get(missing.service), situation.ipvs)
    yield from _of_bgp(situation.bgp)
    for address in situation.not_local:
        text = f"{address} is announced, but on no interface of this host"
        yield PendingAlert(Alert("address-not-local", Severity.WARNING, None, text), address)
    yield from _of_config(situation.config)
    yield from _of_state(situation)
    for alert in situation.daemon.alerts:
        yield PendingAlert(alert, alert.text)


def _of_bgp(bgp: BGPSnapshot) -> Iterator[PendingAlert]:
    for maintenance in bgp.maintenance:
        yield PendingAlert(_maintenance(maintenance), str(maintenance.service))
    if bgp.announced:
        for peer in bgp.peers:
            if not peer.established:
                yield _peer_away(peer)
    for own in bgp.own:
        if own.preferred == "alike" and own.announced and not own.shared:
            yield _alike(own)


def headline(alerts: Iterable[Alert]) -> Headline:
    """The contract's line. What is critical hides what is a warning. What is OK is a note: what an
    operator wants so, or knows of."""
    ordered = in_order(alerts)
    worst = ordered[0].severity if ordered else Severity.OK
    if worst is Severity.CRITICAL:
        critical = [alert for alert in ordered if alert.severity is Severity.CRITICAL]
        return Headline(worst, "; ".join(_shown(critical)))
    if worst is Severity.WARNING:
        # The trailing blank is part of the contract's text.
        return Headline(worst, "".join(f"{text}. " for text in _shown(ordered)))
    return Headline(worst, "; ".join(("All pools are healthy", *_shown(ordered))))


def in_order(alerts: Iterable[Alert]) -> list[Alert]:
    """The most severe first, then by kind; those of a kind stay in their order."""
    return sorted(
        alerts,
        key=lambda alert: (
            _SEVERITIES.index(alert.severity),
            _RANK.get(alert.id, len(KINDS)),
        ),
    )


def _shown(alerts: Sequence[Alert]) -> Iterator[str]:
    kinds = {kind.id: kind for kind in KINDS}
    total = Counter(alert.id for alert in alerts)
    said: Counter[str] = Counter()
    for alert in alerts:
        kind = kinds.get(alert.id, Kind(alert.id))
        said[alert.id] += 1
        if kind.shown is None or said[alert.id] <= kind.shown or total[alert.id] == kind.shown + 1:
            yield alert.text
        elif said[alert.id] == total[alert.id]:
            yield f"{total[alert.id] - kind.shown} {kind.more}"


def _drift(drift: DriftSnapshot, name: str | None) -> Alert:
    state = "repaired" if drift.repaired else "not repaired yet"
    text = f"IPVS: {drift.service} was changed by others: {'; '.join(drift.differences)} ({state})"
    return Alert("drift", Severity.WARNING, name, text)


def _maintenance(maintenance: MaintenanceSnapshot) -> Alert:
    what = "This director" if maintenance.service is None else f"Pool {maintenance.service}"
    state = "withdrawn" if maintenance.withdrawn else "the last choice"
    text = f"{what} is in maintenance: {state} in BGP"
    # An operator wants it so: that is to be seen, and is no fault.
    return Alert("maintenance", Severity.OK, maintenance.service, text)


def _missing(missing: MissingSnapshot, name: str | None, ipvs: IPVSSnapshot) -> PendingAlert:
    # The last error may be another service's. What cannot be put on record is not even tried.
    last = ipvs.last_error.text if ipvs.last_error else ""
    error = missing.error or ipvs.ownership_error or last
    why = f": {shortened(error, _ERROR_SHOWN, '/api/v1/ipvs')}" if error else ""
    if missing.otherwise:
        text = f"IPVS: the kernel does not hold {name or missing.service} as it should be{why}"
        alert = Alert("not-in-kernel", Severity.WARNING, name, text)
        return PendingAlert(alert, missing.service, _OTHERWISE_S)
    if not missing.servers:
        text = f"IPVS: the kernel does not hold {name or missing.service} ({missing.service}){why}"
        return PendingAlert(Alert("not-in-kernel", Severity.CRITICAL, name, text), missing.service)
    hosts = named(missing.servers)
    text = f"IPVS: the kernel does not hold {hosts} of {name or missing.service}{why}"
    severity = Severity.WARNING if missing.others else Severity.CRITICAL
    alert = Alert("not-in-kernel", severity, name, text)
    return PendingAlert(alert, missing.service, details=tuple(missing.servers))


def _of_config(config: ConfigSnapshot) -> Iterator[PendingAlert]:
    last = config.last_reload
    if config.in_part:
        why = shortened("; ".join(config.in_part), _ERROR_SHOWN, "/api/v1/config")
        text = f"A changed {config.path} was applied in part, reload once more: {why}"
        yield PendingAlert(Alert("config-in-part", Severity.WARNING, None, text))
    if last is not None and last.outcome is ReloadOutcome.REFUSED and not config.is_last_good:
        runs = "what was applied in part" if config.in_part else "the former one"
        why = shortened("; ".join(last.errors), _ERROR_SHOWN, "/api/v1/config")
        text = f"A changed {config.path} was refused, {runs} runs: {why}"
        yield PendingAlert(Alert("config-refused", Severity.WARNING, None, text))
    elif config.in_part:
        return
    elif config.is_last_good:
        text = f"{config.path} had errors at the start: the last good configuration runs"
        yield PendingAlert(Alert("config-refused", Severity.WARNING, None, text))
    elif config.differs_since is not None:
        text = f"{config.path} has been changed and is not what runs: reload or restart"
        yield PendingAlert(
            Alert("config-differs", Severity.WARNING, None, text), after_s=_DIFFERS_S
        )


def _of_state(situation: Situation) -> Iterator[PendingAlert]:
    if unwritten := situation.daemon.unwritten:
        files = tuple(file for file, _ in unwritten)
        why = shortened(unwritten[0][1], _ERROR_SHOWN, "/api/v1/daemon")
        text = f"What the next start is to find cannot be written: {named(files, 3)}: {why}"
        alert = Alert("state-unwritten", Severity.WARNING, None, text)
        yield PendingAlert(alert, "files", _UNWRITTEN_S, details=files)
    if error := situation.ipvs.ownership_error:
        text = f"IPVS: {shortened(error, _ERROR_SHOWN, '/api/v1/ipvs')}"
        alert = Alert("state-unwritten", Severity.WARNING, None, text)
        yield PendingAlert(alert, "record", _UNWRITTEN_S)


def _peer_away(peer: PeerSnapshot) -> PendingAlert:
    text = f"BGP peer {peer.address} is not established ({peer.state})"
    if peer.last_error:
        text += f": {shortened(peer.last_error, _ERROR_SHOWN, f'pybalctl bgp {peer.address}')}"
    # A session that came and went since we last looked begins the time anew.
    subject = f"{peer.address} {peer.sessions_lost}"
    alert = Alert("bgp-peer-away", Severity.WARNING, None, text)
    return PendingAlert(alert, subject, _PEER_AWAY_S, about=peer.address)


def _alike(own: OwnAddress) -> PendingAlert:
    routes = [route for route in own.others if route.preferred == "alike"]
    route = routes[0]
    where = f"next hop {route.next_hop or '-'}, MED {route.med or 0}, by {route.peer}"
    text = f"{own.address} is announced alike by another ({where}): routers choose by themselves"
    alert = Alert("bgp-alike", Severity.WARNING, None, text)
    return PendingAlert(alert, own.address, _ALIKE_S)
