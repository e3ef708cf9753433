"""What a service's servers ask of their pool: their monitors, and where they are checked.

A server whose name has moved stays where it is until it is found up there (address_trial.py), and
where it is, too, if others have crowded together there (crowding.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count

from twisted.logger import Logger

from pybal.config.settings import ServiceSettings
from pybal.model import IPAddress
from pybal.monitors.base import Monitor
from pybal.pool.address_trial import AddressTrial
from pybal.pool.address_warnings import AddressWarnings
from pybal.pool.crowding import Crowding
from pybal.pool.events import AddressChanged
from pybal.pool.list_record import ListRecord
from pybal.pool.monitor_sets import MonitorSets
from pybal.pool.new_servers import NewServers
from pybal.pool.policy_steps import PolicySteps
from pybal.pool.ports import CoordinatorPorts
from pybal.pool.server import Server


class PoolServers:
    """The ServerOwner (server.py) of one service's servers; each method is described there.

    `servers` is a live view, `touched(host)` hears that a monitor of a server has changed, `handle`
    takes what the policy must know, `cannot_be_checked` whose checks are to begin later: all, or
    that of a name."""

    def __init__(
        self,
        settings: ServiceSettings,
        ports: CoordinatorPorts,
        servers: Mapping[str, Server],
        policy: PolicySteps,
        new_servers: NewServers,
        record: ListRecord,
        touched: Callable[[str], None],
        handle: Callable[[AddressChanged], None],
        cannot_be_checked: Callable[[Server, str], None],
        log: Logger,
    ) -> None:
        self._list_floor = settings.list_floor
        self._clock = ports.clock
        self._policy = policy
        self._new_servers = new_servers
        self._record = record
        self._touched = touched
        self._handle = handle
        self._cannot_be_checked = cannot_be_checked
        self._log = log
        self._incarnations = count(1)
        self._servers = servers
        self._monitors = MonitorSets(
            settings, ports.create_monitor, self._name, touched, self._not_made, log
        )
        self.addresses = AddressWarnings(settings.address, ports.is_own_address, log)
        """What is odd about where they are."""
        self.crowding = Crowding(servers, self.addresses.at, lambda: policy.state, log)
        """Who waits for room where it was found up."""

    def reconfigure(self, settings: ServiceSettings) -> None:
        """From now on these are the settings; monitors that run are not changed."""
        self._list_floor = settings.list_floor
        self._monitors.reconfigure(settings)

    def make_monitors(self, server: Server, address: IPAddress) -> Sequence[Monitor]:
        """See ServerOwner."""
        server.incarnation = next(self._incarnations)
        self._touched(server.host)
        return self._monitors.make(server.host, address, server.incarnation)

    def more_monitors(
        self, server: Server, address: IPAddress, names: frozenset[str]
    ) -> Sequence[Monitor]:
        """See ServerOwner."""
        self._touched(server.host)
        return self._monitors.make(server.host, address, server.incarnation, names=names)

    def missing_monitors(
        self, server: Server, address: IPAddress, present: Collection[str]
    ) -> Sequence[Monitor]:
        """See ServerOwner."""
        return self.more_monitors(server, address, self._monitors.names.difference(present))

    def _not_made(self, host: str, monitor: str) -> None:
        if (server := self._servers.get(host)) is not None:
            self._cannot_be_checked(server, monitor)

    def address_changed(self, server: Server) -> None:
        """See ServerOwner."""
        host, address = server.host, server.address
        objection = self.addresses.objection(host, address, None)
        late = self._new_servers.late_objection(host, address, self._clock.seconds())
        self.addresses.moved(host, address)
        self._handle(AddressChanged(host, address is not None, objection or late))

    def may_move(self, server: Server, address: IPAddress) -> bool:
        """See ServerOwner."""
        return self.crowding.may_move(server, address, self._list_floor)

    def address_proven(self, server: Server) -> None:
        """See ServerOwner."""
        text = "{host} was found up at {address} and is there from now on"
        self._log.info(text, host=server.host, address=str(server.address))
        self.addresses.moved(server.host, server.address)
        self._handle(AddressChanged(server.host, ready=True, proven=True))

    def cannot_be_checked(self, server: Server) -> None:
        """See ServerOwner."""
        self._cannot_be_checked(server, "")

    def try_address(self, server: Server, trial: AddressTrial) -> Sequence[Monitor]:
        """See ServerOwner."""
        host, address = server.host, trial.address
        objection = self.addresses.objection(host, address, server.address)
        if self.is_down(host) and not objection:
            return ()
        monitors = self._monitors.make(host, address, server.incarnation, trial)
        if monitors:
            text = "{host} has moved to {address}; it stays at {former} until it is found up there"
            self._log.info(text, host=host, address=str(address), former=str(server.address))
            self._record.moves(server)
        return monitors

    def is_down(self, host: str) -> bool:
        """Whether the policy has it, and has it down."""
        member = self._policy.state.members.get(host)
        return member is not None and not member.up

    def _name(self, host: str) -> str:
        member = self._policy.state.members.get(host)
        return f"{host} ({member.status})" if member is not None else host
