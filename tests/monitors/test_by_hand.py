"""Checks at an operator's word: apart from those that run, bounded, and without secrets."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pybal.config.settings import MonitorSettings
from pybal.errors import ControlError, SourceError
from pybal.health.local_faults import LocalFaults
from pybal.health.recoveries import Recoveries
from pybal.monitors.base import Monitor, ReportReceiver
from pybal.monitors.by_hand import AT_ONCE, ChecksByHand, HandCheck
from pybal.monitors.exchange import (
    MAX_STEPS,
    Record,
    command_text,
    request_lines,
    response_lines,
    sent_text,
    tls_text,
)
from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.looping import CheckOutcome, LoopingMonitor
from pybal.monitors.proxyfetch import ProxyFetchSettings
from pybal.monitors.registry import create_monitor
from pybal.monitors.runcommand import LiteralArgument, RunCommandSettings
from pybal.monitors.target import MonitorPorts, Target
from pybal.monitors.tcpcheck import TCPCheckSettings
from pybal.net.tls_facts import TLSFacts
from tests.fakes.daemon import Answering
from tests.fakes.deferreds import result_of
from tests.fakes.environment import FakeAttention
from tests.fakes.files import DirectAccess, SlowFiles
from tests.fakes.http import FakeHTTPClient
from tests.fakes.log import FakeLog
from tests.fakes.names import FakeHostLookUp
from tests.fakes.processes import FakeProcesses

IDLE = IdleConnectionSettings()


class Broken(LoopingMonitor):
    """Fails by itself."""

    async def _check(self) -> CheckOutcome | None:
        raise ZeroDivisionError


class Rig:
    def __init__(self, *refusing: str) -> None:
        self.clock = Clock()
        self.network = Answering(self.clock, set(refusing))
        self.processes = FakeProcesses()
        self.certificates = SlowFiles()
        seconds = self.clock.seconds
        self.recoveries = Recoveries(seconds)
        self.faults = LocalFaults(seconds, FakeLog().logger("x"))
        ports = MonitorPorts(
            reactor=self.clock,
            now=lambda: 1e9,
            random=Random(1),
            network=cast(Any, self.network),
            processes=self.processes,
            http=FakeHTTPClient(),
            stall_meter=FakeAttention(),
            recoveries=self.recoveries,
            faults=self.faults,
            files=DirectAccess(),
        )
        self.checks = ChecksByHand(ports, FakeHostLookUp(), self.certificates, self.create, str)

    def create(
        self,
        settings: MonitorSettings,
        target: Target,
        ports: MonitorPorts,
        receiver: ReportReceiver,
    ) -> Monitor:
        if settings.source_address is not None:
            return Broken(settings, target, ports, receiver)
        return create_monitor(settings, target, ports, receiver)

    def begin(self, *monitors: MonitorSettings) -> Deferred[Sequence[HandCheck]]:
        target = Target("web", "a", ip_address("192.0.2.1"), 80, lambda: "a (by hand)")
        return Deferred.fromCoroutine(cast(Any, self.checks.check(monitors, target)))

    def check(self, *monitors: MonitorSettings, seconds: float = 10.0) -> Sequence[HandCheck]:
        asked = self.begin(*monitors)
        self.clock.pump([0.01] * round(seconds * 100))
        return result_of(asked)


def texts(check: HandCheck) -> list[str]:
    return [step.text for step in check.exchange]


def test_a_check_says_what_it_found_and_how_and_leaves_nothing_behind() -> None:
    rig = Rig()
    (check,) = rig.check(IDLE)
    assert (check.monitor, check.up) == ("IdleConnection", True)
    assert texts(check) == ["connecting to 192.0.2.1:80", "connected to 192.0.2.1:80"]
    assert rig.clock.getDelayedCalls() == []


def test_one_result_is_enough_whatever_the_running_check_needs() -> None:
    rig = Rig("192.0.2.1")
    (check,) = rig.check(IdleConnectionSettings(fall=5, rise=5))
    assert (check.up, "connection refused" in check.reason) == (False, True)
    assert "no connection: connection refused" in texts(check)[-1]


def test_it_concerns_no_other_check() -> None:
    rig = Rig("192.0.2.1")
    told: list[float] = []
    rig.recoveries.is_down("a", object(), told.append)
    rig.check(IDLE)
    rig.network.refusing.clear()
    rig.check(IDLE)
    assert told == []
    assert rig.faults.counts == {}


def test_certificates_on_a_server_of_files_that_hangs_are_waited_for_off_the_reactor() -> None:
    rig = Rig()
    urls = ("https://a.example/",)
    verifying = ProxyFetchSettings(urls, tls_verify=True, ca_file=Path("/nonexistent/ca.pem"))
    asked = rig.begin(verifying)
    rig.clock.pump([0.01] * 100)
    assert not asked.called
    rig.certificates.looking.errback(SourceError("its file system has not answered for 5 s"))
    rig.clock.pump([0.01] * 100)
    (check,) = result_of(asked)
    assert check.up is None


def test_silence_has_its_end() -> None:
    rig = Rig()
    rig.network.silent = True
    (check,) = rig.check(IDLE)
    assert (check.up, "no answer" in check.reason) == (False, True)


def test_a_command_that_never_ends_is_killed() -> None:
    rig = Rig()
    settings = RunCommandSettings(Path("/bin/check"), (LiteralArgument("-v"),), timeout_s=3.0)
    (check,) = rig.check(settings)
    assert (check.up, "timed out" in check.reason) == (False, True)
    assert texts(check) == ["running /bin/check -v"]
    assert rig.clock.getDelayedCalls() == []


def test_a_command_shows_its_output() -> None:
    rig = Rig()
    asked = rig.begin(RunCommandSettings(Path("/bin/check")))
    rig.clock.pump([0.01] * 10)
    rig.processes.running[0].end(2, b"one\ntwo\x1b[2J\n")
    rig.clock.pump([0.01] * 10)
    (check,) = result_of(asked)
    assert check.up is False
    assert texts(check)[1:] == ["| one", "| two\x1b[2J", "exit status 2"]


def test_a_monitor_that_fails_by_itself_gives_no_result_at_once() -> None:
    rig = Rig()
    (check,) = rig.check(IdleConnectionSettings(source_address=ip_address("192.0.2.9")), seconds=1)
    assert (check.up, "failed by itself" in check.reason) == (None, True)


def test_only_so_many_at_once() -> None:
    rig = Rig()
    rig.network.silent = True
    running = [rig.begin(IDLE) for _ in range(AT_ONCE)]
    with pytest.raises(ControlError, match="already") as refused:
        result_of(rig.begin(IDLE))
    assert refused.value.remedy
    rig.clock.pump([0.1] * 100)
    assert all(result_of(each) for each in running)
    rig.network.silent = False
    assert rig.check(IDLE)[0].up


def test_a_payload_that_may_be_a_password_is_not_shown() -> None:
    rig = Rig()
    (check,) = rig.check(TCPCheckSettings(send=b"AUTH hunter2\r\n", timeout_s=1.0))
    assert "hunter2" not in "".join(texts(check))
    assert texts(check)[2] == "sent 14 bytes (not shown: they may hold a secret)"
    assert sent_text(b"PING\r\n") == "6 bytes: 'PING\\r\\n'"


def test_nothing_that_may_be_a_secret_is_shown_of_a_request() -> None:
    head = (
        b"GET /x?user=u1&q=hunter2 HTTP/1.1\r\nHost: example.org\r\n"
        b"Authorization: Basic hunter2\r\n"
        b"X-Key: hunter2\r\nCookie: hunter2\r\nUser-Agent: Twisted PageGetter\r\n\r\n"
    )
    lines = request_lines(head)
    assert "hunter2" not in "".join(lines)
    assert "u1" not in "".join(lines)
    assert lines[:2] == ["> GET /x?user=***&q=*** HTTP/1.1", "> Host: example.org"]
    assert "> User-Agent: Twisted PageGetter" in lines


def test_an_answer_shows_its_head_and_the_start_of_its_body() -> None:
    start = (
        b"HTTP/1.1 302 Found\r\nLocation: /y?token=hunter2\r\nSet-Cookie: s=hunter2\r\n"
        b"X-Odd: \x1b[2J\r\n\r\n" + b"b" * 500
    )
    lines = response_lines(start)
    assert "hunter2" not in "".join(lines)
    assert lines[0] == "< HTTP/1.1 302 Found"
    assert all(line.isprintable() for line in lines)
    assert lines[-1].endswith("b'…")


def test_arguments_of_a_command_are_shown_unless_one_may_be_a_password() -> None:
    assert command_text(["/bin/check", "-H", "a"]) == "/bin/check -H a"
    assert "hunter2" not in command_text(["/bin/check", "--password", "hunter2"])


def test_the_record_is_bounded() -> None:
    record = Record(lambda: 0.0)
    for number in range(1000):
        record.note(str(number), "x")
    assert len(record.steps) == MAX_STEPS


def test_tls_is_told_with_the_certificates_name_and_end() -> None:
    facts = TLSFacts("TLSv1.3", "TLS_AES_256", ("example.org", "www.example.org"), 5.0)
    assert tls_text(facts, lambda at: f"{at:g} s") == (
        "TLSv1.3, TLS_AES_256; certificate of example.org, www.example.org, until 5 s"
    )
