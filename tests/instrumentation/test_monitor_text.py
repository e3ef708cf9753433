"""The monitors' part of `/metrics`: what has not changed is not made anew."""

from __future__ import annotations

from collections.abc import Sequence

from pybal.instrumentation.monitor_text import MonitorText
from pybal.model import ServiceSnapshot
from tests.fakes.view import MONITOR_FAMILIES, monitor, server, service


class Bench:
    def __init__(self) -> None:
        self.text = MonitorText(MONITOR_FAMILIES)

    def render(self, services: Sequence[ServiceSnapshot]) -> tuple[str, int]:
        """The text, and for how many services it was made anew."""
        pieces = list(self.text.render(services, as_openmetrics=False))
        return b"".join(pieces).decode(), pieces.count(b"")


def test_only_services_that_have_changed_are_rendered_anew() -> None:
    bench = Bench()
    web = service("web", [server("a", monitors=(monitor("Ping"),))])
    dns = service("dns", [server("b", monitors=(monitor("Ping", up=False, reason="x"),))])
    first, anew = bench.render([web, dns])
    assert anew == 2
    assert bench.render([web, dns]) == (first, 0)
    changed = service("web", [server("a", monitors=(monitor("Ping", up=False),))])
    second, anew = bench.render([changed, dns])
    assert anew == 1
    assert second != first
    assert second == Bench().render([changed, dns])[0]


def test_a_service_that_is_gone_has_no_lines_and_is_forgotten() -> None:
    bench = Bench()
    web = service("web", [server("a", monitors=(monitor("Ping"),))])
    nothing, _ = bench.render([])
    text, _ = bench.render([web])
    assert 'service="web"' in text
    assert bench.render([])[0] == nothing
    assert bench.render([web]) == (text, 1)


def test_a_large_service_is_rendered_in_pieces_and_each_series_once() -> None:
    bench = Bench()
    servers = [server(f"h{n}", monitors=(monitor("Ping"),)) for n in range(250)]
    text, pieces = bench.render([service("web", servers)])
    assert pieces == 3
    one_by_one = [line for each in servers for line in _series([service("web", [each])])]
    assert sorted(_series([service("web", servers)])) == sorted(one_by_one)
    assert text.count('pybal_monitor_status{host="h249"') == 1


def _series(services: Sequence[ServiceSnapshot]) -> list[str]:
    text, _ = Bench().render(services)
    return [line for line in text.splitlines() if not line.startswith("#")]
