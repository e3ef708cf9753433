"""The system's names through real sockets: a hosts file, and name servers good and bad."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.names import dns

from pybal.errors import ResolutionError
from pybal.names.parsing import Addresses
from pybal.names.stub_resolver import SystemNames
from tests.integration.reactors import run_in_reactor, sleep

pytestmark = pytest.mark.integration

Zone = Mapping[str, Callable[[dns.Message], bytes | None]]


def record(name: str, payload: Any) -> dns.RRHeader:
    return dns.RRHeader(name.encode(), payload.TYPE, dns.IN, 60, payload)


def reply(query: dns.Message, *records: dns.RRHeader, code: int = dns.OK) -> bytes:
    message = dns.Message(id=query.id, answer=True, rCode=code)
    message.queries = query.queries
    message.answers = list(records)
    return bytes(message.toStr())


def gives(*records: dns.RRHeader) -> Callable[[dns.Message], bytes]:
    """Those of the records whose type was asked for, and all aliases."""

    def answer(query: dns.Message) -> bytes:
        wanted = (query.queries[0].type, dns.CNAME)
        return reply(query, *(rr for rr in records if rr.type in wanted))

    return answer


def refuses(code: int) -> Callable[[dns.Message], bytes]:
    return lambda query: reply(query, code=code)


def truncates(query: dns.Message) -> bytes:
    message = dns.Message(id=query.id, answer=True, trunc=True)
    message.queries = query.queries
    return bytes(message.toStr())


def is_silent(_: dns.Message) -> None:
    return None


class NameServer:
    """A UDP name server in a thread; `asked` holds the names that came."""

    def __init__(self, address: str, port: int, zone: Zone) -> None:
        self.asked: list[str] = []
        self._zone = {name.encode(): answer for name, answer in zone.items()}
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> NameServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.Message()
            query.fromStr(data)
            name = query.queries[0].name.name
            self.asked.append(name.decode())
            answer = self._zone.get(name, refuses(dns.ENAME))(query)
            if answer is not None:
                self._socket.sendto(answer, sender)


class Names:
    """SystemNames on files and name servers of the test's."""

    def __init__(self, directory: Path) -> None:
        self.hosts = directory / "hosts"
        self.resolv_conf = directory / "resolv.conf"
        self.resolv_conf.write_text("nameserver 127.0.0.1\nnameserver 127.0.0.2\n")
        self.port = 0

    @contextmanager
    def served(self, *zones: Zone) -> Iterator[list[NameServer]]:
        """The first zone on 127.0.0.1, the second on 127.0.0.2."""
        with ExitStack() as stack:
            servers = []
            for number, zone in enumerate(zones, start=1):
                server = stack.enter_context(NameServer(f"127.0.0.{number}", self.port, zone))
                self.port = server.port
                servers.append(server)
            yield servers

    def query(self, host: str, family: int = 4, *, within_s: float = 10) -> Addresses:
        async def main(reactor: Any) -> Addresses:
            names = SystemNames(reactor, self.hosts, self.resolv_conf, self.port)
            return await names.query(host, family)

        return run_in_reactor(main, limit_s=within_s)

    def found(self, host: str, family: int = 4) -> list[str]:
        return [str(address) for address in self.query(host, family).addresses]


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(tmp_path)


A1 = record("h.example", dns.Record_A("192.0.2.1"))
A2 = record("h.example", dns.Record_A("192.0.2.2"))
SIX = record("h.example", dns.Record_AAAA("2001:db8::1"))


def test_both_families_are_found(names: Names) -> None:
    with names.served({"h.example": gives(A1, A2, SIX)}):
        assert names.query("h.example") == Addresses(
            (ip_address("192.0.2.1"), ip_address("192.0.2.2")), 60
        )
        assert names.found("h.example", 6) == ["2001:db8::1"]


def test_aliases_are_followed_within_an_answer_and_beyond_it(names: Names) -> None:
    alias = record("a.example", dns.Record_CNAME("b.example"))
    beyond = record("b.example", dns.Record_CNAME("h.example"))
    with names.served({"a.example": gives(alias, beyond), "h.example": gives(A1)}) as (server,):
        assert names.found("a.example") == ["192.0.2.1"]
    assert server.asked == ["a.example", "h.example"]


def test_aliases_without_end_are_an_error(names: Names) -> None:
    zone = {
        f"{n}.example": gives(record(f"{n}.example", dns.Record_CNAME(f"{n + 1}.example")))
        for n in range(50)
    }
    with names.served(zone), pytest.raises(ResolutionError, match="alias"):
        names.query("0.example")


def test_a_name_that_does_not_exist_is_an_error_without_asking_further(names: Names) -> None:
    with (
        names.served({}, {"h.example": gives(A1)}) as (_, second),
        pytest.raises(ResolutionError, match=r"h\.example does not exist, says 127\.0\.0\.1"),
    ):
        names.query("h.example")
    assert second.asked == []


def test_a_name_without_an_address_of_the_family_is_an_error(names: Names) -> None:
    with (
        names.served({"h.example": gives(A1)}),
        pytest.raises(ResolutionError, match="no such record"),
    ):
        names.query("h.example", 6)


@pytest.mark.parametrize("code", [dns.ESERVER, dns.EREFUSED])
def test_a_failing_name_server_is_passed_over(names: Names, code: int) -> None:
    with names.served({"h.example": refuses(code)}, {"h.example": gives(A1)}):
        assert names.found("h.example") == ["192.0.2.1"]


@pytest.mark.parametrize("bad", [is_silent, lambda _: b"junk", lambda _: b"\0" * 12])
def test_a_silent_or_senseless_name_server_is_passed_over(
    names: Names, bad: Callable[[dns.Message], bytes | None]
) -> None:
    with names.served({"h.example": bad}, {"h.example": gives(A1)}):
        assert names.found("h.example") == ["192.0.2.1"]


@contextmanager
def bound_tcp(names: Names) -> Iterator[socket.socket]:
    """Refuses connections, as it does not listen, on the port that the names are served on by UDP:
    one that is free for both."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            names.port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", names.port))
            except OSError:
                continue
            udp.close()
            yield tcp
            return


def test_a_truncated_answer_whose_tcp_is_refused_is_passed_over(names: Names) -> None:
    with (
        bound_tcp(names),
        names.served({"h.example": truncates}, {"h.example": gives(A1)}),
    ):
        assert names.found("h.example") == ["192.0.2.1"]


def test_an_answer_to_another_question_is_passed_over(names: Names) -> None:
    def other(query: dns.Message) -> bytes:
        return reply(query, record("other.example", dns.Record_A("192.0.2.9")))

    with names.served({"h.example": other}, {"h.example": gives(A1)}):
        assert names.found("h.example") == ["192.0.2.1"]
    with names.served({"H.Example": gives(A1)}):
        assert names.found("H.Example") == ["192.0.2.1"], "names are the same in any case"
    with (
        names.served({"h.example": other}, {"h.example": other}),
        pytest.raises(ResolutionError, match=r"name server 127.*: an answer to another question"),
    ):
        names.found("h.example")


def of_another_class(query: dns.Message) -> bytes:
    address: Any = dns.Record_A("192.0.2.9")
    return reply(query, dns.RRHeader(b"h.example", dns.A, dns.CH, 60, address))


def of_another_length(query: dns.Message) -> bytes:
    whole = reply(query, A1)
    return whole[:-6] + (500).to_bytes(2, "big") + whole[-4:]


@pytest.mark.parametrize("bad", [of_another_class, of_another_length])
def test_a_record_that_is_no_address_of_the_internet_is_passed_over(
    names: Names, bad: Callable[[dns.Message], bytes]
) -> None:
    with names.served({"h.example": bad}, {"h.example": gives(A2)}):
        assert names.found("h.example") == ["192.0.2.2"]


def test_a_truncated_answer_whose_tcp_is_silent_is_passed_over(names: Names) -> None:
    with (
        bound_tcp(names) as silent,
        names.served({"h.example": truncates}, {"h.example": gives(A1)}),
    ):
        silent.listen()
        began_at_s = time.monotonic()
        assert names.found("h.example") == ["192.0.2.1"]
        assert time.monotonic() - began_at_s < 4, "a look-up is given up after five"
        silent.settimeout(1)
        silent.accept()[0].close()


class WithoutIPv6:
    """A reactor whose host has none."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenUDP(self, port: int, protocol: Any, interface: str = "") -> Any:  # noqa: N802
        if ":" in interface:
            error = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            raise CannotListenError(interface, port, error)
        return self._reactor.listenUDP(port, protocol, interface=interface)


def test_a_name_server_of_a_family_that_this_host_lacks_is_passed_over(names: Names) -> None:
    names.resolv_conf.write_text("nameserver 2001:db8::53\nnameserver 127.0.0.1\n")
    with names.served({"h.example": gives(A1)}) as [server]:

        async def main(reactor: Any) -> Addresses:
            port = server.port
            client = SystemNames(WithoutIPv6(reactor), names.hosts, names.resolv_conf, port)
            with pytest.raises(ResolutionError) as raised:
                await client.query("elsewhere.example", 6)
            assert "elsewhere.example does not exist, says 127.0.0.1" in str(raised.value)
            return await client.query("h.example", 4)

        assert run_in_reactor(main).addresses == (ip_address("192.0.2.1"),)


@pytest.mark.parametrize("written", ["::1", "0:0:0:0:0:0:0:1", "0000::0001"])
def test_an_address_of_a_name_server_may_be_written_in_any_way(names: Names, written: str) -> None:
    """Twisted compares the sender of an answer with whom it has asked, as text."""
    names.resolv_conf.write_text(f"nameserver {written}\n")
    with NameServer("::1", 0, {"h.example": gives(A1)}) as server:
        names.port = server.port
        assert names.found("h.example") == ["192.0.2.1"]


def test_a_name_server_of_a_link_is_asked_by_tcp(names: Names) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        listening.settimeout(10)
        names.port = listening.getsockname()[1]
        names.resolv_conf.write_text(f"nameserver ::1%{socket.if_nametoindex('lo')}\n")

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                query = dns.Message()
                query.fromStr(connection.recv(4096)[2:])
                answer = gives(A1)(query)
                connection.sendall(len(answer).to_bytes(2, "big") + answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert names.found("h.example") == ["192.0.2.1"]
        thread.join(10)


def test_a_name_server_that_cannot_be_reached_is_told_of_in_words(names: Names) -> None:
    names.resolv_conf.write_text("nameserver 255.255.255.255\n")
    names.port = 53
    with pytest.raises(ResolutionError) as raised:
        names.query("h.example")
    assert str(raised.value) == "name server 255.255.255.255: permission denied"


def test_all_name_servers_failing_is_one_error_that_names_them(names: Names) -> None:
    zone = {"h.example": refuses(dns.ESERVER)}
    with names.served(zone, zone), pytest.raises(ResolutionError) as raised:
        names.query("h.example")
    assert str(raised.value) == "name server 127.0.0.1: SERVFAIL, name server 127.0.0.2: SERVFAIL"


def test_a_single_label_is_searched_for(names: Names) -> None:
    names.resolv_conf.write_text("nameserver 127.0.0.1\nsearch none.example example\n")
    with names.served({"h.example": gives(A1)}) as (server,):
        assert names.found("h") == ["192.0.2.1"]
    assert server.asked == ["h.none.example", "h.example"]


def test_the_hosts_file_comes_first_and_is_read_again_when_changed(names: Names) -> None:
    async def main(reactor: Any) -> list[str]:
        system = SystemNames(reactor, names.hosts, names.resolv_conf, names.port)
        found = []
        for text in (None, "192.0.2.7 h.example\n", "192.0.2.8 h h.example\n", ""):
            if text is not None:
                names.hosts.write_text(text)
            answer = await system.query("h.example", 4)
            found.append(str(answer.addresses[0]))
        return found

    with names.served({"h.example": gives(A1)}) as (server,):
        assert run_in_reactor(main) == ["192.0.2.1", "192.0.2.7", "192.0.2.8", "192.0.2.1"]
    assert len(server.asked) == 2


@pytest.mark.parametrize("host", ["ü.example", "x" * 64 + ".example", "a" * 300, "..", "", " "])
def test_a_name_that_dns_cannot_carry_is_an_error(names: Names, host: str) -> None:
    with names.served({}), pytest.raises(ResolutionError):
        names.query(host)


def test_a_cancelled_query_leaves_no_socket_behind(names: Names) -> None:
    async def main(reactor: Any) -> tuple[int, int]:
        system = SystemNames(reactor, names.hosts, names.resolv_conf, names.port)
        idle = len(reactor.getReaders())
        queries = [system.query(f"h{n}.example", 4) for n in range(10)]
        await sleep(reactor, 0.05)
        asking = len(reactor.getReaders()) - idle
        for query in queries:
            query.addErrback(lambda _: None)
            query.cancel()
        await sleep(reactor, 0.05)
        return asking, len(reactor.getReaders()) - idle

    with names.served({f"h{n}.example": is_silent for n in range(10)}):
        assert run_in_reactor(main) == (10, 0)
