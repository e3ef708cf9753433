"""BGP, IPVS and alerts, from `/api/v1` to lines. Pure."""

from __future__ import annotations

from typing import Any

from pybal.ctl.local_time import local_time
from pybal.ctl.render import ago, since
from pybal.ctl.table import Line, Style, age, count, row, table

Document = dict[str, Any]

_AT_EACH_END = 400
_DOCUMENTS = " (/usr/share/doc/pybal, or docs of the source)"
_SEVERITIES = {"critical": Style.BAD, "warning": Style.WORSE, "ok": Style.GOOD}


def bgp_lines(bgp: Document, now: float, *, dry_run: bool) -> list[Line]:
    """As routers' `show bgp summary`: for a session the count of prefixes, else the state."""
    if not bgp["enabled"]:
        why = "bgp = no" + (", or a dry run without dry-run-bgp = yes" if dry_run else "")
        return [Line(f"BGP is off: {why}")]
    lines = [
        Line(
            f"Router {bgp['director']['router_id'] or '-'}, local AS {bgp['local_asn']}, "
            f"{_prefixes(len(bgp['prefixes']))}"
        )
    ]
    lines += _maintenance_lines(bgp, now)
    rows = [
        row(
            peer["address"],
            peer["asn"],
            sum(peer["messages"]["received"].values()),
            sum(peer["messages"]["sent"].values()),
            since(peer["away_since"] or peer["since"], now),
            len(peer["prefixes"]) if peer["established"] else peer["state"],
            # What ended the session before is in `pybalctl bgp PEER`.
            _without_bfd(peer)
            or peer["description"]
            or ("" if peer["established"] else _error(peer)),
            style=_peer_style(peer),
        )
        for peer in sorted(bgp["peers"], key=lambda p: (p["established"], p["address"]))
    ]
    titles = ("NEIGHBOR", "AS", "MSGRCVD", "MSGSENT", "UP/DOWN", "STATE/PFXSNT", "DESCRIPTION")
    return [*lines, *table(titles, rows), *_others_lines(bgp)]


def _without_bfd(peer: Document) -> str:
    """What is missing where BFD is wanted and BGP does without; else nothing."""
    missing = peer["established"] and peer["bfd"] not in (None, "UP")
    return f"BFD is {peer['bfd']}: is it on at the router?" if missing else ""


def _peer_style(peer: Document) -> Style:
    if _without_bfd(peer):
        return Style.WORSE
    return Style.PLAIN if peer["established"] else Style.BAD


_PREFERENCES = {
    "us": Style.GOOD,
    "others": Style.PLAIN,
    "both": Style.WORSE,
    "alike": Style.WORSE,
    "nobody": Style.BAD,
}


def _others_lines(bgp: Document) -> list[Line]:
    """Who else announces our addresses, as far as we listen to it (bgp-import)."""
    rows = []
    for own in bgp["addresses"]:
        style = _PREFERENCES.get(own["preferred"], Style.PLAIN)
        first = (own["address"], own["preferred"] or "-")
        if not own["others"]:
            rows.append(row(*first, "-", "-", "-", "-", "-", style=style))
        for other in own["others"]:
            path = " ".join(map(str, other["as_path"])) or "-"
            med = "-" if other["med"] is None else other["med"]
            hop = other["next_hop"] or "-"
            rows.append(row(*first, other["peer"], other["prefix"], hop, med, path, style=style))
    titles = ("ADDRESS", "PREFERRED", "PEER SAYS", "PREFIX", "NEXT HOP", "MED", "PATH")
    return table(titles, rows) if rows else []


def peer_lines(bgp: Document, peer: Document, now: float) -> list[Line]:
    """All of one peer."""
    style = Style.PLAIN if peer["established"] else Style.BAD
    bfd_style = Style.WORSE if _without_bfd(peer) else Style.PLAIN
    received, sent = (sum(peer["messages"][way].values()) for way in ("received", "sent"))
    asn = "not known yet" if peer["asn"] is None else peer["asn"]
    lines = [
        Line(f"BGP neighbor {peer['address']}, AS {asn}", Style.HEAD),
        Line(f"  {peer['description']}") if peer["description"] else None,
        Line(f"  {_state(peer, now)}", style),
        _last_error_line(peer, now) if peer["last_error"] else None,
        Line(f"  hold time {peer['hold_time_s']} s") if peer["hold_time_s"] else None,
        Line(f"  {_without_bfd(peer) or 'BFD is ' + peer['bfd']}", bfd_style)
        if peer["bfd"]
        else None,
        Line(f"  messages: {received} received, {sent} sent"),
        Line(f"  sessions lost: {peer['sessions_lost']}"),
        Line(f"  routes of others for our addresses: {peer['heard']}") if peer["heard"] else None,
        *(Line(f"  capability {each}: {where}") for each, where in _capabilities(peer)),
        *(
            Line(f"  not told: {_prefixes(each['prefixes'])}: {each['reason']}", Style.WORSE)
            for each in peer["not_told"]
        ),
    ]
    told = set(peer["prefixes"])
    prefixes = [
        row(
            each["prefix"],
            each["next_hop"],
            "yes" if each["prefix"] in told else "no",
            each["med"],
            " ".join(each["communities"]),
            " ".join(each["services"]),
        )
        for each in bgp["prefixes"]
    ]
    titles = ("PREFIX", "NEXT HOP", "TOLD", "MED", "COMMUNITIES", "SERVICES")
    return [*(line for line in lines if line), *(table(titles, prefixes) if prefixes else [])]


def _state(peer: Document, now: float) -> str:
    if peer["away_since"]:
        return f"state {peer['state']}, no session for {since(peer['away_since'], now)}"
    return f"state {peer['state']} for {since(peer['since'], now)}"


def _last_error_line(peer: Document, now: float) -> Line:
    """That of a session that stands is of the time before it."""
    text = f"  last error: {_error(peer)} ({ago(peer['last_error']['at'], now)})"
    return Line(text, Style.PLAIN if peer["established"] else Style.WORSE)


def _capabilities(peer: Document) -> list[tuple[str, str]]:
    sent, received = peer["capabilities"]["sent"], peer["capabilities"]["received"]
    found = []
    for each in dict.fromkeys((*sent, *received)):
        ways = [word for word, those in (("sent", sent), ("received", received)) if each in those]
        found.append((each, " and ".join(ways)))
    return found


def _error(peer: Document) -> str:
    return peer["last_error"]["text"] if peer["last_error"] else ""


def _maintenance_lines(bgp: Document, now: float) -> list[Line]:
    return [
        Line(
            f"Maintenance of {one['service'] or 'this whole director'} for "
            f"{since(one['since'], now)}: {_progress(one, now)}",
            Style.WORSE,
        )
        for one in bgp["maintenance"]
    ]


def _progress(maintenance: Document, now: float) -> str:
    at = maintenance["withdrawn_at"]
    if at is None or maintenance["state"] == "withdrawn":
        return str(maintenance["state"])
    return f"{maintenance['state']}, withdrawn in {age(at['epoch'] - now)}"


def ipvs_lines(ipvs: Document, now: float) -> list[Line]:
    """The kernel's table: whether it is as it should be, and what passes through it."""
    audit, error = ipvs["audit"], ipvs["last_error"]
    sync = "as it should be" if ipvs["in_sync"] else "not yet as it should be"
    dry = " (a dry run)" if ipvs["dry_run"] else ""
    lines = [
        Line(
            f"{count(ipvs['services'], 'service')}, {count(ipvs['destinations'], 'destination')}: "
            f"{sync}{dry}",
            Style.GOOD if ipvs["in_sync"] else Style.WORSE,
        ),
        Line(
            f"{count(ipvs['changes_total'], 'change')}, {count(ipvs['errors_total'], 'error')}; "
            f"{_last_audit(audit, now)}, "
            f"{count(audit['repairs_total'], 'repair')}"
        ),
    ]
    if error:
        lines.append(Line(f"last error, {ago(error['at'], now)}: {error['text']}"))
    lines += [*_drift_lines(ipvs), *_unmanaged_lines(ipvs)]
    if ipvs["ownership_error"]:
        lines.append(Line(ipvs["ownership_error"], Style.BAD))
    lines += [_draining(each) for each in ipvs["draining"]]
    return [*lines, *_statistics_lines(ipvs["statistics"])]


def _last_audit(audit: Document, now: float) -> str:
    if audit["finished"] is None:
        return "no audit yet (ipvs-audit-interval)"
    return f"last audit {ago(audit['finished'], now)}"


def ipvs_diff(ipvs: Document, now: float) -> tuple[list[Line], bool]:
    """What of the kernel's table is not as it should be, as far as the daemon knows; whether
    anything is."""
    found = [*_drift_lines(ipvs), *_missing_lines(ipvs), *_unmanaged_lines(ipvs)]
    open_drift = any(not each["repaired"] for each in ipvs["audit"]["drift"])
    differs = bool(open_drift or ipvs["missing"] or ipvs["unmanaged"] or not ipvs["in_sync"])
    if not ipvs["in_sync"]:
        found.append(Line("the table is not yet as it should be", Style.WORSE))
    elif not differs:
        found.append(Line("The kernel's table is as it should be", Style.GOOD))
    audit = _last_audit(ipvs["audit"], now)
    return [*found, Line(f"{audit}, a dry run" if ipvs["dry_run"] else audit)], differs


def _drift_lines(ipvs: Document) -> list[Line]:
    lines = []
    for each in ipvs["audit"]["drift"]:
        done = "repaired" if each["repaired"] else "not repaired"
        what = "; ".join(each["differences"])
        lines.append(Line(f"changed by others ({done}): {each['service']}: {what}", Style.BAD))
    return lines


def _missing_lines(ipvs: Document) -> list[Line]:
    lines = []
    for each in ipvs["missing"]:
        what = ", ".join(each["servers"]) or "the service"
        if each["otherwise"]:
            what = "a change"
        lines.append(Line(f"not taken by the kernel: {what} of {each['service']}", Style.BAD))
    return lines


def _unmanaged_lines(ipvs: Document) -> list[Line]:
    if not ipvs["unmanaged"]:
        return []
    names = ", ".join(ipvs["unmanaged"])
    return [Line(f"not configured, left alone: {names}", Style.WORSE)]


def _prefixes(number: int) -> str:
    return count(number, "prefix", "prefixes")


def _draining(drain: Document) -> Line:
    connections = drain["connections"]
    left = "? connections" if connections is None else count(connections, "connection")
    host = f"{drain['host']} ({drain['server']})" if drain.get("host") else drain["server"]
    return Line(
        f"draining: {host} of {drain.get('name') or drain['service']}: {left}, "
        f"{age(drain['seconds_left'])} left"
    )


def _statistics_lines(statistics: Document | None) -> list[Line]:
    if statistics is None:
        return []
    rows = [
        row(
            each["name"] or each["service"],
            len(each["servers"]),
            sum(server["active_connections"] for server in each["servers"]),
            sum(server["inactive_connections"] for server in each["servers"]),
            each["traffic"]["connections_per_s"],
            each["traffic"]["bytes_in_per_s"],
            each["traffic"]["bytes_out_per_s"],
        )
        for each in statistics["services"]
    ]
    titles = ("SERVICE", "SERVERS", "ACTIVE", "INACTIVE", "CONN/S", "BYTES-IN/S", "BYTES-OUT/S")
    return table(titles, rows) if rows else []


def headline(document: Document) -> Line:
    """What `/alerts` says."""
    text = f"{document['status'].upper()} - {document['msg']}".rstrip()
    return Line(_ends_of(text), _SEVERITIES.get(document["status"], Style.PLAIN))


def _ends_of(text: str) -> str:
    """What is said of a thousand servers stands behind their names."""
    if len(text) <= 2 * _AT_EACH_END:
        return text
    first, last = text[:_AT_EACH_END], text[-_AT_EACH_END:]
    return f"{first}… (all of it: pybalctl --json alerts) …{last}"


def alerts_lines(document: Document, now: float) -> list[Line]:
    """All alerts, the most severe first, and where it says what to do."""
    lines = [headline(document)]
    for alert in document["alerts"]:
        text = f"{alert['severity'].upper()} {alert['id']}: {_ends_of(alert['text'])}"
        text += f" (since {local_time({'epoch': now - alert['age_s']})})"
        lines.append(Line(text, _SEVERITIES.get(alert["severity"], Style.PLAIN)))
    if document["alerts"]:
        lines.append(Line("What to do: the section of that name in operating.md" + _DOCUMENTS))
    return lines
