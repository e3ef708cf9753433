"""The monitors of a service and all of their options."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from pybal.config.monitor_kinds import COMMON_OPTIONS
from pybal.config.problems import Severity
from pybal.config.settings import MonitorSettings
from pybal.linear_regex import Pattern
from pybal.monitors.dnsquery import DNSQuerySettings
from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.ping import PingSettings
from pybal.monitors.proxyfetch import ProxyFetchSettings
from pybal.monitors.runcommand import LiteralArgument, RunCommandSettings, ServerArgument
from pybal.monitors.tcpcheck import TCPCheckSettings
from pybal.monitors.udp import UDPSettings
from tests.config.monitor_texts import MONITORS, NEEDED, with_lines, with_monitor
from tests.config.texts import (
    FILE,
    only_monitor,
    only_problem,
    only_service,
    problem_of,
    service,
    shown,
)


def test_every_monitor_has_a_case_here() -> None:
    assert set(NEEDED) == set(MONITORS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IdleConnection", IdleConnectionSettings(3, 300, True, 3, 10, 30)),
        (
            "ProxyFetch",
            ProxyFetchSettings(
                ("http://h/",), (range(200, 201),), False, 0, "Twisted PageGetter", False
            ),
        ),
        ("DNSQuery", DNSQuerySettings(("example.org",), False, interval_s=10, timeout_s=5)),
        ("UDP", UDPSettings(20, interval_s=10, timeout_s=1)),
        (
            "RunCommand",
            RunCommandSettings(Path("/bin/true"), (), True, interval_s=60, timeout_s=20),
        ),
    ],
)
def test_a_monitor_takes_its_defaults(name: str, expected: MonitorSettings) -> None:
    assert only_monitor(with_monitor(name)) == expected


SET = {
    "IdleConnection": (
        [
            "timeout-clean-reconnect = 0.5",
            "max-delay = 60",
            "keepalive = yes",
            "keepalive-retries = 5",
            "keepalive-idle = 20",
            "keepalive-interval = 40",
            "fail-on-short-lived = yes",
        ],
        IdleConnectionSettings(0.5, 60, True, 5, 20, 40, True),
    ),
    "ProxyFetch": (
        [
            "http_status = 301",
            "check_all = yes",
            "max_failures = 0",
            "user-agent = me/1.0 (x)",
            "tls-verify = yes",
            "tls-resume = no",
            "ca-file = /etc/ssl/ca.pem",
            "server-name = internal.example",
            "min-certificate-days = 14",
            "method = HEAD",
            "headers = {'X-A': 'b', \"Accept\": '*/*'}",
            "expect =",
            "read-bytes = 4096",
            "url = https://h/",
            "port = 443",
        ],
        ProxyFetchSettings(
            ("https://h/",),
            (range(301, 302),),
            True,
            0,
            "me/1.0 (x)",
            True,
            Path("/etc/ssl/ca.pem"),
            "internal.example",
            14,
            "HEAD",
            (("X-A", "b"), ("Accept", "*/*")),
            read_bytes=4096,
            tls_resume=False,
            port=443,
        ),
    ),
    "DNSQuery": (
        ["fail-on-nxdomain = YES"],
        DNSQuerySettings(("example.org",), True),
    ),
    "UDP": (
        ["icmp-timeout = 20", 'payload = "\\x00a\\r\\n\\\\#"', "expect = ^ok"],
        UDPSettings(20, b"\0a\r\n\\#", Pattern("^ok")),
    ),
    "Ping": ([], PingSettings()),
    "TCPCheck": (
        ["send = 'PING\\r\\n'", 'expect = "\\+PONG # x"', "read-bytes = 64"],
        TCPCheckSettings(b"PING\r\n", Pattern(r"\+PONG # x"), 64),
    ),
    "RunCommand": (
        [
            "arguments = [ '-H', server.host, '2' ]",
            "log-output = no",
        ],
        RunCommandSettings(
            Path("/bin/true"),
            (LiteralArgument("-H"), ServerArgument("host"), LiteralArgument("2")),
            False,
        ),
    ),
}


@pytest.mark.parametrize("name", MONITORS)
def test_a_monitor_takes_every_option_of_its_own(name: str) -> None:
    lines, expected = SET[name]
    optional = {option.name for option in MONITORS[name].own_options if not option.required}
    set_here = {line.partition(" =")[0]: f"{name.lower()}.{line}" for line in lines}
    assert set(set_here) >= optional
    needed: dict[str, str | None] = {**NEEDED[name]}
    for option in set(set_here) - optional:
        needed[f"{name.lower()}__{option}"] = None
    text = service(monitors=f"['{name}']", **needed) + "\n".join([*set_here.values(), ""])
    assert only_monitor(text) == expected


COMMON = {
    "rise": ("3", 3),
    "fall": ("2", 2),
    "interval": ("2.5", 2.5),
    "timeout": ("2", 2.0),
    "source-address": ("192.0.2.9", ip_address("192.0.2.9")),
    "port": ("8080", 8080),
}

LACKS = {"RunCommand": {"source-address"}, "Ping": {"port"}}


@pytest.mark.parametrize("name", MONITORS)
def test_a_monitor_takes_the_options_that_all_have(name: str) -> None:
    assert set(COMMON) == {option.name for option in COMMON_OPTIONS}
    options = {option.name: option for option in MONITORS[name].options}
    assert set(COMMON) - set(options) == LACKS.get(name, set())
    has = [option for option in COMMON if option in options]
    text = with_lines(name, *(f"{name.lower()}.{option} = {COMMON[option][0]}" for option in has))
    found = only_monitor(text)
    assert {option: getattr(found, options[option].field) for option in has} == {
        option: COMMON[option][1] for option in has
    }


@pytest.mark.parametrize(("name", "lacked"), [(n, o) for n in LACKS for o in LACKS[n]])
def test_an_option_that_means_nothing_to_a_monitor_is_unknown(name: str, lacked: str) -> None:
    key = f"{name.lower()}.{lacked}"
    problem = problem_of(key, "[global]\n" + with_lines(name, f"{key} = {COMMON[lacked][0]}"))
    assert problem.severity is Severity.WARNING
    assert "unknown key" in problem.message


def test_a_source_address_is_of_the_services_family() -> None:
    text = with_lines("UDP", "udp.source-address = 2001:db8::1")
    problem = only_problem("[global]\n" + text)
    assert (problem.severity, problem.key) == (Severity.ERROR, "udp.source-address")
    assert problem.message == "must be an IPv4 address, as those of the servers are"


@pytest.mark.parametrize("option", ["rise", "fall"])
@pytest.mark.parametrize("value", ["0", "101", "-1", "1.5", "x"])
def test_rise_and_fall_count_from_one(option: str, value: str) -> None:
    key = f"udp.{option}"
    problem = problem_of(key, "[global]\n" + with_lines("UDP", f"{key} = {value}"))
    assert problem.message == "must be a whole number from 1 to 100"


def test_several_monitors_keep_their_order() -> None:
    text = service(monitors="['ProxyFetch', \"IdleConnection\"]", proxyfetch__url="http://h")
    kinds = [type(monitor) for monitor in only_service(text).monitors]
    assert kinds == [ProxyFetchSettings, IdleConnectionSettings]


def test_an_idle_connection_may_watch_a_udp_service() -> None:
    text = service(
        protocol="udp",
        ops="true",
        monitors='["DNSQuery", "IdleConnection"]',
        dnsquery__hostnames='["en.wikipedia.org"]',
    )
    assert len(only_service(text).monitors) == 2


@pytest.mark.parametrize("value", [None, "", "[]", "(unspecified)"])
def test_a_service_without_monitors_is_a_warning(value: str | None) -> None:
    problem = only_problem("[global]\n" + service(monitors=value))
    assert (problem.severity, problem.key) == (Severity.WARNING, "monitors")
    assert "never checked" in problem.message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("IdleConnection", "must be a list such as ['ProxyFetch'] of IdleConnection, ProxyFetch"),
        ("'IdleConnection'", "must be a list"),
        ("{'IdleConnection': 1}", "must be a list"),
        ("IdleConnection, ProxyFetch", "must be a list"),
        ("[IdleConnection]", "(is a quote, a comma or a bracket missing?)"),
        ("['IdleConnection'", "(is a quote, a comma or a bracket missing?)"),
        ("[1]", "element 1 is not a string"),
        ("['IdleConection']", "'IdleConection' is no monitor; did you mean IdleConnection?"),
        ("['idleconnection']", "'idleconnection' is no monitor; did you mean IdleConnection?"),
        ("['BGP']", "'BGP' is no monitor"),
        ("['UDP', 'UDP']", "UDP is listed twice"),
        ("[__import__('os')]", "(is a quote, a comma or a bracket missing?)"),
    ],
)
def test_a_bad_list_of_monitors_is_an_error(value: str, message: str) -> None:
    problem = problem_of("monitors", "[global]\n" + service(monitors=value))
    assert problem.severity is Severity.ERROR
    assert message in problem.message


def test_options_are_not_called_unknown_while_the_list_of_monitors_is_bad() -> None:
    text = "[global]\n" + service(monitors="['X']", proxyfetch__url="http://h/")
    assert only_problem(text).key == "monitors"


def test_options_of_a_monitor_that_is_not_listed_are_a_warning() -> None:
    text = "[global]\n" + service(dnsquery__hostnames="h", proxyfetch__url="http://u:secret@h")
    assert shown(text) == [
        f"{FILE}:9: [svc] dnsquery.hostnames: no effect: DNSQuery is not listed in monitors",
        f"{FILE}:10: [svc] proxyfetch.url: no effect: ProxyFetch is not listed in monitors",
    ]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ProxyFetch", "proxyfetch.url"),
        ("DNSQuery", "dnsquery.hostnames"),
        ("RunCommand", "runcommand.command"),
    ],
)
@pytest.mark.parametrize("value", [None, "", "(unspecified)"])
def test_what_a_monitor_cannot_do_without_is_required(
    name: str, key: str, value: str | None
) -> None:
    text = with_monitor(name, **{key.replace(".", "__"): value})
    problem = only_problem("[global]\n" + text)
    assert (problem.severity, problem.key, problem.value) == (Severity.ERROR, key, None)
    assert problem.message.startswith("not set; must be ")


@pytest.mark.parametrize("name", MONITORS)
@pytest.mark.parametrize("value", ["0", "0.0", "-1", "1e3", "inf", "10s", "99999999999", "9" * 400])
def test_an_interval_is_a_time_above_zero(name: str, value: str) -> None:
    key = f"{name.lower()}.interval"
    problem = problem_of(key, "[global]\n" + with_lines(name, f"{key} = {value}"))
    assert problem.severity is Severity.ERROR
    assert problem.message.startswith("must be a number of seconds above 0")


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        (
            "IdleConnection",
            "timeout-clean-reconnect",
            "-1",
            "must be a number of seconds, 0 or more",
        ),
        ("IdleConnection", "max-delay", "0", "must be a number of seconds above 0"),
        ("IdleConnection", "keepalive", "2", "must be yes or no"),
        ("IdleConnection", "keepalive-retries", "128", "must be a whole number from 1 to 127"),
        ("IdleConnection", "keepalive-idle", "0", "must be a whole number from 1 to 32767"),
        ("IdleConnection", "keepalive-interval", "40000", "must be a whole number from 1 to 32767"),
        ("ProxyFetch", "timeout", "0", "must be a number of seconds above 0"),
        ("ProxyFetch", "http_status", "99", "must be an HTTP status from 100 to 599"),
        ("ProxyFetch", "http_status", "[]", "must be an HTTP status from 100 to 599"),
        ("ProxyFetch", "http_status", "[200, ok]", "must be an HTTP status from 100 to 599"),
        ("ProxyFetch", "http_status", "200-", "must be an HTTP status from 100 to 599"),
        ("ProxyFetch", "http_status", "399-200", "399-200 is empty"),
        ("ProxyFetch", "ca-file", "ca.pem", "must be an absolute path"),
        ("ProxyFetch", "server-name", "192.0.2.1", "must be a host name"),
        ("ProxyFetch", "min-certificate-days", "-1", "must be a whole number from 0 to 3650"),
        ("ProxyFetch", "method", "POST", "must be GET or HEAD"),
        ("ProxyFetch", "headers", "['A: b']", "must be headers such as {'X-Name': 'value'}"),
        ("ProxyFetch", "headers", "{'A': 1}", "a name or a value is not a string"),
        ("ProxyFetch", "headers", "{'A b': 'c'}", "'A b' is no name of a header"),
        ("ProxyFetch", "headers", "{'A': 'b\\r\\nc'}", "in printable ASCII"),
        ("ProxyFetch", "headers", "{'host': 'c'}", "host is set by PyBal itself"),
        ("ProxyFetch", "expect", "a**", "a repeat of a repeat needs brackets"),
        ("ProxyFetch", "read-bytes", "100", "must be a whole number from 1024 to 1048576"),
        ("ProxyFetch", "check_all", "all", "must be yes or no"),
        ("ProxyFetch", "max_failures", "-1", "must be a whole number from 0"),
        ("ProxyFetch", "user-agent", "ä", "must be printable ASCII text"),
        ("ProxyFetch", "user-agent", "'''a\nb'''", "must be printable ASCII text"),
        ("ProxyFetch", "tls-verify", "x", "must be yes or no"),
        ("DNSQuery", "fail-on-nxdomain", "x", "must be yes or no"),
        ("UDP", "icmp-timeout", "x", "must be a number of seconds, 0 or more"),
        ("UDP", "payload", r"\q", "a backslash comes before one of r n t 0 \\ or xHH"),
        ("UDP", "payload", r"\x1", "a backslash comes before one of r n t 0 \\ or xHH"),
        ("UDP", "payload", "x" * 1401, "it is longer than 1400 bytes"),
        ("UDP", "expect", "(ok", "must be a regular expression; a bracket is not closed"),
        ("TCPCheck", "expect", "o*", "it matches anything"),
        ("TCPCheck", "send", "a\\", "a backslash comes before one of"),
        ("TCPCheck", "read-bytes", "0", "must be a whole number from 1 to 65536"),
        ("RunCommand", "arguments", "'-v'", "it is not a list"),
        ("RunCommand", "arguments", "['-H', server.name]", "element 2 is none of these"),
        ("RunCommand", "arguments", "[-H]", "element 1 is none of these"),
        ("RunCommand", "log-output", "x", "must be yes or no"),
    ],
)
def test_a_bad_option_says_what_would_be_right(
    name: str, option: str, value: str, message: str
) -> None:
    key = f"{name.lower()}.{option}"
    problem = problem_of(key, "[global]\n" + with_lines(name, f"{key} = {value}"))
    assert (problem.severity, problem.section) == (Severity.ERROR, "svc")
    assert message in problem.message
