"""Each report goes to the service that it is about, and to no other."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from pybal.model import CheckResult, HealthReport
from pybal.pool.report_router import ReportRouter
from pybal.pool.service import LVSService

DOWN = HealthReport("web", "a", "M", CheckResult(False, "refused", 0.1, 0.0), 1)
OF_MAIL = replace(DOWN, service="mail")


class FakeService:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def deliver(self, report: HealthReport) -> None:
        self.told.append(("deliver", report))

    def retract(self, report: HealthReport) -> None:
        self.told.append(("retract", report))

    def gather(self) -> None:
        self.told.append("gather")

    def act(self) -> None:
        self.told.append("act")


class Bench:
    def __init__(self) -> None:
        self.web, self.mail = FakeService(), FakeService()
        services = {"web": self.web, "mail": self.mail}
        self.router = ReportRouter(cast("dict[str, LVSService]", services))


def test_a_report_goes_to_its_service_and_to_no_other() -> None:
    bench = Bench()
    bench.router.deliver(OF_MAIL)
    bench.router.retract(OF_MAIL)
    assert bench.mail.told == [("deliver", OF_MAIL), ("retract", OF_MAIL)]
    assert bench.web.told == []


def test_a_report_of_a_service_that_is_gone_is_void() -> None:
    bench = Bench()
    gone = replace(DOWN, service="gone")
    bench.router.deliver(gone)
    bench.router.retract(gone)
    with bench.router.together():
        bench.router.deliver(gone)
    assert bench.web.told == bench.mail.told == []


def test_what_comes_together_is_one_step_for_each_service_that_it_concerns() -> None:
    bench = Bench()
    with bench.router.together():
        bench.router.deliver(DOWN)
        bench.router.retract(DOWN)
        assert bench.web.told == ["gather", ("deliver", DOWN), ("retract", DOWN)]
    assert bench.web.told[3:] == ["act"]
    assert bench.mail.told == []
    bench.router.deliver(DOWN)
    assert bench.web.told[4:] == [("deliver", DOWN)]
