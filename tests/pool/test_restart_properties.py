"""No history of lists, names, addresses, reports, restarts and time takes a server out of which
nothing bad is known, unless an operator does."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st

from pybal.ipvs.model import ServiceEntry
from pybal.model import ServerSpec, SourceList
from pybal.pool.coordinator import FIRST_ANSWER_WAIT_S
from tests.examples import examples
from tests.fakes.coordinator import ADDRESSES, Bench

HOSTS = "abcd"
SPARE = ("10.0.0.98", "10.0.0.99")
EVERYWHERE = (*ADDRESSES.values(), *SPARE)

hosts = st.sampled_from(HOSTS)
addresses = st.sampled_from(EVERYWHERE)
actions = st.one_of(
    st.tuples(st.just("name"), hosts, addresses),
    st.tuples(st.just("silence"), hosts),
    st.tuples(st.just("life"), addresses, st.booleans()),
    st.tuples(st.just("checks"), st.sets(hosts)),
    st.tuples(st.just("list"), st.dictionaries(hosts, st.sampled_from([True, True, False]))),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 7.0, 40.0, 1000.0])),
    st.tuples(st.just("restart"), st.sampled_from(["all", "no addresses", "nothing"])),
)
histories = st.lists(actions, max_size=20)
thresholds = st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(1)])


class World:
    """Name servers, machines, an operator; and a daemon that is restarted now and then."""

    def __init__(self, threshold: Fraction) -> None:
        self.threshold = threshold
        self.names: dict[str, str] = {host: ADDRESSES[host] for host in HOSTS}
        self.alive = set(EVERYWHERE)
        self.found: dict[str, bool] = {}
        """What the last check at an address said."""
        self.listed = dict.fromkeys(HOSTS, True)
        self.owners: dict[str, set[str]] = {}
        """Who was at an address when that was last known."""
        self.book: dict[str, str] = {}
        self.bench = self._begin(None)
        self._publish_list()
        self._check(set(HOSTS))
        self.note()

    def _begin(self, kernel: ServiceEntry | None) -> Bench:
        bench = Bench(threshold=self.threshold, adopted=kernel, names=dict(self.names))
        bench.names.last_run = dict(self.book)
        return bench

    def _publish_list(self, last_run: tuple[ServerSpec, ...] = (), past: object = None) -> None:
        found = tuple(ServerSpec(host, enabled=on) for host, on in self.listed.items())
        self.bench.coordinator.pool_list(SourceList(found, last_run, past))  # type: ignore[arg-type]
        self.bench.clock.advance(FIRST_ANSWER_WAIT_S)

    def _check(self, chosen: set[str]) -> None:
        for monitor in [each for each in self.bench.made if each.target.host in chosen]:
            if monitor.running:
                address = str(monitor.target.address)
                self.found[address] = address in self.alive
                monitor.say(self.found[address])

    def play(self, action: tuple[object, ...]) -> None:
        match action:
            case "name", str(host), str(address):
                self.names[host] = self.bench.names.table[host] = address
                watch = self.bench.names.watches.get(host)
                if watch is not None and not watch.stopped:
                    watch.answer(ip_address(address))
            case "silence", str(host):
                # What is known of it stays; the next process hears nothing.
                self.names.pop(host, None)
                self.bench.names.table.pop(host, None)
            case "life", str(address), bool(alive):
                (self.alive.add if alive else self.alive.discard)(address)
            case "checks", set(chosen):
                self._check(chosen)
            case "list", dict(listed) if listed:
                self.listed = dict(listed)
                self._disown()
                self._publish_list()
            case "wait", float(seconds):
                self.bench.clock.advance(seconds)
            case "restart", str(state):
                self._restart(state)

    def _disown(self) -> None:
        """An operator took servers out, be it that they are listed again later."""
        for owners in self.owners.values():
            owners.intersection_update(host for host, on in self.listed.items() if on)

    def _restart(self, state: str) -> None:
        before = self.bench
        before.coordinator.stop()
        known = {s.host: str(s.address) for s in before.snapshot().servers if s.address}
        self.book = {**self.book, **known} if state == "all" else {}
        self.bench = self._begin(before.published[-1])
        self.bench.clock.advance(before.clock.seconds() + 1)
        if state == "nothing":
            # What the former list was, and what of this one was held, is not known.
            self._disown()
            self._publish_list()
        else:
            self._publish_list(before.in_force_lists[-1], before.past)

    def note(self) -> None:
        """Where servers are, as far as the daemon knows. Who was taken out by an operator does not
        count, even while that is held: it comes into force as soon as one of the others dies. Nor
        does one that waits for its monitors, and is pooled only until enough others are up."""
        found = [each for each in self.bench.snapshot().servers if each.address is not None]
        at = {str(each.address) for each in found}
        servers = [each for each in found if each.up and self.listed.get(each.host)]
        for address in at:
            self.owners[address] = {s.host for s in servers if str(s.address) == address}

    @property
    def table(self) -> set[str]:
        return {address for address, weight in self.bench.destinations.items() if weight > 0}

    def may_leave(self, address: str) -> bool:
        """Whether there is a reason for which nothing is at an address any longer."""
        if self.found.get(address) is False:
            return True
        servers = [each for each in self.bench.snapshot().servers if each.address is not None]
        if any(str(each.address) == address and not each.enabled for each in servers):
            return True
        where = {each.host: str(each.address) for each in servers}
        return all(
            # It has moved to where it was found up.
            where.get(host, address) != address and self.found.get(where[host]) is True
            for host in self.owners[address]
        )


@settings(max_examples=examples(1.5))
@given(thresholds, histories)
def test_nobody_leaves_without_evidence_or_an_operators_word(
    threshold: Fraction, history: list[tuple[object, ...]]
) -> None:
    world = World(threshold)
    before = world.table
    assert before == set(ADDRESSES.values())
    for action in history:
        world.play(action)
        for address in before - world.table:
            assert world.may_leave(address), (action, address, world.owners[address])
        shown = {str(s.address) for s in world.bench.snapshot().servers if s.pooled}
        assert shown <= world.table, (action, "shown as pooled, and not in the kernel")
        before = world.table
        world.note()


@given(histories)
def test_nobody_stays_who_was_found_down_where_the_threshold_lets_all_go(
    history: list[tuple[object, ...]],
) -> None:
    world = World(Fraction(0))
    for action in history:
        world.play(action)
        world._check(set(HOSTS))
        for server in world.bench.snapshot().servers:
            if world.found.get(str(server.address)) is False:
                assert str(server.address) not in world.table, (action, server.host)
