"""pybal.conf as people write it: with a default section, and with the words of other balancers."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pybal.config.foreign_words import instead_of
from pybal.config.problems import MAX_PROBLEMS, Severity
from tests.config.texts import FILE, only_problem, only_service, parse, service, settings, shown

DEFAULTS = """[DEFAULT]
protocol = tcp
scheduler: wrr
Depool-Threshold = .25
monitors = ['IdleConnection']
idleconnection.max-delay = 60
port = 80
"""
TWO = """[global]
[a]
ip = 192.0.2.1
config = file:///a
[b]
ip = 192.0.2.2
port = 443
config = file:///b
monitors = ['Ping']
"""


def test_what_default_says_holds_in_each_section_that_does_not_say_otherwise() -> None:
    a, b = settings(DEFAULTS + TWO).services
    assert (a.scheduler, a.port, a.depool_threshold) == ("wrr", 80, Fraction(1, 4))
    assert (b.scheduler, b.port, b.depool_threshold) == ("wrr", 443, Fraction(1, 4))
    assert a.monitors[0].monitor == "IdleConnection"
    assert b.monitors[0].monitor == "Ping"


def test_default_holds_for_the_global_section_too() -> None:
    text = "[DEFAULT]\ninstrumentation = yes\n[global]\n" + service()
    assert settings(text).instrumentation is not None


def test_a_fault_in_default_is_said_once_with_its_line() -> None:
    text = DEFAULTS.replace(".25", "2") + TWO
    assert shown(text) == [
        f"{FILE}:4: [a] depool-threshold = '2': must be a number from 0 to 1",
    ]


def test_a_key_of_default_that_no_section_knows_is_unknown() -> None:
    text = DEFAULTS + "depool-treshold = 1\n" + TWO
    assert shown(text) == [
        f"{FILE}:8: [DEFAULT] depool-treshold: unknown key, ignored;"
        " did you mean depool-threshold?",
    ]


def test_an_own_spelling_goes_before_one_of_default() -> None:
    text = "[DEFAULT]\ndryrun = no\n[global]\ndry-run = yes\n" + service()
    assert settings(text).dry_run


@pytest.mark.parametrize("name", ["Global", "GLOBAL", "default", "Default"])
def test_the_special_sections_are_written_as_they_are(name: str) -> None:
    messages = shown(f"[global]\n[{name}]\nbgp = yes\n" + service())
    wanted = "[global]" if name.lower() == "global" else "[DEFAULT]"
    assert any(f"write {wanted}" in message for message in messages)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("quorum = 2", "use depool-threshold, or bgp-withdraw-on-down"),
        ("sorry_server = 192.0.2.9 80", "there is no spare server"),
        ("lb_kind = DR", "use forwarding-method"),
        ("LB_ALGO = wrr", "use scheduler"),
        ("lb_mode = dsr", "use forwarding-method"),
        ("server_low_watermark = 0.3", "use depool-threshold"),
        ("one_packet = yes", "use ops"),
        ("send-proxy = yes", "packets go to the servers as they are"),
        ("ssl = yes", "TLS ends at the servers"),
        ("neighbor = 192.0.2.1", "use bgp-peer-address in [global]"),
        ("logfile = /var/log/x", "all is logged to stderr"),
        ("callback = /bin/x", "PyBal calls nobody"),
        ("delay_loop = 6", "use MONITOR.interval"),
        ("real_server = 192.0.2.9 80", "servers stand in the pool list"),
        ("virtual_router_id = 51", "PyBal needs no neighbour"),
        ("balance = roundrobin", "use scheduler"),
        ("server web1 = 192.0.2.9:80", "servers stand in the pool list"),
        ("option httpchk = GET /", "checks are named in monitors"),
        ("timeout connect = 5s", "use MONITOR.timeout"),
        ("quiescent = yes", "use depool-method = drain"),
        ("checktype = negotiate", "checks are named in monitors"),
        ("interval = 5", "use MONITOR.interval"),
        ("url = http://h/", "use proxyfetch.url"),
        ("scheduller = wrr", "did you mean scheduler?"),
    ],
)
def test_what_another_balancers_file_says_is_a_warning_that_names_our_word(
    line: str, hint: str
) -> None:
    problem = only_problem("[global]\n" + service() + line)
    assert problem.severity is Severity.WARNING
    assert problem.message.startswith(f"unknown key, ignored; {hint}")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("real_server 192.0.2.9 80 {", "servers stand in the pool list"),
        ("virtual_server 2001:db8::1 443 {", "a service is a [section]"),
        ("server web1 192.0.2.9:80 check", "servers stand in the pool list"),
        ("delay_loop 6", "use MONITOR.interval"),
    ],
)
def test_a_line_that_is_no_entry_gets_our_word_too(line: str, hint: str) -> None:
    problem = only_problem("[global]\n" + service() + line)
    assert problem.severity is Severity.ERROR
    assert hint in problem.message and "192.0.2.9" not in problem.message


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("scheduler", "leastconn", "use lc or wlc"),
        ("forwarding_method", "NAT", "use masquerade"),
        ("monitors", "['HTTP_GET']", "'HTTP_GET' is no monitor; use ProxyFetch"),
        ("monitors", "['proxyfetch']", "did you mean ProxyFetch?"),
    ],
)
def test_a_value_in_another_balancers_words_names_ours(key: str, value: str, hint: str) -> None:
    assert hint in only_problem("[global]\n" + service(**{key: value})).message


def test_the_kernels_sync_daemon_is_not_taken_for_vrrp() -> None:
    assert "ipvs-sync-daemon" in instead_of("lvs_sync_daemon eth0 VI_1 id 3")


def test_no_key_of_ours_is_taken_for_another_balancers() -> None:
    known = ("protocol", "ip", "port", "scheduler", "ops", "config", "monitors", "fwmark", "bgp")
    assert [key for key in known if instead_of(key)] == []


def test_lists_over_several_lines_are_read() -> None:
    text = "[global]\n" + service(
        monitors="[\n  'ProxyFetch', ; first\n  'Ping',\n]",
        proxyfetch__url="[ 'http://a/?x=%20&y = 1',\n   'http://b/' ]",
    )
    text = text.replace("y = 1", "y=1")
    (fetch, _) = only_service(text.removeprefix("[global]\n")).monitors
    assert getattr(fetch, "urls", None) == ("http://a/?x=%20&y=1", "http://b/")


@pytest.mark.slow
def test_warnings_however_many_do_not_refuse_a_file() -> None:
    text = "[global]\n" + "".join(f"unknown-{n} = 1\n" for n in range(3 * MAX_PROBLEMS))
    result = parse(text + service(), FILE)
    assert result.settings is not None
    assert len(result.problems) == MAX_PROBLEMS + 1
    assert str(result.problems[0]) == f"{FILE}: 2000 more warnings, which are not shown"


@pytest.mark.slow
def test_an_error_among_thousands_of_warnings_is_shown() -> None:
    text = "[global]\n" + "".join(f"unknown-{n} = 1\n" for n in range(2 * MAX_PROBLEMS))
    result = parse(text + service(port="0"), FILE)
    assert [problem.key for problem in result.errors] == ["port"]


def test_a_key_with_a_blank_after_a_secrets_name_is_cut_there() -> None:
    assert "hunter2" not in "".join(shown("[global]\nbgp-password hunter2 = x\n" + service()))
