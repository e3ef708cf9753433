"""UDP: listens for ICMP's word that nobody takes our datagrams."""

from __future__ import annotations

from twisted.internet.task import deferLater

from pybal.config.settings import UDPSettings
from pybal.monitors.base import Report
from pybal.monitors.looping import LoopingMonitor, Outcome
from pybal.monitors.network import Channel, UDPEvents, is_local_fault, words
from pybal.monitors.target import Environment, Target

SILENCE_S = 1.0
"""How long after a datagram an ICMP error may come before silence counts as up."""


class UDP(LoopingMonitor):
    """Sends an empty datagram each interval. Down at once when ICMP reports it undeliverable,
    and until `icmp_timeout_s` has passed since the last such report; otherwise up, but never
    before a datagram has been followed by SILENCE_S (or half the interval) of silence."""

    def __init__(
        self, settings: UDPSettings, target: Target, environment: Environment, report: Report
    ) -> None:
        super().__init__(settings, target, environment, report)
        self._settings = settings
        self._channel: Channel | None = None
        self._refused_at: float | None = None
        self._refused_why = ""

    def _end(self) -> None:
        super()._end()
        if self._channel is not None:
            self._channel.close()

    async def _check(self) -> Outcome | None:
        try:
            self._open_channel().send(b"")
        except OSError as error:
            if is_local_fault(error):
                raise
            self._note_refusal(error)
            return Outcome(False, self._refused_why)
        await deferLater(self._reactor, min(SILENCE_S, self._interval_s / 2))
        return self._judge_silence()

    def _judge_silence(self) -> Outcome | None:
        if self._refused_at is None:
            return Outcome(True, f"no ICMP error from {self._target.endpoint}")
        if self._refused_at >= self._began_at:
            return None  # it was reported when it came
        ago_s = self._reactor.seconds() - self._refused_at
        if ago_s < self._settings.icmp_timeout_s:
            return Outcome(False, f"{self._refused_why}, {ago_s:.1f} s ago")
        return Outcome(True, f"no ICMP error from {self._target.endpoint} for {ago_s:.0f} s")

    def _open_channel(self) -> Channel:
        if self._channel is None:
            # What comes back is nothing to us: an answer is not asked for.
            events = UDPEvents(received=lambda _: None, failed=self._refused)
            self._channel = self._environment.network.connect_udp(
                self._target.address, self._target.port, events
            )
        return self._channel

    def _refused(self, error: OSError) -> None:
        self._note_refusal(error)
        self._conclude(up=False, reason=self._refused_why, duration_s=self._elapsed_s())

    def _note_refusal(self, error: OSError) -> None:
        self._refused_at = self._reactor.seconds()
        self._refused_why = f"an empty datagram to {self._target.endpoint} met: {words(error)}"
