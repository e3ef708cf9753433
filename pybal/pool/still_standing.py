"""What stood in the kernel when the daemon started and is no known server's. Pure.

A name that has not answered yet, or that answers otherwise than before, says nothing against a
server that the kernel sends connections to. So what no server of the pool list is known to be stays
as it stands while it may be one of them: an enabled one whose address is not known, or that is
where nothing stood and has not been found up there. An address accounts for one server: a name
server that answers everything with one address does not make one server of all. Once one of those
who are there has left, the others must be found up: it may have been that one's. Which is whose is
not known, so they go together, once each enabled server is where something stood (and was no server
that was pooled though it was down), or was found up where it is, or when an operator says so. What
gets no connections, as it drained, waits for names without an address alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping

from pybal.ipvs.model import Destination, DestinationKey
from pybal.model import IPAddress
from pybal.pool.desired import Changes
from pybal.pool.member import Member
from pybal.pool.members import Members

KeyOf = Callable[[str], DestinationKey | None]
"""By host, where a server is; None while that is not known."""


class StillStanding:
    """Of one service. To look at it costs what has changed since the last time."""

    def __init__(self, stood: Mapping[DestinationKey, Destination]) -> None:
        self._stood = set(stood)
        """Where something stood, and no server was that has left."""
        self._left = dict(stood)
        self._awaited: dict[str, None] = {}
        """Servers that may be among those that are left."""
        self._nameless: dict[str, None] = {}
        """Those of them whose address is not known."""
        self._removed: set[DestinationKey] = set()
        self._keys: dict[str, DestinationKey] = {}
        """Where servers are that are enabled."""
        self._at: dict[DestinationKey, dict[str, None]] = {}
        """Who of them is at an address, in the order in which they came; the first accounts for it.
        No address without any."""
        self._doubted: set[str] = set()
        """Servers of which what stands says nothing: the last run had not seen them to work."""
        self._heirs: dict[str, None] = {}
        """Who accounts for an address that another has left."""
        self.count = sum(each.weight > 0 for each in stood.values())
        """How many of those that are left get connections."""
        self.weight = sum(each.weight for each in stood.values())
        """What their weights come to."""

    @property
    def stay(self) -> bool:
        """Whether any are left."""
        return bool(self._left)

    @property
    def serving(self) -> tuple[IPAddress, ...]:
        """The addresses of those that get connections."""
        return tuple(key.address for key, each in self._left.items() if each.weight > 0)

    @property
    def awaited(self) -> tuple[str, ...]:
        """The servers that they may be."""
        return tuple(self._awaited)

    def look(self, changes: Changes, key_of: KeyOf, *, whole: bool) -> Collection[DestinationKey]:
        """Servers came, went, moved, went up or down. Gives those that stay no longer. The list may
        not be known as a `whole` yet."""
        gone: list[DestinationKey] = []
        if not changes.goes_on:
            self._forget_but(changes.members)
        for member in changes.concerned:
            key = key_of(member.spec.host) if member.ready else None
            self._note(member, key)
            if key is not None and self._is_decided(member, key):
                gone += self.are_no_servers((key,))
            self._judge(member, key)
        self._judge_heirs(changes.members)
        if whole and not self._nameless:
            gone += self.are_no_servers(self._removed)
        waited_for = self._awaited if self.count else self._nameless
        is_over = not self._left or (whole and not waited_for)
        return (*gone, *self.end()) if is_over else gone

    def are_doubted(self, hosts: Iterable[str]) -> None:
        """The last run had found these down, or not seen them to work yet."""
        self._doubted.update(hosts)

    def were_removed(self, keys: Iterable[DestinationKey]) -> None:
        """There were servers that the list no longer names, unless it does by another name."""
        self._removed.update(keys)

    def are_no_servers(self, keys: Iterable[DestinationKey]) -> Collection[DestinationKey]:
        """Of these it is known whose they are, or that they are nobody's; gives those that were
        left."""
        gone = [key for key in keys if key in self._left]
        for key in gone:
            self._count_out(self._left.pop(key))
        return gone

    def end(self) -> Collection[DestinationKey]:
        """None stays any longer; gives those that did."""
        left, self._left = self._left, {}
        self._stood = set()
        for each in (self._awaited, self._nameless, self._removed, self._keys, self._at):
            each.clear()
        self.count = self.weight = 0
        return left.keys()

    def _note(self, member: Member, key: DestinationKey | None) -> None:
        host = member.spec.host
        now = key if member.spec.enabled else None
        if now == self._keys.get(host):
            return
        self._leave(host)
        if now is not None:
            self._keys[host] = now
            self._at.setdefault(now, {})[host] = None

    def _leave(self, host: str) -> None:
        key = self._keys.pop(host, None)
        if key is None:
            return
        self._stood.discard(key)
        there = self._at[key]
        del there[host]
        if not there:
            del self._at[key]
        else:
            self._heirs[next(iter(there))] = None

    def _accounts_for(self, key: DestinationKey) -> str | None:
        return next(iter(self._at.get(key, ())), None)

    def _judge_heirs(self, members: Members) -> None:
        heirs, self._heirs = self._heirs, {}
        for host in heirs:
            if host in self._keys:
                self._judge(members[host], self._keys[host])

    def _forget_but(self, listed: Container[str]) -> None:
        for host in [host for host in self._keys if host not in listed]:
            self._leave(host)
        for hosts in (self._awaited, self._nameless):
            for host in [host for host in hosts if host not in listed]:
                del hosts[host]

    def _count_out(self, destination: Destination) -> None:
        self.count -= destination.weight > 0
        self.weight -= destination.weight

    def _is_decided(self, member: Member, key: DestinationKey) -> bool:
        """Whether the policy may say what becomes of the server that stands there. It waits for its
        monitors if something speaks against it; what stands does not."""
        stands = self._left.get(key)
        said_down = member.refused or False in member.results.values()
        wanted = stands is not None and stands.weight > 0 and member.spec.enabled
        return not wanted or member.up or said_down

    def _judge(self, member: Member, key: DestinationKey | None) -> None:
        host = member.spec.host
        found_up = member.ready and not member.refused and all(member.results.values())
        if found_up:
            self._doubted.discard(host)
        stood = key in self._stood and key not in self._left and host not in self._doubted
        is_alone = key is None or self._accounts_for(key) == host
        if member.spec.enabled and not ((stood or found_up) and is_alone):
            self._awaited[host] = None
        else:
            self._awaited.pop(host, None)
        if member.spec.enabled and key is None:
            self._nameless[host] = None
        else:
            self._nameless.pop(host, None)
