"""Services, servers and their sources, from `/api/v1` to lines, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pybal.ctl.local_time import local_time, with_local_times
from pybal.ctl.table import Line, Row, Style, age, count, row, table

Document = dict[str, Any]

_STYLES = (Style.PLAIN, Style.WORSE, Style.BAD)
_BAD = 2
_GRADES = {"critical": _BAD, "warning": 1}
_IN_COUNTS = {"down-but-pooled", "nobody-served", "list-held", "list-damaged", "list-stale"}
"""Alerts whose note says more than their identifier would."""


def status_lines(
    services: Sequence[Document], bgp: Document, alerts: Sequence[Document] = ()
) -> list[Line]:
    """All services at a glance."""
    told: dict[str, dict[str, int]] = {}
    for alert in alerts:
        if alert["service"] is not None and alert["id"] not in _IN_COUNTS:
            grade = _GRADES.get(alert["severity"], 0)
            of_service = told.setdefault(alert["service"], {})
            of_service[alert["id"]] = max(grade, of_service.get(alert["id"], 0))
    judged = sorted(
        ((_judge(service, told.get(service["name"], {})), service) for service in services),
        key=lambda pair: (-pair[0][0], _share_up(pair[1]), pair[1]["name"]),
    )
    rows = [_service_row(service, grade, notes) for (grade, notes), service in judged]
    titles = ("SERVICE", "ADDRESS", "SERVERS", "ENABLED", "UP", "POOLED", "NOTE")
    worse = sum(grade > 0 for (grade, _), _ in judged)
    how = f"{worse} of them to look at" if worse else "all well"
    ids = {alert["id"] for alert in alerts}
    if "isolated" in ids:
        how = "held as they are"  # nobody knows how they are
    elif "local-fault" in ids and not worse:
        how += " as far as they are checked"
    all_of_them = f"{count(len(services), 'service')}, {how}" if services else "no services"
    return [
        Line(f"{all_of_them}{_peers(bgp)}"),
        *(table(titles, rows) if rows else []),
    ]


def heading(daemon: Document, now: float) -> list[Line]:
    """What runs, and what of it is not as it should be."""
    dry = ", a dry run: IPVS is left alone" if daemon["dry_run"] else ""
    lines = [
        Line(
            f"PyBal {daemon['version']} on {daemon['director']['name']}, "
            f"running for {since(daemon['started_at'], now)}{dry}",
            Style.HEAD,
        )
    ]
    config = daemon.get("config") or {}
    if config.get("is_last_good"):
        lines.append(Line("The last good pybal.conf runs: the file has errors", Style.BAD))
    last = config.get("last_reload") or {}
    failed = last.get("outcome") == "applied in part"
    in_part = failed or config.get("in_part")
    if in_part:
        text = "pybal.conf was applied in part: pybalctl reload does what is missing"
        lines.append(Line(text, Style.BAD))
    if last and not (last["successful"] or failed or config.get("is_last_good")):
        runs = "what was applied in part" if in_part else "the former one"
        text = f"pybal.conf was refused, {runs} runs: pybal --check-config says why"
        lines.append(Line(text, Style.BAD))
    elif config.get("differs_since") and not in_part:
        text = "pybal.conf on disk is not what runs: pybalctl config diff, pybalctl reload"
        lines.append(Line(text, Style.WORSE))
    return lines + cut_off_lines(daemon, now)


def cut_off_lines(daemon: Document, now: float) -> list[Line]:
    """That what monitors find does not count now, if that is so."""
    at = daemon["health"]["isolation"]["since"]
    if not at:
        return []
    text = f"This director seems to be cut off from its servers, for {since(at, now)}"
    return [Line(f"{text}: failures wait, pools are held as they are", Style.BAD)]


def _peers(bgp: Document) -> str:
    if not bgp["enabled"]:
        return "; BGP is off"
    established = sum(peer["established"] for peer in bgp["peers"])
    within = [one.get("service") for one in bgp["maintenance"]]
    rest = ""
    if None in within:
        rest = "; in maintenance"
    elif within:
        rest = f"; {count(len(within), 'service')} in maintenance"
    return f"; {established} of {count(len(bgp['peers']), 'BGP peer')} established{rest}"


def _judge(service: Document, alerts: Mapping[str, int]) -> tuple[int, list[str]]:
    """How bad it is (0 well, 1 worse, 2 bad), and why; with alerts that its counts do not show."""
    counts, source = service["counts"], service["source"]
    found: list[tuple[int, str]] = []
    down = counts["enabled"] - _enabled_up(counts)
    if not counts["servers"]:
        found.append((_BAD, "no servers"))
    elif not counts["enabled"]:
        found.append((1, "all disabled"))
    elif not counts["up"]:
        found.append((_BAD, "none is up"))
    elif down > 0:
        found.append((1, f"{down} down"))
    if counts["pooled_down"]:
        found.append((_BAD, f"{counts['pooled_down']} pooled though down"))
    if counts["enabled"] and not counts["pooled"]:
        found.append((_BAD, "none is pooled"))
    found += _asides(counts)
    if counts["held"]:
        found.append((1, f"{counts['held']} held: pybalctl pool {service['name']}"))
    if source["stale"]:
        found.append((1, "no list yet" if _has_no_list(service) else "list is stale"))
    if source["damage"]:
        found.append((1, "list is damaged"))
    found += [(grade, id_) for id_, grade in alerts.items()]
    return max((grade for grade, _ in found), default=0), [text for _, text in found]


def _has_no_list(service: Document) -> bool:
    return service["source"]["last_good"] is None and not service["counts"]["servers"]


def _asides(counts: Document) -> Iterable[tuple[int, str]]:
    """What is wanted so."""
    for what in ("draining", "overridden"):
        if counts.get(what):
            yield 0, f"{counts[what]} {what}"
    disabled = counts["servers"] - counts["enabled"]
    if disabled and counts["enabled"]:
        yield 0, f"{disabled} disabled"


def _enabled_up(counts: Document) -> int:
    """Disabled servers may be up, too; how many is not said, so the most that can be."""
    return min(int(counts["up"]), int(counts["enabled"]))


def _share_up(service: Document) -> float:
    counts = service["counts"]
    return counts["up"] / counts["servers"] if counts["servers"] else 0.0


def _service_row(service: Document, grade: int, notes: Iterable[str]) -> Row:
    counts = service["counts"]
    return row(
        service["name"],
        _endpoint(service),
        counts["servers"],
        counts["enabled"],
        counts["up"],
        counts["pooled"],
        "; ".join(notes),
        style=_STYLES[grade],
    )


def _endpoint(service: Document) -> str:
    address = service["address"]
    host = f"[{address}]" if ":" in address else address
    return f"{service['protocol']} {host}:{service['port']}"


def pool_lines(service: Document, now: float) -> list[Line]:
    """A pool and its servers."""
    source = service["source"]
    lines = [
        Line(f"{service['name']}: {_endpoint(service)}, {service['scheduler']}", Style.HEAD),
        Line(
            f"depool threshold {service['depool_threshold']:g}; list {source['url']}, "
            f"last good {ago(source['last_good'], now)}"
        ),
    ]
    lines += _source_problems(service)
    lines += [_held_line(service["name"], change, now) for change in service["held"]]
    if not service["servers"]:
        return [*lines, Line("no servers", Style.BAD)]
    return [*lines, *_servers_by("host", service["servers"])]


def _held_line(name: str, change: Document, now: float) -> Line:
    servers, held = ", ".join(change["servers"]), since(change["since"], now)
    if change["waiting"]:
        text = f"the list takes away {servers}: waits for its new servers to work, for {held}"
    else:
        text = (
            f"the list takes away {servers}, which would leave {change['left']} of the "
            f"{change['required']} that are required: held for {held}; pybalctl confirm {name}"
        )
    return Line(text, Style.WORSE)


def server_lines(servers: Sequence[Document]) -> list[Line]:
    """A server in all its services."""
    return _servers_by("service", servers)


def _servers_by(first: str, servers: Sequence[Document]) -> list[Line]:
    """A table of servers, the worst above; `first` is the field that tells one from another."""
    rows = [
        row(
            server[first],
            server["address"],
            server["weight"],
            server["state"],
            _trouble(server),
            style=_STYLES[_server_grade(server)],
        )
        for server in sorted(servers, key=lambda s: (-_server_grade(s), s[first]))
    ]
    return table((first.upper(), "ADDRESS", "WEIGHT", "STATUS", "REASON"), rows)


def _server_grade(server: Document) -> int:
    if server["pooled"] and not server["up"]:
        return _BAD
    well = server["up"] and server["pooled"]
    return 0 if well or not server["enabled"] else 1


def _trouble(server: Document) -> str:
    """What an operator said of it for a time; what its first monitor that is not up has said."""
    return "; ".join(filter(None, (_drain(server), _override(server), _fault(server))))


def _drain(server: Document) -> str:
    left = server["draining"]
    if left is None:
        return ""
    connections, seconds = left["connections"], left["seconds_left"]
    if connections is None:
        return "connections not counted"
    text = f"{count(connections, 'connection')} left"
    return text if seconds is None else f"{text}, for {age(seconds)}"


def _override(server: Document) -> str:
    override = server["override"]
    if override is None:
        return ""
    if override["suspended"]:
        return f"not {override['text']}: {override['suspended']}"
    return str(override["text"])


def _fault(server: Document) -> str:
    if not server["ready"]:
        return "its address is not known"
    for monitor in server["monitors"]:
        if monitor["up"] is not True:
            last = monitor["last_result"]
            return f"{monitor['name']}: {last['reason'] if last else 'no result yet'}"
    hold_down = (server["why"] or {}).get("hold_down")
    if hold_down:
        until = local_time(hold_down["until"])
        return f"up; flapped {hold_down['flaps']} times: held down until {until}"
    return ""


def why_lines(servers: Sequence[Document], now: float) -> list[Line]:
    """Why a server is or is not pooled, and what each monitor last found."""
    lines: list[Line] = []
    for server in servers:
        style = _STYLES[_server_grade(server)]
        lines.append(Line(f"{server['service']}: {server['host']} is {server['state']}", style))
        why = server["why"]
        text = with_local_times(why["text"]) if why else "Nothing has been decided yet."
        lines.append(Line(f"  {text}"))
        if _drain(server):
            lines.append(Line(f"  It drains: {_drain(server)}"))
        if _override(server):
            lines.append(Line(f"  An operator's override: {_override(server)}", Style.WORSE))
        if server.get("same_address"):
            lines.append(Line(f"  {server['same_address']['text']}", Style.WORSE))
        if server.get("held"):
            held = _held_line(server["service"], server["held"], now)
            lines.append(Line(f"  Kept: {held.text}", held.style))
        if not server["ready"]:
            lines.append(
                Line("  Its address is not known; the log says why (resolver).", Style.BAD)
            )
        lines += [_monitor_line(monitor, now) for monitor in server["monitors"]]
    return lines


def _monitor_line(monitor: Document, now: float) -> Line:
    state = {True: "up", False: "down", None: "unknown"}[monitor["up"]]
    style = Style.BAD if monitor["up"] is False else Style.PLAIN
    last = monitor["last_result"]
    if last is None:
        return Line(f"  {monitor['name']}: {state}, no result yet", style)
    did, outcome = "last check", "good" if last["up"] else last["reason"] or "failed"
    if monitor["name"] == "IdleConnection" and last["up"]:
        # It checks again only once its connection is lost: what is old is not late.
        did, outcome = "its connection of", "good, and it is held"
    return Line(
        f"  {monitor['name']}: {state} for {since(monitor['since'], now)}; {did} "
        f"{ago(last['at'], now)} took {last['duration_s']:.3f} s: {outcome}",
        style,
    )


def check_lines(document: Document, *, verbose: bool) -> list[Line]:
    """What each monitor of a server found just now; `verbose`: how."""
    lines = [Line(f"{document['service']}: {document['host']} ({document['address']})", Style.HEAD)]
    for check in document["checks"]:
        state = {True: "up", False: "down", None: "no result"}[check["up"]]
        lines.append(
            Line(
                f"{check['monitor']}: {state} after {check['duration_s']:.3f} s: {check['reason']}",
                Style.GOOD if check["up"] else Style.BAD,
            )
        )
        if verbose:
            steps = check["exchange"]
            lines += [Line(f"  {step['at_s']:7.3f} s  {step['text']}") for step in steps]
    return lines


def sources_lines(services: Sequence[Document], now: float) -> list[Line]:
    """Where the pool lists come from, and how that goes."""

    def grade(service: Document) -> int:
        source = service["source"]
        bad = source["stale"] or source["damage"] or source["last_error"]
        return 1 if bad or service["counts"]["held"] else 0

    rows = [
        row(
            service["name"],
            _source_state(service),
            ago(service["source"]["last_good"], now),
            service["source"]["url"],
            service["source"]["last_error"] or "; ".join(service["source"]["damage"]),
            style=_STYLES[grade(service)],
        )
        for service in sorted(services, key=lambda s: (-grade(s), s["name"]))
    ]
    return table(("SERVICE", "STATE", "LAST GOOD", "SOURCE", "ERROR"), rows)


def _source_state(service: Document) -> str:
    source, held = service["source"], service["counts"]["held"]
    stale = "none" if _has_no_list(service) else "stale"
    states = ((stale, source["stale"]), ("damaged", source["damage"]), ("held", held))
    return "+".join(word for word, is_so in states if is_so) or "good"


def _source_problems(service: Document) -> list[Line]:
    source, lines = service["source"], []
    if source["stale"]:
        error = source["last_error"] or "no reading of it has succeeded since the start"
        what = "there is no list yet" if _has_no_list(service) else "the list is stale"
        lines.append(Line(f"{what}: {error}", Style.WORSE))
    lines += [Line(f"the list is damaged: {each}", Style.WORSE) for each in source["damage"]]
    if source["kept"]:
        lines.append(Line(f"kept meanwhile: {', '.join(source['kept'])}", Style.WORSE))
    return lines


def ago(instant: Document | None, now: float) -> str:
    """When a moment was."""
    return "never" if instant is None else f"{since(instant, now)} ago"


def clock_time(instant: Document | None) -> str:
    """A moment as `2026-11-28 15:00 UTC`."""
    return "-" if instant is None else f"{instant['iso'][:16].replace('T', ' ')} UTC"


def since(instant: Document | None, now: float) -> str:
    """For how long something has been so."""
    return "-" if instant is None else age(now - instant["epoch"])
