"""What was most likely meant to be another word: keys, sections, sub-sections."""

from __future__ import annotations

import pytest

from pybal.config.bad_value import Suggestions, is_one_slip
from tests.config.texts import FILE, parse, service


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[globl]\nbgp = no\n", "global"),
        ("[golbal]\n", "global"),
        ("[Globals]\nlog-level = info\n", "global"),
        ("[gloval]\nip = 192.0.2.77\n", "global"),  # Nothing else is [global].
        ("[DEFALT]\nscheduler = wrr\n", "DEFAULT"),
        ("[defaults]\nscheduler = wrr\n", "DEFAULT"),
    ],
)
def test_a_section_that_is_nearly_a_special_one_is_said_to_be_read_as_a_service(
    text: str, meant: str
) -> None:
    result = parse(f"{text}{service()}", FILE)
    (slip,) = [problem for problem in result.warnings if "read as a service" in problem.message]
    assert slip.slip
    assert slip.line == 1
    assert slip.message.endswith(f"did you mean [{meant}]?")
    assert str(slip) in result.refusal  # As a service it lacks much.


@pytest.mark.parametrize("name", ["globals", "defaults", "glob", "local", "global-dns"])
def test_a_service_may_be_called_nearly_so(name: str) -> None:
    result = parse(f"[global]\n{service(name)}", FILE)
    assert not any("read as" in problem.message for problem in result.warnings)


def test_a_sub_section_that_is_nearly_one_of_peers_gets_its_word() -> None:
    (error,) = parse(f"[global]\n[[pear 192.0.2.1]]\n{service()}", FILE).errors
    assert error.message == "unknown sub-section; did you mean [[peer …]]?"


def test_why_a_file_is_refused_names_the_slips_of_sections_with_errors_alone() -> None:
    two = service("two", port="81").replace("scheduler =", "sheduler =")
    refusal = parse(f"[global]\nlog-levle = info\n{service()}{two}", FILE).refusal
    assert any("[two] scheduler: not set" in line for line in refusal)
    assert any("did you mean scheduler?" in line for line in refusal)
    assert not any("log-levle" in line for line in refusal)


def test_of_thousands_of_unknown_keys_the_first_are_looked_up() -> None:
    many = "".join(f"depool-treshold-{number} = 1\n" for number in range(3000))
    result = parse(f"[global]\n{service()}{many}", FILE)
    assert len(result.warnings) == 1001
    assert [problem.slip for problem in result.warnings].count(True) == 300


def test_the_same_unknown_key_in_many_sections_is_looked_up_once_and_told_in_each() -> None:
    services = [service(f"s{n}", ip=f"10.1.{n // 250}.{n % 250}") for n in range(400)]
    same = "".join(f"{each}prot = 1\n" for each in services)
    result = parse(f"[global]\n{same}", FILE)
    assert [problem.slip for problem in result.warnings].count(True) == 400
    suggestions, known = Suggestions(), frozenset({"port", "protocol"})
    assert suggestions.of("prot", known) == "did you mean port?"
    for number in range(1000):
        suggestions.of(f"prot{number}", known)
    assert suggestions.of("prot", frozenset({"protocol", "port"})) == "did you mean port?"
    assert suggestions.of("proto", known) == ""


@pytest.mark.parametrize(
    ("word", "known", "is_one"),
    [
        ("global", "global", False),
        ("globa", "global", True),
        ("lobal", "global", True),
        ("gglobal", "global", True),
        ("globall", "global", True),
        ("glxbal", "global", True),
        ("golbal", "global", True),
        ("globla", "global", True),
        ("globel", "global", True),
        ("gloabl", "global", True),
        ("loglab", "global", False),
        ("glob", "global", False),
        ("xlobla", "global", False),
        ("gxobxl", "global", False),
        ("", "global", False),
        ("", "a", True),
        ("ab", "ba", True),
        ("abc", "ba", False),
    ],
)
def test_one_slip(word: str, known: str, is_one: bool) -> None:
    assert is_one_slip(word, known) is is_one
    assert is_one_slip(known, word) is is_one


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("idleconnection.interval", "10s", "write 10, without a unit"),
        ("idleconnection.timeout", "500ms", "write 0.5, without a unit"),
        ("list-hold", "1h", "write 3600, without a unit"),
        ("persistence-timeout", "5 min", "write 300, without a unit"),
        ("depool-threshold", "50%", "write 0.5"),
    ],
)
def test_a_number_with_a_unit_is_answered_with_the_number(key: str, value: str, hint: str) -> None:
    (error,) = parse(f"[global]\n{service()}{key} = {value}\n", FILE).errors
    assert error.message.endswith(f"; {hint}")
