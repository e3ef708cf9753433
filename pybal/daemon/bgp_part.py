"""BGP as a part of the daemon: there or not, as pybal.conf says, and changed by a reload."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from pybal.announce.announcer import Announcer, Failover
from pybal.announce.maintenance import Maintenance
from pybal.announce.maintenance_file import maintenance_file
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.snapshot import BGPSnapshot
from pybal.config.settings import BGPSettings
from pybal.daemon.history_part import HistoryPart
from pybal.daemon.ports import DaemonPorts
from pybal.errors import ControlError
from pybal.model import IPAddress
from pybal.runtime.naming import named
from pybal.runtime.stopping import end_each
from pybal.state.keeper import Keeper

if TYPE_CHECKING:  # Loaded for those who speak BGP, or show what they would say (on_demand.py).
    from pybal.announce.dry_run import DryRunFailover
    from pybal.announce.failover import BGPFailover
    from pybal.bgp.ports import BGPOutside


class _Observed(NamedTuple):
    """A failover of whose orders another one is told, too."""

    failover: Failover
    told: Callable[[str, tuple[Advertisement, ...] | None], None]

    def set_announced(self, service: str, wanted: tuple[Advertisement, ...] | None) -> None:
        self.told(service, wanted)
        self.failover.set_announced(service, wanted)

    def set_own(self, service: str, address: IPAddress | None) -> None:
        self.failover.set_own(service, address)

    def first_routes_complete(self) -> None:
        self.failover.first_routes_complete()


_STALLS = 3
"""A keepalive is sent in each third of the hold time."""


class BGPPart:
    """Owns the failover, and has the announcer speak through it. `silent`: a dry run, which opens
    no session, listens to none, and only shows what would be announced. Maintenance is kept in
    `state_directory` for the next start; None: it is not."""

    def __init__(
        self,
        ports: DaemonPorts,
        announcer: Announcer,
        state_directory: Path | None,
        *,
        silent: bool,
        history: HistoryPart,
    ) -> None:
        self._ports = ports
        self._announcer = announcer
        self._state_directory = state_directory
        self._silent = silent
        self._history = history
        self._failover: BGPFailover | None = None
        self._shown: DryRunFailover | None = None
        self._settings: BGPSettings | None = None
        self._going_over = False
        """Still, as one begins: the one before has failed."""
        self._made: BGPOutside | None = None
        self._maintenance = Maintenance()
        self._renames: tuple[tuple[str, str], ...] = ()
        """Those that it is to follow, until a reload has come to its end."""
        self._keeper = Keeper(
            state_directory,
            maintenance_file,
            "The maintenance",
            self._maintenance,
            ports.state_writing,
            Logger(namespace="bgp"),
        )

    def start(
        self,
        settings: BGPSettings | None,
        *,
        restarting: bool,
        renames: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Speak BGP, if it is on. `restarting`: routers may keep the routes of a former life until
        it is known which are left. `renames`: the services that go on from that under another name,
        former and present one. Blocks on the disk."""
        self._keep_maintenance(self._keeper.load().renamed(renames))
        self._begin(settings, restarting=restarting)

    def _begin(self, settings: BGPSettings | None, *, restarting: bool) -> None:
        self._settings = settings
        if settings is None or self._silent:
            if self._ports.bgp_left:
                # Nobody would read from these sessions.
                self._outside().records.end_left()
            if settings is not None:
                from pybal.daemon.bgp_speaking import new_dry_run

                self._shown = new_dry_run()
                self._shown.set_extra(settings.advertised_addresses)
                self._announce_by(self._shown)
            return
        from pybal.daemon.bgp_speaking import new_failover

        failover = new_failover(
            settings,
            ports=self._ports,
            outside=self._outside(),
            state_directory=self._state_directory,
            session_changed=self._history.session,
            maintenance=self._maintenance,
            keep_maintenance=self._keep_maintenance,
        )
        self._failover = failover  # What of it begins is ours to end.
        failover.start(restarting=restarting)
        self._announce_by(failover)

    def _outside(self) -> BGPOutside:
        """One, however often BGP is switched on."""
        if self._made is None:
            self._made = self._ports.new_bgp()
        return self._made

    def _announce_by(self, failover: Failover) -> None:
        self._announcer.start(_Observed(failover, self._history.route))

    async def go_over_to(self, after: BGPSettings | None) -> None:
        """Other settings; sessions that they do not touch stay. What one that failed has left the
        next one does."""
        before, failed = self._settings, self._going_over
        if before == after and not failed:
            return
        self._settings, self._going_over = after, True
        if after is None:
            await self._switch_off("BGP was switched off")
        elif self._failover is not None:
            await self._adjust(self._failover, before, after)
        elif self._shown is not None:
            self._shown.set_extra(after.advertised_addresses)
        elif before is None or failed:
            await self._switch_on(after)
        self._going_over = False

    async def _switch_on(self, settings: BGPSettings) -> None:
        try:
            self._begin(settings, restarting=False)
        except Exception:
            # The next reload begins another one: this one may have listeners and sessions by now.
            await self._switch_off("BGP could not be started")
            raise

    async def _switch_off(self, reason: str) -> None:
        self._announcer.stop()
        self._shown = None
        if self._failover is not None:
            await self._failover.stop(reason)
            self._failover = None

    async def _adjust(
        self, failover: BGPFailover, before: BGPSettings | None, after: BGPSettings
    ) -> None:
        from pybal.daemon.bgp_speaking import speaker_settings

        found = speaker_settings(after, self._ports)
        running = failover.snapshot().router_id
        was_chosen = before is not None and before.router_id is None
        if was_chosen and after.router_id is None and running is not None:
            # One that was chosen stays while the speaker lives, whatever it was chosen from:
            # another would end all sessions.
            speaker = replace(found.speaker, router_id=IPv4Address(running))
            found = replace(found, speaker=speaker)
        await failover.reconfigure(found)

    async def stop(self, *, for_restart: bool) -> None:
        """Withdraw all and end the sessions; `for_restart`: routers with graceful restart keep the
        routes. Cancelling it ends the wait."""
        end_each(Logger(namespace="bgp"), self._announcer.stop)
        if self._failover is None:
            return
        with suppress(CancelledError):
            if for_restart:
                await self._failover.stop_for_restart()
            else:
                await self._failover.stop("PyBal is stopping")

    async def stand_still(self, work: Callable[[], None]) -> None:
        """Do what stops this process for a while, once nobody takes it for dead meanwhile."""
        if self._failover is None:
            work()
        else:
            await self._failover.stand_still(work)

    def time_lost(self, lost_s: float) -> None:
        """This process stood still for so long: say which sessions would not survive three times
        that, as they have a keepalive in each third of their hold time."""
        peers = self._failover.snapshot().peers if self._failover is not None else ()
        short = [p for p in peers if p.hold_time_s and p.hold_time_s < _STALLS * lost_s]
        if short:
            Logger(namespace="bgp").warn(
                "This process stood still for {lost} s, more than a third of the hold time with"
                " {peers} ({hold} s): raise bgp-hold-time, or mend what stops it",
                lost=round(lost_s, 1), peers=named([peer.address for peer in short]),
                hold=min(peer.hold_time_s or 0 for peer in short),
            )  # fmt: skip

    def change_maintenance(self, service: str | None, *, begin: bool) -> bool:
        """Move the traffic of a service, or of the whole director, away; or end that. Whether that
        was not so already. Raises ControlError where there is no BGP to do it with; what has begun
        before can be ended all the same."""
        names = () if begin else self._names_of(service)
        ended = [self._end_maintenance(name) for name in names]
        if any(ended):
            return True
        if self._failover is None:
            raise ControlError(
                "BGP is off, so that no router can be told",
                "bgp = yes in [global], then reload (a dry run: dry-run-bgp = yes, then restart)",
            )
        return begin and self._failover.begin_maintenance(service)

    def _names_of(self, service: str | None) -> tuple[str | None, ...]:
        """Its own, and those that it had before reloads which have not come to their end: its
        maintenance must not come back from those."""
        return (service, *(was for was, now in self._renames if now == service))

    def _end_maintenance(self, service: str | None) -> bool:
        """Whether it ends now."""
        if self._failover is not None:
            return self._failover.end_maintenance(service)
        ends = service in dict(self._maintenance.scopes())
        if ends:
            self._keep_maintenance(self._maintenance.ended(service))
        return ends

    def follow_maintenance(self, renames: Iterable[tuple[str, str]]) -> None:
        """Services are about to come in the place of others: former and present name."""
        self._renames = tuple(renames)
        if self._failover is not None:
            self._failover.follow_maintenance(self._renames)
        else:
            self._keep_maintenance(self._maintenance.followed(self._renames))

    def forget_maintenance(self, services: Iterable[str]) -> None:
        """Others have come in the place of these."""
        for service in services:
            self._end_maintenance(service)
        self._renames = ()

    def _keep_maintenance(self, maintenance: Maintenance) -> None:
        """While BGP is off, too: an operator ends it, not the configuration."""
        self._maintenance = maintenance
        self._keeper.save(maintenance)

    def snapshot(self) -> BGPSnapshot:
        """The BGP side."""
        if self._failover is None:
            return BGPSnapshot(enabled=False, local_asn=None, peers=())
        return replace(self._failover.snapshot(), held=self._announcer.held())
