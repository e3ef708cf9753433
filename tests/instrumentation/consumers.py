"""What reads the instrumentation in production, each written as it reads: one `get`, no more.

Each takes `get(path, accept)` and gives what it would act upon; what it could not read is a
ValueError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Get = Callable[[str, str], tuple[int, str]]
"""Path and Accept header to status and body."""

ANY = "*/*"
JSON = "application/json"


def _ok(answer: tuple[int, str]) -> str:
    status, body = answer
    if not 200 <= status < 300:
        raise ValueError(f"HTTP status {status}")
    return body


def backends_check(get: Get) -> str:
    """OK, WARNING or CRITICAL."""
    status, body = get("/alerts", ANY)
    if 200 <= status < 300:
        for word in ("OK", "WARNING"):
            if body.startswith(word):
                return word
    return "CRITICAL"


def ipvs_difference_check(get: Get) -> dict[str, set[str]]:
    """The servers of each pool that should stand in the kernel."""
    pooled: dict[str, set[str]] = {}
    for pool in _ok(get("/pools", ANY)).split("\n"):
        if not pool:
            continue
        pooled[pool] = set()
        for line in _ok(get(f"/pools/{pool}", ANY)).split("\n"):
            if line.endswith("/pooled"):
                pooled[pool].add(line.split(":")[0])
    return pooled


def safe_restart(get: Get, pool: str, host: str) -> dict[str, Any] | None:
    """The server object, or None if the balancer does not know the server."""
    status, body = get(f"/pools/{pool}/{host}", JSON)
    if status == 404:
        return None
    server = json.loads(_ok((status, body)))
    if set(server) != {"enabled", "pooled", "up", "weight"}:
        raise ValueError(f"unexpected keys: {sorted(server)}")
    return dict(server)


def pooler_loop(get: Get, pool: str, host: str) -> tuple[str, str, str]:
    """Enabled, up and pooled, in words."""
    enabled, up, pooled = _ok(get(f"/pools/{pool}/{host}", ANY)).rstrip("\n").split("/")
    return enabled, up, pooled


def lag_updater(get: Get, pool: str) -> set[str]:
    """The pooled servers, by FQDN."""
    servers = json.loads(_ok(get(f"/pools/{pool}", JSON)))
    return {fqdn for fqdn, server in servers.items() if server["pooled"]}


def prometheus(get: Get) -> list[tuple[str, dict[str, str], float]]:
    """All samples."""
    families = text_string_to_metric_families(_ok(get("/metrics", "text/plain")))
    return [(s.name, s.labels, s.value) for family in families for s in family.samples]


def bgp_alert(get: Get) -> list[str]:
    """Peers for which `pybal_bgp_session_established != 1 and on() pybal_bgp_enabled == 1`."""
    samples = prometheus(get)
    enabled = [labels for n, labels, v in samples if n == "pybal_bgp_enabled" and v == 1]
    if enabled != [{}]:
        return []
    return [
        labels["peer"]
        for name, labels, value in samples
        if name == "pybal_bgp_session_established" and value != 1
    ]


def backend_alert(get: Get) -> set[tuple[str, str, str]]:
    """Service, host and monitor where the status is 0 and down results were counted."""

    def where(metric: str, wanted: Callable[[float], bool]) -> set[tuple[str, str, str]]:
        return {
            (labels["service"], labels["host"], labels["monitor"])
            for name, labels, value in prometheus(get)
            if name == metric and wanted(value)
        }

    down = where("pybal_monitor_status", lambda v: v == 0)
    return down & where("pybal_monitor_down_results_total", lambda v: v > 0)


def restart_procedure(get: Get) -> dict[str, str]:
    """The value of each BGP session's line, by peer."""
    pattern = r'^pybal_bgp_session_established\{local_asn="(\d+)",peer="(.+?)"\} (.+)$'
    matches = (re.match(pattern, line) for line in _ok(get("/metrics", ANY)).split("\n"))
    return {match[2]: match[3] for match in matches if match}
