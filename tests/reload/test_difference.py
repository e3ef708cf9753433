"""From one configuration to another: the steps, in an order in which nothing is lost meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybal.reload.difference import difference, in_force
from pybal.reload.steps import (
    AddService,
    AdjustBGP,
    AdjustService,
    NeedsRestart,
    ReloadStep,
    RemoveService,
    RenameService,
    ReplaceService,
    lines,
)
from tests.config.texts import GLOBAL_BGP, service, settings

ONE = service("one", monitors="['IdleConnection']")
TWO = service("two", ip="192.0.2.2")


def steps(before: str, after: str) -> tuple[ReloadStep, ...]:
    return difference(settings(before), settings(after))


def said(before: str, after: str) -> list[str]:
    return lines(steps(before, after))


def test_the_same_configuration_written_otherwise_is_no_difference() -> None:
    other = "[global]\n# a comment\n" + ONE.replace("port = 80", "port=80") + TWO
    assert steps("[global]\n" + ONE + TWO, other) == ()


def test_a_new_section_is_added_and_a_missing_one_removed_last() -> None:
    found = steps("[global]\n" + ONE, "[global]\n" + TWO)
    assert [type(step) for step in found] == [AddService, RemoveService]
    assert lines(found) == [
        "add service two: tcp 192.0.2.2:80",
        "remove service one: tcp 192.0.2.1:80",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"depool_threshold": ".7"}, "depool-threshold 0.5 -> 0.7"),
        ({"scheduler": "sh"}, "scheduler wrr -> sh"),
        ({"config": "http://h/pool"}, "config file:///etc/pybal/pool -> http://h/pool"),
        ({"tunneling": "yes"}, "tunneling/forwarding-method direct -> tunnel"),
        ({"depool_method": "drain"}, "depool-method/drain-timeout unset -> 300"),
        ({"bgp": "no"}, "bgp yes -> no"),
        ({"bgp_communities": "64600:1 no-export"}, "bgp-communities unset -> 64600:1 65535:65281"),
        ({"bgp_large_communities": "1:2:3 4:5:6"}, "bgp-large-communities unset -> 1:2:3 4:5:6"),
        ({"bgp_extended_communities": "rt:1:2"}, "bgp-extended-communities unset -> rt:1:2"),
        ({"bgp_link_bandwidth": "10G"}, "bgp-link-bandwidth unset -> 1e+10 bit/s"),
        (
            {"bgp_link_bandwidth": "auto"},
            "bgp-link-bandwidth unset -> by the weights of the servers that are up",
        ),
        (
            {"drain_timeout": "1234567.5", "depool_method": "drain"},
            "depool-method/drain-timeout unset -> 1234567.5",
        ),
        (
            {"monitors": "['IdleConnection', 'Ping']"},
            "monitors [IdleConnection] -> [IdleConnection Ping]",
        ),
        (
            {"idleconnection__max_delay": "9", "idleconnection__rise": "2"},
            "IdleConnection's rise 1 -> rise 2, IdleConnection's max delay 300 s -> max delay 9 s",
        ),
        ({"list_hold": "60"}, "list-floor/list-window/list-hold hold unset -> hold 60 s"),
        ({"bgp_communities": "64600:1"}, "bgp-communities unset -> 64600:1"),
        (
            {"persistence_timeout": "300"},
            "persistence-timeout/persistence-netmask unset -> timeout 300 s, prefix length 32",
        ),
    ],
)
def test_what_a_service_can_take_over_is_adjusted(changes: dict[str, str], line: str) -> None:
    (step,) = steps("[global]\n" + ONE, "[global]\n" + service("one", **changes))
    assert isinstance(step, AdjustService)
    assert str(step) == f"adjust service one: {line}"


@pytest.mark.parametrize(
    "changes", [{"ip": "192.0.2.9"}, {"port": "81"}, {"protocol": "udp"}, {"fwmark": "7"}]
)
def test_another_virtual_service_begins_anew(changes: dict[str, str]) -> None:
    (step,) = steps("[global]\n" + ONE, "[global]\n" + service("one", **changes))
    assert isinstance(step, ReplaceService)
    (key,) = changes
    assert str(step).startswith(f"replace service one: {key} ")


def test_another_name_for_the_same_virtual_service_is_a_renaming() -> None:
    after = ONE.replace("[one]", "[first]")
    (step,) = steps("[global]\n" + ONE + TWO, "[global]\n" + after + TWO)
    assert isinstance(step, RenameService)
    assert str(step) == "rename service one to first: tcp 192.0.2.1:80 stays"
    (step,) = steps("[global]\n" + ONE + TWO, "[global]\n" + after.replace("= wrr", "= sh") + TWO)
    assert str(step).endswith(" stays; scheduler wrr -> sh"), "nothing else says so"


def test_two_services_that_swap_their_addresses_both_begin_anew() -> None:
    swapped = service("one", ip="192.0.2.2") + service("two", ip="192.0.2.1")
    found = steps("[global]\n" + ONE + TWO, "[global]\n" + swapped)
    assert [type(step) for step in found] == [ReplaceService, ReplaceService]


def test_what_needs_a_restart_is_said_and_the_rest_counts() -> None:
    found = steps("[global]\n" + ONE, "[global]\ndryrun = yes\n" + TWO)
    assert [type(step) for step in found] == [NeedsRestart, AddService, RemoveService]
    assert str(found[0]) == "needs a restart: dryrun no -> yes"


def test_after_a_reload_all_runs_as_the_file_says_but_for_what_needs_a_restart() -> None:
    before = settings("[global]\n" + ONE)
    after = settings("[global]\nhandover = no\nlog-level = warning\n" + TWO)
    assert in_force(before, after) == replace(after, handover=before.handover) != after


def test_what_a_peer_is_told_otherwise_changes_without_a_new_session() -> None:
    own = "[[peer 198.51.100.1]]\nbgp-med = 1\n"
    after = own.replace("1\n", "2\n").replace("med = 2", "med = 2\nbgp-prepend = 1")
    assert said(GLOBAL_BGP + own + ONE, GLOBAL_BGP + after + ONE) == [
        "adjust BGP peer 198.51.100.1: bgp-prepend 0 -> 1, bgp-med 1 -> 2"
    ]
    port = own + "bgp-peer-port = 1179\n"
    [line] = said(GLOBAL_BGP + own + ONE, GLOBAL_BGP + port + ONE)
    assert line.startswith("replace BGP peer 198.51.100.1: bgp-peer-port 179 -> 1179")


def test_bgp_is_switched_on_and_off() -> None:
    assert said("[global]\n" + ONE, GLOBAL_BGP + ONE) == ["start BGP"]
    assert said(GLOBAL_BGP + ONE, "[global]\n" + ONE) == ["stop BGP"]


def test_a_dry_run_does_not_say_that_it_starts_bgp() -> None:
    dry, on = "[global]\ndry-run = yes\n", GLOBAL_BGP + "dry-run = yes\n"
    assert said(dry + ONE, on + ONE) == ["start to show what BGP would announce"]
    assert said(on + ONE, dry + ONE) == ["stop to show what BGP would announce"]
    speaking = on + "dry-run-bgp = yes\n"
    restart, shown = said(dry + ONE, speaking + ONE)
    assert restart.startswith("needs a restart: dry-run-bgp")
    assert shown == "start to show what BGP would announce"
    assert said(speaking + ONE, dry + "dry-run-bgp = yes\n" + ONE) == ["stop BGP"]


def test_only_the_peers_that_changed_begin_anew() -> None:
    before = GLOBAL_BGP.replace("198.51.100.1\n", "['198.51.100.1', '198.51.100.3']\n")
    after = before.replace("'198.51.100.3'", "'198.51.100.4'")
    after += "[[peer 198.51.100.1]]\nbgp-hold-time = 30\n"
    (step,) = steps(before + ONE, after + ONE)
    assert isinstance(step, AdjustBGP)
    assert list(step.lines()) == [
        "add BGP peer 198.51.100.4",
        "replace BGP peer 198.51.100.1: bgp-hold-time 180 -> 30",
        "remove BGP peer 198.51.100.3",
    ]


def test_the_peer_of_an_interface_is_one_more() -> None:
    after = GLOBAL_BGP + "[[peer eth0]]\nbgp-peer-asn = 64601\n"
    assert said(GLOBAL_BGP + ONE, after + ONE) == ["add BGP peer eth0"]


def test_another_as_of_ours_begins_all_sessions_anew() -> None:
    after = GLOBAL_BGP.replace("64600", "64700")
    found = said(GLOBAL_BGP + ONE, after + ONE)
    assert "replace BGP peer 198.51.100.1: bgp-local-asn 64600 -> 64700" in found


def test_what_a_monitor_sends_may_be_a_secret() -> None:
    before, after = (
        "[global]\n" + service("one", monitors="['TCPCheck']", tcpcheck__send=word)
        for word in ("swordfish", "halibut")
    )
    (step,) = steps(before, after)
    assert str(step) == "adjust service one: TCPCheck's send *** -> ***"


def test_no_secret_is_shown() -> None:
    before = GLOBAL_BGP + "bgp-password = swordfish\n" + ONE
    after = GLOBAL_BGP + "bgp-password = halibut\n"
    after += service("one", config="k8s://hunter2@kube.example.org")
    text = "\n".join(said(before, after))
    assert "bgp-password/bgp-password-file *** -> ***" in text
    assert "k8s://***@kube.example.org:443" in text
    for secret in ("swordfish", "halibut", "hunter2"):
        assert secret not in text


def test_of_several_values_of_a_service_those_that_differ_are_shown_in_words() -> None:
    communities = [{"bgp_communities": each} for each in ("64600:1", "64600:2")]
    gue = {"tunneling": "yes", "tunnel_type": "gue", "tunnel_port": "6080"}

    def changed(before: dict[str, str], after: dict[str, str]) -> str:
        (line,) = said(
            "[global]\n" + service("one", **before), "[global]\n" + service("one", **after)
        )
        return line.removeprefix("adjust service one: ")

    assert changed(*communities) == "bgp-communities 64600:1 -> 64600:2"
    assert changed(gue, {**gue, "tunnel_checksum": "remote"}) == (
        "tunnel-type/tunnel-port/tunnel-checksum GUE port 6080 -> GUE port 6080, remote checksum"
    )
    sh = {"scheduler": "sh"}
    assert changed(sh, {**sh, "scheduler_flags": "sh-fallback, sh-port"}) == (
        "scheduler-flags none -> sh-fallback or mh-fallback, sh-port or mh-port"
    )


def test_of_several_values_of_all_those_that_differ_are_shown_in_words() -> None:
    sync = "ipvs-sync-daemon = master\nipvs-sync-interface = eth0\n"
    for before, after, shown in (
        ("", "isolation-hold = 60\n", "hold 120 s -> hold 60 s"),
        ("ipvs-tcp-timeout = 600\n", "ipvs-udp-timeout = 60\n",
         "tcp 600 s, udp 0 s -> tcp 0 s, udp 60 s"),
        ("", "history-size = 64M\n", "size 268435456 bytes -> size 67108864 bytes"),
        ("", "runcommand-user = root\n", "runcommand-user unset -> root"),
        (sync, sync + "ipvs-sync-id = 7\n", "sync id 0 -> sync id 7"),
    ):  # fmt: skip
        (line,) = said("[global]\n" + before + ONE, "[global]\n" + after + ONE)
        assert line.startswith("adjust [global]: ")
        assert line.endswith(f" {shown}")
    (line,) = said(GLOBAL_BGP + ONE, GLOBAL_BGP + "bgp-families = ipv4\n" + ONE)
    assert line.endswith(": bgp-families ipv4 ipv6 -> ipv4")


def test_a_long_value_is_shortened() -> None:
    many = ", ".join(f"'192.0.3.{n}'" for n in range(60))
    (line,) = said(
        GLOBAL_BGP + ONE, GLOBAL_BGP + f"advertised_instrumentation_ips = [{many}]\n" + ONE
    )
    assert len(line) < 140
    assert line.endswith("…")


def test_a_value_of_60_characters_is_shown_whole() -> None:
    def shown(length: int) -> str:
        url = "http://h/" + "x" * (length - len("http://h/"))
        (line,) = said("[global]\n" + ONE, "[global]\n" + service("one", config=url))
        return line.partition(" -> ")[2]

    assert shown(60) == "http://h/" + "x" * 51
    assert shown(61) == "http://h/" + "x" * 50 + "…"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("", "control-socket = no", "/run/pybal/control.sock, for root, by default -> no"),
        (
            "control-socket = /run/x",
            "control-socket = /run/x\ncontrol-socket-group = ops",
            "/run/x, for root -> /run/x, for root and the group ops",
        ),
        (
            "",
            "control-socket = /run/pybal/control.sock",
            "/run/pybal/control.sock, for root, by default -> /run/pybal/control.sock, for root",
        ),
    ],
)
def test_who_may_use_which_control_socket_is_said_in_words(
    before: str, after: str, shown: str
) -> None:
    assert said(f"[global]\n{before}\n{ONE}", f"[global]\n{after}\n{ONE}") == [
        f"adjust [global]: control-socket/control-socket-group {shown}"
    ]
