"""keepalived's checkers of a real server -> PyBal's monitors. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from pybal.migration.keepalived_text import Remark, Statement, whole_number
from pybal.net.addresses import bracketed

Options = dict[str, str]
"""A monitor's options, as they stand in pybal.conf."""

_COMMON = {
    "connect_timeout": "timeout",
    "misc_timeout": "timeout",
    "connect_port": "port",
    "bindto": "source-address",
    "bind_to": "source-address",
    "delay_loop": "interval",
}
_INHERITED = ("connect_timeout", "retry", "delay_loop")
_RETRIES = ("retry", "nb_get_retry", "nb_sock_retry")
_STATUS = re.compile(r"[0-9]{3}(-[0-9]{3})?")


@dataclass(frozen=True, slots=True)
class Check:
    """A monitor with its options, and where it comes from."""

    monitor: str
    options: Options
    line: int


@dataclass(slots=True)
class Server:
    """A real server with its checks."""

    line: int
    host: str
    port: int | None
    weight: int
    checks: list[Check] = field(default_factory=list)
    inherited: Options = field(default_factory=dict)
    """What its checkers do unless they say otherwise."""


def said_for_all(block: Statement) -> Options:
    """What a virtual or real server says for all its checkers; it is seen thereby."""
    return _timing(each for each in block.block if each.name in _INHERITED)


class CheckReader:
    """Reads the checkers of servers. `remarks` gathers what they cannot say in PyBal."""

    def __init__(self, remarks: list[Remark]) -> None:
        self._remarks = remarks

    def read(self, checker: Statement, server: Server, host: str) -> None:
        """Add the monitor that does what a checker does; `host` is the Host header's."""
        makers = {
            "http_get": self._fetch,
            "ssl_get": self._fetch,
            "tcp_check": self._tcp,
            "smtp_check": self._smtp,
            "dns_check": self._dns,
            "udp_check": self._udp,
            "ping_check": self._ping,
            "misc_check": self._command,
        }
        make = makers.get(checker.name)
        if make is None:
            return
        checker.seen = True
        check = make(checker, server, host)
        if check is not None:
            server.checks.append(check)

    def _remark(self, statement: Statement, text: str) -> None:
        self._remarks.append(Remark(statement.line, statement.text(), text))

    def _common(self, checker: Statement, server: Server) -> Options:
        options = dict(server.inherited)
        if checker.name == "misc_check":
            options.pop("timeout", None)  # it was for connections
        options |= _timing(checker.block)
        if options.get("port") == str(server.port):
            del options["port"]
        if options.get("fall") == "1":
            del options["fall"]
        return options

    def _fetch(self, checker: Statement, server: Server, host: str) -> Check | None:
        scheme = "https" if checker.name == "ssl_get" else "http"
        host = _value(checker, "virtualhost") or host
        urls, statuses = [], []
        for url in (each for each in checker.block if each.name == "url"):
            url.seen = True
            path = _value(url, "path").removeprefix("/")
            urls.append(f"{scheme}://{_value(url, 'virtualhost') or host}/{path}")
            for each in url.block:
                if each.name == "status_code":
                    each.seen = True
                    statuses += [word for word in each.words[1:] if _STATUS.fullmatch(word)]
        if not urls:
            self._remark(checker, "not translated: it has no url")
            return None
        options = {"url": _list(urls), **self._common(checker, server)}
        options["http_status"] = _codes(statuses or ["200-299"])
        if len(urls) > 1:
            options["check_all"] = "yes"
        return Check("ProxyFetch", options, checker.line)

    def _tcp(self, checker: Statement, server: Server, host: str) -> Check:  # noqa: ARG002
        return Check("TCPCheck", self._common(checker, server), checker.line)

    def _smtp(self, checker: Statement, server: Server, host: str) -> Check:  # noqa: ARG002
        """Its greeting is looked at; keepalived also says HELO and QUIT."""
        for each in checker.block:
            if each.name == "helo_name":
                each.seen = True
                self._remark(each, "not translated: PyBal looks for the greeting, 220, alone")
        options = self._common(checker, server)
        return Check("TCPCheck", {"expect": "^220", **options}, checker.line)

    def _dns(self, checker: Statement, server: Server, host: str) -> Check:  # noqa: ARG002
        name = _value(checker, "name").rstrip(".")
        if not name:
            self._remark(checker, "it names nothing to ask for: localhost is asked for")
        kind = _value(checker, "type").upper() or "SOA"
        if kind not in ("A", "AAAA"):
            self._remark(checker, f"DNSQuery asks for addresses, not for {kind}")
        options = self._common(checker, server)
        return Check(
            "DNSQuery", {"hostnames": _list([name or "localhost"]), **options}, checker.line
        )

    def _udp(self, checker: Statement, server: Server, host: str) -> Check:  # noqa: ARG002
        options = self._common(checker, server)
        for each in checker.block:
            if each.name == "payload" and len(each.words) > 1:
                digits = "".join(each.words[1:]).removeprefix("0x")
                if re.fullmatch("([0-9A-Fa-f]{2})+", digits):
                    each.seen = True
                    pairs = re.findall("..", digits)
                    options["payload"] = "".join(rf"\x{pair}" for pair in pairs)
            elif each.name == "require_reply" and len(each.words) == 1:
                each.seen = True
                options["expect"] = "."
        return Check("UDP", options, checker.line)

    def _ping(self, checker: Statement, server: Server, host: str) -> Check:  # noqa: ARG002
        options = self._common(checker, server)
        return Check("Ping", {k: v for k, v in options.items() if k != "port"}, checker.line)

    def _command(self, checker: Statement, server: Server, host: str) -> Check | None:  # noqa: ARG002
        paths = [each for each in checker.block if each.name == "misc_path"]
        if not paths or len(paths[0].words) < 2:
            self._remark(checker, "not translated: it has no misc_path")
            return None
        (path, *_) = paths
        path.seen = True
        try:
            words = shlex.split(path.words[1]) if len(path.words) == 2 else list(path.words[1:])
        except ValueError:
            words = []
        if not words or not words[0].startswith("/"):
            self._remark(path, "not translated: RunCommand's command is an absolute path")
            return None
        bare = {server.host: "server.ip", str(server.port): "server.port"}
        options = {"command": words[0], **self._common(checker, server)}
        if words[1:]:
            shown = ", ".join(bare.get(word) or repr(word) for word in words[1:])
            options["arguments"] = f"[ {shown} ]"
        return Check("RunCommand", options, checker.line)


def _timing(statements: Iterable[Statement]) -> Options:
    """Options that all monitors have; their statements are seen thereby. `fall` counts the first
    failure, too."""
    options: Options = {}
    for each in statements:
        value = each.words[1] if len(each.words) > 1 else ""
        if each.name in _COMMON and value:
            each.seen = True
            options[_COMMON[each.name]] = value
        elif each.name in _RETRIES and (retries := whole_number(value)) is not None:
            each.seen = True
            options["fall"] = str(retries + 1)
    return options


def host_header(words: str, address: str) -> str:
    """The Host of a check: the virtual host, or else the service's address."""
    return words or bracketed(address)


def _value(block: Statement, name: str) -> str:
    for each in block.block:
        if each.name == name and len(each.words) > 1:
            each.seen = True
            return each.words[1]
    return ""


def _list(values: list[str]) -> str:
    return f"[ {', '.join(map(repr, dict.fromkeys(values)))} ]"


def _codes(statuses: list[str]) -> str:
    unique = list(dict.fromkeys(statuses))
    return unique[0] if len(unique) == 1 else f"[ {', '.join(map(repr, unique))} ]"
