"""What a virtual or real server of keepalived's says for all its checkers."""

from __future__ import annotations

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
