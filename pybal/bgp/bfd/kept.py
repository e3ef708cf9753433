"""A BFD session that is up, as the next process finds it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from pybal.bgp.bfd.auth import AuthState
from pybal.bgp.bfd.packet import BFDState
from pybal.bgp.bfd.session import BFDSession
from pybal.bgp.settings import BFDSettings
from pybal.handover.format import HandoverError

_VERSION = 1
_MAX = 2**32
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True)
class KeptBFD:
    """What both ends know of each other: discriminators, what the peer wants (microseconds), our
    source port, and the sequence numbers of authenticated packets. `terms` is what else a session
    depends on; no key is in it."""

    terms: str
    port: int
    my_discriminator: int
    your_discriminator: int
    remote_min_rx_us: int
    remote_desired_min_tx_us: int
    remote_detect_multiplier: int
    remote_demand: bool
    sent: int
    received: int | None
    heard_at: float


def kept(session: BFDSession, port: int, auth: AuthState) -> KeptBFD | None:
    """None while it is not up at both ends: there is nothing to go on with."""
    if session.state is not BFDState.UP or session.remote_state is not BFDState.UP:
        return None
    return KeptBFD(
        terms=terms_of(session.settings),
        port=port,
        my_discriminator=session.my_discriminator,
        your_discriminator=session.your_discriminator,
        remote_min_rx_us=session.remote_min_rx_us,
        remote_desired_min_tx_us=session.remote_desired_min_tx_us,
        remote_detect_multiplier=session.remote_detect_multiplier,
        remote_demand=session.remote_demand,
        sent=auth.sent,
        received=auth.received,
        # Without numbers it matters to nobody, and would be written with each packet.
        heard_at=0.0 if auth.received is None else auth.heard_at,
    )


def resumed(session: BFDSession, former: KeptBFD, now: float, wait_s: float) -> BFDSession:
    """Go on where the process before us was: we send at once, by a poll, as the peer may have been
    told of a longer interval. It has at least `wait_s` to be heard."""
    session = replace(
        session,
        state=BFDState.UP,
        my_discriminator=former.my_discriminator,
        your_discriminator=former.your_discriminator,
        remote_state=BFDState.UP,
        remote_min_rx_us=former.remote_min_rx_us,
        remote_desired_min_tx_us=former.remote_desired_min_tx_us,
        remote_detect_multiplier=former.remote_detect_multiplier,
        remote_demand=former.remote_demand,
        polling=True,
        transmit_at=now,
    )
    return replace(session, detect_at=now + max(wait_s, session.detection_time_s))


def resumed_auth(former: KeptBFD) -> AuthState:
    """Its numbers go on, too."""
    return AuthState(sent=former.sent, received=former.received, heard_at=former.heard_at)


def terms_of(settings: BFDSettings) -> str:
    """What a session cannot go on without; the interval is told by a poll."""
    auth = "" if settings.auth is None else f"{settings.auth.kind} {settings.auth.key_id}"
    return f"{'multihop' if settings.multihop else 'single hop'} {auth}"


def encode_kept(peer: str, state: KeptBFD) -> bytes:
    """For a place in a table of states."""
    fields = [getattr(state, name) for name in KeptBFD.__slots__]
    return json.dumps([_VERSION, peer, *fields], separators=(",", ":")).encode()


def decode_kept(data: bytes) -> tuple[str, KeptBFD]:
    """The peer and its session. Raises HandoverError for anything that encode_kept() has not
    made."""
    try:
        version, peer, *fields = json.loads(data)
        state = KeptBFD(*fields)
    except (ValueError, TypeError):
        raise HandoverError("a session of BFD cannot be read") from None
    if version != _VERSION or not isinstance(peer, str) or not _is_whole(state):
        raise HandoverError("a session of BFD has another shape")
    return peer, state


def _is_whole(state: KeptBFD) -> bool:
    numbers = (
        state.my_discriminator,
        state.your_discriminator,
        state.remote_min_rx_us,
        state.remote_desired_min_tx_us,
        state.sent,
        0 if state.received is None else state.received,
    )
    return (
        isinstance(state.terms, str)
        and isinstance(state.remote_demand, bool)
        and all(_is_integer(number) and 0 <= number < _MAX for number in numbers)
        and state.my_discriminator > 0
        and state.your_discriminator > 0
        and _is_integer(state.remote_detect_multiplier)
        and 0 < state.remote_detect_multiplier < 256
        and _is_integer(state.port)
        and state.port in _PORTS
        and isinstance(state.heard_at, float)
        and 0 <= state.heard_at < _MAX
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
