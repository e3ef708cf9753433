"""What was most likely meant to be another word: keys, sections, sub-sections."""

from __future__ import annotations

import pytest

from pybal.config.bad_value import Suggestions, is_one_slip
from tests.config.texts import FILE, GLOBAL_BGP, parse, service, settings


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


def test_a_sub_section_of_an_address_alone_gets_the_word_of_peers() -> None:
    (error,) = parse(f"[global]\n[[192.0.2.1]]\n{service()}", FILE).errors
    assert error.message == "unknown sub-section; did you mean [[peer 192.0.2.1]]?"


def test_a_peer_in_single_brackets_is_one_error_and_no_service_that_lacks_all() -> None:
    text = f"[global]\n[peer 192.0.2.1]\nbgp-peer-asn = 64600\n{service()}"
    (error,) = parse(text, FILE).problems
    assert error.message.endswith("write [[peer 192.0.2.1]]")


def test_a_global_section_in_capitals_is_no_service_that_lacks_all() -> None:
    errors = parse(f"[Global]\nlog-level = info\n{service()}", FILE).errors
    assert [error.message for error in errors] == [
        "a service of this name would be odd: write [global]"
    ]


def test_a_section_of_keys_of_global_is_one_error_and_no_service_that_lacks_all() -> None:
    text = f"[global]\nlog-level = info\n[bgp]\nbgp = yes\nbgp-local-asn = 64512\n{service()}"
    (error,) = parse(text, FILE).problems
    assert error.line == 3
    assert error.message == "no service, as its keys are those of [global]: let them stand there"


def test_a_service_of_which_only_what_global_has_too_is_said_lacks_the_rest() -> None:
    """To have that stand in [global] would be worse: `bgp = no` is for all services there."""
    errors = parse("[global]\n[svc]\nbgp = no\n", FILE).errors
    assert [error.key for error in errors] == ["protocol", "ip", "port", "scheduler", "config"]


def test_a_service_that_inherits_all_else_may_say_only_what_global_says_too() -> None:
    inherited = service().replace("[svc]", "[DEFAULT]")
    assert [each.name for each in settings(f"[global]\n{inherited}[web]\nbgp = no\n").services] == [
        "web"
    ]


def test_keys_before_all_sections_hint_at_global() -> None:
    (error,) = parse(f"log-level = info\n{service()}", FILE).errors
    assert error.message == "stands before the first [section]: is [global] missing above it?"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("bgp-withdraw-on-down = 30%", "write 0.3"),
        ("bgp-withdraw-on-down = 30", "above 0 and below 1"),
        ("monitors = ['Ping' 'UDP']", "is a comma missing between Ping and UDP?"),
        ("monitors = ['PingUD']", "did you mean Ping?"),
        ("config = file:/etc/pybal/p", "did you mean file:///etc/pybal/p?"),
        ("config = file:a:b@c", "k8s://TOKEN@host[:port]"),
    ],
)
def test_what_was_meant_is_said_of_values_of_a_service(line: str, hint: str) -> None:
    key = line.partition(" = ")[0]
    others = "".join(
        f"{each}\n" for each in service().splitlines() if each.partition(" = ")[0] != key
    )
    (error,) = parse(f"[global]\n{others}{line}\n", FILE).errors
    assert error.message.endswith(hint)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("bgp-peer-asn = AS64600", "write 64600"),
        ("bgp-peer-asn = ASN64600", "from 1 to 4294967295"),
        ("bgp-bfd-interval = 300ms", "write 300, without a unit"),
        ("bgp-bfd-interval = 1s", "write 1000, without a unit"),
        ("bgp-hold-time = 30s", "write 30, without a unit"),
    ],
)
def test_what_was_meant_is_said_of_values_of_bgp(line: str, hint: str) -> None:
    errors = parse(f"[global]\nbgp = yes\n{line}\n{service()}", FILE).errors
    (error,) = [each for each in errors if each.line == 3]
    assert error.message.endswith(hint)


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
    ("key", "hint"),
    [
        ("bgp-peer-ip", "use bgp-peer-address in [global]"),
        ("bgp-md5-password", "use bgp-password in [global]"),
        ("bgp-nexthop", "use bgp-nexthop-ipv4 and bgp-nexthop-ipv6 in [global]"),
    ],
)
def test_other_programs_words_for_a_router_get_ours(key: str, hint: str) -> None:
    (warning,) = parse(f"[global]\n{key} = x\n{service()}", FILE).warnings
    assert warning.message == f"unknown key, ignored; {hint}"


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


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bgp-hold-time", "1500ms"),
        ("bgp-bfd-interval", "20min"),
        ("bgp-bfd-interval", "1.5ms"),
        ("bgp-peer-asn", "AS99999999999"),
        ("bgp-peer-asn", "AS\N{ARABIC-INDIC DIGIT THREE}"),
    ],
)
def test_no_number_is_recommended_that_would_be_refused(key: str, value: str) -> None:
    (error,) = parse(f"{GLOBAL_BGP}{key} = {value}\n{service()}", FILE).errors
    assert "write" not in error.message
