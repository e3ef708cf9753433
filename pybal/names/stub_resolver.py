"""The system's names: hosts(5) first, then the name servers of resolv.conf(5).

Both files are read again when they change. Not supported: nsswitch, the options of resolv.conf,
and search domains for names that have a dot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import CannotListenError, ConnectError, ConnectionClosed
from twisted.names import dns
from twisted.names.client import Resolver as TwistedResolver
from twisted.names.error import (
    DNSFormatError,
    DNSNameError,
    DNSNotImplementedError,
    DNSQueryRefusedError,
    DNSServerError,
    DomainError,
)

from pybal.errors import ResolutionError, SourceError, describe_os_error
from pybal.names.parsing import (
    Addresses,
    Record,
    candidates,
    follow,
    normal_name,
    parse_hosts,
    parse_resolv_conf,
)
from pybal.net.addresses import is_host_name
from pybal.runtime.file_stamp import FileStamp
from pybal.runtime.naming import quoted
from pybal.state.files import read_regular_file, regular_file_stamp

HOSTS_TTL_S = 60.0
"""How long an answer from the hosts file counts; then the file is looked at again."""

TRY_TIMEOUTS_S = (1.0, 2.0)
"""How long each name server is waited for in the first round, and in the second."""

_MAX_FILE_BYTES = 16 * 1024 * 1024
_MAX_ALIASES = 8
_LENGTHS = {dns.A: 4, dns.AAAA: 16}
"""In bytes, of the types that have one."""

_T = TypeVar("_T")


class SystemNames:
    """NamesClient of the host that this runs on. `port` is that of the name servers."""

    def __init__(self, reactor: Any, hosts: Path, resolv_conf: Path, port: int = dns.PORT) -> None:
        self._reactor = reactor
        self._hosts = _ParsedFile(hosts, parse_hosts)
        self._resolv_conf = _ParsedFile(resolv_conf, parse_resolv_conf)
        self._port = port
        self._clients: dict[str, Any] = {}

    def local(self, host: str, family: int) -> Addresses | None:
        """See NamesClient."""
        known = self._hosts.read().get(normal_name(host), ())
        addresses = tuple(address for address in known if address.version == family)
        return Addresses(addresses, HOSTS_TTL_S) if addresses else None

    def query(self, host: str, family: int) -> Deferred[Addresses]:
        """See NamesClient."""
        return Deferred.fromCoroutine(self._query(host, family))

    async def _query(self, host: str, family: int) -> Addresses:
        if not is_host_name(host):
            raise ResolutionError(f"{quoted(host, 100)} is no host name")
        local = self.local(host, family)
        if local is not None:
            return local
        configuration = self._resolv_conf.read()
        *searched, last = candidates(host, configuration.search)
        for name in searched:
            try:
                return await self._follow(name, family, configuration.nameservers)
            except _NoSuchAddressError:
                continue
        return await self._follow(last, family, configuration.nameservers)

    async def _follow(self, name: str, family: int, servers: Sequence[str]) -> Addresses:
        ttl_s = float("inf")
        current = name
        for _ in range(_MAX_ALIASES):
            outcome = follow(current, family, await self._ask(current, family, servers))
            if outcome is None:
                raise _NoSuchAddressError(f"{current} has no such record")
            ttl_s = min(ttl_s, outcome.ttl_s)
            if isinstance(outcome, Addresses):
                return Addresses(outcome.addresses, ttl_s)
            current = outcome.name
        raise ResolutionError(f"{name} is an alias of an alias, and so on without end")

    async def _ask(self, name: str, family: int, servers: Sequence[str]) -> list[Record]:
        """The first usable answer of the servers; a server that fails is passed over."""
        errors: dict[str, str] = {}
        for timeout_s in TRY_TIMEOUTS_S:
            for server in servers:
                try:
                    return await self._ask_one(name, family, server, timeout_s)
                except DNSNameError:
                    raise _NoSuchAddressError(f"{name} does not exist, says {server}") from None
                except TimeoutError:
                    errors[server] = "no answer"
                except _OtherQuestionError:
                    errors[server] = "an answer to another question"
                except CannotListenError as error:  # say, an address of IPv6 on a host without it
                    errors[server] = _words(error.socketError)
                except (DomainError, OSError, ConnectError, ConnectionClosed) as error:
                    errors[server] = _words(error)
        raise ResolutionError(
            ", ".join(f"name server {who}: {what}" for who, what in errors.items())
        )

    async def _ask_one(self, name: str, family: int, server: str, timeout_s: float) -> list[Record]:
        if not is_host_name(name):  # a search domain, or an alias's target, can be anything
            raise _NoSuchAddressError(f"{quoted(name, 100)} is no host name")
        asked = self._asked(name.encode("ascii"), family, server, timeout_s)
        # Twisted's timeout is that of UDP alone; by TCP, which a truncated answer takes, it is ten
        # seconds, for which the other servers would not be asked.
        answers, _, _ = await asked.addTimeout(timeout_s, self._reactor)
        sound = [rr for rr in answers if _is_sound(rr)]
        if answers and not any(_owner(rr) == normal_name(name) for rr in sound):
            raise _OtherQuestionError(name)
        return [record for rr in sound if (record := _record(rr)) is not None]

    def _asked(
        self, name: bytes, family: int, server: str, timeout_s: float
    ) -> Deferred[tuple[Any, Any, Any]]:
        client = self._client(server)
        if "%" in server:
            # By UDP Twisted drops what comes from a link-local address: it knows it with the
            # interface, and the kernel tells it without.
            kind = dns.A if family == 4 else dns.AAAA
            asked: Deferred[Any] = client.queryTCP([dns.Query(name, kind)], timeout_s)
            return asked.addCallback(client.filterAnswers)
        lookup = client.lookupAddress if family == 4 else client.lookupIPV6Address
        return cast(Deferred[Any], lookup(name, timeout=(timeout_s,)))

    def _client(self, server: str) -> Any:
        # One for each server: Twisted's own does not go on to the next one after SERVFAIL.
        if server not in self._clients:
            self._clients[server] = TwistedResolver(
                servers=[(server, self._port)], reactor=self._reactor
            )
        return self._clients[server]


class _NoSuchAddressError(ResolutionError):
    """DNS has answered: there is no such address under this name."""


class _OtherQuestionError(ResolutionError):
    """A server has answered something else. Never leaves this module."""


_ANSWERS: dict[type[BaseException], str] = {
    DNSFormatError: "FORMERR",
    DNSServerError: "SERVFAIL",
    DNSNotImplementedError: "NOTIMP",
    DNSQueryRefusedError: "REFUSED",
}
"""As dig and name servers' logs call them."""


def _words(error: BaseException) -> str:
    if isinstance(error, OSError):
        return describe_os_error(error)
    return _ANSWERS.get(type(error), type(error).__name__)


def _owner(rr: Any) -> str:
    return normal_name(rr.name.name.decode("latin-1"))


def _is_sound(rr: Any) -> bool:
    """Whether it is of the class that was asked for and of its type's length: Twisted looks at
    neither, and reads four bytes as an address however many there are said to be."""
    length = _LENGTHS.get(rr.type)
    return rr.cls == dns.IN and length in (None, rr.rdlength)


def _record(rr: Any) -> Record | None:
    name = rr.name.name.decode("latin-1")
    payload = rr.payload
    if isinstance(payload, dns.Record_A):
        return Record(name, IPv4Address(payload.address), rr.ttl)
    if isinstance(payload, dns.Record_AAAA):
        return Record(name, IPv6Address(payload.address), rr.ttl)
    if isinstance(payload, dns.Record_CNAME) and payload.name is not None:
        return Record(name, payload.name.name.decode("latin-1"), rr.ttl)
    return None


class _ParsedFile(Generic[_T]):
    """A small text file, parsed anew when it has changed; one that cannot be read is empty."""

    def __init__(self, path: Path, parse: Callable[[str], _T]) -> None:
        self._path = path
        self._parse = parse
        self._stamp: FileStamp | None = None
        self._parsed = parse("")

    def read(self) -> _T:
        """What the file says now."""
        try:
            if regular_file_stamp(self._path) != self._stamp:
                content = read_regular_file(self._path, _MAX_FILE_BYTES)
                self._stamp = content.stamp
                self._parsed = self._parse(content.data.decode("utf-8", "replace"))
        except (OSError, SourceError):
            self._stamp = None
            self._parsed = self._parse("")
        return self._parsed
