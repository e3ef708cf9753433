"""ProxyFetch's further options through the real HTTP client: TLS, bodies, faults of our own."""

from __future__ import annotations

import gc
import os
import resource
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import ssl
from twisted.internet.defer import maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import Site

from pybal.linear_regex import Pattern
from pybal.model import CheckResult
from pybal.monitors.proxyfetch import ProxyFetchSettings
from pybal.monitors.registry import create_monitor
from pybal.monitors.target import Target
from tests.fakes.environment import make_environment
from tests.fakes.reports import Results
from tests.integration.certificates import Certificate, make_certificate
from tests.integration.reactors import real_client, run_in_reactor, until
from tests.integration.real_monitors import Watched, own_faults

pytestmark = pytest.mark.integration

HTTPS = ProxyFetchSettings(("https://web.example/",), interval_s=0.1, timeout_s=5)
HTTP = replace(HTTPS, urls=("http://web.example/",))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For web.example, good for two days."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:web.example")


class Web(Resource):
    """Answers with a body and notes how it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Twisted's is not
        self.asked: list[tuple[str, str, str | None]] = []

    def render(self, request: Any) -> bytes:
        probe = request.requestHeaders.getRawHeaders("x-probe")
        client = request.getClientAddress().host
        self.asked.append((request.method.decode(), client, probe[0] if probe else None))
        return b'{"status": "ok"}'


def first_result(
    settings: ProxyFetchSettings,
    certificate: Certificate | None = None,
) -> tuple[CheckResult, Web]:
    """What ProxyFetch first reports of a server, with that certificate if it speaks TLS."""

    async def main(reactor: Any) -> tuple[CheckResult, Web]:
        web = Web()
        if certificate is None:
            listening = reactor.listenTCP(0, Site(web), interface="127.0.0.1")
        else:
            files = str(certificate.key), str(certificate.certificate)
            context = ssl.DefaultOpenSSLContextFactory(*files)
            listening = reactor.listenSSL(0, Site(web), context, interface="127.0.0.1")
        port = listening.getHost().port
        watched = Watched(reactor, settings, port, http=real_client(reactor))
        result = await watched.first_result()
        await maybeDeferred(listening.stopListening)
        return result, web

    return run_in_reactor(main)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, ""),
        ({"tls_verify": True}, "TLS: certificate verify failed"),
        ({"tls_verify": True, "trusted": True}, ""),
        (
            {"tls_verify": True, "trusted": True, "server_name": "other.example"},
            "the certificate is not valid for other.example",
        ),
        ({"min_certificate_days": 1}, ""),
        (
            {"min_certificate_days": 3},
            "has a certificate for 2.0 more days, fewer than 3",
        ),
    ],
)
def test_certificates_are_verified_and_their_time_is_looked_at(
    certificate: Certificate,
    options: dict[str, Any],
    why: str,
) -> None:
    options = {**options}
    if options.pop("trusted", False):
        options["ca_file"] = certificate.certificate
    result, web = first_result(replace(HTTPS, **options), certificate)
    assert (result.up, why in result.reason) == (not why, True)
    assert bool(web.asked) is ("TLS" not in why and "not valid" not in why)


def test_the_server_name_stands_in_for_the_urls_host(certificate: Certificate) -> None:
    settings = replace(
        HTTPS,
        urls=("https://localhost/",),
        tls_verify=True,
        ca_file=certificate.certificate,
        server_name="web.example",
    )
    assert first_result(settings, certificate)[0].up


@pytest.mark.parametrize(
    ("expect", "why"), [('"status": *"ok"', ""), ("fine", "not what is expected: 16 bytes")]
)
def test_the_body_is_searched(expect: str, why: str) -> None:
    result, _ = first_result(replace(HTTP, expect=Pattern(expect)))
    assert (result.up, why in result.reason) == (not why, True)


def test_method_headers_and_source_address_reach_the_server() -> None:
    settings = replace(
        HTTP, method="HEAD", headers=(("X-Probe", "1"),), source_address=ip_address("127.0.0.99")
    )
    result, web = first_result(settings)
    assert result.up
    assert web.asked == [("HEAD", "127.0.0.99", "1")]


@pytest.mark.parametrize("fault", ["descriptors", "addresses", "ca-file"])
def test_what_we_lack_ourselves_is_no_result(fault: str) -> None:
    settings = HTTP
    if fault == "addresses":
        settings = replace(HTTP, source_address=ip_address("192.0.2.1"))
    elif fault == "ca-file":
        settings = replace(HTTPS, tls_verify=True, ca_file=Path("/nonexistent/ca.pem"))

    async def main(reactor: Any) -> None:
        target = Target("svc", "real.example", ip_address("127.0.0.1"), 1, lambda: "real")
        environment = make_environment(reactor, real_client(reactor))
        reports = Results()
        monitor = create_monitor(settings, target, environment, reports)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if fault == "descriptors":
            gc.collect()  # Former tests' descriptors must not come free meanwhile.
            lowest_free = os.dup(0)
            os.close(lowest_free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            monitor.start()
            await until(reactor, lambda: own_faults(monitor) >= 2)
            monitor.stop()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert reports == []
        words = {"descriptors": "too many open files", "ca-file": ""}
        expected = words.get(fault, "cannot assign requested address")
        assert environment.faults.current() == expected

    run_in_reactor(main)
