"""The ports of a check that is made by hand: the real ones, with a record of what passes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from pybal.config.settings import User
from pybal.errors import describe_os_error
from pybal.http.client import BoundedHTTPClient
from pybal.http.port import HostLookUp, HTTPRequest, HTTPResponse
from pybal.model import IPAddress
from pybal.monitors.exchange import (
    Record,
    bytes_text,
    command_text,
    request_lines,
    response_lines,
    sent_text,
    tls_text,
)
from pybal.monitors.processes import Exit, Process, Processes
from pybal.net.addresses import endpoint
from pybal.net.port import (
    Channel,
    ConnectionKeeper,
    Keepalive,
    Located,
    Network,
    TCPEvents,
    UDPEvents,
)
from pybal.net.tls_facts import TLSFacts
from pybal.runtime.files_port import Files

_KEPT_BYTES = 4096


class RecordingNetwork:
    """See Network. Without `with_data` only connections are recorded: who speaks TLS over them
    records the rest."""

    def __init__(self, network: Network, record: Record, *, with_data: bool = True) -> None:
        self._network = network
        self._record = record
        self._with_data = with_data

    def connect_tcp(
        self,
        address: IPAddress,
        port: int,
        events: TCPEvents,
        *,
        source: IPAddress | None = None,
        keepalive: Keepalive | None = None,
    ) -> Channel:
        """See Network."""
        record, place = self._record, endpoint(address, port)
        record.note(f"connecting to {place}")

        def connected() -> None:
            here = f" from {channel.local}" if isinstance(channel, Located) else ""
            record.note(f"connected to {place}{here}")
            events.connected()

        def closed(error: OSError | None) -> None:
            why = "by the server" if error is None else f": {describe_os_error(error)}"
            record.note(f"connection closed {why}" if error is None else f"no connection{why}")
            events.closed(error)

        told = TCPEvents(connected, self._received(events.received), closed)
        channel = self._network.connect_tcp(address, port, told, source=source, keepalive=keepalive)
        return self._shown(channel)

    def adopt_tcp(
        self,
        connection: socket.socket,
        events: TCPEvents,
        *,
        keepalive: Keepalive | None = None,
    ) -> Channel:
        """See Network: a check by hand begins with nothing."""
        return self._network.adopt_tcp(connection, events, keepalive=keepalive)

    def connect_udp(
        self, address: IPAddress, port: int, events: UDPEvents, *, source: IPAddress | None = None
    ) -> Channel:
        """See Network."""
        self._record.note(f"UDP to {endpoint(address, port)}")
        told = self._datagrams(events)
        return self._shown(self._network.connect_udp(address, port, told, source=source))

    def connect_ping(
        self, address: IPAddress, events: UDPEvents, *, source: IPAddress | None = None
    ) -> Channel:
        """See Network."""
        self._record.note(f"ICMP echo to {address}")
        return self._shown(
            self._network.connect_ping(address, self._datagrams(events), source=source)
        )

    def _datagrams(self, events: UDPEvents) -> UDPEvents:
        def failed(error: OSError) -> None:
            self._record.note(f"ICMP: {describe_os_error(error)}")
            events.failed(error)

        return UDPEvents(self._received(events.received), failed)

    def _received(self, tell: Callable[[bytes], None]) -> Callable[[bytes], None]:
        if not self._with_data:
            return tell

        def received(data: bytes) -> None:
            self._record.note(f"received {bytes_text(data)}")
            tell(data)

        return received

    def _shown(self, channel: Channel) -> Channel:
        return _RecordingChannel(channel, self._record) if self._with_data else channel


class _RecordingChannel:
    def __init__(self, channel: Channel, record: Record) -> None:
        self._channel = channel
        self._record = record

    def keep(self, keeper: ConnectionKeeper) -> int:
        return self._channel.keep(keeper)

    def send(self, data: bytes) -> None:
        """See Channel."""
        self._channel.send(data)
        self._record.note(f"sent {sent_text(data)}")

    def catch_up(self) -> None:
        """See Channel."""
        self._channel.catch_up()

    def waited_s(self) -> float:
        """See Channel."""
        return self._channel.waited_s()

    def waited_in_all_s(self) -> float:
        """See Channel."""
        return self._channel.waited_in_all_s()

    def close(self) -> None:
        """See Channel."""
        self._channel.close()


class RecordingHTTPClient:
    """See HTTPClient: a client of its own, so that each connection is seen. `iso` writes a moment
    in Unix seconds."""

    def __init__(
        self,
        clock: Any,
        network: Network,
        names: HostLookUp,
        certificates: Files,
        record: Record,
        iso: Callable[[float], str],
    ) -> None:
        quiet = RecordingNetwork(network, record, with_data=False)
        self._client = BoundedHTTPClient(
            clock, quiet, names, post_quantum=False, files=certificates
        )
        self._record = record
        self._iso = iso

    def fetch(self, request: HTTPRequest) -> Deferred[HTTPResponse]:
        """See HTTPClient."""
        trace = _Trace(self._record, self._iso)
        fetched = self._client.fetch(replace(request, trace=trace))
        return fetched.addBoth(trace.ended)


class _Trace:
    """See HTTPTrace."""

    def __init__(self, record: Record, iso: Callable[[float], str]) -> None:
        self._record = record
        self._iso = iso
        self._start = b""

    def shaken_hands(self, facts: TLSFacts) -> None:
        """See HTTPTrace."""
        self._record.note(tls_text(facts, self._iso))

    def sent(self, head: bytes) -> None:
        """See HTTPTrace."""
        self._record.note(*request_lines(head))

    def received(self, data: bytes) -> None:
        """See HTTPTrace."""
        if not self._start:
            self._record.note("the answer begins")
        self._start = (self._start + data)[:_KEPT_BYTES]

    def ended(self, outcome: Any) -> Any:
        """However it ended; passes that on."""
        if self._start:
            self._record.note(*response_lines(self._start))
        return outcome


class RecordingProcesses:
    """See Processes."""

    def __init__(self, processes: Processes, record: Record) -> None:
        self._processes = processes
        self._record = record

    def run(self, argv: Sequence[str], ended: Callable[[Exit], None], *, capture: bool) -> Process:
        """See Processes."""
        self._record.note(f"running {command_text(argv)}")

        def told(result: Exit) -> None:
            for line in result.output.decode("utf-8", "replace").splitlines()[:20]:
                self._record.note(f"| {line[:500]}")
            status = result.status
            how = "its exit status was lost" if status is None else f"exit status {status}"
            if status is not None and status < 0:
                how = f"killed by signal {-status}"
            self._record.note(f"{how}{', left processes behind' if result.leftovers else ''}")
            ended(result)

        return self._processes.run(argv, told, capture=capture)

    def run_as(self, user: User | None) -> None:
        """See Processes; that is the daemon's to say, of all commands."""
        self._processes.run_as(user)
