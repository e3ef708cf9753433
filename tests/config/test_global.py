"""Every key of [global]: its default, its forms, and what is said when it is wrong."""

from __future__ import annotations

import pwd
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest

from pybal.config.problems import Severity
from pybal.config.settings import (
    BGPPeer,
    BGPPeerOptions,
    BGPSettings,
    ControlSettings,
    InstrumentationSettings,
    Settings,
)
from pybal.ipvs.settings import Cleanup, IPVSSettings
from pybal.model import IPAddress
from tests.config.texts import (
    FILE,
    GLOBAL_BGP,
    only_problem,
    parse,
    problem_of,
    service,
    settings,
    shown,
)


def of(lines: str) -> Settings:
    return settings(f"[global]\n{lines}\n{service()}")


def bgp(lines: str = "") -> BGPSettings:
    found = settings(GLOBAL_BGP + lines + "\n" + service()).bgp
    assert found is not None
    return found


def instrumentation(lines: str) -> InstrumentationSettings:
    found = of("instrumentation = yes\n" + lines).instrumentation
    assert found is not None
    return found


def addresses(*texts: str) -> tuple[IPAddress, ...]:
    return tuple(map(ip_address, texts))


def test_an_empty_global_section_switches_everything_off() -> None:
    found = of("")
    assert (found.dry_run, found.bgp, found.instrumentation) == (False, None, None)
    assert found.state_directory == Path("/var/lib/pybal")


@pytest.mark.parametrize("key", ["dryrun", "dry-run"])
def test_dry_run_has_two_spellings(key: str) -> None:
    assert of(f"{key} = yes").dry_run


@pytest.mark.parametrize("text", ["t", "true", "y", "yes", "on", "1", "TRUE", "Yes", "'yes'"])
def test_words_for_yes(text: str) -> None:
    assert of(f"dryrun = {text}").dry_run


@pytest.mark.parametrize(
    "text", ["f", "false", "n", "no", "off", "0", "FALSE", "No", "", "(unspecified)"]
)
def test_words_for_no_and_for_nothing(text: str) -> None:
    assert not of(f"dryrun = {text}").dry_run


@pytest.mark.parametrize("text", ["maybe", "2", "yes no", "ja", "['yes']"])
def test_other_words_are_no_boolean(text: str) -> None:
    problem = problem_of("dryrun", f"[global]\ndryrun = {text}\n{service()}")
    assert problem.message == "must be yes or no"


def test_the_control_socket_is_there_unless_it_is_switched_off() -> None:
    default = Path("/run/pybal/control.sock")
    assert of("").control == ControlSettings(default, None, asked_for=False)
    assert of("control-socket = yes").control == ControlSettings(default)
    assert of("control-socket = /srv/s").control == ControlSettings(Path("/srv/s"))
    for text in ("", "no", "off", "False", "none", "''"):
        assert of(f"control-socket = {text}").control is None


def test_the_control_socket_may_be_for_a_group_too() -> None:
    found = of("control-socket-group = lvs-admins").control
    assert found is not None
    assert found.group == "lvs-admins"
    problem = problem_of(
        "control-socket-group", f"[global]\ncontrol-socket-group = a b\n{service()}"
    )
    assert problem.message == "must be the name of a group"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("run/s", ""),
        ("/run/", "; this is a directory's"),
        ("/" + "é" * 54, "; the kernel takes no more than 107 bytes"),
    ],
)
def test_the_control_socket_is_a_path_that_the_kernel_takes(text: str, detail: str) -> None:
    problem = problem_of("control-socket", f"[global]\ncontrol-socket = {text}\n{service()}")
    assert problem.message == f"must be an absolute path, or no{detail}"
    assert of("control-socket = /" + "x" * 106).control is not None


@pytest.mark.parametrize("text", ["", "none", "None", "no", "off", "''"])
def test_the_state_directory_can_be_switched_off(text: str) -> None:
    assert of(f"state-directory = {text}").state_directory is None


def test_the_state_directory_is_an_absolute_path() -> None:
    assert of("state-directory = /srv/pybal").state_directory == Path("/srv/pybal")
    problem = problem_of("state-directory", f"[global]\nstate-directory = lib\n{service()}")
    assert problem.message == "must be an absolute path or none"


def test_instrumentation_is_on_the_loopback_at_9090_by_default() -> None:
    assert instrumentation("") == InstrumentationSettings(addresses("127.0.0.1", "::1"), 9090)


@pytest.mark.parametrize("dash", ["_", "-"])
def test_keys_of_instrumentation_have_two_spellings(dash: str) -> None:
    lines = f"instrumentation{dash}port = 9091\ninstrumentation{dash}ips = [ '192.0.2.9' ]"
    assert instrumentation(lines) == InstrumentationSettings(addresses("192.0.2.9"), 9091)
    lines = f"advertised{dash}instrumentation{dash}ips = ['192.0.2.7', \"2001:db8::7\"]"
    assert bgp(lines).advertised_addresses == addresses("192.0.2.7", "2001:db8::7")


def test_a_key_in_both_spellings_is_an_error_that_names_the_other_line() -> None:
    text = f"[global]\ninstrumentation_port = 1\ninstrumentation-port = 2\n{service()}"
    assert shown(text) == [
        f"{FILE}:3: [global] instrumentation-port = '2': "
        "the same as instrumentation_port in line 2; set only one"
    ]


@pytest.mark.parametrize(
    "text", ["[]", "['']", "['127.0.0.300']", "['::1%lo']", "[1]", "[ '::1'", "::1, ::2"]
)
def test_bad_instrumentation_addresses(text: str) -> None:
    problem = problem_of(
        "instrumentation_ips", f"[global]\ninstrumentation_ips = {text}\n{service()}"
    )
    assert problem.message.startswith("must be an address or a list of addresses")


def test_bgp_takes_its_defaults() -> None:
    assert bgp() == BGPSettings(
        local_asn=64600,
        peers=(BGPPeer(ip_address("198.51.100.1"), BGPPeerOptions()),),
        as_path=(64600,),
        nexthop_ipv4=ip_address("198.51.100.2"),
        nexthop_ipv6=IPv6Address("2001:db8::2"),
        med=0,
        local_ips=(),
        local_port=179,
        advertised_addresses=(),
    )


def test_bgp_takes_what_is_set() -> None:
    found = bgp(
        "bgp-as-path = 64600 64601  4294967295\nbgp-med = 4294967295\nbgp-local-port = 1179\n"
        "bgp-local-ips = [ '192.0.2.9', '2001:db8::9' ]"
    )
    assert found.as_path == (64600, 64601, 4294967295)
    assert (found.med, found.local_port) == (4294967295, 1179)
    assert found.local_ips == addresses("192.0.2.9", "2001:db8::9")


@pytest.mark.parametrize(
    ("text", "peers"),
    [
        ("198.51.100.1", ["198.51.100.1"]),
        ("'198.51.100.1'", ["198.51.100.1"]),
        ("[ '198.51.100.1' ]", ["198.51.100.1"]),
        ("[ \"198.51.100.1\",'2001:db8::1' ]", ["198.51.100.1", "2001:db8::1"]),
        ("['198.51.100.1', '(unspecified)', '']", ["198.51.100.1"]),
        ("['fe80::1%eth0']", ["fe80::1%eth0"]),
    ],
)
def test_peers_are_one_address_or_a_list(text: str, peers: list[str]) -> None:
    lines = GLOBAL_BGP.replace("198.51.100.1", text)
    found = settings(lines + service()).bgp
    assert found is not None
    assert tuple(peer.address for peer in found.peers) == addresses(*peers)


@pytest.mark.parametrize("text", ['[""]', "[ ]", "", "(unspecified)"])
def test_no_local_address_means_any(text: str) -> None:
    assert bgp(f"bgp-local-ips = {text}").local_ips == ()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("bgp-local-asn", "0", "must be an AS number from 1 to 4294967295"),
        ("bgp-local-asn", "4294967296", "must be an AS number from 1 to 4294967295"),
        ("bgp-local-asn", "AS64600", "must be an AS number from 1 to 4294967295; write 64600"),
        ("bgp-local-asn", "+1", "must be an AS number from 1 to 4294967295"),
        ("bgp-local-asn", "1_0", "must be an AS number from 1 to 4294967295"),
        ("bgp-local-asn", "\u0661", "must be an AS number from 1 to 4294967295"),
        (
            "bgp-as-path",
            "64600, 64601",
            "must be AS numbers from 1 to 4294967295, separated by spaces",
        ),
        ("bgp-med", "-1", "must be a whole number from 0 to 4294967295"),
        ("bgp-local-port", "0", "must be a port from 1 to 65535"),
        ("instrumentation_port", "65536", "must be a port from 1 to 65535"),
        ("bgp-nexthop-ipv6", "192.0.2.1", "must be an IPv6 address; it is of the other family"),
        ("bgp-nexthop-ipv6", "fe80::1%eth0", "must be an IPv6 address"),
        ("bgp-nexthop-ipv4", "router1", "must be an IPv4 or IPv6 address"),
    ],
)
@pytest.mark.parametrize("switch", ["yes", "no"])
def test_a_bad_value_is_an_error_whether_bgp_is_on_or_off(
    key: str, value: str, message: str, switch: str
) -> None:
    lines = [line for line in GLOBAL_BGP.splitlines() if not line.startswith((f"{key} ", "bgp ="))]
    text = "\n".join([*lines, f"bgp = {switch}", f"{key} = {value}", service()])
    problem = only_problem(text)
    assert problem.severity is Severity.ERROR
    assert (problem.line, problem.section, problem.key) == (len(lines) + 2, "global", key)
    assert (problem.value, problem.message) == (value, message)


@pytest.mark.parametrize("key", ["bgp-local-asn", "bgp-peer-address"])
@pytest.mark.parametrize("value", [None, "", "(unspecified)", "''"])
def test_bgp_on_needs_an_asn_and_a_peer(key: str, value: str | None) -> None:
    lines = [line for line in GLOBAL_BGP.splitlines() if not line.startswith(f"{key} ")]
    text = "\n".join([*lines, *([] if value is None else [f"{key} = {value}"]), service()])
    problem = only_problem(text)
    assert (problem.key, problem.value) == (key, None)
    assert problem.line == (1 if value is None else len(lines) + 1)
    assert problem.message.startswith("not set; must be an")


@pytest.mark.parametrize("value", ["", "(unspecified)"])
def test_blank_options_of_bgp_do_no_harm_while_it_is_off(value: str) -> None:
    keys = ["bgp-local-asn", "bgp-peer-address", "bgp-as-path", "bgp-nexthop-ipv4", "bgp-med"]
    assert of("\n".join(f"{key} = {value}" for key in keys)).bgp is None


@pytest.mark.parametrize(("family", "address"), [("ipv4", "192.0.2.1"), ("ipv6", "2001:db8::1")])
class TestNextHops:
    def without(self, family: str) -> str:
        lines = GLOBAL_BGP.splitlines()
        return "\n".join(line for line in lines if not line.startswith(f"bgp-nexthop-{family}"))

    def test_an_announced_service_needs_one_of_its_family(self, family: str, address: str) -> None:
        services = service("first", ip=address) + service("b", ip=address, port="81")
        assert shown(f"{self.without(family)}\n{services}") == [
            f"{FILE}:1: [global] bgp-nexthop-{family}: not set; must be an address, "
            f"because [first] announces {address}"
        ]

    def test_an_advertised_address_needs_one(self, family: str, address: str) -> None:
        text = f"{self.without(family)}\nadvertised_instrumentation_ips = ['{address}']\n"
        problem = only_problem(text + service(bgp="no"))
        assert problem.key == f"bgp-nexthop-{family}"
        assert "advertised_instrumentation_ips" in problem.message

    def test_a_service_that_is_not_announced_needs_none(self, family: str, address: str) -> None:
        settings(f"{self.without(family)}\n{service(ip=address, bgp='no')}")

    def test_none_is_needed_while_bgp_is_off(self, family: str, address: str) -> None:
        text = self.without(family).replace("bgp = yes", "bgp = no")
        settings(f"{text}\n{service(ip=address)}")

    def test_a_service_with_another_error_is_still_seen(self, family: str, address: str) -> None:
        text = f"{self.without(family)}\n{service(ip=address, scheduler='x')}"
        keys = [problem.key for problem in parse(text, FILE).problems]
        assert keys == [f"bgp-nexthop-{family}", "scheduler"]


def test_a_bad_next_hop_is_one_error_not_two() -> None:
    text = GLOBAL_BGP.replace("198.51.100.2", "x") + service()
    assert only_problem(text).key == "bgp-nexthop-ipv4"


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("bgp-local-ans", "; did you mean bgp-local-asn?"),
        ("bgpp", "; did you mean bgp?"),
        ("instrumentation_prot", "; did you mean instrumentation_port?"),
        ("zzzzzz", ""),
        ("x" * 200, ""),
    ],
)
def test_an_unknown_key_is_a_warning_with_the_nearest_known_one(key: str, hint: str) -> None:
    problem = only_problem(f"[global]\n{key} = hunter2\n{service()}")
    assert (problem.severity, problem.line, problem.key) == (Severity.WARNING, 2, key)
    assert problem.message == f"unknown key, ignored{hint}"
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        f"[global]\n[[x]]\n{service()}",
        f"[DEFAULT]\n[[x]]\n[global]\n{service()}",
    ],
)
def test_other_sub_sections_are_errors(text: str) -> None:
    problem = only_problem(text)
    assert (problem.severity, problem.message) == (Severity.ERROR, "unknown sub-section")


def test_a_peer_at_the_end_of_the_file_is_said_to_belong_in_global() -> None:
    problem = only_problem(f"[global]\n{service()}[[peer 192.0.2.1]]\nbgp-med = 1\n")
    assert problem.message == "unknown sub-section; it belongs at the end of [global]"


def test_a_missing_global_section_is_a_warning() -> None:
    problem = only_problem(service())
    assert (problem.severity, problem.line) == (Severity.WARNING, None)
    assert "no [global] section" in problem.message


def test_a_file_without_services_is_a_warning() -> None:
    problem = only_problem("[global]\n")
    assert problem.severity is Severity.WARNING
    assert "no service" in problem.message


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment"])
def test_a_file_without_sections_is_an_error_because_it_would_remove_every_service(
    text: str,
) -> None:
    problem = only_problem(text)
    assert (problem.severity, problem.line) == (Severity.ERROR, None)
    assert "no section" in problem.message


def test_the_number_of_commands_at_once_is_one_or_more() -> None:
    assert of("").runcommand_concurrency == 20
    assert of("runcommand-concurrency = 3").runcommand_concurrency == 3
    text = f"[global]\nruncommand-concurrency = 0\n{service()}"
    assert problem_of("runcommand-concurrency", text).message == (
        "must be a whole number from 1 to 1000"
    )


def test_the_ipvs_table_is_audited_cleaned_up_and_counted_by_default() -> None:
    assert of("").ipvs == IPVSSettings(60.0, Cleanup.OWNED, statistics=True)


def test_the_care_for_the_ipvs_table_can_be_set() -> None:
    found = of("ipvs-audit-interval = 0\nipvs-cleanup = all\nipvs-statistics = no").ipvs
    assert found == IPVSSettings(0.0, Cleanup.ALL, statistics=False)
    assert of("ipvs-cleanup = none").ipvs.cleanup is Cleanup.NONE


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ipvs-audit-interval = -1", "must be a number of seconds, 0 or more"),
        ("ipvs-cleanup = own", "must be one of owned, none or all; did you mean owned?"),
        ("ipvs-statistics = maybe", "must be yes or no"),
    ],
)
def test_bad_care_for_the_ipvs_table_says_what_would_be_right(line: str, message: str) -> None:
    key = line.split()[0]
    assert problem_of(key, f"[global]\n{line}\n{service()}").message == message


def test_commands_run_as_a_user_of_this_host() -> None:
    assert of("").runcommand_user is None
    user = of("runcommand-user = nobody").runcommand_user
    known = pwd.getpwnam("nobody")
    assert user is not None
    assert (user.name, user.uid, user.gid) == ("nobody", known.pw_uid, known.pw_gid)
    text = f"[global]\nruncommand-user = no-such-user\n{service()}"
    assert problem_of("runcommand-user", text).message == (
        "must be the name of a user; this host has none of that name"
    )


@pytest.mark.parametrize(
    ("lines", "strict"),
    [
        ("", False),
        ("strict = no\ndryrun = no\n", False),
        ("strict = yes\n", True),
        ("dryrun = yes\n", True),
        ("strict = no\ndry-run = yes\n", True),
    ],
)
def test_a_file_with_errors_says_what_is_done_about_them(lines: str, strict: bool) -> None:
    result = parse(f"[global]\nbgp = x\nstate-directory = /x\n{lines}{service()}")
    assert result.settings is None
    assert (result.strict, str(result.state_directory)) == (strict, "/x")


def test_isolation_is_looked_for_unless_that_is_switched_off() -> None:
    assert of("").isolation is not None
    assert of("isolation = no").isolation is None


@pytest.mark.parametrize(
    ("lines", "key", "because"),
    [
        ("isolation = no\nisolation-hold = 5", "isolation-hold", "isolation = no"),
        ("control-socket = no\ncontrol-socket-group = adm", "control-socket-group",
         "control-socket = no"),
    ],
)  # fmt: skip
def test_what_belongs_to_something_that_is_off_is_told(lines: str, key: str, because: str) -> None:
    problem = problem_of(key, f"[global]\n{lines}\n{service()}")
    assert problem.severity is Severity.WARNING
    assert problem.message == f"has no effect: {because}"


def test_from_1_to_1000_commands_run_at_once() -> None:
    assert of("runcommand-concurrency = 1").runcommand_concurrency == 1
    assert of("runcommand-concurrency = 1000").runcommand_concurrency == 1000
    for wrong in ("0", "1001"):
        text = f"[global]\nruncommand-concurrency = {wrong}\n{service()}"
        assert "from 1 to 1000" in problem_of("runcommand-concurrency", text).message
