"""A keepalived.conf becomes a pybal.conf that is good, and nothing of it is lost without a word."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.pool_files import with_pool_files
from pybal.config.pool_list import parse_pool_list
from pybal.migration.keepalived import Service
from pybal.migration.keepalived_text import Remark, read_keepalived
from pybal.migration.main import main, translate
from pybal.migration.writing import pool_list, pybal_conf
from tests.config.texts import load, parse

SAMPLES = sorted((Path(__file__).parents[1] / "data/keepalived").glob("keepalived.conf.*"))
Capture = pytest.CaptureFixture[str]

WEB = """
virtual_server 198.51.100.80 443 {
    delay_loop 6
    lvs_sched mh
    mh-port
    lvs_method DR
    protocol TCP
    persistence_timeout 300
    virtualhost www.example.org
    real_server 192.0.2.11 443 {
        weight 3
        SSL_GET {
            url {
                path /health
                status_code 200-299 301
            }
            connect_timeout 2
            retry 2
        }
    }
    real_server 192.0.2.12 443 {
        SSL_GET {
            url { path /health
                status_code 200-299 301 }
            connect_timeout 2
            retry 2
        }
    }
}
"""


def only(text: str) -> tuple[Service, list[str]]:
    services, remarks = translate(text)
    (service,) = services
    return service, list(map(str, remarks))


def server(checks: str, head: str = "lvs_method DR") -> str:
    real = f"real_server 192.0.2.11 53 {{\n{checks}\n}}"
    return f"virtual_server 198.51.100.80 53 {{\n{head}\n{real}\n}}"


def test_a_usual_service_is_translated_whole() -> None:
    service, remarks = only(WEB)
    assert remarks == []
    assert service.keys == {
        "protocol": "tcp",
        "ip": "198.51.100.80",
        "port": "443",
        "scheduler": "mh",
        "scheduler-flags": "mh-port",
        "forwarding-method": "direct",
        "persistence-timeout": "300",
        "monitors": "[ 'ProxyFetch' ]",
        "proxyfetch.interval": "6",
        "proxyfetch.url": "[ 'https://www.example.org/health' ]",
        "proxyfetch.timeout": "2",
        "proxyfetch.fall": "3",
        "proxyfetch.http_status": "[ '200-299', '301' ]",
    }
    found = parse_pool_list(pool_list(service), json_format=False)
    assert [(each.host, each.weight) for each in found.servers] == [
        ("192.0.2.11", 3),
        ("192.0.2.12", 1),
    ]
    text = pybal_conf([service], (), "keepalived.conf", PurePath("/etc/pybal/pools"))
    assert parse(text).problems == ()


@pytest.mark.parametrize(
    ("checks", "keys"),
    [
        ("TCP_CHECK {\nconnect_timeout 3\nconnect_port 54\n}", {"tcpcheck.port": "54"}),
        ("PING_CHECK {\nretry 4\n}", {"ping.fall": "5"}),
        ("SMTP_CHECK {\n}", {"tcpcheck.expect": "^220"}),
        ("DNS_CHECK {\ntype A\nname example.org.\n}", {"dnsquery.hostnames": "[ 'example.org' ]"}),
        (
            "UDP_CHECK {\npayload 0x00ff\nrequire_reply\n}",
            {"udp.payload": r"\x00\xff", "udp.expect": "."},
        ),
        (
            "MISC_CHECK {\nmisc_path \"/bin/check 192.0.2.11 53 'a b'\"\nmisc_timeout 7\n}",
            {
                "runcommand.command": "/bin/check",
                "runcommand.arguments": "[ server.ip, server.port, 'a b' ]",
                "runcommand.timeout": "7",
            },
        ),
    ],
)
def test_each_checker_has_its_monitor(checks: str, keys: dict[str, str]) -> None:
    service, remarks = only(server(checks))
    assert remarks == []
    assert keys.items() <= service.keys.items()
    text = pybal_conf([service], (), "x", PurePath("/p"))
    assert parse(text).errors == ()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("quorum 3", "use depool-threshold"),
        ("sorry_server 192.0.2.9 80", "there is no spare server"),
        ("quorum_up /bin/up", "use bgp-withdraw-on-down"),
        ("ha_suspend", "every director announces"),
        ("lvs_sched best", "wlc is taken"),
        ("nosuch thing", "not translated"),
    ],
)
def test_what_is_not_translated_is_said_with_its_line(head: str, words: str) -> None:
    _, remarks = only(server("PING_CHECK {\n}", f"lvs_method DR\n{head}"))
    assert len(remarks) == 1
    assert remarks[0].startswith(f"3: {head}: ")
    assert words in remarks[0]


def test_a_server_on_another_port_is_left_out_and_not_silently() -> None:
    text = server("PING_CHECK {\n}").replace("192.0.2.11 53", "192.0.2.11 5353")
    service, remarks = only(text)
    assert service.unusable
    assert "left out of [198.51.100.80_53]: port 5353" in remarks[-1]
    assert "# left out: 192.0.2.11 port 5353" in pool_list(service)
    lines = pybal_conf([service], (), "x", PurePath("/p")).splitlines()
    heading = lines.index("#[198.51.100.80_53]")
    assert lines[heading + 1] == "# no server of it can be reached as PyBal forwards"
    usable, _ = only(server("PING_CHECK {\n}"))
    lines = pybal_conf([usable], (), "x", PurePath("/p")).splitlines()
    assert lines[lines.index("[198.51.100.80_53]") + 1] == "protocol = tcp"


def test_a_group_is_a_service_an_address() -> None:
    text = WEB.replace("198.51.100.80 443", "group web") + (
        "virtual_server_group web {\n198.51.100.80-82 443\n2001:db8::9-b 443\nfwmark 7\n}\n"
    )
    services, remarks = translate(text)
    assert not [each for each in remarks if "not translated" in str(each)]
    assert [service.keys["ip"] for service in services] == [
        *("198.51.100.80", "198.51.100.81", "198.51.100.82"),
        *("2001:db8::9", "2001:db8::a", "2001:db8::b", "192.0.2.1"),
    ]
    assert [bool(service.unusable) for service in services] == [False] * 3 + [True] * 3 + [False]
    assert {service.pool for service in services if not service.unusable} == {"198.51.100.80_443"}
    assert services[-1].keys["fwmark"] == "7"


def test_what_pybal_would_refuse_is_left_out_and_said() -> None:
    service, remarks = only(WEB.replace("lvs_sched mh", "lvs_sched mh\nops"))
    assert "ops" not in service.keys
    assert remarks == ["2: [198.51.100.80_443]: ops left out: must be no with tcp: one-packet"
                       " scheduling is for udp"]  # fmt: skip
    services, said = translate(WEB + WEB)
    assert [bool(each.unusable) for each in services] == [False, True]
    assert "is already [198.51.100.80_443]" in str(said[0])


def test_a_server_that_gets_another_ones_check_is_named_whichever_comes_first() -> None:
    text = """virtual_server 198.51.100.80 80 {
    protocol TCP
    lb_kind DR
    real_server 192.0.2.11 80 {
        TCP_CHECK {
        }
    }
    real_server 192.0.2.12 80 {
        PING_CHECK {
        }
    }
}
"""
    _, remarks = only(text)
    assert remarks == [
        "4: 192.0.2.11: is checked by Ping, as the others are",
        "8: 192.0.2.12: is checked by TCPCheck, as the others are",
    ]


def test_checks_that_differ_are_said() -> None:
    _, remarks = only(WEB.replace("retry 2\n        }\n    }\n}", "retry 9\n        }\n    }\n}"))
    assert remarks == ["22: ProxyFetch: as in line 12: PyBal checks all servers of a service alike"]


def test_definitions_and_conditions_are_read() -> None:
    text = "$VIP=198.51.100.9\n" + WEB.replace("198.51.100.80", "$VIP").replace(
        "delay_loop 6", "@a delay_loop 6\n@^a delay_loop 9"
    )
    (service,), remarks = translate(text, "a")
    assert (service.keys["ip"], service.keys["proxyfetch.interval"]) == ("198.51.100.9", "6")
    assert [str(remark).partition(":")[0] for remark in remarks] == ["5"]
    (service,), _ = translate(text)
    assert service.keys["proxyfetch.interval"] == "9"


def test_there_are_samples() -> None:
    assert len(SAMPLES) == 25


@pytest.mark.parametrize(
    "path", SAMPLES, ids=lambda path: path.name.removeprefix("keepalived.conf.")
)
def test_keepaliveds_samples_become_good_configurations(path: Path, tmp_path: Path) -> None:
    main([str(path), "-o", str(tmp_path), "--pools-at", str(tmp_path / "pools")])
    result = with_pool_files(load(tmp_path / "pybal.conf"))
    assert result.errors == ()
    text = path.read_text()
    wanted = re.findall(r"^\s*virtual_server (?:fwmark )?\S+", text, re.M)
    services, remarks = translate(text)
    assert len(services) >= len(wanted)
    # Each line is either translated or spoken of; of a block that is not ours, its first line.
    said = {remark.line for remark in remarks}
    statements, _ = read_keepalived(text)
    for statement in statements:
        if statement.name not in ("virtual_server", "global_defs"):
            group = statement.name == "virtual_server_group" and services
            assert group or statement.line in said, statement


@given(
    st.text(alphabet=st.sampled_from("virtual_server 1.2:{}\n!#$@\"'abTCP_CHECK\\"), max_size=400)
)
def test_any_text_ends_in_a_translation(text: str) -> None:
    services, remarks = translate(text)
    statements, _ = read_keepalived(text)
    assert parse(pybal_conf(services, remarks, "x", PurePath("/p"))).errors == ()
    tops = [each for each in statements if each.name != "virtual_server"]
    assert {each.line for each in tops} <= {remark.line for remark in remarks} | {
        each.line for each in tops if each.name == "global_defs"
    }


@given(st.lists(st.sampled_from(WEB.splitlines()), max_size=60))
def test_any_mixture_of_good_lines_ends_in_a_good_file(lines: list[str]) -> None:
    services, remarks = translate("\n".join(lines))
    assert parse(pybal_conf(services, remarks, "x", PurePath("/p"))).errors == ()


def test_the_program_writes_and_does_not_overwrite(tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "keepalived.conf"
    source.write_text(WEB + "vrrp_instance VI_1 {\n}\n")
    out = tmp_path / "out"
    assert main([str(source), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "1 of 1 service, 1 remark; next: put the lists into" in said.out
    assert said.err.startswith(f"{source}:30: vrrp_instance VI_1: not translated")
    assert "# keepalived.conf:30: vrrp_instance VI_1" in (out / "pybal.conf").read_text()
    assert (out / "pools/198.51.100.80_443").exists()
    assert main([str(source), "-o", str(out)]) == 1
    there = f"pybal-from-keepalived: {out / 'pybal.conf'} is there already: "
    assert capsys.readouterr().err.startswith(there)
    assert main([str(source), "-o", str(out), "--force"]) == 0
    (out / "pybal.conf").unlink()
    (out / "pools/198.51.100.80_443").write_text("mine")
    assert main([str(source), "-o", str(out)]) == 1
    assert "198.51.100.80_443 is there already" in capsys.readouterr().err
    assert (out / "pools/198.51.100.80_443").read_text() == "mine"
    assert not (out / "pybal.conf").exists()
    capsys.readouterr()
    assert main([str(tmp_path / "none"), "-o", str(out)]) == 1
    none = f"pybal-from-keepalived: {tmp_path / 'none'}: No such file or directory\n"
    assert capsys.readouterr().err == none


def test_what_is_no_text_is_refused_and_no_terminal_obeys_the_rest(
    tmp_path: Path, capsys: Capture
) -> None:
    source, out = tmp_path / "keepalived.conf", tmp_path / "out"
    source.write_bytes(b"\x7fELF\0\0\x1b[2J\n")
    assert main([str(source), "-o", str(out)]) == 1
    said = capsys.readouterr()
    no_text = "it holds NUL characters, so it is no text"
    assert (said.out, said.err) == ("", f"pybal-from-keepalived: {source}: {no_text}\n")
    assert not out.exists()
    source.write_bytes(b"\x1b[2J\xff \x07\n")
    assert main([str(source), "-o", str(out)]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"{source}:1: ")
    assert said.err.removesuffix("\n").isprintable()


def test_a_file_without_a_virtual_server_says_so(tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "keepalived.conf"
    source.write_text("vrrp_instance VI_1 {\n}\n")
    assert main([str(source), "-o", str(tmp_path / "out")]) == 1
    out = capsys.readouterr().out
    assert "0 of 0 services, 1 remark" in out
    assert out.endswith(f"next: mend {source}: it has no virtual_server that can be translated\n")


def test_nothing_in_a_file_makes_a_second_line_of_a_comment() -> None:
    remark = Remark(1, "a\u2028b", "c\x0bd")
    text = pybal_conf((), [remark], "x\ny", PurePath("/p"))
    assert parse(text).errors == ()
    assert "\u2028" not in text


def places(words: str, inside: str = "") -> tuple[list[str], list[str]]:
    """Where the services of `virtual_server WORDS` are, and what is said."""
    services, remarks = translate(f"virtual_server {words} {{\n{inside}\n}}")
    return [f"{s.keys['ip']} {s.keys['port']}" for s in services], list(map(str, remarks))


@pytest.mark.parametrize(
    ("words", "remark"),
    [
        ("fwmark", "not translated: no firewall mark"),
        ("fwmark 0", "not translated: no firewall mark"),
        ("fwmark x", "not translated: no firewall mark"),
        ("198.51.100.1", "not translated: a service of PyBal has one port"),
        ("198.51.100.1 0", "not translated: a service of PyBal has one port"),
        ("198.51.100.1 65536", "not translated: a service of PyBal has one port"),
        ("198.51.100.1 http", "not translated: a service of PyBal has one port"),
        ("198.51.100.9-3 80", "not translated: no address"),
        ("198.51.100.3-a 80", "not translated: no address"),
        ("nosuch 80", "not translated: no address"),
    ],
)
def test_what_is_no_place_of_a_service_is_said(words: str, remark: str) -> None:
    assert places(words) == ([], [f"1: virtual_server {words}: {remark}"])


def test_any_port_may_be_had() -> None:
    real = "lvs_method DR\nreal_server 192.0.2.1 {\nPING_CHECK {\n}\n}"
    for port in ("1", "65535"):
        assert places(f"198.51.100.1 {port}", real) == ([f"198.51.100.1 {port}"], [])


@pytest.mark.parametrize(
    ("server_port", "check", "port"),
    [
        ("8080", "TCP_CHECK {\nconnect_port 9090\n}", "8080"),
        ("", "TCP_CHECK {\nconnect_port 9090\n}", "9090"),
        ("", "PING_CHECK {\n}", "80"),
    ],
)
def test_a_service_of_a_mark_has_the_port_of_its_servers_or_checks(
    server_port: str, check: str, port: str
) -> None:
    real = f"real_server 192.0.2.11 {server_port} {{\n{check}\n}}"
    service, remarks = only(f"virtual_server fwmark 7 {{\nlvs_method DR\n{real}\n}}")
    assert (service.name, service.keys["port"]) == ("fwmark_7", port)
    assert remarks == ["1: fwmark 7: its address is not known: put it in place of 192.0.2.1 in"
                       " [fwmark_7]"]  # fmt: skip


def test_a_service_by_udp_is_called_so() -> None:
    service, _ = only(server("PING_CHECK {\n}", "lvs_method DR\nprotocol UDP"))
    assert (service.name, service.keys["protocol"]) == ("198.51.100.80_53_udp", "udp")


def test_thresholds_that_all_servers_share_are_the_services() -> None:
    limits = "uthreshold 100\nlthreshold 50\nPING_CHECK {\n}"
    service, remarks = only(server(limits))
    assert (service.keys["upper-threshold"], service.keys["lower-threshold"]) == ("100", "50")
    assert remarks == []
    service, remarks = only(server(limits.replace(" 100\nlthreshold 50", "")))
    assert "upper-threshold" not in service.keys
    assert len(remarks) == 1 and "uthreshold" in remarks[0]


def test_the_kind_of_a_tunnel_is_left_to_people() -> None:
    service, remarks = only(server("PING_CHECK {\n}", "lvs_method TUN gre"))
    assert service.keys["forwarding-method"] == "tunnel"
    assert remarks == ["2: lvs_method TUN gre: what follows is not translated: see tunnel-type"]


def test_of_a_block_that_is_not_ours_its_lines_are_said() -> None:
    _, remarks = translate("vrrp_script x {\ninterval 1\n}\nnosuch 1\n")
    first, second = map(str, remarks)
    assert first.startswith("1: vrrp_script x: not translated (to line 3)")
    assert "to line" not in second


@pytest.mark.parametrize(
    ("checks", "remark"),
    [
        ("HTTP_GET {\n}", "4: HTTP_GET: not translated: it has no url"),
        ("MISC_CHECK {\n}", "4: MISC_CHECK: not translated: it has no misc_path"),
        ("MISC_CHECK {\nmisc_path\n}", "4: MISC_CHECK: not translated: it has no misc_path"),
        (
            "MISC_CHECK {\nmisc_path check\n}",
            "5: misc_path check: not translated: RunCommand's command is an absolute path",
        ),
        (
            'MISC_CHECK {\nmisc_path "/bin/check \'a"\n}',
            "5: misc_path /bin/check 'a: not translated: RunCommand's command is an absolute path",
        ),
        (
            "SMTP_CHECK {\nhelo_name h\n}",
            "5: helo_name h: not translated: PyBal looks for the greeting, 220, alone",
        ),
        ("PING_CHECK {\nretry many\n}", "5: retry many: not translated"),
    ],
)
def test_what_a_checker_says_in_vain_is_said(checks: str, remark: str) -> None:
    _, remarks = only(server(checks))
    line = remark.partition(" ")[0]
    (found,) = [each for each in remarks if each.startswith(line)]
    assert found.startswith(remark)


def test_a_check_of_the_servers_own_port_names_none() -> None:
    service, _ = only(server("TCP_CHECK {\nconnect_port 53\n}"))
    assert "tcpcheck.port" not in service.keys


def test_of_several_urls_all_are_checked() -> None:
    service, _ = only(server("HTTP_GET {\nurl {\npath /a\n}\nurl {\npath /b\n}\n}"))
    assert service.keys["proxyfetch.check_all"] == "yes"
    service, _ = only(server("HTTP_GET {\nurl {\npath /a\n}\n}"))
    assert "proxyfetch.check_all" not in service.keys


def test_a_command_may_be_written_without_quotes() -> None:
    service, _ = only(server("MISC_CHECK {\nmisc_path /bin/check 192.0.2.11 x\n}"))
    assert service.keys["runcommand.command"] == "/bin/check"
    assert service.keys["runcommand.arguments"] == "[ server.ip, 'x' ]"


def test_servers_that_keep_their_connections_when_they_fail_are_drained() -> None:
    service, remarks = only(server("inhibit_on_failure\nPING_CHECK {\n}"))
    assert service.keys["depool-method"] == "drain"
    assert remarks == ["4: inhibit_on_failure: depool-method = drain, for all servers: weight 0 for"
                       " 300 s, then it is removed"]  # fmt: skip
