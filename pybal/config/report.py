"""What `pybal --check-config` prints. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields

from pybal.config.bgp_report import bgp_items, communities
from pybal.config.ipvs_report import kernel_items, ways_of_ipvs
from pybal.config.monitor_kinds import MonitorKinds
from pybal.config.problems import LoadResult, Problem, Severity
from pybal.config.settings import (
    BGPSettings,
    ListGuardSettings,
    MonitorSettings,
    ServiceBGP,
    ServiceSettings,
    Settings,
)
from pybal.config.source_url import source_url
from pybal.ipvs.settings import Cleanup
from pybal.net.addresses import endpoint
from pybal.runtime.naming import counted, named

_CLEANUP = {
    Cleanup.OWNED: "services of PyBal's own that are not configured go, others stay",
    Cleanup.NONE: "services that are not configured stay",
    Cleanup.ALL: "every service that is not configured goes, whoever made it",
}
_NAMED = 5
_ALWAYS_SHOWN = ("interval", "timeout", "max-delay")


def report(result: LoadResult, kinds: MonitorKinds, *, strict: bool = False) -> tuple[str, ...]:
    """The lines to print. `strict`: a warning is no better than an error.

    Problems come first, then the verdict or, if there is none to refuse it, what would run.
    """
    problems = [f"{p.severity.name}: {p}" for p in result.problems]
    counts = f"{counted(len(result.errors), 'error')}, {counted(len(result.warnings), 'warning')}"
    if result.notes:
        counts += f", {counted(len(result.notes), 'note')}"
    if result.settings is None:
        return (*problems, f"{result.file}: refused: {counts}")
    if not is_good(result, strict=strict):
        return (*problems, f"{result.file}: refused, as --strict wants it: {counts}")
    verdict = f"{result.file}: good: {counts}; this is what would run:"
    return (*problems, verdict, *_settings_lines(result.settings, kinds))


def is_good(result: LoadResult, *, strict: bool) -> bool:
    """Whether the file can be used; if it is to be `strict`, without a warning."""
    return result.settings is not None and not (strict and result.warnings)


def report_json(result: LoadResult, host_notes: Iterable[str], *, strict: bool = False) -> str:
    """The same as one JSON document, without what would run: `problems` in the file's order, each
    with severity, file, line, section, key, value, message and slip; what is not known is null.
    `refusal` are lines that say why the file cannot be used."""
    notes = [
        Problem(Severity.NOTE, result.file, None, None, None, None, note) for note in host_notes
    ]
    document = {
        "file": result.file,
        "good": is_good(result, strict=strict),
        "errors": len(result.errors),
        "warnings": len(result.warnings),
        "notes": len(result.notes) + len(notes),
        "refusal": result.refusal,
        "problems": [
            {**asdict(problem), "severity": problem.severity.value}
            for problem in (*result.problems, *notes)
        ],
    }
    return json.dumps(document, indent=2)


def host_notes(
    settings: Settings,
    is_local: Callable[[str], bool | None],
    is_interface: Callable[[str], bool],
    is_group: Callable[[str], bool],
) -> list[str]:
    """What of the configuration is not on this host."""
    return [
        *addresses_note(settings, is_local),
        *listening_notes(settings, is_local),
        *interfaces_note(settings, is_interface),
        *group_note(settings, is_group),
    ]


def addresses_note(settings: Settings, is_local: Callable[[str], bool | None]) -> list[str]:
    """What services' addresses are on no interface of this host, of which `is_local` knows."""
    addresses = {service.address: None for service in settings.services if not service.ipvs.fwmark}
    away = [address for address in addresses if is_local(str(address)) is False]
    if not away:
        return []
    first = f"{away[0]}/{away[0].max_prefixlen}"
    return [
        f"{named(away, _NAMED)} {'is' if len(away) == 1 else 'are'} on no interface of this host,"
        f" so the kernel will balance nothing that comes for {'it' if len(away) == 1 else 'them'}:"
        f" ip address add {first} dev lo"
    ]


def listening_notes(settings: Settings, is_local: Callable[[str], bool | None]) -> list[str]:
    """Where PyBal is to listen, but cannot on this host."""
    http, bgp = settings.instrumentation, settings.bgp
    wanted = {
        "instrumentation_ips": () if http is None else http.addresses,
        "bgp-local-ips": () if bgp is None else bgp.local_ips,
    }
    return [
        f"{address}, which {key} names, is on no interface of this host: nothing can listen there,"
        f" unless net.ipv{address.version}.ip_nonlocal_bind is set"
        for key, addresses in wanted.items()
        for address in addresses
        if not address.is_unspecified and is_local(str(address)) is False
    ]


def group_note(settings: Settings, exists: Callable[[str], bool]) -> list[str]:
    """That this host has no group of the name that control-socket-group has."""
    group = None if settings.control is None else settings.control.group
    if group is None or exists(group):
        return []
    return [
        f"no group {group} on this host, which control-socket-group names: only root may use the"
        f" control socket: groupadd {group}"
    ]


def interfaces_note(settings: Settings, exists: Callable[[str], bool]) -> list[str]:
    """What interfaces of BGP peers this host has not."""
    bgp = settings.bgp
    if bgp is None:
        return []
    names = [getattr(peer.address, "scope_id", None) for peer in bgp.peers]
    names += [one.interface for one in bgp.interface_peers]
    names += [options.interface for options in bgp.all_options]
    away = [name for name in dict.fromkeys(names) if name is not None and not exists(name)]
    return [f"no interface {name} on this host, which BGP is to use" for name in away]


def _settings_lines(settings: Settings, kinds: MonitorKinds) -> list[str]:
    lines = ["", "[global]"]
    if settings.dry_run:
        lines.append(_item("dry run", "yes: IPVS is left alone"))
    lines += [_item(name, text) for name, text in bgp_items(settings.bgp)]
    http = settings.instrumentation
    urls = [f"http://{endpoint(a, http.port)}" for a in http.addresses] if http else ["off"]
    lines.append(_item("instrumentation", ", ".join(urls)))
    lines.append(_item("control socket", _control(settings)))
    lines.append(_item("last good lists", str(settings.state_directory or "not kept")))
    if any(m.runs_commands for s in settings.services for m in s.monitors):
        lines.append(_item("commands at once", str(settings.runcommand_concurrency)))
        if settings.runcommand_user is not None:
            lines.append(_item("commands run as", str(settings.runcommand_user)))
    lines += [_item(name, text) for name, text in _ipvs_items(settings)]
    for service in settings.services:
        lines += _service_lines(service, settings.bgp, kinds)
    vips = {service.address for service in settings.services}
    total = f"{counted(len(settings.services), 'service')} on {counted(len(vips), 'VIP')}"
    return [*lines, "", total]


def _control(settings: Settings) -> str:
    control = settings.control
    if control is None or (settings.dry_run and not control.asked_for):
        return "off"
    return str(control)


def _ipvs_items(settings: Settings) -> list[tuple[str, str]]:
    ipvs = settings.ipvs
    cleanup = ipvs.cleanup
    words = _CLEANUP[cleanup]
    if cleanup is Cleanup.OWNED and settings.state_directory is None:
        words = "services that are not configured stay: without a state directory none is known"
    audit = f"every {ipvs.audit_interval_s:g} s" if ipvs.audit_interval_s else "never"
    return [
        ("IPVS audit", audit),
        ("IPVS cleanup", f"{cleanup.value}: {words}"),
        ("IPVS statistics", "yes" if ipvs.statistics else "no"),
        *kernel_items(ipvs.kernel),
    ]


def _announcement(service: ServiceSettings, bgp: BGPSettings) -> str:
    if not service.bgp.announced:
        return "not announced"
    med = bgp.med if service.bgp.med is None else service.bgp.med
    below = service.bgp.withdraw_below
    if below is None:
        return f"announced with MED {med}"
    share = f"{float(below):.0%} of its servers are" if below else "a server is"
    return f"announced with MED {med} while {share} up"


def _service_lines(
    service: ServiceSettings, bgp: BGPSettings | None, kinds: MonitorKinds
) -> list[str]:
    where = f"{service.protocol.value} {endpoint(service.address, service.port)}"
    ways = ways_of_ipvs(service)
    if bgp is not None:
        ways.append(_announcement(service, bgp))
    lines = [
        "",
        f"[{service.name}] {where}, {', '.join(ways)}",
        _item("servers", source_url(service.source)),
        _item("depool threshold", f"{float(service.depool_threshold):g}"),
    ]
    if service.list_guard != ListGuardSettings():
        lines.append(_item("list floor", _list_floor(service)))
    if not service.flap_damping:
        lines.append(_item("flap damping", "off"))
    if service.drain_timeout_s is not None:
        lines.append(_item("depooling", f"drains for up to {service.drain_timeout_s:g} s"))
    if bgp is not None and service.bgp.announced:
        lines += _communities(service.bgp)
    if not service.monitors:
        lines.append(_item("monitors", "none: its servers are never checked"))
    return lines + [_monitor_line(monitor, kinds) for monitor in service.monitors]


def _communities(bgp: ServiceBGP) -> list[str]:
    """Those that it has of its own."""
    lines = []
    if bgp.communities is not None:
        lines.append(_item("communities", communities(bgp.communities, ())))
    if bgp.large_communities is not None:
        lines.append(_item("large communities", communities((), bgp.large_communities)))
    return lines


def _list_floor(service: ServiceSettings) -> str:
    floor, guard = service.list_floor, service.list_guard
    if not floor:
        return "none: any list is applied at once"
    end = "" if guard.hold_s is None else f", held for {guard.hold_s:g} s at most"
    return f"{float(floor):g} within {guard.window_s:g} s{end}"


def _monitor_line(monitor: MonitorSettings, kinds: MonitorKinds) -> str:
    """What it checks and when, and what is not as usual."""
    kind = kinds.by_name[monitor.monitor]
    defaults = {field.name: field.default for field in fields(monitor)}
    options = [
        f"{option.name} {option.kind.show(getattr(monitor, option.field))}"
        for option in kind.options
        if option.name in _ALWAYS_SHOWN or getattr(monitor, option.field) != defaults[option.field]
    ]
    return _item(kind.name, ", ".join(options) or "defaults")


def _item(name: str, text: str) -> str:
    return f"    {name:<18} {text}"
