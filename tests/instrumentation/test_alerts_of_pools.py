"""Alerts of pools, in the contract's words."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pybal.ipvs.operations import AddDestination
from pybal.model import (
    Severity,
    SourceSnapshot,
)
from tests.fakes.daemon import DaemonBench
from tests.fakes.kernel import FakeKernel
from tests.fakes.view import (
    server,
    service,
)
from tests.instrumentation.assessed import HELD, assess
from tests.reload.test_equivalence import section


def test_all_pools_healthy_is_ok_without_a_newline() -> None:
    alert = assess([service("text_443", [server("a"), server("b")])])
    assert alert.as_text() == "OK - All pools are healthy"
    assert alert.as_json() == {"status": "ok", "msg": "All pools are healthy"}


def test_no_service_at_all_is_ok() -> None:
    assert assess([]).as_text() == "OK - All pools are healthy"


def test_held_servers_are_critical_and_pools_are_joined_by_semicolons() -> None:
    alert = assess(
        [
            service("text_443", [server("a", up=False, pooled=True), server("b"), server("c")]),
            service("healthy_80", [server("a"), server("b")]),
            service(
                "upload_443",
                [
                    server("d", up=False, pooled=True),
                    server("e", up=False, partially_up=True, pooled=True),
                ],
            ),
        ]
    )
    message = (
        "text_443: Servers a are marked down but pooled; "
        "upload_443: Servers d, e are marked down but pooled"
    )
    assert alert.as_text() == f"CRITICAL - {message}"
    assert alert.as_json() == {"status": "critical", "msg": message}


def test_servers_that_are_disabled_or_depooled_are_nobodys_alarm() -> None:
    servers = [
        server("a"),
        server("b"),
        server("depooled", up=False, pooled=False),
        server("disabled", enabled=False, up=False, pooled=False),
        server("leaving", enabled=False, up=False, pooled=True),
    ]
    assert assess([service("text_443", servers)]).as_text().startswith("OK")


def test_a_pool_whose_list_was_never_had_is_a_warning() -> None:
    source = SourceSnapshot("file:///x", stale=True, last_good_at=None, last_error="no such file")
    alert = assess([service("web", source=source)])
    assert alert.as_text() == (
        "WARNING - Pool web has no servers, its list cannot be had: no such file. "
    )
    old = source._replace(last_good_at=1.0)
    assert assess([service("web", [server("a")], source=old)]).severity is Severity.OK
    fine = source._replace(last_error=None)
    assert assess([service("web", source=fine)]).severity is Severity.OK, "it may still come"


def test_pools_that_can_never_depool_are_a_warning_with_the_contracts_trailing_blank() -> None:
    small = [server("a"), server("b")]
    alert = assess(
        [service("text_443", small, threshold="0.66"), service("dns_53", small, threshold="1")]
    )
    message = (
        "Pool text_443 is too small to allow depooling. "
        "Pool dns_53 is too small to allow depooling. "
    )
    assert alert.as_text() == f"WARNING - {message}"
    assert alert.as_json() == {"status": "warning", "msg": message}


def test_a_critical_pool_hides_the_warnings() -> None:
    small = [server("a"), server("b", up=False, pooled=True)]
    assert assess([service("text_443", small, threshold="1")]).as_text() == (
        "CRITICAL - text_443: Servers b are marked down but pooled"
    )


@pytest.mark.parametrize(
    ("size", "threshold", "too_small"),
    [
        (1, "1", False),  # of one server none can ever be spared
        (2, "1/2", False),  # 2 < 2
        (2, "0.51", True),
        (3, "2/3", False),  # 3 < 3: exact, though 2/3 is not in binary
        (3, "0.67", True),
        (10, "0.9", False),
        (10, "0.91", True),
        (100, "0.99", False),
        (100, "1", True),
        (5, "0", False),
    ],
)
def test_the_size_is_held_against_the_exact_threshold(
    size: int, threshold: str, too_small: bool
) -> None:
    # Configured servers count, disabled ones too.
    servers = [server(f"h{n}", enabled=n > 0) for n in range(size)]
    text = assess([service("p", servers, threshold=threshold)]).as_text()
    assert text.startswith("WARNING") == too_small


def test_servers_that_a_list_takes_away_and_that_are_held_are_a_warning() -> None:
    pool = service("web", [server("a"), server("b"), server("e")])._replace(held=(HELD,))
    assert assess([pool]).as_text() == (
        "WARNING - Pool web holds a, b, which its list takes away, after c, d went within"
        " 15 minutes: 2 working servers would be left, list-floor wants 3. "
    )
    many = HELD._replace(servers=tuple(f"h{n}" for n in range(12)), taken=())
    assert " h9 and 2 more, which its list takes away: 2 working" in (
        assess([pool._replace(held=(many,))]).message
    )


def test_servers_that_wait_for_those_of_a_new_list_are_a_warning() -> None:
    pool = service("web", [server("a"), server("b")])._replace(held=(HELD._replace(waiting=True),))
    assert assess([pool]).as_text() == (
        "WARNING - Pool web keeps a, b until servers of its new list work. "
    )


def test_a_server_that_the_kernel_refuses_is_a_warning_for_as_long_as_it_does(
    tmp_path: Path,
) -> None:
    """The policy wants it no more, so that the kernel lacks nothing."""
    (tmp_path / "pool").write_text("".join(f"{{'host': '10.0.0.{n}'}}\n" for n in range(1, 5)))
    kernel = FakeKernel()
    kernel.refuse = lambda operation: (
        errno.EINVAL
        if isinstance(operation, AddDestination) and "10.0.0.2" in str(operation.destination.key)
        else 0
    )
    text = "[global]\nstate-directory = none\ncontrol-socket = no\n"
    text += section("web", 1, config=f"file://{tmp_path}/pool")
    bench = DaemonBench(tmp_path, text, kernel=kernel)

    def alerts() -> list[str]:
        return [each.alert.text for each in bench.daemon._http.alerts()]

    for _ in range(3):
        assert alerts() == ["IPVS: the kernel refuses the addresses of 10.0.0.2 of web"]
        bench.run(20)
    (tmp_path / "pool").write_text("".join(f"{{'host': '10.0.0.{n}'}}\n" for n in (1, 3, 4)))
    bench.run(5)
    assert alerts() == []
    bench.stop()
