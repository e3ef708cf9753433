"""Ping: ICMP echo, for what answers nothing else."""

from __future__ import annotations

from pybal.monitors.asking import SENDINGS, AskingMonitor
from pybal.monitors.looping import CheckOutcome
from pybal.net.port import Channel, UDPEvents

_TOKEN_BYTES = 16


class Ping(AskingMonitor):
    """Up when an echo request of ours is answered within `timeout_s`; several are sent."""

    async def _ask(self) -> CheckOutcome:
        self._question = f"ping of {self._target.address}"
        self._so_far = f"no answer to {SENDINGS} echo requests"
        token = self._ports.random.randbytes(_TOKEN_BYTES)

        def open_channel(events: UDPEvents) -> Channel:
            return self._ports.network.connect_ping(
                self._target.address, events, source=self._source
            )

        await self._ask_by_datagram(token, lambda data: data == token or None, open_channel)
        return CheckOutcome(True, "answered")
