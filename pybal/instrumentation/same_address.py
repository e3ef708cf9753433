"""Servers of a service that have the same address: for IPVS they are one, with the weight of the
first that is pooled. What that makes of an operator's word is to be said. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pybal.model import IPAddress, ServerSnapshot
from pybal.runtime.naming import named

Sharing = Mapping[IPAddress, Sequence[ServerSnapshot]]


class Contradiction(NamedTuple):
    """`hosts` at an address are wanted otherwise by operators than others are."""

    address: str
    hosts: tuple[str, ...]
    text: str


def sharing(servers: Iterable[ServerSnapshot]) -> Sharing:
    """The addresses that several have, each with these, in the list's order."""
    there: dict[IPAddress, list[ServerSnapshot]] = {}
    for server in servers:
        if server.address is not None:
            there.setdefault(server.address, []).append(server)
    return {address: found for address, found in there.items() if len(found) > 1}


def same_address(server: ServerSnapshot, found: Sharing) -> dict[str, object] | None:
    """Who else has a server's address, and what that means."""
    there = () if server.address is None else found.get(server.address, ())
    if not there:
        return None
    others = [each.host for each in there if each.host != server.host]
    weight = next((f"{each.host}, {each.weight}" for each in there if each.pooled), "")
    means = f"with the weight of the first that is pooled: {weight}" if weight else "and not pooled"
    text = f"It has the address of {named(others)}, too: for IPVS they are one server, {means}."
    return {"hosts": others, "text": text}


def contradictions(servers: Sequence[ServerSnapshot]) -> Iterator[Contradiction]:
    """Where operators take out one of several that have an address, and another is pooled."""
    if not any(map(_is_out, servers)):
        return
    for address, there in sharing(servers).items():
        out = tuple(each.host for each in there if _is_out(each))
        pooled = tuple(each.host for each in there if each.pooled and not _is_out(each))
        if not out or not pooled:
            continue
        first = next(each for each in there if each.pooled)
        if first.weight == 0:
            text = f"{named(pooled)} gets no new connections, as {first.host} has weight 0"
        else:
            text = f"{named(out)} still gets connections, as {first.host} is pooled"
        text += f": they have the same address, {address}, and are one server for IPVS"
        yield Contradiction(str(address), (*out, *pooled), text)


def _is_out(server: ServerSnapshot) -> bool:
    return server.over is not None and server.over.takes_out
