"""The system's name configuration and DNS answers, read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pybal.model import IPAddress
from pybal.net.addresses import parse_address, parse_scoped_address, why_unusable

MAX_NAMESERVERS = 3
"""As many as the C library asks."""

_MAX_ALIASES = 16


class Addresses(NamedTuple):
    """What a name stands for; never empty. `ttl_s` is how long that may be relied on."""

    addresses: tuple[IPAddress, ...]
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """A resource record of an answer: an address, or (an alias's) another name."""

    name: str
    value: IPAddress | str
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Alias:
    """An answer that ends in another name, which is still to be asked for."""

    name: str
    ttl_s: float


class ResolvConf(NamedTuple):
    """The parts of resolv.conf(5) that count here."""

    nameservers: tuple[str, ...]
    search: tuple[str, ...]


def normal_name(name: str) -> str:
    """The form in which equal names are equal."""
    return name.lower().removesuffix(".")


def usable(found: Addresses) -> Addresses | str:
    """What of an answer can be the address of a host; if nothing can, why not."""
    good = tuple(address for address in found.addresses if not why_unusable(address))
    if not good:
        return f"{found.addresses[0]} {why_unusable(found.addresses[0])}"
    return found._replace(addresses=good)


def parse_hosts(text: str) -> Mapping[str, tuple[IPAddress, ...]]:
    """hosts(5): normal name -> addresses of either family, in the file's order. Lines that
    make no sense are passed over, as the C library does."""
    hosts: dict[str, tuple[IPAddress, ...]] = {}
    for line in text.splitlines():
        literal, *names = line.partition("#")[0].split() or [""]
        address = parse_address(literal)
        if address is None:
            continue
        for name in map(normal_name, names):
            hosts[name] = (*hosts.get(name, ()), address)
    return hosts


def parse_resolv_conf(text: str) -> ResolvConf:
    """resolv.conf(5): without a usable nameserver line the local one is asked; of several
    search or domain lines the last counts. Options are not used."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    for line in text.splitlines():
        # A comment's first word is no keyword.
        keyword, *values = line.split() or [""]
        server = parse_scoped_address(values[0]) if keyword == "nameserver" and values else None
        if server is not None:
            # As the kernel writes it: answers are compared with whom was asked.
            nameservers.append(str(getattr(server, "ipv4_mapped", None) or server))
        elif keyword in ("search", "domain"):
            search = tuple(domain.strip(".") for domain in values if domain.strip("."))
    return ResolvConf(tuple(nameservers[:MAX_NAMESERVERS]) or ("127.0.0.1",), search)


def candidates(host: str, search: Sequence[str]) -> list[str]:
    """The full names to ask for, in order: a single label is tried within each search domain
    and then by itself; a name with a dot is taken as it is."""
    name = host.removesuffix(".")
    if "." in host:
        return [name]
    return [*(f"{name}.{domain}" for domain in search), name]


def follow(name: str, family: int, records: Iterable[Record]) -> Addresses | Alias | None:
    """What an answer says of `name`, through any chain of aliases within it.

    Addresses of the family 4 or 6; or the Alias where the chain leaves the answer; or None if
    there is neither. Records of names outside of the chain do not count.
    """
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(normal_name(record.name), []).append(record)
    current = normal_name(name)
    ttl_s = float("inf")
    for _ in range(_MAX_ALIASES):
        known = by_name.get(current, [])
        found = [r for r in known if not isinstance(r.value, str) and r.value.version == family]
        if found:
            addresses = tuple(r.value for r in found if not isinstance(r.value, str))
            return Addresses(addresses, min(ttl_s, *(r.ttl_s for r in found)))
        alias = next((r for r in known if isinstance(r.value, str)), None)
        if alias is None:
            return None if current == normal_name(name) else Alias(current, ttl_s)
        ttl_s = min(ttl_s, alias.ttl_s)
        current = normal_name(str(alias.value))
    return None
