"""What one pool list has otherwise than another, in pieces. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pybal.model import ServerSpec
from pybal.override import LaidOver
from pybal.pool.member import Member
from pybal.runtime.pieces import Pieces, piecewise

Specs = Mapping[str, ServerSpec]
"""A list, by host, in its order."""


def counts(spec: ServerSpec | None) -> bool:
    """Whether a server is to get connections, as far as a list says."""
    return spec is not None and spec.enabled and spec.weight > 0


def differs(spec: ServerSpec, over: LaidOver | None, known: Member | None) -> bool:
    """Whether a server is new, or otherwise than the policy knows it."""
    if known is None or over != known.over:
        return True
    return spec is not known.spec and spec != known.spec


def taken_away(in_force: Specs, wanted: Specs) -> Pieces[dict[str, None]]:
    """Those of the list in force that count there, and not in the wanted one."""
    taken: dict[str, None] = {}

    def look(part: list[tuple[str, ServerSpec]]) -> None:
        for host, spec in part:
            if counts(spec) and not counts(wanted.get(host)):
                taken[host] = None

    yield from piecewise(look, in_force.items())
    return taken


def composed(wanted: Specs, in_force: Specs, kept: Collection[str]) -> Pieces[Specs]:
    """The wanted list with the kept servers as they were."""
    if not kept:
        return wanted
    listed: dict[str, ServerSpec] = {}
    yield from piecewise(
        lambda part: listed.update((h, in_force[h] if h in kept else spec) for h, spec in part),
        wanted.items(),
    )
    yield from piecewise(
        lambda part: listed.update((h, s) for h, s in part if h in kept and h not in wanted),
        in_force.items(),
    )
    return listed
