"""Monitors whose options are good each by itself and together can hardly be meant so."""

from __future__ import annotations

import pytest

from pybal.config.problems import Severity
from tests.config.texts import only_problem, only_service, parse, service

NEEDED = {
    "ProxyFetch": "proxyfetch.url = http://h/\n",
    "DNSQuery": "dnsquery.hostnames = example.org\n",
    "RunCommand": "runcommand.command = /bin/true\n",
}


def with_options(name: str, *lines: str, protocol: str = "tcp", port: str = "8080") -> str:
    """A service with one monitor and these options of it."""
    options = "".join(f"{name.lower()}.{line}\n" for line in lines)
    needed = "" if "url =" in options or "hostnames =" in options else NEEDED.get(name, "")
    return service(monitors=f"['{name}']", protocol=protocol, port=port) + needed + options


@pytest.mark.parametrize(
    ("name", "lines", "option", "message"),
    [
        ("ProxyFetch", ["http_status = 101"], "http_status", "no server can be up: 101 is never"),
        ("ProxyFetch", ["http_status = 100-199"], "http_status", "no server can be up: 100-199"),
        ("ProxyFetch", ["http_status = [103, 200]"], "http_status", "103 is never the final"),
        (
            "ProxyFetch",
            ["http_status = 204", "expect = ok"],
            "expect",
            "no server can be up: an answer 204 has no body",
        ),
        (
            "ProxyFetch",
            ["http_status = 304", "expect = ok", "headers = {'If-None-Match': '*'}"],
            "expect",
            "no server can be up",
        ),
        (
            "ProxyFetch",
            ["http_status = 304"],
            "http_status",
            "304 is the answer to If-None-Match or If-Modified-Since, which is not sent",
        ),
        ("ProxyFetch", ["http_status = 206"], "http_status", "no server can be up: 206 is"),
        (
            "ProxyFetch",
            ["headers = {'range': 'bytes=0-1'}"],
            "headers",
            "Range: the answer may be 206, which is none of http_status",
        ),
        (
            "ProxyFetch",
            ["http_status = 200-299", "headers = {'If-Modified-Since': 'x'}"],
            "headers",
            "the answer may be 304",
        ),
        ("ProxyFetch", ["http_status = [200, 205]", "expect = ok"], "expect", "an answer 205 has"),
        ("ProxyFetch", ["expect = [^\\x00-\\xff]"], "expect", "nothing matches this"),
        (
            "ProxyFetch",
            ["expect = ok", "headers = {'Accept-Encoding': 'gzip'}"],
            "headers",
            "expect is not found in what is compressed",
        ),
        ("ProxyFetch", ["url = http://server.host/"], "url", "server.host stands for itself"),
        ("ProxyFetch", ["port = 443"], "url", "port 443 is not usual for http: is https meant?"),
        ("ProxyFetch", ["url = https://h/", "port = 80"], "url", "is http meant?"),
        (
            "ProxyFetch",
            ["url = https://h/", "min-certificate-days = 1000"],
            "min-certificate-days",
            "398 days at most",
        ),
        ("ProxyFetch", ["max_failures = 1"], "max_failures", "no effect without proxyfetch.check"),
        (
            "ProxyFetch",
            ["url = ['http://a/', 'http://b/']", "check_all = yes", "max_failures = 2"],
            "max_failures",
            "with 2 URLs this check can never fail",
        ),
        ("TCPCheck", ["expect = longer", "read-bytes = 5"], "expect", "a match has 6 bytes, 5 are"),
        ("TCPCheck", ["expect = a{3}|b{4}", "read-bytes = 2"], "expect", "a match has 3 bytes"),
        ("TCPCheck", ["read-bytes = 9"], "read-bytes", "no effect without tcpcheck.expect"),
        (
            "DNSQuery",
            ["hostnames = a.invalid", "fail-on-nxdomain = yes"],
            "hostnames",
            "a.invalid never exists",
        ),
        ("IdleConnection", ["keepalive = no", "keepalive-idle = 9"], "keepalive-idle", "no effect"),
        ("IdleConnection", ["keepalive-interval = 200"], "keepalive-interval", "after 610 s only"),
        ("IdleConnection", ["max-delay = 86400"], "max-delay", "up for 86400 s unnoticed"),
        ("Ping", ["source-address = 127.0.0.1"], "source-address", "only this host is reached"),
    ],
)
def test_what_can_never_be_up_or_down_is_a_warning(
    name: str, lines: list[str], option: str, message: str
) -> None:
    problem = only_problem("[global]\n" + with_options(name, *lines))
    assert (problem.severity, problem.key) == (Severity.WARNING, f"{name.lower()}.{option}")
    assert message in problem.message


def test_what_is_asked_for_and_expected_is_no_warning() -> None:
    for lines in (
        ["http_status = 200-299", "headers = {'Range': 'bytes=0-1'}"],
        ["http_status = 206", "headers = {'Range': 'bytes=0-1'}"],
        ["http_status = [200, 206, 304]"],
    ):
        assert not parse("[global]\n" + with_options("ProxyFetch", *lines)).problems


ALL = ("IdleConnection", "ProxyFetch", "DNSQuery", "UDP", "RunCommand", "Ping", "TCPCheck")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rise = 100", "back to life is not pooled before"),
        ("fall = 100", "dead is not depooled before"),
        ("timeout = 0.001", "hardly an answer"),
    ],
)
def test_results_needed_and_timeouts_beyond_reason_are_said_of_every_monitor(
    name: str, line: str, message: str
) -> None:
    protocol = "udp" if name == "UDP" else "tcp"
    problem = only_problem("[global]\n" + with_options(name, line, protocol=protocol))
    assert problem.severity is Severity.WARNING
    assert message in problem.message


@pytest.mark.parametrize("name", [name for name in ALL if name != "IdleConnection"])
@pytest.mark.parametrize(
    ("lines", "key", "message"),
    [
        (["interval = 3", "timeout = 4"], "timeout", "4 s is longer than the interval of 3 s"),
        (["interval = 0.5"], "interval", "is longer than the interval of 0.5 s"),
        (["interval = 7200"], "interval", "dead for 7200 s before anybody looks"),
        (["interval = 0.05", "timeout = 0.01"], "interval", "checked 20 times a second"),
    ],
)
def test_intervals_beyond_reason_are_said_of_every_monitor_that_has_a_beat(
    name: str, lines: list[str], key: str, message: str
) -> None:
    protocol = "udp" if name == "UDP" else "tcp"
    problem = only_problem("[global]\n" + with_options(name, *lines, protocol=protocol))
    assert (problem.severity, problem.key) == (Severity.WARNING, f"{name.lower()}.{key}")
    assert message in problem.message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["interval = 10", "rise = 32"], "not pooled before 310 s: 32 results in a row, one"),
        (["interval = 3.035", "timeout = 1", "fall = 100"], "not depooled before 300.465 s"),
        (["interval = 3601"], "dead for 3601 s"),
        (["interval = 0.09", "timeout = 0.09"], "checked 11 times a second"),
    ],
)
def test_what_is_just_beyond_reason_is_said(lines: list[str], message: str) -> None:
    assert message in only_problem("[global]\n" + with_options("Ping", *lines)).message


def test_a_monitor_of_another_protocol_than_the_services_is_said() -> None:
    assert (
        "a server without this UDP port is down"
        in only_problem("[global]\n" + with_options("UDP")).message
    )
    (error,) = parse("[global]\n" + with_options("UDP", protocol="UDP")).problems
    assert error.key == "protocol"
    text = with_options("TCPCheck", protocol="sctp")
    assert "the service is sctp" in only_problem("[global]\n" + text).message
    for text in (
        with_options("TCPCheck", "port = 80", protocol="sctp"),
        with_options("Ping", protocol="sctp"),
    ):
        assert only_service(text).monitors


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("UDP", ["port = 53"]),
        ("ProxyFetch", ["http_status = 100-399", "expect = ok"]),
        ("ProxyFetch", ["http_status = 204"]),
        ("ProxyFetch", ["expect = ok", "headers = {'Accept-Encoding': 'identity'}"]),
        ("TCPCheck", ["expect = four", "read-bytes = 4"]),
        ("TCPCheck", ["expect = ^four$", "read-bytes = 4"]),
        ("IdleConnection", ["timeout = 30", "interval = 5"]),
        ("RunCommand", ["fall = 3", "rise = 5"]),
        ("Ping", ["fall = 10"]),
        ("Ping", ["interval = 10", "rise = 31"]),
        ("Ping", ["interval = 3", "timeout = 3"]),
        ("Ping", ["interval = 3600"]),
        ("Ping", ["interval = 0.1", "timeout = 0.1"]),
        ("Ping", ["timeout = 0.01"]),
        ("DNSQuery", ["hostnames = [ '_sip._tcp.example.org.', 'a.invalid' ]"]),
    ],
)
def test_what_makes_sense_is_no_warning(name: str, lines: list[str]) -> None:
    assert only_service(with_options(name, *lines)).monitors


def test_a_word_for_the_server_in_quotes_is_said_to_stand_for_itself() -> None:
    text = with_options("RunCommand", "arguments = ['-H', 'server.ip', server.port]")
    problem = only_problem(f"[global]\n{text}")
    assert (problem.severity, problem.key) == (Severity.WARNING, "runcommand.arguments")
    assert problem.message == "'server.ip' is passed on as it is: write server.ip without quotes"


@pytest.mark.parametrize(
    "url",
    ["http://a..b/", "http://256.1.1.1/", "http://10.0.1/", "http://-a/", "http://%h/", "http://[::",
     "http://h:99999/", "http://a_b c/", "http:///x", "https://[2001:db8::1/", "http://{host}/"],
)  # fmt: skip
def test_a_url_whose_host_is_no_host_is_refused(url: str) -> None:
    problem = only_problem("[global]\n" + with_options("ProxyFetch", f"url = {url}"))
    assert (problem.severity, problem.key) == (Severity.ERROR, "proxyfetch.url")


@pytest.mark.parametrize(
    "name", ["a..b", "192.0.2.1", "2001:db8::1", "http://h/", "a b", f"{'a' * 64}.b", "a.b/", "-a"]
)
def test_a_name_to_query_that_is_no_name_is_refused(name: str) -> None:
    problem = only_problem("[global]\n" + with_options("DNSQuery", f"hostnames = ['h', '{name}']"))
    assert problem.severity is Severity.ERROR
    assert "element 2 is not a host name" in problem.message


def test_a_warning_refuses_nothing() -> None:
    result = parse("[global]\n" + with_options("ProxyFetch", "http_status = 101", "fall = 100"))
    assert result.settings is not None
    assert len(result.warnings) == 2
