"""What `pybal --check-config` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.texts import FILE, GLOBAL_BGP, load, parse, report, service

SAMPLES = Path(__file__).parents[1] / "data/wikimedia"


def of(text: str) -> list[str]:
    return list(report(parse(text, FILE)))


def test_errors_are_listed_counted_and_refused() -> None:
    lines = of("[global]\nx = 1\nbgp = perhaps\n" + service(port="0"))
    assert lines == [
        "WARNING: pybal.conf:2: [global] x: unknown key, ignored",
        "ERROR: pybal.conf:3: [global] bgp = 'perhaps': must be yes or no",
        "ERROR: pybal.conf:7: [svc] port = '0': must be a port from 1 to 65535",
        "pybal.conf: refused: 2 errors, 1 warning",
    ]


def test_warnings_come_before_what_would_run() -> None:
    lines = of("[global]\n" + service(monitors="[]"))
    assert lines[0].startswith("WARNING: pybal.conf:8: [svc] monitors")
    assert lines[1] == "pybal.conf: good: 0 errors, 1 warning; this is what would run:"
    assert "    monitors           none: its servers are never checked" in lines


def test_everything_that_would_run_is_shown() -> None:
    text = (
        GLOBAL_BGP
        + "dryrun = yes\ninstrumentation = yes\nbgp-local-ips = ['192.0.2.9']\n"
        + "state-directory = none\nadvertised_instrumentation_ips = ['192.0.2.7']\n"
        + service(
            "web",
            config="k8s://secret@api:6443",
            tunneling="yes",
            depool_threshold=".07",
            monitors="['ProxyFetch', 'IdleConnection', 'RunCommand']",
            proxyfetch__url="['http://a/', 'http://b/']",
            proxyfetch__check_all=None,
            runcommand__command="/bin/check",
            runcommand__arguments="['-H', server.ip, 2]",
            idleconnection__keepalive="no",
        )
        + service("dns", protocol="udp", ip="2001:db8::53", ops="yes", bgp="no")
        + service("dns6", ip="2001:db8::53", bgp_med="5")
    )
    lines = of(text)
    assert lines == [
        "pybal.conf: good: 0 errors, 0 warnings; this is what would run:",
        "",
        "[global]",
        "    dry run            yes: IPVS is left alone",
        "    BGP                AS 64600, peers 198.51.100.1",
        "    BGP peer           198.51.100.1, any AS, hold time 180 s",
        "    BGP listens on     192.0.2.9:179",
        "    BGP routes         AS path 64600, default MED 0",
        "    BGP next hops      198.51.100.2, 2001:db8::2",
        "    BGP also announces 192.0.2.7",
        "    instrumentation    http://127.0.0.1:9090, http://[::1]:9090",
        "    control socket     off",
        "    last good lists    not kept",
        "    commands at once   20",
        "    IPVS audit         every 60 s",
        "    IPVS cleanup       owned: services that are not configured stay: "
        "without a state directory none is known",
        "    IPVS statistics    yes",
        "",
        "[web] tcp 192.0.2.1:80, wrr, tunneling (IPIP), announced with MED 0",
        "    servers            k8s://***@api:6443",
        "    depool threshold   0.07",
        "    ProxyFetch         url [http://a/ http://b/], interval 10, timeout 5",
        "    IdleConnection     max-delay 300, keepalive no, interval 10, timeout 5",
        "    RunCommand         command /bin/check, arguments ['-H' server.ip '2'], "
        "interval 60, timeout 20",
        "",
        "[dns] udp [2001:db8::53]:80, wrr, direct routing, one-packet, not announced",
        "    servers            file:///etc/pybal/pool",
        "    depool threshold   0.5",
        "    IdleConnection     max-delay 300, interval 10, timeout 5",
        "",
        "[dns6] tcp [2001:db8::53]:80, wrr, direct routing, announced with MED 5",
        "    servers            file:///etc/pybal/pool",
        "    depool threshold   0.5",
        "    IdleConnection     max-delay 300, interval 10, timeout 5",
        "",
        "3 services on 2 VIPs",
    ]


def test_arguments_of_a_command_that_may_hold_a_secret_are_not_shown() -> None:
    arguments = "['--password', 'hunter2']"
    text = "[global]\n" + service(
        "web",
        monitors="['RunCommand']",
        runcommand__command="/bin/check",
        runcommand__arguments=arguments,
    )
    lines = of(text)
    assert (
        "    RunCommand         command /bin/check, arguments ***, interval 60, timeout 20" in lines
    )


def test_what_is_off_is_said_to_be_off() -> None:
    lines = of("[global]\n" + service())
    assert "    BGP                off" in lines
    assert "    instrumentation    off" in lines
    assert lines[-1] == "1 service on 1 VIP"


@pytest.mark.parametrize("name", ["pybal.conf", "pybal.http.conf"])
def test_every_service_of_a_production_file_is_shown(name: str) -> None:
    lines = report(load(SAMPLES / "esams/secondary" / name))
    assert len([line for line in lines if line.startswith("[") and "[global]" not in line]) == 16
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == "16 services on 8 VIPs"


def test_what_is_special_about_bgp_is_shown_and_a_password_is_not() -> None:
    text = (
        GLOBAL_BGP.replace("198.51.100.1", "['198.51.100.1', '2001:db8::1']")
        + "bgp-router-id = 192.0.2.8\nbgp-communities = 64600:1\nbgp-shutdown-delay = 2\n"
        + "bgp-large-communities = 64600:1:2\nbgp-password = hunter2\nbgp-peer-asn = 14907\n"
        + "[[peer 2001:db8::1]]\nbgp-ttl-security = yes\nbgp-graceful-restart = yes\n"
        + "bgp-bfd = yes\nbgp-hold-time = 30\n"
        + service("a", bgp_withdraw_on_down="yes", bgp_communities="[]")
        + service("b", ip="192.0.2.2", bgp_withdraw_on_down=".3", bgp_large_communities="1:2:3")
    )
    lines = of(text)
    assert not any("hunter2" in line for line in lines)
    for line in (
        "    BGP peer           198.51.100.1, AS 14907, hold time 180 s, with a password",
        "    BGP peer           2001:db8::1, AS 14907, hold time 30 s, with a password, "
        "at most 1 hop away, graceful restart within 120 s, BFD 3 x 300 ms",
        "    BGP router ID      192.0.2.8",
        "    BGP communities    64600:1 64600:1:2",
        "    BGP shutdown       GRACEFUL_SHUTDOWN for 2 s first",
        "[a] tcp 192.0.2.1:80, wrr, direct routing, announced with MED 0 while a server is up",
        "    communities        none",
        "[b] tcp 192.0.2.2:80, wrr, direct routing, "
        "announced with MED 0 while 30% of its servers are up",
        "    large communities  1:2:3",
    ):
        assert line in lines


def test_what_is_sent_is_not_shown_but_what_is_expected_is() -> None:
    lines = of(
        "[global]\n"
        + service(
            monitors="['ProxyFetch', 'TCPCheck']",
            proxyfetch__url="http://h/",
            proxyfetch__http__status="x",
            tcpcheck__send="AUTH secret",
            tcpcheck__expect="^OK",
        ).replace(
            "proxyfetch.http.status = x",
            "proxyfetch.headers = {'Authorization': 'secret'}\n"
            "proxyfetch.http_status = [200, 300-399]",
        )
    )
    assert not any("secret" in line for line in lines)
    assert [line for line in lines if "TCPCheck" in line or "ProxyFetch" in line] == [
        "    ProxyFetch         url [http://h/], http_status [200 300-399], "
        "headers [Authorization: …], interval 10, timeout 5",
        "    TCPCheck           send (11 bytes), expect ^OK, interval 10, timeout 5",
    ]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"list_floor": ".8"}, "0.8 within 900 s"),
        ({"list_window": "60", "list_hold": "3600"}, "0.5 within 60 s, held for 3600 s at most"),
        ({"list_floor": "0"}, "none: any list is applied at once"),
    ],
)
def test_a_list_floor_of_its_own_is_shown(keys: dict[str, str], words: str) -> None:
    lines = of("[global]\n" + service(**keys))
    assert f"    list floor         {words}" in lines


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "/run/pybal/control.sock, for root"),
        ("control-socket-group = adm", "/run/pybal/control.sock, for root and the group adm"),
        ("control-socket = no", "off"),
        ("dryrun = yes", "off"),
        ("dryrun = yes\ncontrol-socket = yes", "/run/pybal/control.sock, for root"),
    ],
)
def test_who_may_use_the_control_socket_is_shown(lines: str, words: str) -> None:
    found = of(f"[global]\n{lines}\n{service()}")
    (line,) = [each for each in found if each.strip().startswith("control socket")]
    assert line == f"    control socket     {words}"


def test_how_servers_are_drained_is_shown() -> None:
    found = of("[global]\n" + service(depool_method="drain", drain_timeout="2.5"))
    assert "    depooling          drains for up to 2.5 s" in found
