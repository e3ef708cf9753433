"""What every Kernel does. The suite runs unchanged on the table in memory and on the real one;
a module that runs it defines two fixtures: `kernel`, an opened Kernel with an empty table, no
sync daemon and an interface `lo`; `forbidden`, one whose user lacks CAP_NET_ADMIN."""

from __future__ import annotations

import contextlib
import errno
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from pybal.errors import KernelError
from pybal.ipvs.kernel import Kernel, OperationResult
from pybal.ipvs.memory import MemoryKernel
from pybal.ipvs.model import (
    MAX_WEIGHT,
    SCHEDULERS,
    Destination,
    Forwarding,
    Persistence,
    Service,
    ServiceEntry,
    ServiceKey,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelType,
)
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from tests.ipvs.contract_examples import DESTINATIONS, LOCAL, REFUSED, SERVICES
from tests.ipvs.examples import (
    DNS,
    KEYS,
    MARK,
    MARK6,
    WEB,
    WEB6,
    destination,
    entry,
    pool,
    server,
)
from tests.ipvs.tables import applied, leading, read_table
from tests.running import until


def _apply(kernel: Kernel, *operations: Operation) -> None:
    """Apply what must succeed."""
    for result in kernel.apply(operations):
        assert result.error is None


def _load(kernel: Kernel, *entries: ServiceEntry) -> None:
    wanted = {each.service.key: each for each in entries}
    _apply(kernel, *leading({}, wanted))


def _start_sync(kernel: Kernel, daemon: SyncDaemon) -> None:
    """Start one and let it run: the kernel gives no answer to who stops one before."""
    kernel.start_sync(daemon)
    until(lambda: set(_states_of_sync_threads()) <= {"S"})


def _states_of_sync_threads() -> Iterator[str]:
    """Of the real kernel's, each a letter (proc(5)): those that have begun sleep."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            name, _, rest = status.read_text().partition("(")[2].rpartition(")")
            if name.startswith("ipvs-"):
                yield rest.split()[0]


@contextlib.contextmanager
def refused(number: int) -> Iterator[None]:
    """What is within is refused with this errno, and a hint."""
    with pytest.raises(KernelError) as caught:
        yield
    assert caught.value.errno == number
    assert caught.value.hint


def _errno(result: OperationResult) -> int:
    return 0 if result.error is None else result.error.errno


class KernelContract:
    """Every test starts with an empty table."""

    def test_an_empty_table_lists_nothing(self, kernel: Kernel) -> None:
        assert kernel.services().services == ()
        assert kernel.read(WEB) is None

    def test_nothing_to_do_is_done(self, kernel: Kernel) -> None:
        assert kernel.apply(()) == ()

    @pytest.mark.parametrize("service", SERVICES, ids=str)
    def test_a_service_reads_back_as_it_was_added(self, kernel: Kernel, service: Service) -> None:
        _apply(kernel, AddService(service))
        assert kernel.services().services == (service,)
        assert kernel.read(service.key) == ServiceEntry(service, {})

    @pytest.mark.parametrize("key", KEYS, ids=str)
    @pytest.mark.parametrize("scheduler", SCHEDULERS)
    def test_every_scheduler_is_known(
        self, kernel: Kernel, scheduler: str, key: ServiceKey
    ) -> None:
        _load(kernel, pool(key, 1, 2, scheduler=scheduler))
        assert kernel.read(key) == pool(key, 1, 2, scheduler=scheduler)

    @pytest.mark.parametrize("destination", DESTINATIONS, ids=str)
    def test_a_destination_reads_back_as_it_was_added(
        self, kernel: Kernel, destination: Destination
    ) -> None:
        _load(kernel, entry(WEB, destination))
        assert kernel.read(WEB) == entry(WEB, destination)

    def test_each_family_and_protocol_has_its_own_destinations(self, kernel: Kernel) -> None:
        entries = {key: pool(key, number, number + 1) for number, key in enumerate(KEYS, 1)}
        _load(kernel, *entries.values())
        assert read_table(kernel) == entries

    def test_a_tunnel_leads_to_the_other_family(self, kernel: Kernel) -> None:
        six = destination(1, forwarding=Forwarding.TUNNEL, key=WEB6)
        four = destination(1, forwarding=Forwarding.TUNNEL)
        _load(kernel, entry(WEB, four, six), entry(WEB6, four, six))
        assert kernel.read(WEB) == entry(WEB, four, six)
        assert kernel.read(WEB6) == entry(WEB6, four, six)

    def test_a_tunnels_options_count_for_nothing_without_a_tunnel(self, kernel: Kernel) -> None:
        options = Tunnel(TunnelType.GUE, 0, 1)
        _load(kernel, entry(WEB, replace(destination(1), tunnel=options)))
        assert kernel.read(WEB) == entry(WEB, destination(1))
        ipip = destination(1, forwarding=Forwarding.TUNNEL)
        _apply(kernel, EditDestination(WEB, replace(ipip, tunnel=Tunnel(port=5, flags=1))))
        assert kernel.read(WEB) == entry(WEB, ipip)

    def test_a_mark_and_an_address_and_the_marks_of_two_families_are_apart(
        self, kernel: Kernel
    ) -> None:
        other = ServiceKey.marked(6, 4)
        table = {key: pool(key, 1) for key in (MARK, MARK6, other, WEB)}
        _load(kernel, *table.values())
        _apply(kernel, RemoveService(MARK), RemoveDestination(MARK6, server(1, MARK6)))
        assert read_table(kernel) == {MARK6: pool(MARK6), other: table[other], WEB: table[WEB]}

    def test_without_permission_every_operation_is_refused(self, forbidden: Kernel) -> None:
        operations: list[Operation] = [
            AddService(Service(WEB, "wrr")),
            EditService(Service(WEB, "wrr")),
            RemoveService(WEB),
            AddDestination(WEB, destination(1)),
            EditDestination(WEB, destination(1)),
            RemoveDestination(WEB, server(1)),
        ]
        for result in forbidden.apply(operations):
            assert _errno(result) == errno.EPERM
            assert "CAP_NET_ADMIN" in str(result.error)

    def test_without_permission_nothing_can_be_read_or_set(self, forbidden: Kernel) -> None:
        calls: list[Callable[[], object]] = [
            forbidden.services,
            lambda: forbidden.read(WEB),
            forbidden.timeouts,
            lambda: forbidden.set_timeouts(Timeouts(1, 1, 1)),
            forbidden.sync_daemons,
            lambda: forbidden.start_sync(LOCAL),
            lambda: forbidden.stop_sync(SyncRole.MASTER),
        ]
        for call in calls:
            with refused(errno.EPERM):
                call()

    def test_timeouts_are_set_and_those_of_0_stay(self, kernel: Kernel) -> None:
        kernel.set_timeouts(Timeouts(901, 121, 301))
        assert kernel.timeouts() == Timeouts(901, 121, 301)
        kernel.set_timeouts(Timeouts(tcp_fin_s=60))
        assert kernel.timeouts() == Timeouts(901, 60, 301)
        kernel.set_timeouts(Timeouts(1, 2147483, 1))
        assert kernel.timeouts() == Timeouts(1, 2147483, 1)
        kernel.set_timeouts(Timeouts(900, 120, 300))

    @pytest.mark.parametrize("wrong", [-1, 2**31 - 1, 2**31, 2**40])
    def test_a_timeout_out_of_range_is_refused_and_changes_nothing(
        self, kernel: Kernel, wrong: int
    ) -> None:
        before = kernel.timeouts()
        for timeouts in (Timeouts(wrong, 5, 5), Timeouts(5, wrong, 5), Timeouts(5, 5, wrong)):
            with refused(errno.EINVAL):
                kernel.set_timeouts(timeouts)
        assert kernel.timeouts() == before

    def test_a_sync_daemon_of_each_role_is_started_and_stopped(self, kernel: Kernel) -> None:
        backup = SyncDaemon(SyncRole.BACKUP, "lo", 0, ip_address("224.0.0.99"), 8849, 3)
        _start_sync(kernel, backup)
        _start_sync(kernel, LOCAL)
        assert kernel.sync_daemons() == (LOCAL, backup)
        kernel.stop_sync(SyncRole.MASTER)
        assert kernel.sync_daemons() == (backup,)
        kernel.stop_sync(SyncRole.BACKUP)
        assert kernel.sync_daemons() == ()

    def test_a_sync_daemon_that_cannot_be_is_refused(self, kernel: Kernel) -> None:
        with refused(errno.ESRCH):
            kernel.stop_sync(SyncRole.BACKUP)
        with refused(errno.ENODEV):
            kernel.start_sync(replace(LOCAL, interface="no-such"))
        for group in ("192.0.2.1", "2001:db8::1"):
            with refused(errno.EINVAL):
                kernel.start_sync(replace(LOCAL, group=ip_address(group)))
        _start_sync(kernel, LOCAL)
        with refused(errno.EEXIST):
            kernel.start_sync(LOCAL)
        assert kernel.sync_daemons() == (LOCAL,)
        kernel.stop_sync(SyncRole.MASTER)

    def test_sync_daemons_and_servers_of_the_other_family_exclude_one_another(
        self, kernel: Kernel
    ) -> None:
        mixed = destination(1, forwarding=Forwarding.TUNNEL, key=WEB6)
        _load(kernel, entry(WEB, mixed))
        with refused(errno.EINVAL):
            kernel.start_sync(LOCAL)
        _apply(kernel, RemoveDestination(WEB, mixed.key))
        _start_sync(kernel, LOCAL)
        (result,) = kernel.apply([AddDestination(WEB, mixed)])
        assert _errno(result) == errno.EINVAL
        assert result.error is not None
        assert result.error.hint
        kernel.stop_sync(SyncRole.MASTER)
        _apply(kernel, AddDestination(WEB, mixed))

    def test_a_look_tells_which_services_are_absent(self, kernel: Kernel) -> None:
        _apply(kernel, *(AddService(Service(key, "wrr")) for key in (WEB, WEB6, MARK)))
        assert set(kernel.absent([WEB, DNS, WEB6, MARK, MARK6])) == {DNS, MARK6}
        assert set(kernel.absent([WEB])) == set()
        others = [replace(WEB, port=port) for port in range(1000, 1049)]
        assert set(kernel.absent([*others, WEB])) == set(others)

    def test_many_destinations_are_read_whole(self, kernel: Kernel) -> None:
        _load(kernel, pool(WEB, *range(1, 255)), pool(WEB6, *range(1, 1001)))
        assert kernel.read(WEB) == pool(WEB, *range(1, 255))
        assert kernel.read(WEB6) == pool(WEB6, *range(1, 1001))

    @pytest.mark.parametrize("before", [SERVICES[0], SERVICES[7], SERVICES[11]], ids=str)
    @pytest.mark.parametrize(
        "after", [service for service in SERVICES if service.key == WEB], ids=str
    )
    def test_editing_a_service_replaces_its_attributes_and_keeps_its_destinations(
        self, kernel: Kernel, before: Service, after: Service
    ) -> None:
        _load(kernel, ServiceEntry(before, pool(WEB, 1, 2).destinations))
        _apply(kernel, EditService(after))
        assert kernel.read(WEB) == ServiceEntry(after, pool(WEB, 1, 2).destinations)

    @pytest.mark.parametrize("before", [DESTINATIONS[0], DESTINATIONS[9], DESTINATIONS[11]])
    @pytest.mark.parametrize("after", DESTINATIONS, ids=str)
    def test_editing_a_destination_replaces_its_attributes(
        self, kernel: Kernel, before: Destination, after: Destination
    ) -> None:
        _load(kernel, entry(WEB, before, destination(2)))
        _apply(kernel, EditDestination(WEB, after))
        assert kernel.read(WEB) == entry(WEB, after, destination(2))

    def test_removing_a_destination_leaves_the_others(self, kernel: Kernel) -> None:
        _load(kernel, pool(WEB, 1, 2, 3), pool(DNS, 1))
        _apply(kernel, RemoveDestination(WEB, server(2)))
        assert read_table(kernel) == {WEB: pool(WEB, 1, 3), DNS: pool(DNS, 1)}

    def test_removing_a_service_removes_its_destinations(self, kernel: Kernel) -> None:
        _load(kernel, pool(WEB, 1, 2), pool(DNS, 1))
        _apply(kernel, RemoveService(WEB))
        assert read_table(kernel) == {DNS: pool(DNS, 1)}
        _apply(kernel, AddService(Service(WEB, "wrr")))
        assert kernel.read(WEB) == pool(WEB)

    @pytest.mark.parametrize(("operation", "number"), REFUSED, ids=str)
    def test_what_is_refused_is_refused_with_the_kernels_errno_and_changes_nothing(
        self, kernel: Kernel, operation: Operation, number: int
    ) -> None:
        standing = {WEB: pool(WEB, 1, 2), WEB6: pool(WEB6, 1)}
        _load(kernel, *standing.values())
        (result,) = kernel.apply([operation])
        assert result.operation == operation
        assert result.error is not None
        assert result.error.errno == number
        assert str(result.error).startswith(operation.words)
        assert result.error.hint
        assert read_table(kernel) == standing

    def test_a_refused_operation_among_many_is_named_and_stops_none(self, kernel: Kernel) -> None:
        _load(kernel, pool(WEB, 7, 120, 250))
        operations = [AddDestination(WEB, destination(number)) for number in range(1, 255)]
        results = kernel.apply(operations)
        assert [result.operation for result in results] == operations
        refused = {each.operation: _errno(each) for each in results if each.error is not None}
        assert refused == {
            AddDestination(WEB, destination(number)): errno.EEXIST for number in (7, 120, 250)
        }
        assert kernel.read(WEB) == pool(WEB, *range(1, 255))

    def test_every_outcome_is_known_when_all_are_refused(self, kernel: Kernel) -> None:
        results = kernel.apply([RemoveDestination(WEB, server(n)) for n in range(1, 501)])
        assert [_errno(result) for result in results] == [errno.ESRCH] * 500

    def test_any_history_ends_as_the_memory_says(self, kernel: Kernel) -> None:
        memory = MemoryKernel()
        for seed in range(20):
            history = list(_history(random.Random(seed), 150))
            expected = memory.apply(history)
            found = kernel.apply(history)
            differing = [
                (mine.operation.words, _errno(mine), _errno(theirs))
                for mine, theirs in zip(expected, found, strict=True)
                if _errno(mine) != _errno(theirs)
            ]
            assert differing == []
            assert read_table(kernel) == read_table(memory)
            accepted = [each.operation for each in expected if each.error is None]
            assert len(accepted) > 10
            _apply(kernel, *(RemoveService(key) for key in read_table(kernel)))
            assert applied({}, accepted) == read_table(memory)
            _apply(memory, *(RemoveService(key) for key in read_table(memory)))


def _history(choose: random.Random, length: int) -> Iterator[Operation]:
    """Random operations over few enough things that half of them meet one another."""
    for _ in range(length):
        key = choose.choice(KEYS)
        family = choose.choice(KEYS) if choose.random() < 0.1 else key
        weight = choose.choice((0, 1, 10, MAX_WEIGHT, -1))
        forwarding = choose.choice((*Forwarding, Forwarding.TUNNEL))
        tunnel = Tunnel()
        if forwarding is Forwarding.TUNNEL and choose.random() < 0.7:
            kind = choose.choice((TunnelType.GUE, TunnelType.GRE))
            tunnel = Tunnel(kind, choose.choice((0, 6080)), choose.randrange(4))
        lower, upper = choose.choice(((0, 0), (0, 0), (0, 9), (5, 9), (9, 5)))
        target = replace(
            destination(choose.randrange(4), weight, forwarding, family),
            tunnel=tunnel,
            upper_threshold=upper,
            lower_threshold=lower,
        )
        service = Service(
            key,
            choose.choice((*SCHEDULERS, "none", "no-such")),
            choose.random() < 0.5,
            choose.randrange(8),
            Persistence(choose.randrange(1, 1000), choose.randrange(33))
            if choose.random() < 0.3
            else None,
            choose.choice(("", "", "", "sip", "no-such")),
        )
        yield choose.choice(
            (
                AddService(service),
                AddService(service),
                EditService(service),
                RemoveService(key) if choose.random() < 0.3 else EditService(service),
                AddDestination(key, target),
                AddDestination(key, target),
                AddDestination(key, target),
                EditDestination(key, target),
                RemoveDestination(key, target.key),
            )
        )
