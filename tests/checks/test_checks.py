"""The check programs, as monitoring runs them: one line, and an exit status."""

from __future__ import annotations

import os
import re
import runpy
import socket
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from pybal.checks import backends as backends_check
from pybal.checks import ipvs_diff
from pybal.checks.asking import Ask, AskingError
from pybal.checks.backends import backends
from pybal.checks.bgp import bgp as bgp_check
from pybal.checks.kernel_table import TableError, from_node_exporter, from_proc
from pybal.checks.restart import Limits, Unit, restart, unit_of
from pybal.checks.result import Result, State
from tests.fakes.view import FakeView, bgp, ipvs, server, service
from tests.instrumentation.exchange import Client

ROOT = Path(__file__).parents[2]
PLUGINS = sorted((ROOT / "etc/nagios/plugins").iterdir())

PROC = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C6336401:01BB wrr 
  -> C000020B:01BB      Route   10     0          0         
  -> C000020C:01BB      Route   0      3          0         
UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 sh ops
  -> [2001:0db8:0000:0000:0000:0000:0000:0011]:0035      Tunnel  1      0          0         
FWM  00000010 rr persistent 300 FFFFFFFF
  -> C000020B:0000      Masq    5      0          0         
"""  # noqa: W291 - as the kernel has it

EXPORTED = """# TYPE node_ipvs_backend_weight gauge
node_ipvs_backend_weight{local_address="198.51.100.1",local_mark="",local_port="443",proto="TCP",remote_address="192.0.2.11",remote_port="443"} 10
node_ipvs_backend_weight{local_address="",local_mark="00000010",local_port="0",proto="FWM",remote_address="192.0.2.11",remote_port="0"} 5
node_load1 0.2
"""  # noqa: E501


def asked(view: FakeView) -> Ask:
    client = Client(view)

    def ask(path: str, accept: str = "*/*") -> str:
        answer = client.get(path, {"Accept": accept})
        if answer.status != 200:
            raise AskingError(f"{path}: HTTP status {answer.status}")
        return answer.text

    return ask


def test_the_kernels_table_is_read() -> None:
    assert from_proc(PROC) == {
        "tcp 198.51.100.1:443": {"192.0.2.11:443": 10, "192.0.2.12:443": 0},
        "udp [2001:db8::1]:53": {"[2001:db8::11]:53": 1},
        "fwmark 16": {"192.0.2.11:0": 5},
    }
    assert from_node_exporter(EXPORTED) == {
        "tcp 198.51.100.1:443": {"192.0.2.11:443": 10},
        "fwmark 16": {"192.0.2.11:0": 5},
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        PROC + "SOME other\n",
        PROC + "TCP  nothing\n",
        PROC + "  -> C000020B:0050 Route\n",
    ],
)
def test_what_is_no_table_is_none(text: str) -> None:
    with pytest.raises(TableError):
        from_proc(text)


@pytest.mark.parametrize(
    ("part", "other"),
    [('remote_port="443"', 'remote_port="x"'), ("192.0.2.11", "cp1"), ('proto="TCP",', "")],
)
def test_a_sample_that_cannot_be_read_is_named(part: str, other: str) -> None:
    with pytest.raises(TableError, match="cannot read the line 'node_ipvs_backend_weight"):
        from_node_exporter(EXPORTED.replace(part, other))


KEY = "tcp 198.51.100.1:443"
VIEW = FakeView(
    [
        service(
            "text_443",
            [
                server("cp1")._replace(address=ip_address("192.0.2.11")),
                server("cp2", up=False)._replace(address=ip_address("192.0.2.12")),
            ],
        )
    ],
    ipvs_snapshot=ipvs()._replace(names=((KEY, "text_443"),)),
)


def compared(**changes: dict[str, int]) -> list[str]:
    """The differences of a kernel that has just what is wanted, but for these."""
    kernel = {KEY: {"192.0.2.11:443": 10}}
    kernel |= {name.replace("web", "tcp 192.0.2.9:80"): what for name, what in changes.items()}
    return ipvs_diff.differences(ipvs_diff.pooled(asked(VIEW)), kernel)


def test_what_differs_from_the_kernel_is_named() -> None:
    wanted = ipvs_diff.pooled(asked(VIEW))
    assert wanted.table == {KEY: {"192.0.2.11:443": 10}}
    assert compared() == []
    assert compared(**{KEY: {"192.0.2.11:443": 10, "192.0.2.12:443": 0}}) == []
    assert compared(**{KEY: {"192.0.2.12:443": 10}}) == [
        "Servers known to PyBal but not to IPVS: 192.0.2.11:443 of text_443",
        "Servers in IPVS but not pooled by PyBal: 192.0.2.12:443 of text_443",
    ]
    assert compared(web={}) == ["Services in IPVS but unknown to PyBal: tcp 192.0.2.9:80"]
    assert ipvs_diff.differences(wanted, {}) == [
        f"Services known to PyBal but not to IPVS: text_443 ({KEY})"
    ]


def test_alerts_are_passed_on_and_whatever_else_answers_is_critical() -> None:
    small = FakeView([service("text_443", VIEW.service_list[0].servers, threshold="3/4")])
    assert backends(asked(small)).state is State.WARNING
    down = FakeView([service("text_443", [server("cp1"), server("cp2", up=False, pooled=True)])])
    assert backends(asked(down)).line() == (
        "CRITICAL: text_443: Servers cp2 are marked down but pooled"
    )
    assert backends(asked(FakeView())).line() == "OK: All pools are healthy"
    odd = backends(lambda _path, accept="": f"<html>it works|{accept}")
    assert odd.state is State.CRITICAL
    assert "|" not in odd.line()


def test_peers_that_are_away_are_named_with_their_cause() -> None:
    peers = bgp(("192.0.2.1", True), ("192.0.2.2", False))
    cause = peers.peers[1]._replace(last_error="Hold timer expired", last_error_at=1.0)
    view = FakeView(bgp_snapshot=replace(peers, peers=(peers.peers[0], cause)))
    result = bgp_check(asked(view))
    assert result.state is State.CRITICAL
    assert result.line() == (
        "CRITICAL: 1 of 2 BGP sessions established: 192.0.2.2 is in Active (Hold timer expired)"
        " | peers=2 established=1"
    )
    assert bgp_check(asked(view), warning=1, critical=2).state is State.WARNING
    assert bgp_check(asked(FakeView(bgp_snapshot=bgp(("192.0.2.1", True))))).state is State.OK
    off = replace(bgp(), enabled=False)
    assert bgp_check(asked(FakeView(bgp_snapshot=off))).line() == "OK: BGP is not enabled"


NOW = 1_000_000.0
FINE: dict[str, Any] = {"last_reload": None, "differs_since": None, "needs_restart": []}


@pytest.mark.parametrize(
    ("unit", "changed_at", "config", "state", "words"),
    [
        (Unit("inactive", 0), NOW, FINE, State.CRITICAL, "is inactive"),
        (Unit("active", 5), 1.0, None, State.OK, "started after the last change"),
        (Unit("active", 5), NOW - 60, None, State.WARNING, "was not restarted"),
        (Unit("active", 5), NOW - 7200, None, State.CRITICAL, "was not restarted"),
        # A reload puts a change in force, too.
        (Unit("active", 5), NOW - 7200, FINE, State.OK, "runs what pybal.conf says"),
        (
            Unit("active", 5),
            NOW - 60,
            {**FINE, "differs_since": {"epoch": NOW}},
            State.WARNING,
            "is not in force",
        ),
        (
            Unit("active", 5),
            NOW - 60,
            {**FINE, "last_reload": {"successful": False}},
            State.CRITICAL,
            "has errors",
        ),
        (
            Unit("active", 5),
            NOW - 60,
            {**FINE, "last_reload": {"successful": False, "outcome": "applied in part"}},
            State.CRITICAL,
            "applied in part",
        ),
        (
            Unit("active", 5),
            None,
            {
                **FINE,
                "last_reload": {"successful": False, "outcome": "refused"},
                "in_part": ["KeyError: 'web'"],
            },
            State.CRITICAL,
            "was refused, after one that was applied in part",
        ),
        (
            Unit("active", 5),
            NOW - 9000,
            {**FINE, "needs_restart": ["control-socket needs a restart"]},
            State.CRITICAL,
            "needs a restart",
        ),
        (Unit("active", 5), None, {**FINE, "is_last_good": True}, State.CRITICAL, "last good"),
    ],
)
def test_what_is_not_in_force_is_said(
    unit: Unit, changed_at: float | None, config: Any, state: State, words: str
) -> None:
    result = restart(unit, changed_at, config, NOW, Limits())
    assert result.state is state
    assert words in result.text


def test_what_systemd_says_is_read() -> None:
    shown = "ActiveState=active\nActiveEnterTimestamp=@1700000000\n"
    assert unit_of(shown) == Unit("active", 1_700_000_000.0)
    assert unit_of("ActiveState=inactive\nActiveEnterTimestamp=\n") == Unit("inactive", 0.0)
    assert unit_of("") is None


def test_a_line_is_one_line_and_says_no_more_than_monitoring_takes() -> None:
    line = Result(State.WARNING, "a\nb|c" + "x" * 9000, {"n": 1}).line()
    assert line.startswith("WARNING: a b/cx")
    assert line.endswith("… | n=1")
    assert len(line) < 3100
    # NRPE 3 carries 3,000 characters of text and some numbers.
    assert Result(State.OK, "x" * 3000).line() == "OK: " + "x" * 3000
    assert Result(State.OK, "x" * 3001).line() == "OK: " + "x" * 2999 + "…"


def test_the_states_are_the_exit_statuses_of_monitoring_plugins() -> None:
    # Monitoring Plugins Development Guidelines, "Plugin Return Codes".
    assert [(state.name, int(state)) for state in State] == [
        ("OK", 0), ("WARNING", 1), ("CRITICAL", 2), ("UNKNOWN", 3),
    ]  # fmt: skip


def refused_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def run(plugin: Path, *arguments: str) -> tuple[int, str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    for name in ("PYTHONPYCACHEPREFIX",):
        if name in os.environ:
            environment[name] = os.environ[name]
    done = subprocess.run(
        [sys.executable, str(plugin), *arguments],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_there_are_four_programs() -> None:
    assert [plugin.name for plugin in PLUGINS] == [
        "check_pybal",
        "check_pybal_bgp",
        "check_pybal_ipvs_diff",
        "check_pybal_restart",
    ]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_a_wrong_option_is_unknown_and_help_is_help(
    plugin: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(plugin), "--nosuch"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(plugin))
    out, errors = capsys.readouterr()
    assert (ended.value.code, out.count("\n"), errors) == (3, 1, "")
    assert out.startswith("UNKNOWN: ")
    status, out = run(plugin, "--help")
    assert (status, "--timeout" in out) == (0, True)


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("check_pybal", ["-u", "localhost:9090"], "'localhost:9090' is no URL such as http://"),
        ("check_pybal_bgp", ["-u", ""], "'' is no URL such as http://"),
        ("check_pybal_ipvs_diff", ["--prometheus-url", "x"], "'x' is no URL such as http://"),
        ("check_pybal", ["-t", "x"], "must be a number of seconds up to 3600"),
        ("check_pybal", ["-t", "nan"], "must be a number of seconds up to 3600"),
    ],
)
def test_a_word_that_cannot_be_used_is_no_fault_of_the_daemons(
    name: str, words: list[str], said: str
) -> None:
    status, out = run(ROOT / "etc/nagios/plugins" / name, *words)
    assert (status, out.count("\n")) == (3, 1)
    assert out.startswith("UNKNOWN: ") and said in out


def test_a_daemon_that_is_away_is_critical(tmp_path: Path) -> None:
    table = tmp_path / "ip_vs"
    table.write_text(PROC)
    url = f"http://127.0.0.1:{refused_port()}"
    for name, arguments in (
        ("check_pybal", ["--url", f"{url}/alerts"]),
        ("check_pybal_bgp", ["-u", url]),
        ("check_pybal_ipvs_diff", ["-u", url, "--req-timeout=10.0", "--proc", str(table)]),
    ):
        status, out = run(ROOT / "etc/nagios/plugins" / name, *arguments)
        assert status == 2, out
        assert re.fullmatch(r"CRITICAL: http://\S+: connection refused\n", out, re.I)


def test_a_daemon_that_hangs_is_critical_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        status = backends_check.main(
            ["-u", f"http://127.0.0.1:{held.getsockname()[1]}", "-t", ".2"]
        )
    assert status == 2
    assert "within 0.2 s" in capsys.readouterr().out


def test_the_nrpe_file_names_programs_that_there_are() -> None:
    named = re.findall(
        r"plugins/(check_pybal\w*)$", (ROOT / "etc/nagios/nrpe-pybal.cfg").read_text(), re.M
    )
    assert sorted(named) == [plugin.name for plugin in PLUGINS]
