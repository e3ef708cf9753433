"""ProxyFetch: fetches a URL from the real server itself and looks at the status."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from twisted.internet.defer import Deferred, gatherResults

from pybal.config.bad_value import BadValueError
from pybal.config.kinds import (
    ABSOLUTE_PATH,
    BOOLEAN,
    HOST_NAME,
    PATTERN,
    Kind,
    choice,
    integer,
    some_strings,
    text_kind,
)
from pybal.config.literals import parse_literal
from pybal.config.monitor_checks import warn_of_hopeless
from pybal.config.monitor_kinds import MonitorKind, Option
from pybal.config.section import SectionReader
from pybal.config.settings import MonitorSettings
from pybal.config.source_url import parse_http_url
from pybal.errors import HTTPFetchError, HTTPLocalFaultError
from pybal.http.port import HTTPRequest, HTTPResponse
from pybal.linear_regex import Pattern
from pybal.model import MetricFamily, MetricSample
from pybal.monitors.asking import shown
from pybal.monitors.base import ReportReceiver
from pybal.monitors.looping import CheckOutcome, LoopingMonitor
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.target import MonitorPorts, Target
from pybal.net.tls_resumption import TLSResumption
from pybal.net.url_text import without_likely_secrets
from pybal.runtime.naming import shortened

MAX_SEARCHED_BYTES = 64 * 1024
"""What is expected is looked for in so much of the body: that takes a few milliseconds."""

_FAILURES_SHOWN = 3
_DAY_S = 86400
_LEAST_READ_BYTES = 1024
_MOST_READ_BYTES = 1 << 20
_MOST_CERTIFICATE_DAYS = 3650
_MOST_FAILURES = 10**6

_DURATION = MetricFamily(
    "pybal_monitor_proxyfetch_request_duration_seconds",
    "Duration of the last request",
    ("result", "url"),
)


@dataclass(frozen=True, slots=True)
class ProxyFetchSettings(MonitorSettings):
    """Options of ProxyFetch. `urls` holds at least one absolute http(s) URL; one of the statuses in
    `http_status` is healthy. `expect` is looked for in the body. `server_name` stands in for the
    URL's host in TLS; with `tls_resume` only each tenth handshake need be a full one. No more than
    `read_bytes` of the answer are read."""

    monitor = "ProxyFetch"
    checks_by_tcp = True

    urls: tuple[str, ...]
    http_status: tuple[range, ...] = (range(200, 201),)
    check_all: bool = False
    max_failures: int = 0
    user_agent: str = "Twisted PageGetter"
    tls_verify: bool = False
    ca_file: Path | None = None
    server_name: str | None = None
    min_certificate_days: int = 0
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    expect: Pattern | None = None
    read_bytes: int = _MOST_READ_BYTES
    tls_resume: bool = True


class _Fetched(NamedTuple):
    """How one URL went; `text` says so in a line. With a `fault` of our own it did not go."""

    ok: bool
    text: str
    fault: Exception | None = None


class ProxyFetch(LoopingMonitor):
    """Up when an expected status came from the server's address and the service's port, for a
    random one of the URLs, or with `check_all` for all but `max_failures` of them.

    Redirects are answers as any other: an expected 301 is success, an unexpected one is not. The
    body must hold what is expected, if something is, and the certificate must be good for long
    enough. One failure of our own spoils the whole check, which then has no result.
    """

    ends_in_time = True  # as each exchange does

    def __init__(
        self,
        settings: ProxyFetchSettings,
        target: Target,
        ports: MonitorPorts,
        receiver: ReportReceiver,
    ) -> None:
        super().__init__(settings, target, ports, receiver)
        self._settings = settings
        self._statuses = " or ".join(map(_status_text, settings.http_status))
        self._requests = {url: self._request(url) for url in settings.urls}
        self._shown_urls = {url: without_likely_secrets(url) for url in settings.urls}
        self._durations_s: dict[tuple[str, str], float] = {}
        """The last duration by result and URL."""

    async def _check(self) -> CheckOutcome | None:
        if not self._settings.check_all:
            fetched = await self._fetch(self._ports.random.choice(self._settings.urls))
            _raise_fault((fetched,))
            return CheckOutcome(fetched.ok, fetched.text)
        fetches = [Deferred.fromCoroutine(self._fetch(url)) for url in self._settings.urls]
        return self._verdict(await gatherResults(fetches, consumeErrors=True))

    def _verdict(self, fetched: list[_Fetched]) -> CheckOutcome:
        _raise_fault(fetched)
        failures = [f.text for f in fetched if not f.ok]
        if not failures:
            return CheckOutcome(True, f"all {len(fetched)} URLs answered {self._statuses}")
        tolerated = self._settings.max_failures
        shown = "; ".join(failures[:_FAILURES_SHOWN])
        text = f"{len(failures)} of {len(fetched)} URLs failed ({tolerated} tolerated): {shown}"
        return CheckOutcome(len(failures) <= tolerated, text)

    async def _fetch(self, url: str) -> _Fetched:
        began_at = self._reactor.seconds()
        shown_url = self._shown_urls[url]
        try:
            response = await self._ports.http.fetch(self._requests[url])
        except HTTPLocalFaultError as error:
            return _Fetched(False, "", error.cause or error)
        except HTTPFetchError as error:
            why, waited_s = error.what, error.waited_s
        else:
            waited_s = response.waited_s
            objection = self._objection(response)
            why = f"{self._target.endpoint} {objection}" if objection else ""
            if why and (resumption := self._requests[url].resumption) is not None:
                resumption.forget()
        self._waited_s = max(self._waited_s, waited_s)
        duration_s = max(0.0, self._reactor.seconds() - began_at - waited_s)
        self._durations_s["failed" if why else "successful", shown_url] = duration_s
        if why:
            return _Fetched(False, f"Fetch failed ({shown_url}), {duration_s:.3f} s: {why}")
        return _Fetched(True, f"{shown_url} answered {response.status}, {duration_s:.3f} s")

    def _request(self, url: str) -> HTTPRequest:
        settings = self._settings
        return HTTPRequest(
            url=url,
            timeout_s=settings.timeout_s,
            max_bytes=settings.read_bytes,
            truncate=True,
            lenient=True,
            headers={"User-Agent": settings.user_agent, **dict(settings.headers)},
            connect_to=(self._target.address, self._target.port),
            tls_verify=settings.tls_verify,
            ca_file=None if settings.ca_file is None else str(settings.ca_file),
            method=settings.method,
            source=settings.source_address,
            server_name=settings.server_name,
            resumption=TLSResumption() if settings.tls_resume else None,
            wants_certificate=settings.min_certificate_days > 0,
        )

    def _objection(self, response: HTTPResponse) -> str:
        """What is wrong with the answer, in words that follow the server's; empty if nothing is."""
        status = response.status
        if not any(status in each for each in self._settings.http_status):
            location = without_likely_secrets(response.headers.get("location", ""))
            to = f" to {location}" if location and 300 <= status < 400 else ""
            return f"answered {status}{to} instead of {self._statuses}"
        expect = self._settings.expect
        if expect is not None and not expect.search(response.body[:MAX_SEARCHED_BYTES]):
            size = len(response.body)
            return f"answered {status}, but not what is expected: {size} bytes{_start(response)}"
        return self._objection_to_certificate(response.certificate_expires_at)

    def _objection_to_certificate(self, expires_at: float | None) -> str:
        needed = self._settings.min_certificate_days
        if not needed or expires_at is None:
            return ""
        left = (expires_at - self._ports.now()) / _DAY_S
        if left >= needed:
            return ""
        if left < 0:
            return f"has a certificate that ended {-left:.1f} days ago"
        return f"has a certificate for {left:.1f} more days, fewer than {needed}"

    def _samples(self) -> Iterable[MetricSample]:
        for (result, url), duration_s in self._durations_s.items():
            yield _DURATION.sample(duration_s, result, url)


def _start(response: HTTPResponse) -> str:
    return f", {shown(response.body)}" if response.body else ""


def _raise_fault(fetched: Iterable[_Fetched]) -> None:
    for each in fetched:
        if each.fault is not None:
            raise each.fault


# -- options in pybal.conf ----------------------------------------------------------------

_STATUS = integer(100, 599)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_FIRST_FINAL_STATUS = 200
_WITHOUT_BODY = {*range(100, 200), 204, 205, 304}
_ANSWERS_TO = {206: ("Range",), 304: ("If-None-Match", "If-Modified-Since")}
_PUBLIC_CERTIFICATE_DAYS = 398
_OTHERS_PORT = {"http": "443", "https": "80"}
_OTHER_SCHEME = {"http": "https", "https": "http"}
_HOST = re.compile("[^/?:]*")
_NOT_TO_SET = frozenset(("host", "connection", "user-agent", "content-length", "transfer-encoding"))


def _http_urls(text: str) -> tuple[str, ...]:
    return tuple(map(parse_http_url, some_strings(text)))


def _statuses(text: str) -> tuple[range, ...]:
    bare = text[1:-1] if text.startswith(("[", "(")) and text.endswith(("]", ")")) else text
    return tuple(_status_range(word.strip().strip("'\"")) for word in bare.strip(", ").split(","))


def _status_range(text: str) -> range:
    low, dash, high = (part.strip() for part in text.partition("-"))
    first = _STATUS.parse(low)
    last = _STATUS.parse(high) if dash else first
    if last < first:
        raise BadValueError(f"{text} is empty")
    return range(first, last + 1)


def _status_text(statuses: range) -> str:
    first, last = statuses.start, statuses.stop - 1
    return str(first) if first == last else f"{first}-{last}"


def _show_statuses(statuses: tuple[range, ...]) -> str:
    return f"[{' '.join(map(_status_text, statuses))}]"


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    value = parse_literal(text)
    if not isinstance(value, dict):
        raise BadValueError
    for name, content in value.items():
        if not (isinstance(name, str) and isinstance(content, str)):
            raise BadValueError("a name or a value is not a string")
        if not _HEADER_NAME.fullmatch(name):
            raise BadValueError(f"{shortened(name, 64)!r} is no name of a header")
        if name.lower() in _NOT_TO_SET:
            raise BadValueError(f"{name} is set by PyBal itself, or by another option")
        _HEADER_VALUE.parse(content)
    return tuple(value.items())


def _show_headers(headers: tuple[tuple[str, str], ...]) -> str:
    """Their names: a value may be a password."""
    return f"[{' '.join(f'{name}: …' for name, _ in headers)}]"


def _check_options(reader: SectionReader, settings: ProxyFetchSettings) -> None:
    _check_max_failures(reader, settings)
    _check_statuses(reader, settings)
    if settings.expect is not None:
        _check_expect(reader, settings, settings.expect)
    _check_urls(reader, settings)
    if settings.min_certificate_days > _PUBLIC_CERTIFICATE_DAYS:
        message = f"a public authority's certificate lasts {_PUBLIC_CERTIFICATE_DAYS} days at most"
        reader.warn("proxyfetch.min-certificate-days", message)
    if settings.ca_file is not None and not settings.tls_verify:
        reader.warn("proxyfetch.ca-file", "no effect without proxyfetch.tls-verify = yes")
    if not any(url.startswith("https:") for url in settings.urls):
        for option, value in (
            ("tls-verify", settings.tls_verify),
            ("tls-resume", not settings.tls_resume),
            ("server-name", settings.server_name),
            ("min-certificate-days", settings.min_certificate_days),
        ):
            if value:
                reader.warn(f"proxyfetch.{option}", "no effect: no URL is https")


def _check_statuses(reader: SectionReader, settings: ProxyFetchSettings) -> None:
    """An interim answer (RFC 9110 section 15.2) is passed over, a final one is waited for."""
    interim = [each for each in settings.http_status if each[-1] < _FIRST_FINAL_STATUS]
    if interim:
        shown = ", ".join(map(_status_text, interim))
        none = "no server can be up: " if len(interim) == len(settings.http_status) else ""
        reader.warn("proxyfetch.http_status", f"{none}{shown} is never the final answer")
    _check_conditions(reader, settings)


def _check_conditions(reader: SectionReader, settings: ProxyFetchSettings) -> None:
    """Some answers (RFC 9110 sections 13 and 14) are given to those alone who ask for them, and in
    place of 200."""
    sent = {name.lower() for name, _ in settings.headers}
    for status, headers in _ANSWERS_TO.items():
        asking = [name for name in headers if name.lower() in sent]
        if not asking and all(each == range(status, status + 1) for each in settings.http_status):
            message = f"{status} is the answer to {' or '.join(headers)}, which is not sent"
            reader.warn("proxyfetch.http_status", f"no server can be up: {message}")
        elif asking and not any(status in each for each in settings.http_status):
            message = f"{asking[0]}: the answer may be {status}, which is none of http_status"
            reader.warn("proxyfetch.headers", message)


def _check_expect(reader: SectionReader, settings: ProxyFetchSettings, expect: Pattern) -> None:
    key = "proxyfetch.expect"
    if settings.method == "HEAD":
        reader.error(key, "must not be set with proxyfetch.method = HEAD: no body")
        return
    warn_of_hopeless(reader, key, expect, min(settings.read_bytes, MAX_SEARCHED_BYTES))
    bodyless = [each for each in settings.http_status if _WITHOUT_BODY.issuperset(each)]
    if bodyless:
        shown = ", ".join(map(_status_text, bodyless))
        none = "no server can be up: " if len(bodyless) == len(settings.http_status) else ""
        reader.warn(key, f"{none}an answer {shown} has no body in which this could be found")
    for name, value in settings.headers:
        if name.lower() == "accept-encoding" and value.strip().lower() != "identity":
            reader.warn("proxyfetch.headers", f"{name}: expect is not found in what is compressed")
        if name.lower() == "range":
            reader.warn("proxyfetch.headers", f"{name}: expect is looked for in that part alone")


def _check_urls(reader: SectionReader, settings: ProxyFetchSettings) -> None:
    port = str(settings.port or reader.text("port"))
    for url in settings.urls:
        scheme, _, rest = url.partition("://")
        host = _HOST.match(rest)
        if port == _OTHERS_PORT[scheme]:
            message = f"port {port} is not usual for {scheme}: is {_OTHER_SCHEME[scheme]} meant?"
            reader.warn("proxyfetch.url", message)
        if host is not None and host[0] in ("server.host", "server.ip"):
            message = f"{host[0]} stands for itself here; it is a word of runcommand.arguments"
            reader.warn("proxyfetch.url", message)


def _check_max_failures(reader: SectionReader, settings: ProxyFetchSettings) -> None:
    if settings.max_failures == 0:
        return
    if not settings.check_all:
        reader.warn("proxyfetch.max_failures", "no effect without proxyfetch.check_all = yes")
    elif settings.max_failures >= len(settings.urls):
        message = f"with {len(settings.urls)} URLs this check can never fail"
        reader.warn("proxyfetch.max_failures", message)


def _notes(settings: ProxyFetchSettings) -> Iterable[str]:
    path = settings.ca_file
    if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
        yield f"proxyfetch.ca-file = {path}: there is no such file, or it cannot be read"


def _show_urls(urls: tuple[str, ...]) -> str:
    return f"[{' '.join(map(without_likely_secrets, urls))}]"


_URLS = Kind("an http or https URL, or a list of them", _http_urls, _show_urls)
_STATUSES = Kind(
    "an HTTP status from 100 to 599, a range like 200-399, or a list", _statuses, _show_statuses
)
_HEADER_VALUE = text_kind(
    "printable ASCII text", lambda text: text.isascii() and text.isprintable()
)
_HEADERS = Kind("headers such as {'X-Name': 'value'}, in printable ASCII", _headers, _show_headers)
_CERTIFICATE_DAYS = integer(0, _MOST_CERTIFICATE_DAYS)

MONITOR = MonitorType(
    MonitorKind(
        ProxyFetchSettings,
        (
            Option("url", "urls", _URLS, required=True),
            Option("http_status", "http_status", _STATUSES),
            Option("check_all", "check_all", BOOLEAN),
            Option("max_failures", "max_failures", integer(0, _MOST_FAILURES)),
            Option("user-agent", "user_agent", _HEADER_VALUE),
            Option("tls-verify", "tls_verify", BOOLEAN),
            Option("tls-resume", "tls_resume", BOOLEAN),
            Option("ca-file", "ca_file", ABSOLUTE_PATH),
            Option("server-name", "server_name", HOST_NAME),
            Option("min-certificate-days", "min_certificate_days", _CERTIFICATE_DAYS),
            Option("method", "method", choice(("GET", "HEAD"))),
            Option("headers", "headers", _HEADERS),
            Option("expect", "expect", PATTERN),
            Option("read-bytes", "read_bytes", integer(_LEAST_READ_BYTES, _MOST_READ_BYTES)),
        ),
        check=_check_options,
    ),
    ProxyFetch,
    (_DURATION,),
    _notes,
)
