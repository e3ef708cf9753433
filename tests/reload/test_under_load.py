"""A hundred services change in one reload beside one that does not: that one is not touched at all,
and at no moment does any of them stand without servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.reload.site import BASE, Site

COUNT = 100
POOL = "config = file://FOLDER/pool\nmonitors = ['IdleConnection', 'TCPCheck']\n"
CHANGES = (
    ("scheduler = wrr", "scheduler = sh"),
    ("tunneling = no", "tunneling = yes"),
    ("depool-threshold = .5", "depool-threshold = .9"),
    ("bgp-med = 0", "bgp-med = 50"),
    ("tcpcheck.interval = 10", "tcpcheck.interval = 5"),
    ("port = 80", "port = 81"),
    ("config = file://FOLDER/pool", "config = file://FOLDER/same"),
    ("['IdleConnection', 'TCPCheck']", "['TCPCheck']"),
    ("depool-method = remove", "depool-method = drain"),
    ("bgp = yes", "bgp = no"),
)


def services(count: int, *, changed: bool) -> str:
    text = ""
    for number in range(count):
        before, after = CHANGES[number % len(CHANGES)]
        section = (
            f"[s{number}]\nprotocol = tcp\nip = 198.51.{number // 100 + 101}.{number % 100 + 1}\n"
            "port = 80\nscheduler = wrr\ntunneling = no\ndepool-threshold = .5\nbgp-med = 0\n"
            f"bgp = yes\ndepool-method = remove\ntcpcheck.interval = 10\n{POOL}"
        )
        text += section.replace(before, after) if changed else section
    return text


def lines(*, changed: bool) -> dict[str, str]:
    return {**BASE, "service": BASE["service"] + "\n" + services(COUNT, changed=changed)}


@pytest.mark.slow
def test_a_hundred_changed_services_leave_the_one_beside_them_alone(tmp_path: Path) -> None:
    site = Site(tmp_path, lines(changed=False))
    kernel, bench = site.bench.kernel, site.bench
    keys = [each.key for each in kernel.services().services]
    assert len(keys) == COUNT + 2
    other, monitors, sessions = site.service("other"), site.monitors("other"), site.sessions
    (entry,) = site.entries("203.0.113.2").values()
    updates = [sum(len(end.heard) for end in router.router.ends) for router in site.routers]
    route = next(each for each in bench.daemon.view.bgp().announced if "203.0.113.2" in each.prefix)

    bench.path.write_text(site.text(lines(changed=True)))
    done = bench.daemon.reload()
    moved = {each for each in keys if CHANGES[5] == CHANGES[_number(each) % len(CHANGES)]}
    while not done.called:
        site.run(0.2)
        for key in keys:
            stands = kernel.read(key) if key not in moved else None
            assert key in moved or (stands is not None and stands.destinations), key
    outcome: Any = done.result
    assert outcome.successful, outcome.errors
    assert len(outcome.steps) == COUNT
    site.run(30)
    assert {s.name for s in bench.daemon.view.services()} >= {f"s{n}" for n in range(COUNT)}

    assert site.service("other") is other
    assert site.monitors("other") == monitors
    assert site.sessions == sessions
    assert site.entries("203.0.113.2") == {str(entry.service.key): entry}
    announced = [each for each in bench.daemon.view.bgp().announced if "203.0.113.2" in each.prefix]
    assert announced == [route]
    said = [
        message
        for before, router in zip(updates, site.routers, strict=True)
        for message in [m for end in router.router.ends for m in end.heard][before:]
    ]
    assert said
    assert not any("203.0.113.2" in str(message) for message in said)
    bench.stop()


def _number(key: Any) -> int:
    """Of the service at this address, -1 for others."""
    octets = str(key.address).split(".")
    return int(octets[3]) - 1 if octets[:3] == ["198", "51", "101"] else -2
