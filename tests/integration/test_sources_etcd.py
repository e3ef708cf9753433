"""The etcd source against a real etcd."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from pybal.config.settings import EtcdSource
from pybal.errors import SourceError
from pybal.model import ServerSpec
from pybal.sources.create import create_source
from pybal.sources.etcd_client import PythonEtcdClient
from pybal.sources.source import Source
from tests.fakes.log import FakeLog
from tests.fakes.names import FakeHostLookUp
from tests.fakes.sources import Servers, source_ports
from tests.integration.certificates import Certificate, make_certificate
from tests.integration.etcd_server import EtcdServer
from tests.integration.reactors import run_in_reactor, sleep, until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("etcd") is None, reason="needs Debian's etcd-server"),
]

LOOPBACK = ip_address("127.0.0.1")
DIRECTORY = "/conftool/v1/pools/esams/cache_text/nginx/"
YES = {"pooled": "yes", "weight": 10}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1", "DNS:etcd.example")


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[EtcdServer]:
    server = EtcdServer(tmp_path_factory.mktemp("etcd"), certificate)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def etcd(running: EtcdServer) -> EtcdServer:
    """A running etcd whose directory holds a and b."""
    running.put("/conftool/there", "yes")
    running.delete("/conftool")
    for host in "ab":
        running.put(DIRECTORY + host, YES)
    return running


def test_an_unreachable_etcd_is_told_in_words_that_stay_the_same() -> None:
    told = []
    for _ in range(2):
        with pytest.raises(SourceError, match="Connection refused") as error:
            PythonEtcdClient(EtcdSource("127.0.0.1", 2, "/x/"), [LOOPBACK], None).read()
        told.append(str(error.value))
    assert told[0] == told[1]
    said = "127.0.0.1:2 cannot be read: Failed to establish a new connection: Connection refused"
    assert told[0] == said


class Scene:
    """One source of an etcd in a real reactor."""

    def __init__(
        self,
        reactor: Any,
        etcd: EtcdServer,
        ca_file: Path | None,
        host: str = "127.0.0.1",
        *addresses: str,
    ) -> None:
        self.reactor = reactor
        self.published: list[Servers] = []
        self.log = FakeLog()
        self.names = FakeHostLookUp(**{host: addresses or ("127.0.0.1",)})
        environment = source_ports(
            reactor, names=self.names, ca_file=None if ca_file is None else str(ca_file)
        )
        self.source: Source = create_source(
            EtcdSource(host, etcd.port, DIRECTORY),
            "svc",
            lambda found: self.published.append(found.servers),
            environment,
            self.log.logger("svc"),
        )

    async def until_in_force(self, *servers: ServerSpec) -> None:
        await until(self.reactor, lambda: self.published[-1:] == [servers])


Story = Callable[[Scene], Coroutine[Any, Any, None]]


def watch_threads() -> int:
    return sum(thread.name == "etcd watch" for thread in threading.enumerate())


def play(etcd: EtcdServer, certificate: Certificate, story: Story) -> None:
    """Run a story with a started source, and see its thread end."""

    async def main(reactor: Any) -> None:
        scene = Scene(reactor, etcd, certificate.certificate)
        scene.source.start()
        try:
            await scene.until_in_force(ServerSpec("a"), ServerSpec("b"))
            await story(scene)
        finally:
            scene.source.stop()
            scene.source.stop()
        await until(reactor, lambda: watch_threads() == 0, limit_s=5)

    run_in_reactor(main, limit_s=40)


def connections(port: int) -> int:
    """This process's established connections to the port."""
    sockets = {link for fd in Path("/proc/self/fd").iterdir() if (link := read_link(fd))}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        (row[2], row[3]) == (f"0100007F:{port:04X}", "01") and f"socket:[{row[9]}]" in sockets
        for row in rows
    )


def read_link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return None


def test_changes_are_in_force_at_once_over_one_connection(
    etcd: EtcdServer, certificate: Certificate
) -> None:
    async def story(scene: Scene) -> None:
        etcd.put(DIRECTORY + "a", {"pooled": "no", "weight": 3})
        await scene.until_in_force(ServerSpec("a", 3, enabled=False), ServerSpec("b"))
        etcd.put(DIRECTORY + "c", {"pooled": "inactive", "weight": 0})
        etcd.put(DIRECTORY + "d", {"pooled": "yes", "weight": 0})
        etcd.delete(DIRECTORY + "b")
        await scene.until_in_force(ServerSpec("a", 3, enabled=False), ServerSpec("d", 0))
        await sleep(scene.reactor, 0.2)
        assert connections(etcd.port) == 1
        assert scene.log.lines == []

    play(etcd, certificate, story)


def test_a_bad_value_leaves_its_server_as_it_was(
    etcd: EtcdServer, certificate: Certificate
) -> None:
    async def story(scene: Scene) -> None:
        etcd.put(DIRECTORY + "a", "{'pooled': ")
        etcd.put(DIRECTORY + "c", "nonsense")
        etcd.put(DIRECTORY + "b", {"pooled": "no", "weight": 1})
        await scene.until_in_force(ServerSpec("a"), ServerSpec("b", 1, enabled=False))
        assert any("'a'" in line and "skipped" in line for line in scene.log.lines)
        assert any("'c'" in line and "skipped" in line for line in scene.log.lines)
        assert any(
            line.endswith("stay as they were until it is whole: a") for line in scene.log.lines
        )

    play(etcd, certificate, story)


def test_servers_that_vanish_while_etcd_is_away_vanish(
    etcd: EtcdServer, certificate: Certificate, tmp_path: Path
) -> None:
    async def story(scene: Scene) -> None:
        etcd.stop()
        await until(scene.reactor, lambda: scene.source.snapshot().stale)
        assert scene.published[-1] == (ServerSpec("a"), ServerSpec("b"))
        other = EtcdServer(tmp_path, certificate)
        other.port = etcd.port
        other.start()
        try:
            other.put(DIRECTORY + "b", YES)
            await scene.until_in_force(ServerSpec("b"))
        finally:
            other.stop()
        assert len([line for line in scene.log.lines if "ERROR" in line]) <= 3
        assert any("refused" in line for line in scene.log.lines)

    try:
        play(etcd, certificate, story)
    finally:
        etcd.start()


def test_a_restart_of_etcd_is_survived(etcd: EtcdServer, certificate: Certificate) -> None:
    async def story(scene: Scene) -> None:
        etcd.stop()
        etcd.start()
        etcd.put(DIRECTORY + "a", {"pooled": "no", "weight": 10})
        await scene.until_in_force(ServerSpec("a", enabled=False), ServerSpec("b"))
        await until(scene.reactor, lambda: not scene.source.snapshot().stale)

    play(etcd, certificate, story)


def test_a_watch_of_an_outdated_index_ends_so_that_all_is_read_again(
    etcd: EtcdServer, certificate: Certificate
) -> None:
    with closing(client_of(etcd, certificate)) as client:
        assert dict(client.read()).keys() == {"a", "b"}
        etcd.make_events(1100)
        etcd.put(DIRECTORY + "c", YES)
        assert client.wait()
        assert dict(client.read()).keys() == {"a", "b", "c"}


def test_a_client_closed_from_another_thread_ends_its_wait(
    etcd: EtcdServer, certificate: Certificate
) -> None:
    client = client_of(etcd, certificate)
    client.read()
    threading.Timer(0.1, client.close).start()
    assert not client.wait()
    with pytest.raises(SourceError):
        client.read()
    assert connections(etcd.port) == 0


def test_a_certificate_for_another_name_is_refused(
    etcd: EtcdServer, certificate: Certificate
) -> None:
    settings = EtcdSource("localhost", etcd.port, DIRECTORY)
    with (
        closing(PythonEtcdClient(settings, [LOOPBACK], str(certificate.certificate))) as client,
        pytest.raises(SourceError, match="localhost"),
    ):
        client.read()


def client_of(etcd: EtcdServer, certificate: Certificate) -> PythonEtcdClient:
    settings = EtcdSource("127.0.0.1", etcd.port, DIRECTORY)
    return PythonEtcdClient(settings, [LOOPBACK], str(certificate.certificate))


def test_an_emptied_or_deleted_directory_empties_no_pool(
    etcd: EtcdServer, certificate: Certificate
) -> None:
    async def story(scene: Scene) -> None:
        etcd.delete(DIRECTORY + "a")
        await scene.until_in_force(ServerSpec("b"))
        etcd.delete(DIRECTORY + "b")
        await until(scene.reactor, lambda: scene.source.snapshot().stale)
        assert "holds no servers" in scene.log.lines[-1]
        etcd.delete("/conftool")
        await until(scene.reactor, lambda: "has no directory" in scene.log.lines[-1])
        assert scene.published[-1] == (ServerSpec("b"),)
        etcd.put(DIRECTORY + "c", YES)
        await scene.until_in_force(ServerSpec("c"))

    play(etcd, certificate, story)


def test_directories_within_are_told_of_and_passed_over(
    etcd: EtcdServer, certificate: Certificate
) -> None:
    async def story(scene: Scene) -> None:
        etcd.put(DIRECTORY + "c/x", YES)
        await until(scene.reactor, lambda: len(scene.log.lines) == 1)
        assert "key 'c': it is a directory; skipped" in scene.log.lines[0]
        assert len(scene.published) == 1

    play(etcd, certificate, story)


def test_a_server_whose_certificate_nobody_vouches_for_is_not_believed(etcd: EtcdServer) -> None:
    async def main(reactor: Any) -> Scene:
        scene = Scene(reactor, etcd, None)
        scene.source.start()
        await until(reactor, lambda: scene.source.snapshot().stale)
        scene.source.stop()
        await until(reactor, lambda: watch_threads() == 0, limit_s=5)
        return scene

    scene = run_in_reactor(main)
    assert scene.published == []
    assert "TLS: certificate verify failed" in scene.log.lines[0]


def test_the_host_is_found_by_the_resolver_that_all_share(
    etcd: EtcdServer, certificate: Certificate
) -> None:
    async def main(reactor: Any) -> None:
        nobody, everybody = "127.0.0.99", "127.0.0.1"
        scene = Scene(reactor, etcd, certificate.certificate, "etcd.example", nobody, everybody)
        scene.source.start()
        await scene.until_in_force(ServerSpec("a"), ServerSpec("b"))
        etcd.put(DIRECTORY + "a", {"pooled": "no", "weight": 10})
        await scene.until_in_force(ServerSpec("a", enabled=False), ServerSpec("b"))
        scene.source.stop()
        await until(reactor, lambda: watch_threads() == 0, limit_s=5)

    run_in_reactor(main)


def test_a_host_that_cannot_be_found_is_told(etcd: EtcdServer) -> None:
    async def main(reactor: Any) -> str | None:
        scene = Scene(reactor, etcd, None, "etcd.example")
        scene.names.known.clear()
        scene.source.start()
        await until(reactor, lambda: bool(scene.names.waiting))
        scene.names.fail("etcd.example", "NXDOMAIN")
        await until(reactor, lambda: scene.source.snapshot().stale)
        scene.source.stop()
        return scene.source.snapshot().last_error

    assert run_in_reactor(main) == "etcd.example cannot be found: NXDOMAIN"
