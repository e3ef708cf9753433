"""What `pybal --check-config` says beyond single values: what is in the wrong place, what the host
and the pool files make of it."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from pybal.config.pool_files import listed_servers, with_pool_files
from pybal.config.problems import Severity
from pybal.config.report import addresses_note, group_note, is_good, listening_notes, report_json
from pybal.config.report import report as reports
from pybal.main import main
from tests.config.texts import (
    FILE,
    GLOBAL_BGP,
    KINDS,
    only_problem,
    parse,
    service,
    settings,
    shown,
)

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "line",
    [
        "bgp-local-asn = 64600",
        "instrumentation = yes",
        "state-directory = /x",
        "bgp-hold-time = 30",
    ],
)
def test_what_is_general_belongs_in_global(line: str) -> None:
    problem = only_problem("[global]\n" + service() + line)
    assert problem.severity is Severity.WARNING
    assert problem.message == "unknown key here, ignored; belongs in [global]"
    assert problem.line == 9


@pytest.mark.parametrize(
    "line",
    ["scheduler = wrr", "depool-threshold = .5", "proxyfetch.interval = 3", "monitors = []"],
)
def test_what_is_a_services_belongs_there(line: str) -> None:
    problem = only_problem(f"[global]\n{line}\n" + service())
    assert problem.message == "unknown key here, ignored; belongs in a service's section"


def test_a_peers_section_takes_neither() -> None:
    text = (
        GLOBAL_BGP + "[[peer 198.51.100.1]]\nscheduler = wrr\ninstrumentation = yes\n" + service()
    )
    assert [line.partition("belongs in ")[2] for line in shown(text)] == [
        "a service's section",
        "[global]",
    ]


def test_strict_is_content_with_no_warning() -> None:
    result = parse("[global]\n" + service() + "instrumentation = yes", FILE)
    assert is_good(result, strict=False)
    assert not is_good(result, strict=True)
    last = reports(result, KINDS, strict=True)[-1]
    assert last == f"{FILE}: refused, as --strict wants it: 0 errors, 1 warning"
    noted = parse(
        "[global]\ninstrumentation = yes\ninstrumentation_ips = 0.0.0.0\n" + service(), FILE
    )
    assert is_good(noted, strict=True)
    lines = reports(noted, KINDS, strict=True)
    assert lines[1].startswith(f"{FILE}: good: 0 errors, 0 warnings, 1 note;")


@pytest.mark.parametrize("key", ["instrumentation_ips", "instrumentation-ips"])
@pytest.mark.parametrize("value", ["::", "['127.0.0.1', '0.0.0.0']"])
def test_an_instrumentation_open_to_all_is_noted(key: str, value: str) -> None:
    problem = only_problem(f"[global]\ninstrumentation = yes\n{key} = {value}\n" + service())
    assert (problem.severity, problem.line, problem.key) == (Severity.NOTE, 3, key)
    assert "every address of this host" in problem.message


def test_one_that_is_off_is_open_to_nobody() -> None:
    assert shown("[global]\ninstrumentation_ips = ::\n" + service()) == []


@pytest.mark.parametrize(("ip", "key"), [("198.51.100.2", "ipv4"), ("2001:db8::2", "ipv6")])
def test_a_next_hop_that_is_the_address_itself_is_a_warning(ip: str, key: str) -> None:
    problem = only_problem(GLOBAL_BGP + service(ip=ip))
    assert (problem.severity, problem.key) == (Severity.WARNING, f"bgp-nexthop-{key}")
    assert "that is the address of [svc]" in problem.message
    assert shown(GLOBAL_BGP + service(ip=ip, bgp="no")) == []


def test_so_is_one_that_a_single_peer_is_told() -> None:
    peer = "[[peer 198.51.100.1]]\nbgp-nexthop-ipv4 = 192.0.2.1\n"
    problem = only_problem(GLOBAL_BGP + peer + service())
    assert "that of 198.51.100.1 is the address of [svc]" in problem.message


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("192.0.2.1/32", "write it without /32: it is one address"),
        ("2001:db8::1/128", "write it without /128: it is one address"),
        ("192.0.2.1:80", "write it without :80"),
        ("[2001:db8::1]", "write it without brackets"),
        ("[2001:db8::1]:443", "write it without :443"),
        ("www.example.org", "must be an IPv4 or IPv6 address"),
        ("“192.0.2.1”", "it has typographic quotes (“”): write ' or \""),
    ],
)
def test_what_makes_an_address_of_it_is_said(value: str, hint: str) -> None:
    assert only_problem("[global]\n" + service(ip=value)).message.endswith(hint)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("monitors", "[ “IdleConnection” ]"),
        ("monitors", "[ \u2018IdleConnection\u2019 ]"),
        ("scheduler", "“wrr”"),
        ("protocol", "„tcp“"),
        ("config", "“file:///etc/pybal/pool”"),
    ],
)
def test_quotes_of_a_word_processor_are_named_once(key: str, value: str) -> None:
    message = only_problem("[global]\n" + service(**{key: value})).message
    assert message.count("it has typographic quotes") == 1


def test_an_address_in_a_list_has_the_same_hints() -> None:
    text = GLOBAL_BGP + "bgp-local-ips = ['192.0.2.9', '192.0.2.8/32']\n" + service()
    assert only_problem(text).message.endswith(
        "element 2 is not an address: write it without /32: it is one address"
    )


def test_addresses_that_this_host_has_not_are_noted_with_the_remedy() -> None:
    text = (
        "[global]\n"
        + "".join(service(f"s{n}", ip=f"192.0.2.{n}") for n in range(1, 9))
        + service("marked", ip="192.0.2.99", fwmark="5")
    )
    mine = {"192.0.2.1"}
    (note,) = addresses_note(settings(text), lambda address: address in mine)
    assert note.startswith("192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6 and 2 more are ")
    assert note.endswith("ip address add 192.0.2.2/32 dev lo")
    assert addresses_note(settings(text), lambda _: True) == []
    assert addresses_note(settings(text), lambda _: None) == []
    assert ip_address("192.0.2.99") not in mine


def test_where_this_host_cannot_listen_is_noted() -> None:
    keys = "instrumentation = yes\ninstrumentation_ips = ['203.0.113.7', '0.0.0.0']\n"
    text = GLOBAL_BGP + keys + "bgp-local-ips = 192.0.2.9\n" + service()
    found = parse(text, FILE).settings
    assert found is not None
    assert listening_notes(found, lambda address: address == "192.0.2.9") == [
        "203.0.113.7, which instrumentation_ips names, is on no interface of this host: nothing can"
        " listen there, unless net.ipv4.ip_nonlocal_bind is set"
    ]
    (_, note) = listening_notes(found, lambda _: False)
    assert note.startswith("192.0.2.9, which bgp-local-ips names, is on no interface")
    assert listening_notes(found, lambda _: None) == []
    assert listening_notes(settings("[global]\n" + service()), lambda _: False) == []


def test_a_group_that_this_host_has_not_is_told() -> None:
    def notes(lines: str) -> list[str]:
        return group_note(settings(f"[global]\n{lines}\n{service()}"), lambda name: name == "adm")

    (note,) = notes("control-socket-group = lvs")
    assert note.startswith("no group lvs on this host")
    assert notes("control-socket-group = adm") == notes("") == []
    assert group_note(settings("[global]\ncontrol-socket = no\n" + service()), bool) == []


def checked(folder: Path, pool: str, name: str = "pool") -> list[str]:
    (folder / name).write_text(pool)
    result = parse("[global]\n" + service(config=f"file://{folder}/{name}"), FILE)
    return [f"{p.severity.name} {p}" for p in with_pool_files(result).problems]


def test_pool_files_are_read_too(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    assert checked(tmp_path, "{'host': 'cp1'}\n") == []
    assert checked(tmp_path, "{'host': 'cp1'}\n{'host': 'cp2', 'wieght': 1}\n{'host: }\n") == [
        f"WARNING {pool}:2: "
        + checked(tmp_path, "{'host': 'a'}\n{'host': 'cp2', 'wieght': 1}\n")[0].partition(":2: ")[
            2
        ],
        *checked(tmp_path, "{'host': 'a'}\n\n{'host: }\n"),
    ]
    assert checked(tmp_path, "{'host': 'a', 'enabled': False}\n") == [
        f"WARNING {pool}: the pool list of [svc] disables all its servers: it serves nobody"
    ]
    assert checked(tmp_path, "{'host': 'a', 'weight': 0}\n") == [
        f"WARNING {pool}: the pool list of [svc] gives no server a weight above 0: it serves nobody"
    ]
    (empty,) = checked(tmp_path, "")
    assert empty.startswith(f"WARNING {pool}: the pool list of [svc] cannot be used: ")
    (wrong,) = checked(tmp_path, "<html>", "pool.json")
    assert wrong.startswith(f"WARNING {pool}.json: the pool list of [svc] cannot be used: ")


def test_a_listed_address_that_its_service_cannot_have_is_a_warning(tmp_path: Path) -> None:
    servers = "{'host': '192.0.2.7'}\n{'host': '2001:db8::7'}\n{'host': 'cp1'}\n"
    (warning,) = checked(tmp_path, servers)
    assert warning == (
        f"WARNING {tmp_path}/pool: the pool list of [svc] has 2001:db8::7, which the service"
        " cannot pool: not IPv4"
    )


def test_a_pool_file_that_is_not_there_is_a_warning_for_all_its_services(tmp_path: Path) -> None:
    source = f"file://{tmp_path}/none"
    text = service("a", config=source) + service("b", ip="192.0.2.2", config=source)
    result = with_pool_files(parse("[global]\n" + text, FILE))
    assert [str(each) for each in result.warnings] == [
        f"{tmp_path}/none: the pool list of [a] and 1 more is not there: is its name misspelt?"
    ]


def test_a_pool_file_of_a_folder_that_is_not_there_is_a_note(tmp_path: Path) -> None:
    source = f"file://{tmp_path}/elsewhere/none"
    text = service("a", config=source) + service("b", ip="192.0.2.2", config=source)
    result = with_pool_files(parse("[global]\n" + text, FILE))
    assert [str(note) for note in result.notes] == [
        f"{tmp_path}/elsewhere/none: the pool list of [a] and 1 more cannot be read:"
        " No such file or directory"
    ]
    assert result.warnings == ()


def test_what_is_no_pool_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "pool").write_text("{'host': 'a'}\n{'host': 'b'}\n")
    text = service("a", config=f"file://{tmp_path}/pool") + service(
        "b", ip="192.0.2.2", config="http://192.0.2.9/pool"
    )
    result = parse("[global]\n" + text, FILE)
    assert with_pool_files(result).problems == ()
    assert result.settings is not None
    assert [(s.name, n) for s, n in listed_servers(result.settings)] == [("a", 2)]


def test_json_has_all_of_it(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text("[global]\nx = 1\n" + service(port="0"))
    assert main(["--check-config", "--json", "-c", str(path)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["good"], document["errors"], document["warnings"]) == (False, 1, 1)
    assert document["problems"][1] == {
        "severity": "error",
        "file": str(path),
        "line": 6,
        "section": "svc",
        "key": "port",
        "value": "0",
        "message": "must be a port from 1 to 65535",
        "slip": False,
    }
    path.write_text("[global]\nx = 1\n" + service())
    assert main(["--check-config", "--json", "-c", str(path)]) == 0
    assert main(["--check-config", "--json", "--strict", "-c", str(path)]) == 1
    noted = json.loads(report_json(parse("[global]\n" + service(), FILE), ["odd"]))
    assert noted["problems"] == [
        {"severity": "note", "message": "odd", "file": FILE, "slip": False}
        | dict.fromkeys(("line", "section", "key", "value"))
    ]


def test_a_warning_makes_a_file_no_good_only_if_it_is_to_be_strict() -> None:
    result = parse("[global]\nx = 1\n" + service(), FILE)
    assert len(result.warnings) == 1
    assert json.loads(report_json(result, []))["good"] is True
    assert json.loads(report_json(result, [], strict=True))["good"] is False
