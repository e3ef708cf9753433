"""The monitors by name, and the options of each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pybal.config.kinds import (
    ABSOLUTE_PATH,
    ARGUMENTS,
    BOOLEAN,
    HEADER_VALUE,
    HEADERS,
    HOST_ADDRESS,
    HOST_NAME,
    HOST_NAMES,
    HTTP_URLS,
    PATTERN,
    PAYLOAD,
    PORT,
    SECONDS,
    SECONDS_OR_ZERO,
    STATUSES,
    Kind,
    choice,
    integer,
)
from pybal.config.section import SectionReader
from pybal.config.settings import (
    DNSQuerySettings,
    IdleConnectionSettings,
    MonitorSettings,
    PingSettings,
    ProxyFetchSettings,
    RunCommandSettings,
    TCPCheckSettings,
    UDPSettings,
)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name in pybal.conf, its field in the settings, its kind."""

    name: str
    field: str
    kind: Kind[Any]
    required: bool = False


COMMON_OPTIONS = (
    Option("rise", "rise", integer(1, 100)),
    Option("fall", "fall", integer(1, 100)),
    Option("interval", "interval_s", SECONDS),
    Option("timeout", "timeout_s", SECONDS),
    Option("source-address", "source_address", HOST_ADDRESS),
    Option("port", "port", PORT),
)
"""What every monitor can be told, unless it lacks it."""


@dataclass(frozen=True, slots=True)
class MonitorKind:
    """One monitor as pybal.conf knows it: its settings' type (which holds name and defaults)
    and its own options. `lacks` names the common options that mean nothing to it. `check` may
    note what is wrong with options that are good each by itself."""

    settings: type[MonitorSettings]
    own_options: tuple[Option, ...] = ()
    lacks: frozenset[str] = frozenset()
    check: Callable[[SectionReader, Any], None] | None = None

    @property
    def name(self) -> str:
        return self.settings.monitor

    @property
    def options(self) -> tuple[Option, ...]:
        common = (option for option in COMMON_OPTIONS if option.name not in self.lacks)
        return (*self.own_options, *common)

    def key(self, option: Option) -> str:
        return f"{self.name.lower()}.{option.name}"


class MonitorKinds:
    """The monitors that a pybal.conf may name."""

    def __init__(self, kinds: Iterable[MonitorKind]) -> None:
        self.by_name: Mapping[str, MonitorKind] = {kind.name: kind for kind in kinds}
        self.option_keys: Mapping[str, str] = {
            kind.key(option): kind.name for kind in self.by_name.values() for option in kind.options
        }
        """Every `monitor.option` key -> the monitor's name."""


def _check_proxy_fetch(reader: SectionReader, settings: ProxyFetchSettings) -> None:
    _check_max_failures(reader, settings)
    if settings.expect is not None and settings.method == "HEAD":
        reader.error("proxyfetch.expect", "must not be set with proxyfetch.method = HEAD: no body")
    if settings.ca_file is not None and not settings.tls_verify:
        reader.warn("proxyfetch.ca-file", "no effect without proxyfetch.tls-verify = yes")
    if not any(url.startswith("https:") for url in settings.urls):
        for option, value in (
            ("tls-verify", settings.tls_verify),
            ("server-name", settings.server_name),
            ("min-certificate-days", settings.min_certificate_days),
        ):
            if value:
                reader.warn(f"proxyfetch.{option}", "no effect: no URL is https")


def _check_max_failures(reader: SectionReader, settings: ProxyFetchSettings) -> None:
    if settings.max_failures == 0:
        return
    if not settings.check_all:
        reader.warn("proxyfetch.max_failures", "no effect without proxyfetch.check_all = yes")
    elif settings.max_failures >= len(settings.urls):
        message = f"with {len(settings.urls)} URLs this check can never fail"
        reader.warn("proxyfetch.max_failures", message)


# The limits of TCP keepalive are the kernel's (include/net/tcp.h).
IDLE_CONNECTION = MonitorKind(
    IdleConnectionSettings,
    (
        Option("timeout-clean-reconnect", "timeout_clean_reconnect_s", SECONDS_OR_ZERO),
        Option("max-delay", "max_delay_s", SECONDS),
        Option("keepalive", "keepalive", BOOLEAN),
        Option("keepalive-retries", "keepalive_retries", integer(1, 127)),
        Option("keepalive-idle", "keepalive_idle_s", integer(1, 32767)),
        Option("keepalive-interval", "keepalive_interval_s", integer(1, 32767)),
    ),
)
PROXY_FETCH = MonitorKind(
    ProxyFetchSettings,
    (
        Option("url", "urls", HTTP_URLS, required=True),
        Option("http_status", "http_status", STATUSES),
        Option("check_all", "check_all", BOOLEAN),
        Option("max_failures", "max_failures", integer(0, 10**6)),
        Option("user-agent", "user_agent", HEADER_VALUE),
        Option("tls-verify", "tls_verify", BOOLEAN),
        Option("ca-file", "ca_file", ABSOLUTE_PATH),
        Option("server-name", "server_name", HOST_NAME),
        Option("min-certificate-days", "min_certificate_days", integer(0, 3650)),
        Option("method", "method", choice(("GET", "HEAD"))),
        Option("headers", "headers", HEADERS),
        Option("expect", "expect", PATTERN),
        Option("read-bytes", "read_bytes", integer(1024, 1 << 20)),
    ),
    check=_check_proxy_fetch,
)
DNS_QUERY = MonitorKind(
    DNSQuerySettings,
    (
        Option("hostnames", "hostnames", HOST_NAMES, required=True),
        Option("fail-on-nxdomain", "fail_on_nxdomain", BOOLEAN),
    ),
)
UDP_KIND = MonitorKind(
    UDPSettings,
    (
        Option("icmp-timeout", "icmp_timeout_s", SECONDS_OR_ZERO),
        Option("payload", "payload", PAYLOAD),
        Option("expect", "expect", PATTERN),
    ),
)
PING = MonitorKind(PingSettings, lacks=frozenset(("port",)))
TCP_CHECK = MonitorKind(
    TCPCheckSettings,
    (
        Option("send", "send", PAYLOAD),
        Option("expect", "expect", PATTERN),
        Option("read-bytes", "read_bytes", integer(1, 65536)),
    ),
)
RUN_COMMAND = MonitorKind(
    RunCommandSettings,
    (
        Option("command", "command", ABSOLUTE_PATH, required=True),
        Option("arguments", "arguments", ARGUMENTS),
        Option("log-output", "log_output", BOOLEAN),
    ),
    # The command opens its own sockets.
    lacks=frozenset(("source-address",)),
)
BUILT_IN_KINDS = MonitorKinds(
    (IDLE_CONNECTION, PROXY_FETCH, DNS_QUERY, UDP_KIND, RUN_COMMAND, PING, TCP_CHECK)
)
