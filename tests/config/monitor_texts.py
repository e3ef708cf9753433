"""Services with one monitor or other lines, read."""

from __future__ import annotations

from tests.config.texts import (
    KINDS,
    service,
)

MONITORS = KINDS.by_name

NEEDED = {
    "IdleConnection": {},
    "ProxyFetch": {"proxyfetch__url": "http://h/"},
    "DNSQuery": {"dnsquery__hostnames": "example.org"},
    "UDP": {"protocol": "udp"},
    "RunCommand": {"runcommand__command": "/bin/true"},
    "Ping": {},
    "TCPCheck": {},
}


def with_monitor(name: str, **options: str | None) -> str:
    """A service with one monitor. An option's name has `__` for the dot and `_` for `-`."""
    needed: dict[str, str | None] = {**NEEDED[name]}
    return service(monitors=f"['{name}']", **needed | options)


def with_lines(name: str, *lines: str) -> str:
    return with_monitor(name) + "\n".join(lines) + "\n"
