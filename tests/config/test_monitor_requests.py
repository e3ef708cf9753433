"""Options of what monitors ask for: URLs, names, commands, statuses, TLS."""

from __future__ import annotations

import pytest

from pybal.config.problems import Severity
from pybal.monitors.dnsquery import DNSQuerySettings
from pybal.monitors.proxyfetch import ProxyFetchSettings
from tests.config.monitor_texts import with_lines, with_monitor
from tests.config.texts import (
    only_monitor,
    only_problem,
    shown,
)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://h", ("http://h",)),
        ("'https://localhost/'", ("https://localhost/",)),
        (
            "[ 'http://a.example:8080/x?y=%20z&w', \"https://b/\" ]",
            ("http://a.example:8080/x?y=%20z&w", "https://b/"),
        ),
        ("http://[2001:db8::1]:81/", ("http://[2001:db8::1]:81/",)),
        ("[ 'http://h/#/login', 'HTTP://h?x#y#z' ]", ("http://h/", "http://h?x")),
    ],
)
def test_urls_are_one_or_a_list(text: str, urls: tuple[str, ...]) -> None:
    monitor = only_monitor(with_monitor("ProxyFetch", proxyfetch__url=text, port="8443"))
    assert isinstance(monitor, ProxyFetchSettings)
    assert monitor.urls == urls


@pytest.mark.parametrize(
    "text",
    ["/health", "ftp://h/", "http://", "http:///x", "http://h:port/", "['http://h/', 'h']", "[]",
     "[1]", "http://a b/", "http://u:secret@h/", "//h/"],
)  # fmt: skip
def test_a_url_is_absolute_and_of_http(text: str) -> None:
    problem = only_problem("[global]\n" + with_monitor("ProxyFetch", proxyfetch__url=text))
    assert (problem.severity, problem.key) == (Severity.ERROR, "proxyfetch.url")
    assert "secret" not in str(problem)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("example.org", ("example.org",)),
        (
            "[\"en.wikipedia.org\", 'localhost', '_sip._tcp.example.org.']",
            ("en.wikipedia.org", "localhost", "_sip._tcp.example.org."),
        ),
    ],
)
def test_host_names_are_one_or_a_list(text: str, names: tuple[str, ...]) -> None:
    monitor = only_monitor(with_monitor("DNSQuery", dnsquery__hostnames=text))
    assert isinstance(monitor, DNSQuerySettings)
    assert monitor.hostnames == names


@pytest.mark.parametrize(
    "text",
    ["[]", "a b", "a..b", "-a", "192.0.2.1", "['a', 'b/c']", "[None]", "x" * 64, "a." * 127 + "a"],
)
def test_a_host_name_is_plausible(text: str) -> None:
    problem = only_problem("[global]\n" + with_monitor("DNSQuery", dnsquery__hostnames=text))
    assert (problem.severity, problem.key) == (Severity.ERROR, "dnsquery.hostnames")


@pytest.mark.parametrize("text", ["check", "./check", "~/check", "['/bin/check']", "bin/check -v"])
def test_a_command_is_an_absolute_path(text: str) -> None:
    problem = only_problem("[global]\n" + with_monitor("RunCommand", runcommand__command=text))
    assert problem.message == "must be an absolute path"


def test_max_failures_without_check_all_is_a_warning() -> None:
    text = "[global]\n" + with_lines("ProxyFetch", "proxyfetch.max_failures = 1")
    problem = only_problem(text)
    assert problem.severity is Severity.WARNING
    assert "no effect without proxyfetch.check_all" in problem.message


def test_a_check_that_can_never_fail_is_a_warning() -> None:
    lines = ["proxyfetch.check_all = yes", "proxyfetch.max_failures = 1"]
    problem = only_problem("[global]\n" + with_lines("ProxyFetch", *lines))
    assert problem.severity is Severity.WARNING
    assert "can never fail" in problem.message


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        ("200-399", (range(200, 400),)),
        ("[200, 301]", (range(200, 201), range(301, 302))),
        ("[ '200-299', 301, ]", (range(200, 300), range(301, 302))),
        ("200, 301 - 303", (range(200, 201), range(301, 304))),
    ],
)
def test_statuses_are_one_a_range_or_a_list(text: str, statuses: tuple[range, ...]) -> None:
    monitor = only_monitor(with_lines("ProxyFetch", f"proxyfetch.http_status = {text}"))
    assert isinstance(monitor, ProxyFetchSettings)
    assert monitor.http_status == statuses


def test_a_body_cannot_be_expected_of_head() -> None:
    lines = ["proxyfetch.method = HEAD", "proxyfetch.expect = ok"]
    problem = only_problem("[global]\n" + with_lines("ProxyFetch", *lines))
    assert (problem.severity, problem.key) == (Severity.ERROR, "proxyfetch.expect")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("tls-verify = yes", "no URL is https"),
        ("tls-resume = no", "no URL is https"),
        ("server-name = h", "no URL is https"),
        ("min-certificate-days = 1", "no URL is https"),
        ("ca-file = /etc/ca.pem", "without proxyfetch.tls-verify = yes"),
    ],
)
def test_an_option_of_tls_without_effect_is_a_warning(line: str, why: str) -> None:
    problem = only_problem("[global]\n" + with_lines("ProxyFetch", f"proxyfetch.{line}"))
    assert problem.severity is Severity.WARNING
    assert why in problem.message


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ProxyFetch", "headers = {'Authorization': 'secret"),
        ("TCPCheck", "send = AUTH secret\\q"),
        ("UDP", "payload = secret\\q"),
    ],
)
def test_what_is_sent_may_be_a_secret_and_is_not_shown(name: str, line: str) -> None:
    (text,) = shown("[global]\n" + with_lines(name, f"{name.lower()}.{line}"))
    assert "secret" not in text
