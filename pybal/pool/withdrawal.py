"""bgp-withdraw-on-down: are enough servers up for the service's address to be announced? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pybal.pool.policy import PoolState


@dataclass(frozen=True, slots=True)
class Health:
    """How many servers are `enabled`. Of these, how many are `up` for the pooling policy, which
    takes a new server for up, and of how many all monitors have `confirmed` that they are up."""

    enabled: int
    up: int
    confirmed: int


def health(state: PoolState) -> Health:
    """The health of a pool. A server without monitors counts as confirmed."""
    members = state.members.values()
    return Health(
        enabled=sum(m.spec.enabled for m in members),
        up=state.up_count,
        confirmed=sum(m.up and m.eligible and all(m.results.values()) for m in members),
    )


def is_announced(health: Health, below: Fraction, *, before: bool) -> bool:
    """Whether the address is to be announced if at least one server must be up, and not less
    than the share `below` of the enabled ones.

    An address that is announced stays so if the pool list brings new servers, which are taken for
    up. One that was not announced `before` waits for confirmed servers.
    """
    up = health.up if before else health.confirmed
    return up > 0 and up >= health.enabled * below
