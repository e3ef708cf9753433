"""What a virtual or real server of keepalived's says for all its checkers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybal.migration.main import main
from tests.migration.test_keepalived import only, server


def test_what_is_said_for_all_checkers_is_each_ones_unless_it_says_otherwise() -> None:
    head = "lvs_method DR\ndelay_loop 9\nretry 2\nconnect_timeout 4"
    service, remarks = only(server("delay_loop 8\nTCP_CHECK {\n}\nPING_CHECK {\nretry 0\n}", head))
    assert remarks == []
    timing = {"tcpcheck.fall": "3", "tcpcheck.timeout": "4", "tcpcheck.interval": "8",
              "ping.timeout": "4", "ping.interval": "8"}  # fmt: skip
    assert timing.items() <= service.keys.items()
    assert "ping.fall" not in service.keys
    command, remarks = only(server("MISC_CHECK {\nmisc_path /bin/check\n}", head))
    assert (command.keys["runcommand.fall"], remarks) == ("3", [])
    assert "runcommand.timeout" not in command.keys  # which is not that of a connection


def test_the_checks_of_a_server_that_is_left_out_are_not_made_of_the_others() -> None:
    text = server("PING_CHECK {\n}", "lvs_method DR")
    other = "real_server 192.0.2.12 5353 {\nTCP_CHECK {\n}\n}\n"
    service, remarks = only(text.replace("real_server", f"{other}real_server", 1))
    assert service.keys["monitors"] == "[ 'Ping' ]"
    assert [remark.partition(": ")[2] for remark in remarks] == [
        "real_server 192.0.2.12: left out of [198.51.100.80_53]: port 5353; PyBal forwards to the"
        " service's own"
    ]


def test_lists_that_are_where_they_will_be_are_not_to_be_put_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "keepalived.conf", tmp_path / "out"
    source.write_text(server("PING_CHECK {\n}"))
    assert main([str(source), "-o", str(out), "--pools-at", str(out / "pools")]) == 0
    assert "next: pybal --check-config -c" in capsys.readouterr().out
