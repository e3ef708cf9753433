"""All problems of a file at once, in line order, one line each, without secrets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybal.config.loader import MAX_LINES
from pybal.config.problems import (
    MAX_PROBLEMS,
    Problem,
    ProblemLog,
    Severity,
    mask_value,
    masked_text,
)
from tests.config.texts import FILE, parse, service

MANY = """port 80
[global]
bgp = yes
bgp-local-asn = none
instrumentation_port = 0
[a]
protocol = tcp
ip = 192.0.2.1
port = 80
scheduler = best
config = file:///pool
depool-threshold = 2
monitors = ['Ping']
ping.intervall = 3
[b]
protocol = tcp
ip = 192.0.2.1
port = 80
scheduler = rr
config = k8s://secret@
monitors = ['Ping']
port = 81
"""


def test_all_problems_are_found_at_once_in_line_order() -> None:
    result = parse(MANY, FILE)
    assert result.settings is None
    assert [(p.line, p.key) for p in result.problems] == [
        (1, None),
        (2, "bgp-peer-address"),
        (2, "bgp-nexthop-ipv4"),
        (4, "bgp-local-asn"),
        (5, "instrumentation_port"),
        (10, "scheduler"),
        (12, "depool-threshold"),
        (14, "ping.intervall"),
        (18, "port"),
        (20, "config"),
        (22, "port"),
    ]
    assert [p.key for p in result.warnings] == ["ping.intervall"]
    assert len(result.errors) == len(result.problems) - 1


def test_warnings_alone_leave_the_settings() -> None:
    result = parse("[global]\nx = 1\n" + service(), FILE)
    assert result.settings is not None
    assert [p.severity for p in result.problems] == [Severity.WARNING]


def test_a_problem_is_one_line_whatever_is_in_it() -> None:
    problem = Problem(Severity.ERROR, "a\nb", 1, "s\x1b[0m", "k\u2028", "v\nw", "bad\r")
    assert str(problem).isprintable()


def test_a_problem_of_the_whole_file_has_no_line() -> None:
    assert str(Problem(Severity.ERROR, "f", None, None, None, None, "is a directory")) == (
        "f: is a directory"
    )


def test_a_long_value_is_shortened() -> None:
    (problem,) = parse("[global]\n" + service(depool_threshold="9" * 5000), FILE).problems
    assert len(str(problem)) < 300
    assert "…'" in str(problem)


@pytest.mark.slow
def test_a_file_of_nothing_but_problems_ends_early() -> None:
    result = parse("junk\n" * 50_000, FILE)
    assert result.settings is None
    assert len(result.problems) == MAX_PROBLEMS + 1
    assert (
        str(result.problems[0])
        == f"{FILE}: more than {MAX_PROBLEMS} problems: the rest is not shown"
    )


def test_a_file_of_absurdly_many_lines_is_refused_unread() -> None:
    (problem,) = parse("\n" * (MAX_LINES + 1), FILE).problems
    assert problem.message == f"more than {MAX_LINES} lines"


def test_text_with_nul_is_not_text() -> None:
    (problem,) = parse("[global]\n\0\n", FILE).problems
    assert (problem.line, problem.message) == (2, "not text: it holds NUL characters")


@pytest.mark.parametrize(
    ("key", "value", "masked"),
    [
        ("bgp-password", "hunter2", "***"),
        ("bgp-pasword", "hunter2", "***"),
        ("bgp-passwrd", "hunter2", "***"),
        ("bgp-pssword", "hunter2", "***"),
        ("auth_pass", "hunter2", "***"),
        ("bgp-passive", "yes", "yes"),
        ("bgp-PASSWORD-file", "/etc/hunter2", "***"),
        ("proxyfetch.url", "['http://me:hunter2@h/', 'x']", "['http://***@h/', 'x']"),
        ("proxyfetch.url", "http://h/@x://a", "http://***@x://a"),
        ("ip", "k8s://hunter2", "k8s://***"),
        ("ip", "['K8S://hunter2@h', 'k8s://']", "['k8s://***@h', 'k8s://***']"),
        ("proxyfetch.url", "http://h/ a@b", "http://h/ a@b"),
        ("config", "k8s://hunter2@h", "k8s://***@h"),
        ("config", "K8S://hunter2", "k8s://***"),
        ("config", "etcd://h/a", "etcd://h/a"),
        ("config", "http://h/a?x=hunter2", "http://h/a?x=***"),
        ("proxyfetch.url", "['http://h/?token=hunter2&a=b']", "['http://h/?token=***&a=b']"),
        ("ip", "http://me:hunter2@h/?key=hunter2", "http://***@h/?key=***"),
        ("config", "http://me@h/x?token=hunter2&x=1", "http://***@h/x?token=***&x=***"),
        ("config", "http://h/x;token=hunter2?a=b", "http://h/x;token=***?a=***"),
        ("config", "http://h/x?token = hunter2", "http://h/x?***"),
        ("config", "http://h/x?token='hunter2 b'&c=d", "http://h/x?***"),
        ("config", "hunter2", "***"),
        ("config", "", ""),
        ("port", "http", "http"),
    ],
)
def test_secrets_are_masked(key: str, value: str, masked: str) -> None:
    assert mask_value(key, value) == masked


def test_the_text_that_people_are_shown_holds_no_secret() -> None:
    text = (
        "[global]\nbgp-password = swordfish\n[[peer 192.0.2.1]]\n  bgp-password: 'hali'\n"
        "[svc]\nconfig = k8s://hunter2@kube\nproxyfetch.headers = { 'Authorization':\n"
        "    'Basic c2VjcmV0' }\n# bgp-password = old\nport = 80\n"
    )
    shown = masked_text(text)
    for secret in ("swordfish", "hali", "hunter2", "c2VjcmV0"):
        assert secret not in shown
    assert "[svc]\nconfig = k8s://***@kube" in shown
    assert shown.endswith("port = 80\n")


def test_arguments_of_commands_may_hold_secrets() -> None:
    text = "[web]\nruncommand.arguments = [ '-u', 'me',\n  '-p', 'hunter2' ]\nport = 80\n"
    assert masked_text(text) == "[web]\nruncommand.arguments = ***\nport = 80\n"
    assert mask_value("runcommand.arguments", "[ '--password', 'hunter2'") == "***"
    assert mask_value("runcommand.arguments", "[ '-H', 'x' ") == "[ '-H', 'x' "


def test_what_is_commented_out_may_be_a_secret_and_a_comment_ends_no_value() -> None:
    text = (
        "#bgp-password = hunter2\n#config = k8s://hunter2@h\n  ;; bgp-password: hunter2\n# See http://a:hunter2@h/\n"
        "[web]\nproxyfetch.headers = { 'Authorization':\n# of the test\n\n    'hunter2' }\n"
        "proxyfetch.url = [\n    'https://h/?token=hunter2',\n    'https://h/' ]\n"
        "# Ports: below\n  port = 80\n"
    )
    shown = masked_text(text)
    assert "hunter2" not in shown
    assert shown.endswith("'https://h/' ]\n# Ports: below\n  port = 80\n")
    assert masked_text("[web]\n# Ports: below\n  port = 80\n").endswith("below\n  port = 80\n")


def test_what_default_says_for_nobody_is_unknown_once_there_is_somebody() -> None:
    text = "[DEFAULT]\nnosuch = 1\nscheduler = sh\n[global]\n"
    assert [problem.section for problem in parse(text).problems] == [None]
    (problem,) = parse(text + service(scheduler=None)).problems
    assert (problem.section, problem.key) == ("DEFAULT", "nosuch")


def test_long_messages_and_values_are_cut() -> None:
    log = ProblemLog("f")
    for size in (480, 481):
        log.add(Severity.WARNING, "m" * size, line=size)
    for size in (120, 121):
        log.add(Severity.WARNING, "", line=1000 + size, value="v" * size)
    found = log.result(None).problems
    assert [problem.message for problem in found[:2]] == ["m" * 480, "m" * 479 + "…"]
    assert [problem.value for problem in found[2:]] == ["v" * 120, "v" * 119 + "…"]
    assert not any(problem.slip for problem in found)


def test_each_problem_counts_once() -> None:
    log = ProblemLog("f")
    assert log.noted == 0
    for line in (1, 1, 2):
        log.add(Severity.NOTE, "odd", line=line)
    assert log.noted == 2


def test_of_a_key_that_may_hold_a_secret_its_first_word_is_shown() -> None:
    log = ProblemLog("f")
    log.add(Severity.WARNING, "unknown", key="bgp-password hunter2 x")
    log.add(Severity.WARNING, "unknown", key="two words")
    assert [problem.key for problem in log.result(None).problems] == ["bgp-password", "two words"]


def test_only_what_belongs_to_a_secret_is_hidden() -> None:
    assert masked_text("  a = 1\n  b = 2\n") == "  a = 1\n  b = 2\n"
    assert masked_text("p.headers = {\n 'hunter2' }\na = 1\n") == "p.headers = ***\na = 1\n"


def test_what_a_reading_knows_is_no_part_of_its_result() -> None:
    result = parse("[global]\n" + service())
    assert result == replace(result, known=None)
    assert "KnownSection" not in repr(result)
