"""Hypothesis strategies for IPVS values."""

from __future__ import annotations

from hypothesis import strategies as st

from pybal.ipvs.model import (
    MAX_WEIGHT,
    SCHEDULERS,
    Destination,
    Forwarding,
    Persistence,
    Service,
    ServiceEntry,
    ServiceKey,
    Table,
    Tunnel,
    TunnelType,
)
from tests.ipvs.examples import KEYS, server

_FORWARDINGS = [each for each in Forwarding if each is not Forwarding.UNKNOWN]
_U16, _U32 = 2**16 - 1, 2**32 - 1


def services(key: ServiceKey) -> st.SearchStrategy[Service]:
    """Any service that a kernel can hold under this key."""
    length = st.integers(1, key.address.max_prefixlen)
    return st.builds(
        Service,
        st.just(key),
        st.sampled_from(SCHEDULERS),
        one_packet=st.booleans(),
        scheduler_flags=st.integers(0, 7),
        persistence=st.none() | st.builds(Persistence, st.integers(1, 2**20), length),
        persistence_engine=st.sampled_from(["", "sip"]),
    )


def destinations(key: ServiceKey) -> st.SearchStrategy[Destination]:
    """Any destination that a kernel can hold in the service."""
    return st.builds(
        Destination,
        st.builds(server, st.integers(1, 6), st.just(key)),
        st.sampled_from([0, 1, 10, MAX_WEIGHT]),
        st.sampled_from([each for each in _FORWARDINGS if each is not Forwarding.TUNNEL]),
        st.integers(0, _U32),
        st.integers(0, _U32),
    ) | st.builds(
        Destination,
        st.builds(server, st.integers(1, 6), st.just(key)),
        st.integers(0, MAX_WEIGHT),
        st.just(Forwarding.TUNNEL),
        tunnel=st.just(Tunnel())
        | st.builds(
            Tunnel,
            st.sampled_from([TunnelType.GUE, TunnelType.GRE]),
            st.integers(0, _U16),
            st.integers(0, _U16),
        ),
    )


def _entries(key: ServiceKey) -> st.SearchStrategy[ServiceEntry]:
    """A service with some of six real servers, out of few enough that two tables overlap."""
    variants = [
        Destination(server(number, key), weight, forwarding)
        for number in range(1, 7)
        for weight in (0, 10)
        for forwarding in (Forwarding.DIRECT, Forwarding.TUNNEL)
    ]
    return st.builds(
        lambda scheduler, drawn: ServiceEntry(
            Service(key, scheduler), {each.key: each for each in drawn}
        ),
        st.sampled_from(["wrr", "mh"]),
        st.lists(st.sampled_from(variants), max_size=6),
    )


tables: st.SearchStrategy[Table] = st.fixed_dictionaries(
    {}, optional={key: _entries(key) for key in KEYS}
)
"""A table of up to four services."""
