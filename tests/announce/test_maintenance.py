"""Traffic is moved away by BGP while everything else goes on, and back."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.announce.failover import BGPFailover
from pybal.announce.last_choice import as_last_choice
from pybal.announce.maintenance import Maintenance, Phase
from pybal.announce.maintenance_file import maintenance_file
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.as_path import sequence
from pybal.bgp.messages import Keepalive, PathAttributes
from pybal.bgp.rib import Route
from pybal.bgp.settings import MaintenanceSettings
from pybal.bgp.snapshot import MaintenanceSnapshot
from pybal.bgp.update import DecodedUpdate
from pybal.state.keeper import Keeper
from pybal.state.state_writing import StateWriting
from tests.bgp.memory import RouterEnd
from tests.bgp.peeringcase import VIP, VIP6, PeeringCase
from tests.bgp.prefixes import prefix_of

HOW = MaintenanceSettings(med=500, prepend=2, withdraw_after_s=30)
GRACEFUL_SHUTDOWN = 0xFFFF0000


def test_it_begins_once_and_ends_each_by_itself() -> None:
    one = Maintenance().begun("web", 10).begun(None, 20).begun("web", 30).begun(None, 40)
    assert one == Maintenance(20, {"web": 10})
    assert one.ended(None) == Maintenance(None, {"web": 10})
    assert one.ended("web").ended(None) == Maintenance()
    assert Maintenance().ended("other") == Maintenance()


@pytest.mark.parametrize(
    ("now", "web", "other", "change_s"),
    [
        (10, Phase.LAST_CHOICE, Phase.NONE, 30),
        (39, Phase.LAST_CHOICE, Phase.LAST_CHOICE, 1),
        (40, Phase.WITHDRAWN, Phase.LAST_CHOICE, 10),
        (50, Phase.WITHDRAWN, Phase.WITHDRAWN, None),
    ],
)
def test_the_last_choice_first_then_nothing(
    now: float, web: Phase, other: Phase, change_s: float | None
) -> None:
    one = Maintenance(None if now < 20 else 20, {"web": 10})
    assert one.phase("web", now, HOW) is web
    assert one.phase("other", now, HOW) is other
    assert one.next_change_s(now, HOW) == change_s


def test_it_may_never_come_to_a_withdrawal() -> None:
    never = MaintenanceSettings(withdraw_after_s=None)
    one = Maintenance(0)
    assert one.phase("web", 1e9, never) is Phase.LAST_CHOICE
    assert one.next_change_s(1e9, never) is None


def test_a_last_choice_is_marked_least_preferred_and_longer() -> None:
    """RFC 8326, which recommends LOCAL_PREF 0."""
    prefix, other = prefix_of("192.0.2.1/32"), prefix_of("192.0.2.2/32")
    own = sequence((64600,))
    said = PathAttributes(as_path=own, med=7, local_pref=100, communities=(1,))
    route = Route(said, ip_address("192.0.2.10"))
    marked = as_last_choice({prefix: route, other: route}, 64601, HOW)
    assert marked[prefix] is marked[other]
    attributes = marked[prefix].attributes
    assert (attributes.local_pref, attributes.med) == (0, 500)
    assert attributes.communities == (1, GRACEFUL_SHUTDOWN)
    assert attributes.as_path == (*sequence((64601, 64601)), *own)
    [same] = as_last_choice({prefix: route}, 64601, MaintenanceSettings()).values()
    assert (same.attributes.med, same.attributes.as_path) == (7, own)


def test_it_outlives_the_process(tmp_path: Path) -> None:
    writing = StateWriting(Clock(), lambda write: succeed(write()))

    def store() -> Keeper[Maintenance]:
        return Keeper(tmp_path, maintenance_file, "x", Maintenance(), writing, Logger())

    assert store().load() == Maintenance()
    one = Maintenance(20.5, {"web": 10})
    store().save(one)
    assert store().load() == one
    (tmp_path / "maintenance.json").write_text('{"format": 1, "director": "yes", "services": 3}')
    assert store().load() == Maintenance()


class MaintenanceTest(PeeringCase):
    def setUp(self) -> None:
        super().setUp()
        self.kept: list[Maintenance] = []
        self.bgp = self.in_maintenance()

    def in_maintenance(self, before: Maintenance = Maintenance()) -> BGPFailover:  # noqa: B008 - frozen
        settings = self.settings(maintenance=HOW)
        return BGPFailover(settings, self.ports(), before, self.kept.append)

    def routes(self, end: RouterEnd) -> dict[str, tuple[int | None, int, bool]]:
        """Prefix -> MED, length of the AS path, GRACEFUL_SHUTDOWN; as announced so far."""
        found: dict[str, tuple[int | None, int, bool]] = {}
        for message in end.heard:
            if not isinstance(message, DecodedUpdate):
                continue
            update, a = message.update, message.update.attributes
            reach, unreach = update.mp_reach, update.mp_unreach
            for prefix in (*update.withdrawn, *(unreach.prefixes if unreach else ())):
                found.pop(str(prefix), None)
            for prefix in (*update.prefixes, *(reach.prefixes if reach else ())):
                path = a.as_path or ()
                found[str(prefix)] = (
                    a.med, sum(len(s.asns) for s in path), GRACEFUL_SHUTDOWN in a.communities
                )  # fmt: skip
        return found

    def start(self) -> RouterEnd:
        end = self.establish()
        self.bgp.set_announced("web", (Advertisement(VIP),))
        self.bgp.set_announced("dns", (Advertisement(VIP6),))
        self.turn()
        return end

    def test_a_service_is_moved_away_and_back(self) -> None:
        end = self.start()
        self.bgp.begin_maintenance("web")
        self.turn()
        assert self.routes(end) == {
            "192.0.2.1/32": (500, 3, True),
            "2001:db8::1/128": (0, 1, False),
        }
        [shown] = self.bgp.snapshot().maintenance
        assert (shown.service, shown.withdrawn) == ("web", False)
        self.turn(20)
        end.say(Keepalive())
        self.turn(12)
        assert self.routes(end) == {"2001:db8::1/128": (0, 1, False)}
        assert self.bgp.snapshot().maintenance[0].withdrawn
        assert self.peer().established
        self.bgp.end_maintenance("web")
        self.turn()
        assert self.routes(end)["192.0.2.1/32"] == (0, 1, False)
        assert self.bgp.snapshot().maintenance == ()
        assert [len(kept.services) for kept in self.kept] == [1, 0]

    def test_the_whole_director_is_moved_away_and_the_sessions_stay(self) -> None:
        end = self.start()
        assert not self.bgp.end_maintenance()
        assert self.bgp.begin_maintenance()
        assert not self.bgp.begin_maintenance()
        self.turn()
        assert [route[2] for route in self.routes(end).values()] == [True, True]
        self.turn(20)
        end.say(Keepalive())
        self.turn(12)
        assert self.routes(end) == {}
        assert self.peer().sessions_lost == 0
        assert len(self.kept) == 1

    def test_further_addresses_of_this_host_stay_as_they_are(self) -> None:
        settings = self.settings(maintenance=HOW, extra_addresses=(VIP + 1,))
        self.bgp = BGPFailover(settings, self.ports())
        end = self.start()
        self.bgp.begin_maintenance()
        self.turn()
        assert {prefix: route[2] for prefix, route in self.routes(end).items()} == {
            "192.0.2.1/32": True,
            "192.0.2.2/32": False,
            "2001:db8::1/128": True,
        }

    def test_it_goes_on_after_a_restart(self) -> None:
        self.bgp = self.in_maintenance(Maintenance(1e9 - 100, {}))
        end = self.start()
        assert self.routes(end) == {}
        assert "Still in maintenance: this whole director" in self.logged("warn")
        (maintenance,) = self.bgp.snapshot().maintenance
        assert maintenance == MaintenanceSnapshot(None, 1e9 - 100, True, 1e9 - 70)

    def test_a_clock_that_is_set_moves_nothing(self) -> None:
        end = self.start()
        self.bgp.begin_maintenance("web")
        for self.jump_s in (3600, -86400):
            self.turn(10)
            self.bgp.set_announced("dns", None if self.jump_s > 0 else (Advertisement(VIP6),))
            self.turn()
            assert self.routes(end)["192.0.2.1/32"] == (500, 3, True)
            (shown,) = self.bgp.snapshot().maintenance
            assert not shown.withdrawn and shown.withdrawn_at is not None
            left_s = shown.withdrawn_at - (1e9 + self.clock.seconds() + self.jump_s)
            assert 0 < left_s <= 30, "by whatever clock"
        end.say(Keepalive())
        self.turn(12)
        assert "192.0.2.1/32" not in self.routes(end)
        assert self.bgp.snapshot().maintenance[0].withdrawn
        self.jump_s = 0
        self.bgp.set_announced("dns", None)
        self.turn()
        assert self.routes(end) == {}

    def test_what_begins_in_time_to_come_begins_with_the_process(self) -> None:
        self.bgp = self.in_maintenance(Maintenance(None, {"web": 1e9 + 86400}))
        end = self.start()
        assert self.routes(end)["192.0.2.1/32"] == (500, 3, True)
        self.turn(20)
        end.say(Keepalive())
        self.turn(12)
        assert "192.0.2.1/32" not in self.routes(end)

    def test_an_address_is_moved_when_all_services_on_it_are(self) -> None:
        end = self.start()
        self.bgp.set_announced("tls", (Advertisement(VIP),))
        self.bgp.begin_maintenance("web")
        self.turn()
        assert self.routes(end)["192.0.2.1/32"] == (0, 1, False)
        self.bgp.begin_maintenance("tls")
        self.turn()
        assert self.routes(end)["192.0.2.1/32"] == (500, 3, True)

    def test_a_stop_in_maintenance_leaves_no_timer(self) -> None:
        self.start()
        self.bgp.begin_maintenance()
        self.turn()
        done = self.bgp.stop("bye")
        self.clock.pump([0.1] * 60)
        self.successResultOf(done)
        assert self.clock.getDelayedCalls() == []
