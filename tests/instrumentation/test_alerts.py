from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pybal.bgp.snapshot import AnnouncedPrefix, OthersRoute, OwnAddress
from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from pybal.instrumentation.alerts import KINDS, Situation, headline
from pybal.instrumentation.pending_alert import Lasting, PendingAlert, PendingAlerts
from pybal.ipvs.snapshot import (
    DriftSnapshot,
    KernelErrorSnapshot,
    MissingSnapshot,
)
from pybal.model import (
    Alert,
    HealthSnapshot,
    IsolationSnapshot,
    ServiceSnapshot,
    Severity,
    SourceSnapshot,
)
from tests.fakes.view import (
    CONFIG,
    DAEMON,
    NO_BGP,
    NOON,
    bgp,
    ipvs,
    pending_alerts,
    server,
    service,
)
from tests.instrumentation.assessed import Watched, assess, critical, nameless, warning


def test_a_director_that_is_cut_off_is_critical_though_all_pools_are_held() -> None:
    cut_off = HealthSnapshot(isolation=IsolationSnapshot("cut off", since=NOON, total=1))
    alert = assess([service("text_443", [server("a"), server("b"), server("c")])], cut_off)
    assert alert.as_text() == (
        "CRITICAL - This director is cut off from its servers, all pools are held as they are"
    )


def test_a_fault_of_our_own_is_a_warning() -> None:
    alert = assess([], HealthSnapshot(local_fault="too many open files"))
    assert alert.as_text() == (
        "WARNING - This director cannot make all its checks: too many open files. "
    )


def drift(name: str, *, repaired: bool = True) -> DriftSnapshot:
    return DriftSnapshot(name, NOON, ("the service is gone", "server x is gone"), repaired)


def test_drift_is_a_warning_that_says_what_was_changed() -> None:
    alert = assess([], drift=[drift("tcp 192.0.2.1:80", repaired=False)])
    assert alert.as_text() == (
        "WARNING - IPVS: tcp 192.0.2.1:80 was changed by others: the service is gone; "
        "server x is gone (not repaired yet). "
    )


def test_much_drift_is_summed_up() -> None:
    text = assess([], drift=[drift(f"tcp 192.0.2.{n}:80") for n in range(10)]).as_text()
    assert text.count("(repaired)") == 3
    assert text.endswith("7 more services were changed. ")


def test_drift_is_no_news_while_something_is_critical() -> None:
    held = service("p", [server("a"), server("b"), server("c", up=False, pooled=True)])
    assert assess([held], drift=[drift("tcp 192.0.2.1:80")]).as_text() == (
        "CRITICAL - p: Servers c are marked down but pooled"
    )


DOWN = [server("a", up=False), server("b", up=False)]

NEVER = SourceSnapshot("file:///x", stale=True, last_good_at=None, last_error="no such file")


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (
            service("web", DOWN),
            critical("Pool web serves nobody: none of its servers is up (a, b)"),
        ),
        (
            service("web", [nameless("a"), nameless("b")]),
            critical("Pool web serves nobody: no address is known of a, b"),
        ),
        (
            service("web", [server("a", pooled=False)]),
            critical("Pool web serves nobody: not pooled: a"),
        ),
        (
            service("web", [server("a", weight=0), *DOWN[1:]]),
            critical(
                "Pool web serves nobody: none of its servers is up (b), and the weight of a is 0"
            ),
        ),
        (
            service("web", [server("a", weight=0), nameless("b")]),
            critical("Pool web serves nobody: no address is known of b, and the weight of a is 0"),
        ),
        (
            service("web", [server("a", enabled=False), server("b", enabled=False)]),
            warning("Pool web serves nobody: all its servers are disabled"),
        ),
        (
            service("web", [server("a", weight=0), server("b", enabled=False)]),
            warning("Pool web serves nobody: the weights of all its servers are 0"),
        ),
        (service("web"), critical("Pool web has no servers: its list has not come yet")),
        (
            service("web", source=NEVER),
            critical("Pool web has no servers, its list cannot be had: no such file"),
        ),
    ],
)
def test_a_pool_that_serves_nobody_is_told_whatever_the_reason(
    shown: ServiceSnapshot, line: str
) -> None:
    watched = Watched()
    watched.services = [shown]
    assert watched.line(after_s=15.0) == line


def test_a_pool_that_serves_somebody_with_others_down_is_nobodys_alarm() -> None:
    watched = Watched()
    watched.services = [service("web", [*DOWN, server("c")])]
    assert watched.line(after_s=3600.0).startswith("OK")


def test_in_the_first_seconds_of_the_daemon_nobody_may_be_served_yet() -> None:
    fresh = PendingAlerts()
    found = list(pending_alerts(Situation([service("web")], DAEMON, ipvs(), NO_BGP, CONFIG)))
    assert fresh.step(found, 0.0) == ()
    assert fresh.step(found, 14.0) == ()
    assert [each.alert.id for each in fresh.step(found, 15.0)] == ["nobody-served"]


@pytest.mark.parametrize(
    ("shown", "after_s", "line"),
    [
        (
            service("web", [server("a")], source=NEVER._replace(last_good_at=NOON)),
            30.0,
            warning("Pool web has an old list, a new one cannot be had: no such file"),
        ),
        (
            service(
                "web",
                [server("a")],
                source=NEVER._replace(stale=False, last_error=None, damage=("line 3: x", "y")),
            ),
            0.0,
            warning("Pool web has a damaged list: line 3: x; y"),
        ),
        (
            service("web", [server("a")])._replace(list_error="ValueError: a mistake"),
            0.0,
            warning(
                "Pool web is not as its list and operators want it, by a fault of PyBal's:"
                " ValueError: a mistake"
            ),
        ),
        (
            service("web", [server("a"), *map(nameless, "bcdefghijkl")], threshold="0"),
            10.0,
            warning(
                "Pool web has servers without an address: b, c, d, e, f, g, h, i, j, k and 1 more"
            ),
        ),
        (
            # Somebody is served.
            service("web", [server("a", up=False), server("b", up=False)], threshold="0")._replace(
                standing=("192.0.2.1", "192.0.2.2"),
            ),
            10.0,
            warning(
                "Pool web keeps what stood in the kernel before PyBal started: 192.0.2.1,"
                " 192.0.2.2, which may be servers that are found nowhere else"
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_list_or_a_name_is_a_warning(
    shown: ServiceSnapshot, after_s: float, line: str
) -> None:
    watched = Watched()
    watched.services = [shown]
    if after_s:
        assert watched.line(after_s - 1).startswith("OK"), "it may pass by itself"
    assert watched.line(after_s=1.0) == line


def prefix(address: str = "198.51.100.1") -> AnnouncedPrefix:
    return AnnouncedPrefix(f"{address}/32", "192.0.2.1", 0, (), (), ("web",), ())


def test_a_bgp_peer_that_is_away_for_a_minute_is_a_warning() -> None:
    watched = Watched()
    watched.bgp = replace(bgp(("192.0.2.1", True), ("192.0.2.2", False)), announced=(prefix(),))
    assert watched.line(after_s=59.0).startswith("OK")
    assert watched.line(after_s=1.0) == warning("BGP peer 192.0.2.2 is not established (Active)")
    again = tuple(peer._replace(sessions_lost=1) for peer in watched.bgp.peers)
    watched.bgp = replace(watched.bgp, peers=again)
    assert watched.line().startswith("OK"), "it was there in between"


def test_a_bgp_peer_matters_only_while_something_is_to_be_announced() -> None:
    watched = Watched()
    watched.bgp = bgp(("192.0.2.2", False))
    assert watched.line(after_s=3600.0).startswith("OK")


def test_an_address_that_another_announces_alike_for_a_minute_is_a_warning() -> None:
    route = OthersRoute("192.0.2.1", "198.51.100.1/32", "192.0.2.9", None, None, (), 1, (), "alike")
    watched = Watched()
    watched.bgp = replace(
        bgp(("192.0.2.1", True)), own=(OwnAddress("198.51.100.1", True, "alike", (route,)),)
    )
    assert watched.line(after_s=59.9).startswith("OK")
    assert watched.line(after_s=0.1) == warning(
        "198.51.100.1 is announced alike by another (next hop 192.0.2.9, MED 0, by 192.0.2.1):"
        " routers choose by themselves"
    )


@pytest.mark.parametrize(
    ("size", "ending"),
    [(200, "x" * 200 + ". "), (201, "x" * 199 + "… (all of it: /api/v1/config). ")],
)
def test_of_a_long_error_two_hundred_characters_are_shown_and_where_the_rest_is(
    size: int, ending: str
) -> None:
    watched = Watched()
    watched.config = CONFIG._replace(
        last_reload=ReloadSnapshot(NOON, ReloadOutcome.REFUSED, ("x" * size,), ())
    )
    assert watched.line().endswith(f" runs: {ending}")


def test_an_announced_address_that_is_on_no_interface_is_a_warning() -> None:
    watched = Watched()
    watched.not_local = ("198.51.100.1",)
    assert watched.line() == warning("198.51.100.1 is announced, but on no interface of this host")


def test_a_service_that_the_kernel_does_not_hold_is_critical_a_server_a_warning() -> None:
    watched = Watched()
    key = "tcp 192.0.2.1:80"
    error = KernelErrorSnapshot(NOON, "add tcp 192.0.2.1:80: no such file (ENOENT)")
    watched.ipvs = ipvs()._replace(
        missing=(MissingSnapshot(key),), names=((key, "web"),), last_error=error
    )
    assert watched.line() == critical(f"IPVS: the kernel does not hold web ({key}): {error.text}")
    own = MissingSnapshot(key, error="its own")
    watched.ipvs = watched.ipvs._replace(missing=(own,))
    assert watched.line() == critical(f"IPVS: the kernel does not hold web ({key}): its own")
    unrecorded = watched.ipvs._replace(missing=(MissingSnapshot(key),), ownership_error="disk full")
    watched.ipvs = unrecorded
    assert watched.line() == critical(f"IPVS: the kernel does not hold web ({key}): disk full")
    watched.ipvs = unrecorded._replace(ownership_error="")
    for others, said in ((1, warning), (0, critical)):
        server_ = MissingSnapshot(key, ("0.0.0.0:80",), others)
        watched.ipvs = watched.ipvs._replace(missing=(server_,))
        text = f"IPVS: the kernel does not hold 0.0.0.0:80 of web: {error.text}"
        assert watched.line() == said(text)


def test_what_the_kernel_holds_otherwise_than_it_should_is_a_warning_once_it_lasts() -> None:
    watched = Watched()
    key = "tcp 192.0.2.1:80"
    otherwise = MissingSnapshot(key, (), 2, "change service: refused (ENOENT)", otherwise=True)
    watched.ipvs = ipvs()._replace(missing=(otherwise,), names=((key, "web"),))
    assert watched.line(after_s=9.0).startswith("OK")
    text = "IPVS: the kernel does not hold web as it should be: change service: refused (ENOENT)"
    assert watched.line(after_s=2.0) == warning(text)


def test_a_configuration_that_was_refused_is_a_warning_one_that_differs_after_an_hour() -> None:
    watched = Watched()
    path = CONFIG.path
    watched.config = CONFIG._replace(differs_since=NOON)
    assert watched.line(after_s=3599.0).startswith("OK")
    assert watched.line(after_s=1.0) == warning(
        f"{path} has been changed and is not what runs: reload or restart"
    )
    refused = ReloadSnapshot(NOON, ReloadOutcome.REFUSED, ("line 3: x", "line 4: y"), ())
    watched.config = watched.config._replace(last_reload=refused)
    assert watched.line() == warning(
        f"A changed {path} was refused, the former one runs: line 3: x; line 4: y"
    )
    watched.config = CONFIG._replace(is_last_good=True)
    assert watched.line() == warning(
        f"{path} had errors at the start: the last good configuration runs"
    )


def test_state_that_cannot_be_written_is_a_warning_once_it_was_tried_again() -> None:
    watched = Watched()
    files = tuple((f"/var/lib/pybal/{n}.json", "No space left on device") for n in range(5))
    watched.daemon = DAEMON._replace(unwritten=files)
    assert watched.line(after_s=29.0).startswith("OK")
    assert watched.line(after_s=2.0) == warning(
        "What the next start is to find cannot be written: /var/lib/pybal/0.json,"
        " /var/lib/pybal/1.json, /var/lib/pybal/2.json and 2 more: No space left on device"
    )
    watched.daemon = DAEMON._replace(unwritten=files[:1])
    assert "0.json: No space" in watched.line()
    watched.daemon = DAEMON
    assert watched.line().startswith("OK")
    error = "the record of PyBal's services cannot be written: Read-only file system"
    watched.ipvs = watched.ipvs._replace(ownership_error=error)
    assert watched.line().startswith("OK")
    assert watched.line(after_s=31.0) == warning(f"IPVS: {error}")


def test_of_a_configuration_that_was_applied_in_part_nobody_is_told_that_the_former_one_runs() -> (
    None
):
    watched = Watched()
    last = ReloadSnapshot(NOON, ReloadOutcome.IN_PART, ("KeyError: 'web'",), ("add service web",))
    for config in (CONFIG, CONFIG._replace(is_last_good=True, differs_since=NOON)):
        watched.config = config._replace(last_reload=last, in_part=last.errors)
        assert watched.line() == warning(
            f"A changed {CONFIG.path} was applied in part, reload once more: KeyError: 'web'"
        )
        assert [alert.id for alert in watched.alerts()] == ["config-in-part"]
    refused = ReloadSnapshot(NOON, ReloadOutcome.REFUSED, ("line 3: x",), ())
    watched.config = watched.config._replace(is_last_good=False, last_reload=refused)
    assert [alert.id for alert in watched.alerts()] == ["config-in-part", "config-refused"]
    assert f"A changed {CONFIG.path} was refused, what was applied in part runs" in watched.line()


def test_other_parts_raise_their_own_alerts() -> None:
    watched = Watched()
    own = Alert("config-differs", Severity.WARNING, None, "pybal.conf is not what runs")
    watched.daemon = DAEMON._replace(alerts=(own,))
    assert watched.alerts() == [own]
    assert watched.line() == warning("pybal.conf is not what runs")


def test_what_others_say_is_a_part_of_the_line_and_no_line_of_its_own() -> None:
    watched = Watched()
    error = "evil\x1b[2J\n\nOK - fine"
    watched.services = [service("web", source=NEVER._replace(last_error=error))]
    why = r"Pool web has no servers, its list cannot be had: evil\x1b[2J\n\nOK - fine"
    assert watched.line(after_s=15.0) == f"CRITICAL - {why}"
    assert headline(watched.alerts()).as_json() == {"status": "critical", "msg": why}


def test_the_contracts_words_come_first() -> None:
    watched = Watched()
    watched.services = [
        service("small", [server("a"), server("b")], threshold="1"),
        service("off", [server("a", enabled=False)]),
    ]
    watched.not_local = ("198.51.100.1",)
    assert watched.line(after_s=15.0) == (
        "WARNING - Pool small is too small to allow depooling. "
        "Pool off serves nobody: all its servers are disabled. "
        "198.51.100.1 is announced, but on no interface of this host. "
    )
    watched.services += [
        service("down", DOWN),
        service("held", [server("x", up=False, pooled=True), server("b"), server("c")]),
    ]
    assert watched.line(after_s=15.0) == (
        "CRITICAL - held: Servers x are marked down but pooled; "
        "Pool down serves nobody: none of its servers is up (a, b)"
    )


def test_many_alerts_of_a_kind_are_summed_up_but_for_the_contracts() -> None:
    watched = Watched()
    small = [server("a"), server("b")]
    watched.services = [
        *(service(f"off{n}", [server("a", enabled=False)]) for n in range(9)),
        *(service(f"small{n}", small, threshold="1") for n in range(9)),
    ]
    line = watched.line(after_s=15.0)
    assert line.count("is too small to allow depooling") == 9
    assert line.count("all its servers are disabled") == 3
    assert line.endswith("6 more pools serve nobody. ")
    assert line.count("more pools serve nobody") == 1
    assert len(watched.alerts()) == 18


@pytest.mark.parametrize(("number", "named", "rest"), [(3, 3, ""), (4, 4, ""), (5, 3, "2 more")])
def test_one_alone_is_not_summed_up(number: int, named: int, rest: str) -> None:
    watched = Watched()
    off = [server("a", enabled=False)]
    watched.services = [service(f"off{n}", off) for n in range(number)]
    line = watched.line(after_s=15.0)
    assert line.count("all its servers are disabled") == named
    assert rest in line
    assert ("more pools" in line) == bool(rest)


def test_an_alert_is_the_same_though_its_words_change() -> None:
    pending = PendingAlerts()
    ages = []
    for now_s in range(3):
        alert = Alert("drift", Severity.WARNING, "web", f"words {now_s}")
        ages += [each.age_s for each in pending.step([PendingAlert(alert)], now_s)]
    assert ages == [0.0, 1.0, 2.0]
    assert pending.step([], 3.0) == ()
    (again,) = pending.step([PendingAlert(alert)], 4.0)
    assert again.age_s == 0.0


def test_what_lasts_is_as_old_after_a_restart_as_it_was() -> None:
    day_s = 86400.0
    alert = Alert("disabled-long", Severity.WARNING, "web", "x")
    found = [PendingAlert(alert, "cp1", after_s=day_s), PendingAlert(alert, "cp2", after_s=day_s)]
    first = PendingAlerts()
    assert first.step(found, 10.0, NOON) == ()
    lasting = first.lasting
    assert list(lasting) == [
        Lasting(("disabled-long", "web", "cp1"), NOON),
        Lasting(("disabled-long", "web", "cp2"), NOON),
    ]
    second = PendingAlerts(lasting)
    assert second.step([], 0.0, NOON + day_s) == (), "the pool list has not come"
    assert second.lasting == lasting
    (old, _) = second.step(found, 5.0, NOON + day_s + 5)
    assert old.age_s == day_s + 5
    assert second.lasting == lasting
    second.step(found[:1], 200.0, NOON + day_s + 200)
    assert list(second.lasting) == [lasting[0]], "who was enabled begins anew"
    third = PendingAlerts(lasting)
    assert third.step(found, 0.0, NOON - 60) == (), "a clock that was set back makes nothing older"


def test_every_kind_has_its_section_in_the_documents() -> None:
    text = (Path(__file__).parents[2] / "docs/operating.md").read_text("utf-8")
    for kind in KINDS:
        assert f"\n### {kind.id}\n" in text
