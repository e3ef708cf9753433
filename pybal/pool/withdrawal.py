"""What BGP is to know of a pool: whether enough servers are up for its address to be announced
(bgp-withdraw-on-down), and how much they can carry (bgp-link-bandwidth = auto). Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from pybal.config.settings import ServiceSettings
from pybal.pool.pool_state import PoolState


class Health(NamedTuple):
    """How many servers are `enabled`. Of these, how many are `up` for the pooling policy, which
    takes a new server for up, and of how many all monitors have `confirmed` that they are up.
    `weight_up` is what the weights of those that are up come to."""

    enabled: int
    up: int
    confirmed: int
    weight_up: int = 0


def health(state: PoolState) -> Health:
    """The health of a pool. A server without monitors counts as confirmed; those that an operator
    drains are none of it."""
    counts = state.members.counts
    return Health(counts.enabled, counts.up, counts.confirmed, counts.weight_up)


def is_of_interest(settings: ServiceSettings) -> bool:
    """Whether the announcement of a service depends on its servers' health at all."""
    bandwidth = settings.bgp.link_bandwidth
    by_weight = bandwidth is not None and bandwidth.bits_per_s is None
    return settings.bgp.announced and (settings.bgp.withdraw_below is not None or by_weight)


def is_announced(health: Health, below: Fraction, *, before: bool) -> bool:
    """Whether the address is to be announced if at least one server must be up, and not less
    than the share `below` of the enabled ones.

    An address that is announced stays so if the pool list brings new servers, which are taken for
    up. One that was not announced `before` waits for confirmed servers.
    """
    up = health.up if before else health.confirmed
    return up > 0 and up >= health.enabled * below
