"""What one session has been told and what it is to be told next. Pure: messages are pulled.

Pulling keeps at most one message in memory beyond what the transport holds, however many
routes there are, and lets a change that comes in between replace what was not yet said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Union

from pybal.bgp.codec import encode
from pybal.bgp.constants import IPV4_UNICAST, Family, RefreshSubtype
from pybal.bgp.export import export
from pybal.bgp.messages import MPUnreach, RouteRefresh, Update
from pybal.bgp.negotiation import Session
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Changes, Route, Routes, diff, group, obstacle, pack
from pybal.bgp.settings import ExportPolicy

Outgoing = Union[Update, RouteRefresh]
_NO_POLICY = ExportPolicy()


class AdjRIBOut:
    """RFC 4271 section 3.2, for one session from its first route to its end.

    After the first full set of routes each family gets its End-of-RIB (RFC 4724 section 2),
    unless it is held back: see `end_of_rib_held`.
    """

    def __init__(self, session: Session, policy: ExportPolicy = _NO_POLICY) -> None:
        self._session = session
        self._policy = policy
        self._sent: dict[Prefix, Route] = {}
        self._given: Routes = {}
        self._wanted: dict[Prefix, Route] = {}
        # Of (identity, address size): the route itself, which keeps its identity taken, as
        # the peer sees it, and why it cannot be told of it.
        self._judged: dict[tuple[int, int], tuple[Route, Route, str | None]] = {}
        self._changes: Iterator[Update] | None = None
        self._refresh: Iterator[Outgoing] | None = None
        self._refreshes: deque[Family] = deque()
        self._markers: deque[Family] = deque(session.families)
        self.version = 0  # grows with every change of `sent`
        self.wishes = 0  # grows with every change of what is wanted
        self.end_of_rib_held = False
        self.withdrawals_held = False
        self._unconfirmed: set[Prefix] = set()
        self.obstacles: dict[Prefix, str] = {}

    @property
    def sent(self) -> Routes:
        """What the peer has been told."""
        return self._sent

    @property
    def in_sync(self) -> bool:
        """Whether all that is wanted has been pulled."""
        return self._changes is None and self._refresh is None and not self._refreshes

    def want(self, routes: Routes) -> None:
        """From now on these routes are to be announced; prefixes that this peer cannot be
        told of end in `obstacles`. The mapping must not be changed afterwards."""
        self.wishes += 1
        before, self._given = self._given, routes
        for prefix in before.keys() - routes.keys():
            self._wanted.pop(prefix, None)
            self.obstacles.pop(prefix, None)
        for prefix, route in routes.items():
            if before.get(prefix) is route:
                continue
            judged = self._judged.get((id(route), len(prefix.octets)))
            _, seen, reason = judged or self._judge(prefix, route)
            if reason is None:
                self._wanted[prefix] = seen
                self.obstacles.pop(prefix, None)
            else:
                self._wanted.pop(prefix, None)
                self.obstacles[prefix] = reason
        self._recognize()
        changes = diff(self._sent, self._wanted)
        if self.withdrawals_held:
            # Of those that were wanted in this life it is known that they are not any more.
            known = tuple(p for p in changes.withdrawn if p not in self._unconfirmed)
            changes = Changes(known, changes.announced)
        self._changes = pack(changes, self._session)

    def resume(self, routes: Routes, markers: Collection[Family], asked: Iterable[Family]) -> None:
        """Go on where another process has told the peer these routes, and that those families are
        complete; it has not heard those again that it has `asked` for. Until `release`
        what has never been wanted stays."""
        self._sent = dict(routes)
        self._unconfirmed = set(routes)
        self._markers = deque(family for family in self._markers if family not in markers)
        self.withdrawals_held = True
        self.version += 1
        for family in asked:
            self.refresh(family)

    def release(self) -> None:
        """All that is wanted is known: what was told before and is not wanted is withdrawn, and
        End-of-RIB follows."""
        self.end_of_rib_held = False
        if self.withdrawals_held:
            self.withdrawals_held = False
            self.want(self._given)
            self._unconfirmed.clear()

    def _recognize(self) -> None:
        """What was read from the wire is not the object that was written to it, but says the
        same."""
        found: dict[tuple[int, int, int], bool] = {}
        for prefix in tuple(self._unconfirmed):
            wanted, sent = self._wanted.get(prefix), self._sent.get(prefix)
            if wanted is None or sent is None:
                continue
            key = (id(wanted), id(sent), len(prefix.octets))
            if key not in found:
                found[key] = _on_wire(prefix, wanted, self._session) == _on_wire(
                    prefix, sent, self._session
                )
            if found[key]:
                self._sent[prefix] = wanted
            self._unconfirmed.discard(prefix)

    def said(self) -> Iterator[Update]:
        """UPDATEs that say all that the peer has been told by now, End-of-RIB as well."""
        yield from pack(Changes((), group(self._sent.items())), self._session)
        for family in self._session.families:
            if family not in self._markers:
                yield end_of_rib(family)

    def set_policy(self, policy: ExportPolicy) -> None:
        """The same routes are to be announced, judged anew by this policy."""
        self._policy = policy
        self._judged.clear()
        given, self._given = self._given, {}
        self.want(given)

    def _judge(self, prefix: Prefix, route: Route) -> tuple[Route, Route, str | None]:
        """Routes are few and shared by many prefixes: each is exported once for each family."""
        seen = export(route, prefix.family, self._session, self._policy)
        judged = (route, seen, obstacle(prefix, seen, self._session))
        self._judged[id(route), len(prefix.octets)] = judged
        return judged

    def refresh(self, family: Family) -> None:
        """The peer asks to hear all routes of a family again (RFC 2918, RFC 7313)."""
        if family in self._session.families and family not in self._refreshes:
            self._refreshes.append(family)

    def next_message(self) -> Outgoing | None:
        """The next message to send, None while there is nothing to say."""
        while True:
            if self._refresh is not None:
                message = next(self._refresh, None)
                if message is not None:
                    return message
                self._refresh = None
            if self._changes is not None:
                update = next(self._changes, None)
                if update is not None:
                    self._remember(update)
                    return update
                self._changes = None
            if self._markers and not self.end_of_rib_held:
                return end_of_rib(self._markers.popleft())
            if not self._refreshes:
                return None
            self._refresh = self._say_again(self._refreshes.popleft())

    def _say_again(self, family: Family) -> Iterator[Outgoing]:
        # RFC 7313 section 4: no markers while End-of-RIB is still to come.
        enhanced = self._session.enhanced_route_refresh and not self._markers
        routes = [item for item in self._sent.items() if item[0].family == family]
        if enhanced:
            yield RouteRefresh(family, RefreshSubtype.BEGIN)
        yield from pack(Changes((), group(routes)), self._session)
        if enhanced:
            yield RouteRefresh(family, RefreshSubtype.END)

    def _remember(self, update: Update) -> None:
        self.version += 1
        gone = update.withdrawn if update.mp_unreach is None else update.mp_unreach.prefixes
        for prefix in gone:
            self._sent.pop(prefix, None)
        told = update.prefixes if update.mp_reach is None else update.mp_reach.prefixes
        for prefix in told:
            self._sent[prefix] = self._wanted[prefix]


def _on_wire(prefix: Prefix, route: Route, session: Session) -> bytes:
    alone = pack(Changes((), group([(prefix, route)])), session)
    return b"".join(encode(update, session.scope, session.send_size) for update in alone)


def end_of_rib(family: Family) -> Update:
    """RFC 4724 section 2."""
    return Update() if family == IPV4_UNICAST else Update(mp_unreach=MPUnreach(family))
