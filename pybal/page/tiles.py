"""The tiles at the head of the overview: each part of the director in two words. Pure."""

from __future__ import annotations

from collections import Counter

from pybal.bgp.snapshot import BGPSnapshot
from pybal.config.snapshot import ConfigSnapshot, ReloadOutcome
from pybal.ipvs.snapshot import IPVSSnapshot
from pybal.model import DaemonSnapshot, Severity
from pybal.page.html import Markup, element
from pybal.page.piece import Piece
from pybal.page.seen import Seen
from pybal.page.tally import Care, Standing


def tiles(seen: Seen, hosts_out: int) -> tuple[Piece, ...]:
    """In the order of the page."""
    values = (
        ("Alerts", "alerts-h", *_alerts(seen)),
        ("Services", "services-h", *_services(seen)),
        ("Hosts out", "hosts-h", f"{hosts_out:,}" if hosts_out else "none", _hosts(seen)),
        ("BGP", "bgp-h", *_bgp(seen.bgp)),
        ("Kernel", "kernel-h", *_kernel(seen.ipvs)),
        ("Lists", "lists-h", *_lists(seen)),
        ("Configuration", "config-h", *_config(seen.config)),
        ("Director", "daemon-h", *_daemon(seen.daemon)),
    )
    return tuple(Piece(f"tile-{where}", _tile, each) for each in values for where in each[1:2])


def _tile(id_: str, name: str, where: str, value: str, level: str) -> Markup:
    return element(
        "li",
        element(
            "a",
            element("span", name, class_="name"),
            " ",
            element("span", value, class_="value"),
            href=f"#{where}",
        ),
        id=id_,
        class_=level,
    )


def _alerts(seen: Seen) -> tuple[str, str]:
    if seen.alerts and all(each.alert.severity is Severity.OK for each in seen.alerts):
        return f"{len(seen.alerts):,} known", "off"
    severities = {each.alert.severity for each in seen.alerts}
    worst = next((s for s in (Severity.CRITICAL, Severity.WARNING) if s in severities), Severity.OK)
    return f"{len(seen.alerts):,}" if seen.alerts else "none", worst.value


def _services(seen: Seen) -> tuple[str, str]:
    standings = Counter(each.standing for each in seen.services)
    worst = next((s for s in Standing if standings[s]), Standing.FINE)
    fine, all_ = standings[Standing.FINE], len(seen.services)
    value = f"{all_:,} ok" if fine == all_ else f"{fine:,}/{all_:,} ok"
    return value, worst.level


def _hosts(seen: Seen) -> str:
    """What was depooled in time is no catastrophe."""
    if any(care is Care.HELD for each in seen.services for _, care in each.out):
        return "critical"
    return "warning" if any(each.out for each in seen.services) else "ok"


def _bgp(bgp: BGPSnapshot) -> tuple[str, str]:
    if not bgp.enabled:
        return "off", "off"
    up, all_ = sum(peer.established for peer in bgp.peers), len(bgp.peers)
    if bgp.maintenance:
        return "maintenance", "warning"
    level = "ok" if up == all_ else "warning" if up else "critical"
    return f"{up}/{all_} up", level if bgp.announced or up == all_ else "degraded"


def _kernel(ipvs: IPVSSnapshot) -> tuple[str, str]:
    if ipvs.dry_run:
        return "dry run", "off"
    if ipvs.missing:
        return "refuses", "critical"
    if ipvs.audit.drift:
        return "drift", "warning"
    return ("in sync", "ok") if ipvs.in_sync else ("at work", "degraded")


def _lists(seen: Seen) -> tuple[str, str]:
    held = sum(bool(each.service.held) for each in seen.services)
    if held:
        return f"{held} held", "warning"
    damaged = sum(bool(each.service.source.damage) for each in seen.services)
    if damaged:
        return f"{damaged} damaged", "warning"
    old = sum(each.service.source.stale for each in seen.services)
    return (f"{old} old", "warning") if old else ("fresh", "ok")


def _config(config: ConfigSnapshot) -> tuple[str, str]:
    last = config.last_reload
    if config.in_part:
        return ReloadOutcome.IN_PART.value, "warning"
    if config.is_last_good:
        return "last good", "warning"
    if last is not None and not last.successful:
        return last.outcome.value, "warning"
    if config.differs_since is not None:
        return "differs", "degraded"
    return ("needs restart", "degraded") if config.needs_restart else ("as on disk", "ok")


def _daemon(daemon: DaemonSnapshot) -> tuple[str, str]:
    if daemon.health.isolation.since is not None:
        return "isolated", "critical"
    if daemon.health.local_fault:
        return "local fault", "warning"
    return ("dry run", "off") if daemon.dry_run else ("well", "ok")
