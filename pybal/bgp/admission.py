"""Whether a peer may connect to us now: bounded, and damped by what its sessions have come to."""

from __future__ import annotations

from typing import Any

from pybal.bgp.fsm import FSM
from pybal.bgp.settings import Options
from pybal.runtime.token_bucket import TokenBucket

# Connections that one peer may open: no router needs more.
_BURST, _A_SECOND = 10.0, 2.0
_COLLISION_WINDOW_S = 5.0


def begins_anew(fsm: FSM, now_s: float) -> bool:
    """Whether a peer that connects beside its established session has restarted. A new connection
    is refused then (RFC 4271 section 6.8), unless the peer announced graceful restart: it has begun
    a new life, and the old session is gone without our knowing (RFC 4724 section 5). Right after
    the start it is more likely that both sides connected at once."""
    if fsm.session is None or fsm.established_at is None:
        return False
    restart = fsm.session.peer_restart
    is_old = now_s - fsm.established_at >= _COLLISION_WINDOW_S
    return is_old and restart is not None and bool(restart.families)


class Admission:
    """What the peer's failures have earned it (DampPeerOscillations), whichever side connected:
    links come and go, and a stop clears them, but this stays. `clock` is IReactorTime."""

    def __init__(self, options: Options, clock: Any) -> None:
        self._options = options
        self._clock = clock
        self._allowance = TokenBucket(_BURST, _A_SECOND)
        self._next_s = 0.0
        self._until = 0.0

    def remember(self, fsm: FSM) -> None:
        """The state of a link that has come back to Idle."""
        if fsm.idle_hold_at is not None and not fsm.retry_wait_s:
            self._next_s, self._until = fsm.idle_hold_s, fsm.idle_hold_at

    def fresh(self) -> FSM:
        """A new link's state: its next failure is not its peer's first."""
        return FSM(idle_hold_s=self._next_s)

    @property
    def damped_s(self) -> float:
        """For how long the peer is not let in. The first penalty does not count: a router that has
        just restarted is welcome."""
        if self._next_s <= 2 * self._options.idle_hold_s:
            return 0.0
        return max(0.0, self._until - float(self._clock.seconds()))

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to remember of the peer."""
        return bool(self._clock.seconds() >= self._until)

    def lets_in(self, label: str, log: Any) -> bool:
        """Whether a connection of the peer's, called so, may come in; it counts. Where its sessions
        come to nothing, the log is told."""
        damped_s = self.damped_s
        if damped_s:
            log.info(
                "Peer {peer}: its sessions fail soon after they begin; it may connect again in"
                " {seconds} s",
                peer=label,
                seconds=round(damped_s, 1),
            )
            return False
        return self.take()

    def take(self) -> bool:
        """Whether one more connection is not one too many; it counts."""
        return self._allowance.take(self._clock.seconds())
