"""Ping on real ICMP sockets: raw ones, as root has them, and datagram ones where allowed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from pybal.monitors.ping import PingSettings
from tests.integration.reactors import run_in_reactor, sleep
from tests.integration.real_monitors import Watched, descriptors, took_s
from tests.namespace import Namespace

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SETTINGS = PingSettings(interval_s=0.1, timeout_s=0.6)
EVERYBODY, NOBODY = "0 2147483647", "1 0"


def pings(host: str, source: str | None = None) -> dict[str, Any]:
    """What several pings that run at once first report of a host."""
    settings = replace(SETTINGS, source_address=None if source is None else ip_address(source))

    async def main(reactor: Any) -> dict[str, Any]:
        before = descriptors()
        all_watched = [Watched(reactor, settings, 0, host) for _ in range(3)]
        for watched in all_watched:
            await watched.reported(1)
            watched.monitor.stop()
        await sleep(reactor, 0.05)
        return {
            "ups": [up for watched in all_watched for up in watched.ups],
            "reason": all_watched[0].reason,
            "leaked": descriptors() - before,
        }

    return run_in_reactor(main)


@pytest.fixture(params=[EVERYBODY, NOBODY], ids=["datagram", "raw"])
def namespace(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    with Namespace() as made:
        set_range = f"net.ipv4.ping_group_range={request.param}"
        subprocess.run(made.wrap("sysctl", "-q", "-w", set_range), check=True)
        yield made


def pings_in(namespace: Namespace, *host_and_source: str) -> dict[str, Any]:
    result = subprocess.run(
        namespace.wrap(sys.executable, "-m", __name__, *host_and_source),
        cwd=ROOT, check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_host_that_answers_is_up(namespace: Namespace, host: str) -> None:
    found = pings_in(namespace, host)
    assert (found["ups"], found["leaked"]) == ([True] * 3, 0)
    assert found["reason"].startswith(f"ping of {host}: answered after ")
    assert took_s(found["reason"]) < SETTINGS.timeout_s


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_is_asked_from_the_source_address(namespace: Namespace, host: str) -> None:
    found = pings_in(namespace, host, host)
    assert (found["ups"], found["leaked"]) == ([True] * 3, 0), found["reason"]


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_a_host_that_is_silent_is_down(namespace: Namespace, host: str) -> None:
    namespace.ip("route", "add", host, "dev", "lo")
    found = pings_in(namespace, host)
    assert (found["ups"], found["leaked"]) == ([False] * 3, 0)
    assert "no answer to 4 echo requests after " in found["reason"]
    assert took_s(found["reason"]) >= SETTINGS.timeout_s


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_a_host_that_cannot_be_reached_is_down_at_once(namespace: Namespace, host: str) -> None:
    namespace.ip("route", "add", "unreachable", host)
    found = pings_in(namespace, host)
    assert found["ups"] == [False] * 3
    assert "no route to host after " in found["reason"]
    assert took_s(found["reason"]) < SETTINGS.timeout_s


if __name__ == "__main__":
    print(json.dumps(pings(*sys.argv[1:])))
