"""Ping: ICMP echo, for what answers nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from pybal.config.monitor_kinds import MonitorKind
from pybal.config.settings import MonitorSettings
from pybal.monitors.asking import SENDINGS, AskingMonitor, request_duration
from pybal.monitors.looping import CheckOutcome
from pybal.monitors.monitor_type import MonitorType
from pybal.net.port import Channel, UDPEvents

_TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True)
class PingSettings(MonitorSettings):
    """Options of Ping: those that every monitor has, but for the port."""

    monitor = "Ping"


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


MONITOR = MonitorType(
    MonitorKind(PingSettings, lacks=frozenset(("port",))),
    Ping,
    (request_duration("Ping", "Duration of the last ping"),),
)
