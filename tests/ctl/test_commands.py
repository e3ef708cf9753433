"""What each command prints, from the site's own documents over a real socket."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pybal.bgp.snapshot import AnnouncedPrefix, MaintenanceSnapshot
from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from pybal.ctl.local_time import local_time
from pybal.kept_change import KeptSnapshot
from pybal.model import IsolationSnapshot, SourceSnapshot
from tests.ctl.served import ServedSite
from tests.fakes.view import (
    CONFIG,
    DAEMON,
    NOON,
    FakeView,
    bgp,
    held,
    monitor,
    server,
    service,
)

DOWN = monitor("ProxyFetch", up=False, reason="connection refused")
HELD = server("cp2", up=False, pooled=True, monitors=(DOWN,), decision=held("ProxyFetch"))


def view() -> FakeView:
    """One service with a server that is held, one that is all well, one with a stale list."""
    return FakeView(
        [
            service("dns_53", [server("dns1")], port=53),
            service(
                "text_443",
                [
                    server("cp1", monitors=(monitor("ProxyFetch"),)),
                    HELD,
                    server("dns1", enabled=False),
                ],
            ),
            service(
                "api_80",
                [server("cp1")],
                address="2001:db8::1",
                port=80,
                source=SourceSnapshot("http://config/pool", True, NOON, "HTTP status 503"),
            ),
        ],
        daemon_snapshot=DAEMON._replace(host="lvs1"),
        bgp_snapshot=replace(bgp(("192.0.2.1", True), ("192.0.2.2", False)), announced=(
                AnnouncedPrefix(
                    "198.51.100.1/32", "192.0.2.9", 10, ("64600:1",), (), ("text_443",),
                    ("192.0.2.1",),
                ),
            ),
            maintenance=(MaintenanceSnapshot("text_443", NOON, withdrawn=False),),
        ),
    )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServedSite]:
    with ServedSite(tmp_path / "control.sock", view()) as served:
        yield served


def lines(answer: tuple[int, str, str]) -> list[list[str]]:
    """The words of each line of a command that went well."""
    status, out, errors = answer
    assert (status, errors) == (0, "")
    return [line.split() for line in out.splitlines()]


def test_status_shows_the_worst_first_with_counts_and_why(site: ServedSite) -> None:
    status, out, _ = site.ctl("status")
    assert status == 0
    shown = out.splitlines()
    assert shown[0] == "PyBal 9.8.7 on lvs1, running for 60 s"
    assert shown[1].startswith("CRITICAL - text_443: ")
    assert shown[2] == (
        "3 services, 2 of them to look at; 1 of 2 BGP peers established; 1 service in maintenance"
    )
    assert shown[3].split() == "SERVICE ADDRESS SERVERS ENABLED UP POOLED NOTE".split()
    assert [line.split()[0] for line in shown[4:]] == ["text_443", "api_80", "dns_53"]
    notes = "1 pooled though down; 1 disabled; maintenance"
    assert shown[4].split()[3:] == f"3 2 2 2 {notes}".split()
    assert "tcp [2001:db8::1]:80" in shown[5]
    assert shown[5].endswith("list is stale")
    assert not any(line.endswith(" ") for line in shown)


def test_what_an_operator_has_disabled_is_less_bad_than_what_is_down(tmp_path: Path) -> None:
    services = [
        service("disabled_80", [server("cp1", enabled=False), server("cp2", enabled=False)]),
        service("down_80", [server("cp1", up=False, pooled=False)]),
        service("empty_80"),
    ]
    with ServedSite(tmp_path / "s", FakeView(services)) as site:
        shown = site.ctl("status", colour=True)[1].splitlines()[-3:]
    assert "down_80" in shown[0] and "none is up; none is pooled" in shown[0]
    assert "empty_80" in shown[1] and "no servers" in shown[1]
    assert shown[2].startswith("\x1b[33mdisabled_80")
    assert "all disabled; 2 disabled" not in shown[2] and "none is" not in shown[2]


def test_status_says_that_the_last_good_file_runs_and_differs(site: ServedSite) -> None:
    site.view.config_snapshot = CONFIG._replace(is_last_good=True, differs_since=NOON)
    out = site.ctl("status")[1]
    assert "The last good pybal.conf runs" in out
    assert "pybalctl config diff" in out


def test_status_says_that_the_file_was_refused_whatever_else_is_worse(site: ServedSite) -> None:
    last = ReloadSnapshot(NOON, ReloadOutcome.REFUSED, ("pybal.conf:1: a",), ())
    site.view.config_snapshot = CONFIG._replace(last_reload=last, differs_since=NOON)
    _, refused, critical, *_ = site.ctl("status")[1].splitlines()
    assert refused.startswith("pybal.conf was refused, the former one runs")
    assert critical.startswith("CRITICAL")


def test_what_a_list_takes_away_and_is_held_is_shown(tmp_path: Path) -> None:
    change = KeptSnapshot(("cp1", "cp2"), NOON, False, 1, 2, (), 300.0)
    waiting = change._replace(servers=("cp3",), waiting=True)
    held = service("text_443", [server("cp1")])._replace(held=(change, waiting))
    with ServedSite(tmp_path / "s", FakeView([held])) as site:
        assert "3 held: pybalctl pool text_443" in site.ctl("status")[1]
        assert lines(site.ctl("sources"))[1][:2] == ["text_443", "held"]
        why = site.ctl("why", "cp1")[1]
        assert "  Kept: the list takes away cp1, cp2, which would leave 1 of the 2" in why
        out = site.ctl("pool", "text_443")[1]
    assert (
        "the list takes away cp1, cp2, which would leave 1 of the 2 that are required: "
        "held for 60 s; pybalctl confirm text_443\n"
    ) in out
    assert "the list takes away cp3: waits for its new servers to work, for 60 s\n" in out


def test_colours_are_for_terminals_alone(site: ServedSite) -> None:
    assert "\x1b[31mtext_443" in site.ctl("status", colour=True)[1]
    assert "\x1b" not in site.ctl("status")[1]


def test_what_comes_from_outside_cannot_command_the_terminal(tmp_path: Path) -> None:
    evil = server("cp1", up=False, monitors=(monitor(up=False, reason="\x1b[2J\nroot\x07é"),))
    with ServedSite(tmp_path / "s", FakeView([service("a", [evil])])) as site:
        for command in (("pool", "a"), ("server", "cp1"), ("why", "cp1")):
            out = site.ctl(*command)[1]
            assert "\\x1b[2J\\nroot\\x07é" in out
            assert "\x1b" not in out and "\x07" not in out


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("status",), "/api/v1/services"),
        (("pool", "text_443"), "/api/v1/services/text_443"),
        (("bgp",), "/api/v1/bgp"),
        (("ipvs",), "/api/v1/ipvs"),
        (("sources",), "/api/v1/services"),
        (("config",), "/api/v1/config"),
    ],
)
def test_json_is_the_daemons_document(site: ServedSite, command: list[str], path: str) -> None:
    wanted = json.loads(site.document(path))
    for words in ((*command, "--json"), ("--json", *command)):
        status, out, _ = site.ctl(*words)
        assert (status, json.loads(out)) == (0, wanted)


def test_pool_shows_each_server_with_its_trouble(site: ServedSite) -> None:
    shown = lines(site.ctl("pool", "text_443"))
    assert shown[0] == ["text_443:", "tcp", "198.51.100.1:443,", "wrr"]
    assert [line[0] for line in shown[3:]] == ["cp2", "cp1", "dns1"]
    assert " ".join(shown[3][2:]) == "10 enabled/down/pooled ProxyFetch: connection refused"


def test_a_pool_without_servers_and_a_list_that_never_came_are_said(tmp_path: Path) -> None:
    source = SourceSnapshot("file:///pool", True, None, "no such file")
    with ServedSite(tmp_path / "s", FakeView([service("a_80", source=source)])) as site:
        out = site.ctl("pool", "a_80")[1]
        assert "list file:///pool, last good never\n" in out
        assert out.endswith("there is no list yet: no such file\nno servers\n")
        assert lines(site.ctl("sources"))[1][:3] == ["a_80", "none", "never"]
        assert site.ctl("status")[1].endswith("no servers; no list yet\n")


def test_server_and_why_show_all_services_or_one(site: ServedSite) -> None:
    shown = lines(site.ctl("server", "cp1"))
    assert [line[0] for line in shown] == ["SERVICE", "api_80", "text_443"]
    out = site.ctl("why", "cp2")[1]
    assert "text_443: cp2 is enabled/down/pooled" in out
    decided = local_time({"epoch": NOON})
    assert f"cp2 is kept pooled though down (decided at {decided}, cause" in out
    assert "ProxyFetch: down for 60 s; last check 60 s ago took 0.250 s: connection refused" in out
    assert "api_80" not in site.ctl("why", "cp1", "text_443")[1]


def test_bgp_is_laid_out_as_routers_do_and_a_peer_has_its_prefixes(site: ServedSite) -> None:
    shown = lines(site.ctl("bgp"))
    assert shown[0] == "Router -, local AS 64600, 1 prefix".split()
    assert shown[1][:3] == ["Maintenance", "of", "text_443"]
    assert [(line[0], line[5]) for line in shown[3:]] == [
        ("192.0.2.2", "Active"),
        ("192.0.2.1", "1"),
    ]
    out = site.ctl("bgp", "192.0.2.1")[1]
    assert "state Established" in out
    assert "198.51.100.1/32  192.0.2.9  yes    10  64600:1      text_443" in out
    assert " no " in site.ctl("bgp", "192.0.2.2")[1]


@pytest.mark.parametrize("words", [("pool",), ("why", "cp1"), ("confirm",)])
def test_an_empty_name_is_no_service(site: ServedSite, words: tuple[str, ...]) -> None:
    status, out, errors = site.ctl(*words, "")
    assert (status, out) == (1, "")
    assert errors == "pybalctl: There is no service ''. There are api_80, dns_53, text_443\n"


def test_sources_shows_what_fails_first(site: ServedSite) -> None:
    shown = lines(site.ctl("sources"))
    assert shown[1] == "api_80 stale 60 s ago http://config/pool HTTP status 503".split()
    assert [line[1] for line in shown[2:]] == ["good", "good"]


def test_config_is_the_text_without_secrets(site: ServedSite) -> None:
    assert site.ctl("config") == (0, "[global]\nbgp-password = ***\n", "")


def test_a_difference_of_the_configuration_is_an_exit_status(
    site: ServedSite, tmp_path: Path
) -> None:
    path = tmp_path / "new.conf"
    path.write_text("[global]\n# ö\n")
    assert site.ctl("config", "diff", "-c", str(path)) == (0, "Nothing would change\n", "")
    assert site.controls.asked == [("compare", "[global]\n# ö\n".encode())]
    site.controls.steps = ["adds the service x", "removes the service y"]
    assert site.ctl("config", "diff", "-c", str(path)) == (
        2, "adds the service x\nremoves the service y\n", "",
    )  # fmt: skip
    site.controls.errors = ["/etc/pybal/pybal.conf:3: no", "nor this"]
    assert site.ctl("config", "diff", "-c", str(path)) == (
        1, "", f"pybalctl: {path}:3: no\npybalctl: nor this\n",
    ), "the file that was read is named"  # fmt: skip


def test_a_configuration_of_megabytes_can_be_compared(site: ServedSite, tmp_path: Path) -> None:
    path = tmp_path / "large.conf"
    path.write_text("# a line\n" * 600_000)
    assert site.ctl("config", "diff", "-c", str(path))[0] == 0
    path.write_text("#" * (16 * 1024 * 1024 + 1))
    status, _, errors = site.ctl("config", "diff", "-c", str(path))
    assert (status, "longer than 16777216 bytes" in errors) == (1, True)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_file_that_cannot_be_compared_gets_a_line(
    site: ServedSite, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    status, out, errors = site.ctl("config", "diff", "-c", str(path))
    assert (status, out, errors.count("\n")) == (1, "", 1)
    assert str(path) in errors


def test_confirm_and_maintenance_are_done(site: ServedSite) -> None:
    said = "No longer kept against the list of text_443: cp1, cp2. "
    said += "What is left: pybalctl pool text_443\n"
    assert site.ctl("confirm", "text_443") == (0, said, "")
    begins = "The maintenance of this whole director begins; pybalctl bgp shows how far it is, "
    begins += "pybalctl ipvs what still comes\n"
    assert site.ctl("maintenance", "begin")[1] == begins
    again = "This whole director is in maintenance already\n"
    assert site.ctl("maintenance", "begin") == (0, again, "")
    assert site.ctl("maintenance", "end")[1] == "The maintenance of this whole director ends\n"
    not_so = "text_443 is not in maintenance\n"
    assert site.ctl("maintenance", "end", "text_443") == (0, not_so, "")
    assert site.controls.asked == [
        ("confirm", "text_443"),
        ("maintenance", None, True),
        ("maintenance", None, True),
        ("maintenance", None, False),
        ("maintenance", "text_443", False),
    ]


def test_why_says_that_failures_do_not_count_while_cut_off(site: ServedSite) -> None:
    plain = site.ctl("why", "cp1", "text_443")[1]
    isolation = IsolationSnapshot("cut off", since=NOON)
    health = site.view.daemon_snapshot.health._replace(isolation=isolation)
    site.view.daemon_snapshot = site.view.daemon_snapshot._replace(health=health)
    first, rest = site.ctl("why", "cp1", "text_443")[1].split("\n", 1)
    assert first.startswith("This director seems to be cut off") and first.endswith("as they are")
    assert rest == plain


def test_alerts_are_shown(site: ServedSite) -> None:
    status, out, _ = site.ctl("alerts")
    assert status == 0
    shown = out.splitlines()
    assert shown[0].startswith("CRITICAL - text_443: ")
    assert any("down-but-pooled: " in line and "cp2" in line for line in shown[1:])
    alerts = json.loads(site.ctl("alerts", "--json")[1])["alerts"]
    assert len(alerts) == len(shown) - 2
    moment = re.compile(r" \(since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)$")
    assert all(moment.search(each) for each in shown[1:-1])
    assert "operating.md" in shown[-1]


def test_a_service_that_an_alert_is_about_is_not_said_to_be_well(site: ServedSite) -> None:
    # Its counts are as they should be: the alert is all that there is.
    small = service("small_80", [server("cp1"), server("cp2")], threshold="3/4")
    site.view.service_list = [small, service("well_80", [server("cp1")])]
    _, alerts, first, _, worse, well = site.ctl("status")[1].splitlines()
    assert alerts.startswith("WARNING - Pool small_80 is too small")
    assert first.startswith("2 services, 1 of them to look at; ")
    assert worse.split()[0] == "small_80" and worse.endswith(" too-small")
    assert well.split()[0] == "well_80" and "too-small" not in well


def test_a_server_in_place_of_the_service_to_check_is_told(site: ServedSite) -> None:
    said = "pybalctl: There is no service cp1. It is a server: pybalctl check SERVICE cp1\n"
    assert site.ctl("check", "cp1", "text_443") == (1, "", said)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("pool text443", "There is no service text443. Did you mean text_443?"),
        ("confirm txt_443", "There is no service txt_443. Did you mean text_443?"),
        ("maintenance begin zzz", "There is no service zzz. There are api_80, dns_53, text_443"),
        ("server cp", "There is no server cp. Did you mean cp1 or cp2?"),
        ("why dns", "There is no server dns. Did you mean dns1?"),
        ("why cp2 dns_53", "There is no server cp2 in dns_53. There are dns1"),
        ("why cp2 text", "There is no service text. Did you mean text_443?"),
        ("bgp 192.0.2.3", "There is no BGP peer 192.0.2.3. Did you mean 192.0.2.2 or 192.0.2.1?"),
        ("pool \udcff", "There is no service \\udcff. There are api_80, dns_53, text_443"),
        ("pool ../daemon", "There is no service ../daemon. There are api_80, dns_53, text_443"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_are_near(
    site: ServedSite, command: str, said: str
) -> None:
    assert site.ctl(*command.split()) == (1, "", f"pybalctl: {said}\n")


@pytest.mark.parametrize(
    ("shell", "status", "errors"),
    [
        ("{} names hosts >/dev/full", 1, "pybalctl: stdout: No space left on device\n"),
        ("{} names hosts | true; exit ${{PIPESTATUS[0]}}", 0, ""),
        ("{} names hosts >&-", 0, ""),
        ("LC_ALL=C {} config >/dev/null 2>&-", 0, ""),
    ],
)
def test_an_output_that_cannot_be_written_is_a_line_at_most(
    site: ServedSite, shell: str, status: int, errors: str
) -> None:
    command = shell.format(f"{sys.executable} -m pybal.ctl --socket='{site.path}'")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (status, errors)


def test_watch_shows_the_status_until_it_is_interrupted(site: ServedSite) -> None:
    status, out, errors = site.ctl("watch")
    assert (status, out.count("SERVICE"), errors) == (0, 3, "")


def test_names_are_one_a_line(site: ServedSite) -> None:
    assert site.ctl("names", "services")[1] == "dns_53\ntext_443\napi_80\n"
    assert site.ctl("names", "hosts")[1] == "cp1\ncp2\ndns1\n"
    assert site.ctl("names", "peers")[1] == "192.0.2.1\n192.0.2.2\n"
