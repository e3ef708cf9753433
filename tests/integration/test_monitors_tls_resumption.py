"""ProxyFetch resumes TLS sessions, and sees a bad certificate all the same."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pybal.monitors.proxyfetch import ProxyFetchSettings
from pybal.net.tls_resumption import FULL_AFTER_REFUSAL
from tests.integration.certificates import Certificate, make_certificate
from tests.integration.reactors import real_client, run_in_reactor, until
from tests.integration.real_monitors import Watched
from tests.integration.tls_server import TLSServer, server_context, tls_server

pytestmark = pytest.mark.integration

HTTPS = ProxyFetchSettings(("https://web.example/",), interval_s=0.01, timeout_s=5)
BOTH = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For web.example."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:web.example")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For another name, of an authority that nobody trusts."""
    return make_certificate(tmp_path_factory.mktemp("other"), "DNS:other.example")


def checked(
    server: TLSServer,
    settings: ProxyFetchSettings,
    *acts: tuple[Callable[[], bool], Callable[[], object]],
) -> list[bool]:
    """What is reported while each condition is waited for, upon which its act is done."""

    async def main(reactor: Any) -> list[bool]:
        watched = Watched(reactor, settings, server.port, http=real_client(reactor))
        for condition, act in acts:
            await until(reactor, condition)
            act()
        watched.monitor.stop()
        return watched.ups

    return run_in_reactor(main)


def answered(server: TLSServer, count: int) -> tuple[Callable[[], bool], Callable[[], object]]:
    return (lambda: len(server.resumed) >= count, lambda: None)


@BOTH
@pytest.mark.parametrize("verify", [False, True])
def test_each_tenth_handshake_is_a_full_one(
    certificate: Certificate, version: ssl.TLSVersion, verify: bool
) -> None:
    settings = replace(HTTPS, tls_verify=verify, ca_file=certificate.certificate)
    with tls_server(certificate, version) as server:
        assert checked(server, settings, answered(server, 21)) == [True]
    row = [False] + [True] * 9
    assert server.resumed[:21] == [*row, *row, False]


@BOTH
def test_no_session_is_resumed_if_so_set(certificate: Certificate, version: ssl.TLSVersion) -> None:
    with tls_server(certificate, version) as server:
        checked(server, replace(HTTPS, tls_resume=False), answered(server, 5))
    assert not any(server.resumed)


def test_the_handshake_after_a_failed_check_is_a_full_one(certificate: Certificate) -> None:
    failing_at: list[int] = []

    def fail() -> None:
        failing_at.append(len(server.resumed))
        server.status = 500

    def heal() -> None:
        server.status = 200

    with tls_server(certificate) as server:
        reported = checked(
            server,
            HTTPS,
            (lambda: len(server.resumed) >= 3, fail),
            (lambda: len(server.resumed) >= failing_at[0] + 4, heal),
            (lambda: server.resumed[-2:] == [True, True], lambda: None),
        )
    assert reported == [True, False, True]
    # One may have been under way.
    at = failing_at[0]
    assert server.resumed[1] and not any(server.resumed[at + 2 : at + 4])


@BOTH
def test_a_bad_certificate_is_seen_within_ten_checks(
    certificate: Certificate, other: Certificate, version: ssl.TLSVersion
) -> None:
    settings = replace(HTTPS, tls_verify=True, ca_file=certificate.certificate)
    counts: list[int] = []

    def exchange() -> None:
        # The keys of its tickets stay as they are.
        counts.append(len(server.resumed))
        server.context.load_cert_chain(other.certificate, other.key)

    reports: list[bool] = []
    with tls_server(certificate, version) as server:
        three = (lambda: len(server.resumed) >= 3, exchange)

        async def main(reactor: Any) -> None:
            watched = Watched(reactor, settings, server.port, http=real_client(reactor))
            await until(reactor, three[0])
            three[1]()
            await watched.reported(2)
            reports.extend(watched.ups)
            watched.monitor.stop()

        run_in_reactor(main)
    assert reports == [True, False]
    assert len(server.resumed) - counts[0] < 10


@BOTH
def test_a_server_that_has_forgotten_its_keys_stays_up(
    certificate: Certificate, version: ssl.TLSVersion
) -> None:
    restarted_at: list[int] = []

    def restart() -> None:
        restarted_at.append(len(server.resumed))
        server.context = server_context(certificate, version)

    with tls_server(certificate, version) as server:
        reported = checked(
            server,
            HTTPS,
            (lambda: len(server.resumed) >= 3, restart),
            (lambda: len(server.resumed) >= restarted_at[0] + 6, lambda: None),
        )
    assert reported == [True]
    # One may have been under way.
    at = restarted_at[0]
    assert server.resumed[1] and not all(server.resumed[at : at + 2])
    assert any(server.resumed[at + 1 : at + 6])


@pytest.mark.parametrize("fault", ["breaks_at_session", "drops_resumed"])
def test_a_server_that_breaks_at_a_session_is_not_down_for_it(
    certificate: Certificate, fault: str
) -> None:
    with tls_server(certificate) as server:
        reported = checked(
            server,
            HTTPS,
            (lambda: len(server.resumed) >= 3, lambda: setattr(server, fault, True)),
            answered(server, 3 + FULL_AFTER_REFUSAL // 2),
        )
    assert reported == [True]
    assert server.broken == 1


def test_a_server_that_is_silent_at_a_session_fails_once(certificate: Certificate) -> None:
    settings = replace(HTTPS, timeout_s=0.5, fall=2)
    with tls_server(certificate) as server:
        reported = checked(
            server,
            settings,
            (lambda: len(server.resumed) >= 3, lambda: setattr(server, "ignores_resumed", True)),
            answered(server, 3 + FULL_AFTER_REFUSAL // 2),
        )
    assert reported == [True]
    assert server.broken == 1
