"""IdleConnection: a TCP connection that is kept open and idle; its loss is known at once."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from twisted.internet.base import DelayedCall
from twisted.python.failure import Failure

from pybal.config.kinds import BOOLEAN, SECONDS, SECONDS_OR_ZERO, integer
from pybal.config.monitor_checks import LONG_S, RARE_S
from pybal.config.monitor_kinds import MonitorKind, Option
from pybal.config.section import SectionReader
from pybal.config.settings import MonitorSettings
from pybal.errors import describe_os_error, is_local_fault
from pybal.model import MetricFamily, MetricSample
from pybal.monitors.base import Monitor, ReportReceiver
from pybal.monitors.former import Former
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.short_lived import STEADY_S, ShortLived
from pybal.monitors.target import MonitorPorts, Target
from pybal.net.port import Channel, Keepalive, TCPEvents, label
from pybal.runtime.backoff import backoff_s
from pybal.runtime.clock import cancel

_RETRY_S = 1.0
_CLEAN_RETRY_S = 0.1
# We ask for nothing, so all but a greeting is out of place.
_MOST_RECEIVED_BYTES = 65536

# The limits of TCP keepalive are the kernel's (include/net/tcp.h).
_MOST_KEEPALIVE_RETRIES = 127
_MOST_KEEPALIVE_S = 32767

_FAILED = MetricFamily(
    "pybal_monitor_idleconnection_connections_failed_total",
    "Connections that could not be established",
    ("reason",),
)
_LOST = MetricFamily(
    "pybal_monitor_idleconnection_connections_lost_total", "Connections that were lost", ("reason",)
)
_SHORT_LIVED = MetricFamily(
    "pybal_monitor_idleconnection_short_lived",
    "1 while the server closes each connection soon after it is made, for minutes by now",
)


@dataclass(frozen=True, slots=True)
class IdleConnectionSettings(MonitorSettings):
    """Options of IdleConnection; all times in seconds. `interval_s` is the most between two
    results while `rise` or `fall` has not been reached, `timeout_s` is for connecting."""

    monitor = "IdleConnection"
    checks_by_tcp = True
    has_beat = False

    timeout_clean_reconnect_s: float = 3.0
    max_delay_s: float = 300.0
    keepalive: bool = True
    keepalive_retries: int = 3
    keepalive_idle_s: int = 10
    keepalive_interval_s: int = 30
    fail_on_short_lived: bool = False


class IdleConnection(Monitor):
    """Up while connected. Down at once when the connection is refused, not made within
    `timeout_s` or lost uncleanly; retried with exponential back-off up to `max_delay_s`.

    If more than one result is needed for a change, a connection that stands is another success
    every `interval_s` until then, and a failure is followed by the next attempt within that time.

    Closed cleanly by the server: one reconnect, which has `timeout_clean_reconnect_s` in all;
    only if that fails (or that time is 0) is it down. A server that closes each connection soon
    is reconnected to ever later within that time, so that it cannot make us spin. When it has done
    so for SHORT_LIVED_FOR_S this is said, and with `fail_on_short_lived` it is down, until a
    connection has lasted STEADY_S.
    """

    __slots__ = (
        "_began_at",
        "_channel",
        "_closed_after_s",
        "_connected",
        "_failed",
        "_failures_in_a_row",
        "_kept",
        "_lost",
        "_proof",
        "_received_bytes",
        "_settings",
        "_short_lived",
        "_timer",
    )

    def __init__(
        self,
        settings: IdleConnectionSettings,
        target: Target,
        ports: MonitorPorts,
        receiver: ReportReceiver,
    ) -> None:
        super().__init__(settings, target, ports, receiver)
        self._settings = settings
        self._channel: Channel | None = None
        self._connected = False
        self._timer: DelayedCall | None = None
        self._began_at = 0.0
        """When the attempt began, or the connection was made."""
        self._received_bytes = 0
        self._failures_in_a_row = 0
        self._short_lived = ShortLived()
        self._closed_after_s: float | None = None
        """Set during a clean reconnect: how long the closed connection had lasted."""
        self._proof: DelayedCall | None = None
        """While a connection is to show that it lasts."""
        self._kept = 0
        """The connection's number, where it is kept for the next process."""
        self._failed: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()

    def _begin(self) -> None:
        self._await_turn(lambda: self._connect(self._settings.timeout_s))

    def _take_up(self, former: Former) -> bool:
        memory = self._ports.memory
        connection = memory.connection(former) if memory is not None else None
        if connection is None:
            return False
        try:
            self._channel = self._ports.network.adopt_tcp(
                connection, self._told(), keepalive=self._keepalive()
            )
        except OSError:
            connection.close()
            return False
        self._connected = True
        self._began_at = former.connected_at
        self._keep()
        if self._up is not True:
            self._timer = self._reactor.callLater(self._settings.interval_s, self._still_connected)
        return True

    def _keep(self) -> None:
        """The connection that stands, for the next process."""
        memory, channel = self._ports.memory, self._channel
        if memory is not None and channel is not None:
            self._kept = channel.keep(memory)
            self._remember()

    def _kept_connection(self) -> tuple[int, float]:
        return (self._kept, self._began_at) if self._connected else (0, 0.0)

    def _end(self) -> None:
        self._cancel_timer()
        self._cancel_proof()
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _samples(self) -> Iterable[MetricSample]:
        for family, counts in ((_FAILED, self._failed), (_LOST, self._lost)):
            for reason, count in counts.items():
                yield family.sample(float(count), reason)
        if self._short_lived.is_said:
            yield _SHORT_LIVED.sample(1.0)

    # -- connecting -----------------------------------------------------------------------

    def _connect_in(self, delay_s: float, timeout_s: float) -> None:
        self._channel = None
        self._timer = self._reactor.callLater(delay_s, self._connect_in_turn, timeout_s)

    def _connect_in_turn(self, timeout_s: float) -> None:
        self._timer = None
        slices = self._ports.time_slices
        # If it is down already, what others lose comes first.
        call = slices.call_at_leisure if self._up is False else slices.call
        call(self._connect_now, timeout_s)

    def _connect_now(self, timeout_s: float) -> None:
        if self._running:
            self._connect(timeout_s)

    def _expedite(self, within_s: float) -> None:
        timer = self._timer
        waits = self._channel is None and self._closed_after_s is None
        if waits and timer is not None and timer.getTime() - self._reactor.seconds() > within_s:
            self._cancel_timer()
            delay_s = self._ports.random.uniform(0, within_s)
            self._connect_in(delay_s, self._settings.timeout_s)

    def _connect(self, timeout_s: float) -> None:
        self._mark = self._ports.stall_meter.mark()
        self._began_at = self._ports.lately()
        self._timer = self._reactor.callLater(timeout_s, self._connect_timed_out)
        try:
            self._channel = self._ports.network.connect_tcp(
                self._target.address,
                self._target.port,
                self._told(),
                source=self._settings.source_address,
                keepalive=self._keepalive(),
            )
        except OSError as error:
            self._not_connected(error, describe_os_error(error))
        except Exception:  # noqa: BLE001 - a mistake of ours must not end the checks
            self._retry()
            self._internal_error(f"connecting to {self._target.endpoint}")

    def _connect_timed_out(self) -> None:
        timer, channel = self._timer, self._channel
        if channel is not None:
            # In a storm an answer may wait for seconds until we look at it.
            channel.catch_up()
            if self._timer is not timer:
                return
            channel.close()
        self._not_connected(TimeoutError(errno.ETIMEDOUT, ""), "no answer")

    def _not_connected(self, error: OSError, why: str) -> None:
        # The retry is arranged first: a report may stop this monitor.
        elapsed_s = self._elapsed_s()
        closed_after_s, self._closed_after_s = self._closed_after_s, None
        self._retry()
        self._short_lived.interrupted()
        if is_local_fault(error):
            self._internal_error(f"connecting to {self._target.endpoint}", Failure(error))
            return
        self._failed[label(error)] += 1
        reason = f"connecting to {self._target.endpoint} failed after {elapsed_s:.3f} s: {why}"
        if closed_after_s is not None:
            ended = f"the server {self._ended_by} the connection after {closed_after_s:.1f} s"
            reason = f"{ended}; re{reason}"
        self._conclude(up=False, reason=reason, duration_s=elapsed_s)

    def _retry(self) -> None:
        self._cancel_timer()
        most_s = self._settings.max_delay_s
        delay_s = backoff_s(self._failures_in_a_row, _RETRY_S, most_s, self._ports.random)
        self._failures_in_a_row += 1
        if self._up is not False:
            delay_s = min(delay_s, self._settings.interval_s)
        self._connect_in(delay_s, self._settings.timeout_s)

    def _told(self) -> TCPEvents:
        """What a connection tells; not kept here, as it keeps this monitor."""
        return TCPEvents(self._on_connected, self._on_received, self._on_closed, wants_last=False)

    def _on_connected(self) -> None:
        elapsed_s = self._elapsed_s()
        self._cancel_timer()
        self._connected = True
        self._began_at = self._ports.lately()
        self._received_bytes = 0
        self._closed_after_s = None
        self._keep()
        if self._short_lived.is_said:
            self._proof = self._reactor.callLater(STEADY_S, self._lasts)
            if self._settings.fail_on_short_lived:
                return
        self._conclude_up(f"connected to {self._target.endpoint} in {elapsed_s:.3f} s", elapsed_s)

    def _conclude_up(self, reason: str, duration_s: float = 0.0) -> None:
        self._conclude(up=True, reason=reason, duration_s=duration_s)
        if self._running and self._up is not True:
            self._timer = self._reactor.callLater(self._settings.interval_s, self._still_connected)

    def _still_connected(self) -> None:
        self._conclude_up(f"connected to {self._target.endpoint} for {self._elapsed_s():.1f} s")

    # -- connected ------------------------------------------------------------------------

    def _on_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > _MOST_RECEIVED_BYTES and self._channel is not None:
            self._mark = self._ports.stall_meter.recent()
            self._end()
            self._connected = False
            self._lost["TooMuchData"] += 1
            self._touched()
            self._replace(self._elapsed_s())

    def _on_closed(self, error: OSError | None) -> None:
        if self._connected:
            self._connected = False
            self._cancel_timer()
            self._cancel_proof()
            # When a whole pool goes, what is to be done for each connection takes its turns; the
            # first are out of the kernel before the last is thought of.
            self._ports.time_slices.call(self._lose, error, self._elapsed_s())
        elif error is not None:
            self._not_connected(error, describe_os_error(error))

    def _lose(self, error: OSError | None, lasted_s: float) -> None:
        if self._running:
            try:
                self._on_lost(error, lasted_s)
            except Exception:  # noqa: BLE001 - others wait for their turns
                self._retry()
                self._internal_error(f"the loss of {self._target.endpoint}")

    def _on_lost(self, error: OSError | None, lasted_s: float) -> None:
        self._mark = self._ports.stall_meter.recent()
        self._lost[label(error)] += 1
        self._touched()
        if error is None and self._settings.timeout_clean_reconnect_s > 0:
            self._replace(lasted_s)
        else:
            why = "closed by the server" if error is None else describe_os_error(error)
            self._go_down(lasted_s, why)

    @property
    def _ended_by(self) -> str:
        return "flooded" if self._received_bytes > _MOST_RECEIVED_BYTES else "closed"

    def _replace(self, lasted_s: float) -> None:
        """The server has closed the connection, or has had us do so by a flood of data."""
        if lasted_s < STEADY_S:
            self._note_short_lived(lasted_s)
        if self._short_lived.is_said and self._settings.fail_on_short_lived:
            self._go_down(lasted_s, f"{self._ended_by} by the server")
        else:
            self._reconnect(lasted_s)

    def _go_down(self, lasted_s: float, why: str) -> None:
        if lasted_s >= STEADY_S:
            self._recovered()
        self._retry()
        reason = f"connection to {self._target.endpoint} lost after {lasted_s:.1f} s: {why}"
        self._conclude(up=False, reason=reason, duration_s=0.0)

    def _recovered(self) -> None:
        """A connection has lasted: back-off begins anew."""
        self._short_lived.lasted()
        self._failures_in_a_row = 0

    def _reconnect(self, lasted_s: float) -> None:
        """The one quick attempt after a clean end; until it has failed the server is up."""
        self._closed_after_s = lasted_s
        # 0 only if it was us who closed: then the server gets the usual time.
        budget_s = self._settings.timeout_clean_reconnect_s or self._settings.timeout_s
        if lasted_s >= STEADY_S:
            self._recovered()
            self._connect(budget_s)
            return
        most_s = budget_s / 2
        in_a_row = self._short_lived.in_a_row
        delay_s = backoff_s(in_a_row, _CLEAN_RETRY_S, most_s, self._ports.random)
        self._short_lived.in_a_row += 1
        self._connect_in(delay_s, budget_s - delay_s)

    # -- connections that the server closes at once ----------------------------------------

    def _note_short_lived(self, lasted_s: float) -> None:
        since_s = self._short_lived.closed(self._ports.lately())
        if since_s is None:
            return
        fails = self._settings.fail_on_short_lived
        self._log.warn(
            "{server}: the server {ended} each connection to {endpoint} within {steady_s:.0f} s "
            "for {since_s:.0f} s now, the last after {lasted_s:.1f} s: it counts as {state}",
            server=self._target.describe(),
            ended=self._ended_by,
            endpoint=self._target.endpoint,
            steady_s=STEADY_S,
            since_s=since_s,
            lasted_s=lasted_s,
            state="down" if fails else "up (idleconnection.fail-on-short-lived = no)",
        )

    def _lasts(self) -> None:
        """The connection has stood for STEADY_S."""
        self._short_lived.is_said = False
        self._short_lived.lasted()
        self._touched()
        reason = f"a connection to {self._target.endpoint} lasts again"
        if self._settings.fail_on_short_lived:
            self._conclude_up(reason)
        else:
            self._log.info("{server}: {reason}", server=self._target.describe(), reason=reason)

    # -- small things ---------------------------------------------------------------------

    def _keepalive(self) -> Keepalive | None:
        s = self._settings
        if not s.keepalive:
            return None
        return Keepalive(s.keepalive_idle_s, s.keepalive_interval_s, s.keepalive_retries)

    def _elapsed_s(self) -> float:
        # Who was refused at once, and told of it seconds later, met no silence.
        waited_s = 0.0 if self._channel is None else self._channel.waited_s()
        # What a former process noted may be by a clock that is ahead: a time namespace of its own.
        return max(0.0, self._ports.lately() - waited_s - self._began_at)

    def _cancel_proof(self) -> None:
        cancel(self._proof)
        self._proof = None

    def _cancel_timer(self) -> None:
        cancel(self._timer)
        self._timer = None


def _check_options(reader: SectionReader, settings: IdleConnectionSettings) -> None:
    if not settings.keepalive:
        for option in ("retries", "idle", "interval"):
            if reader.is_set(key := f"idleconnection.keepalive-{option}"):
                reader.warn(key, "no effect: idleconnection.keepalive = no")
    else:
        probes_s = settings.keepalive_retries * settings.keepalive_interval_s
        silent_s = settings.keepalive_idle_s + probes_s
        if silent_s > LONG_S:
            message = f"a server that falls silent is noticed after {silent_s} s only"
            reader.warn("idleconnection.keepalive-interval", message)
    if settings.max_delay_s > RARE_S:
        message = f"a server that is down may be up for {settings.max_delay_s:g} s unnoticed"
        reader.warn("idleconnection.max-delay", message)


MONITOR = MonitorType(
    MonitorKind(
        IdleConnectionSettings,
        (
            Option("timeout-clean-reconnect", "timeout_clean_reconnect_s", SECONDS_OR_ZERO),
            Option("max-delay", "max_delay_s", SECONDS),
            Option("fail-on-short-lived", "fail_on_short_lived", BOOLEAN),
            Option("keepalive", "keepalive", BOOLEAN),
            Option("keepalive-retries", "keepalive_retries", integer(1, _MOST_KEEPALIVE_RETRIES)),
            Option("keepalive-idle", "keepalive_idle_s", integer(1, _MOST_KEEPALIVE_S)),
            Option("keepalive-interval", "keepalive_interval_s", integer(1, _MOST_KEEPALIVE_S)),
        ),
        check=_check_options,
    ),
    IdleConnection,
    (_FAILED, _LOST, _SHORT_LIVED),
)
