"""A network in namespaces: a client, a director and real servers on one bridge, or the client
behind a router. IPv4 and IPv6, ready for direct routing and for IPIP.

    with Stage("demo", reals=3) as stage:
        stage.director.run("ipvsadm", "-Ln")

Needs root and iproute2, nothing of PyBal's; for tests, benches and the demo.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

IPAddress = IPv4Address | IPv6Address

VIP4 = IPv4Address("198.51.100.1")
VIP6 = IPv6Address("2001:db8:100::1")
_LAN4, _LAN6 = "192.0.2.{}", "2001:db8:2::{}"
_OUTSIDE4, _OUTSIDE6 = "203.0.113.{}", "2001:db8:3::{}"
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

# A real server must not answer ARP for the VIP on its lo, and a packet that comes out of a
# tunnel has a source that the tunnel's route does not lead to.
_REAL_SYSCTLS = {
    "net/ipv4/conf/all/arp_ignore": 1,
    "net/ipv4/conf/all/arp_announce": 2,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
}
_ROUTER_SYSCTLS = {"net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1}


@dataclass(frozen=True, slots=True)
class Host:
    """One namespace and its addresses on the network."""

    name: str
    namespace: str
    ipv4: IPv4Address
    ipv6: IPv6Address

    def address(self, like: IPAddress) -> IPAddress:
        """The address of the family of `like`."""
        return self.ipv4 if like.version == 4 else self.ipv6

    def run(self, *command: str, check: bool = True, **options: Any) -> str:
        """Run a command in the namespace; its standard output."""
        with self.inside():
            done = subprocess.run(
                command, check=check, stdout=subprocess.PIPE, text=True, **options
            )
        return str(done.stdout)

    def wrap(self, *command: str) -> list[str]:
        """The command that runs `command` in the namespace."""
        return ["ip", "netns", "exec", self.namespace, *command]

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is in the namespace: a socket made here stays there."""
        with entered(Path("/run/netns", self.namespace)):
            yield

    def set_sysctls(self, values: Mapping[str, int]) -> None:
        """Write kernel settings; the names are paths below /proc/sys."""
        with self.inside():
            for name, value in values.items():
                Path("/proc/sys", name).write_text(str(value))


@contextlib.contextmanager
def entered(namespace: Path) -> Iterator[None]:
    """The calling thread, and what it starts, is in a network namespace: a file such as
    /run/netns/NAME or /proc/PID/ns/net."""
    with open("/proc/thread-self/ns/net", "rb") as outside:
        with namespace.open("rb") as inside:
            _set_namespace(inside.fileno())
        try:
            yield
        finally:
            _set_namespace(outside.fileno())


def _set_namespace(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


class Stage:
    """The network, from `start()` to `stop()` or within `with`.

    The client's way to the VIPs leads through the first director or, where the router is to be
    `told_routes`, wherever somebody tells it. `vips` are on the lo of directors and real servers.
    Namespaces are named NAME-client, NAME-director, NAME-director2 ..., NAME-real1 ..., so stages
    of different names can stand together.
    """

    def __init__(
        self,
        name: str = "stage",
        *,
        reals: int = 3,
        directors: int = 1,
        router: bool = False,
        told_routes: bool = False,
        vips: Sequence[IPAddress] = (VIP4, VIP6),
    ) -> None:
        self.name = name
        self.vips = tuple(vips)
        further = (self._host(f"director{n}", 20 + n) for n in range(2, directors + 1))
        self.director = self._host("director", 2)
        self.directors = (self.director, *further)
        self.router = self._host("router", 1) if router else None
        self.client = self._host("client", 3, outside=router)
        self.reals = tuple(self._host(f"real{n}", 10 + n) for n in range(1, reals + 1))
        self._told_routes = told_routes
        self._wire = f"{name}-wire"

    def _host(self, name: str, number: int, *, outside: bool = False) -> Host:
        ipv4, ipv6 = (_OUTSIDE4, _OUTSIDE6) if outside else (_LAN4, _LAN6)
        return Host(
            name,
            f"{self.name}-{name}",
            IPv4Address(ipv4.format(number)),
            IPv6Address(ipv6.format(number)),
        )

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All of them."""
        router = (self.router,) if self.router else ()
        return (self.client, *router, *self.directors, *self.reals)

    def __enter__(self) -> Stage:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Build the network; what an earlier run of this name left behind goes first."""
        self.stop()
        try:
            self._lay_wires()
            self._assign_vips()
            for real in self.reals:
                self._open_tunnels(real)
            self._set_routes()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill whatever runs in the namespaces and remove them; harmless when they are gone."""
        for namespace in (*(host.namespace for host in self.hosts), self._wire):
            if not Path("/run/netns", namespace).exists():
                continue
            # Who ends by itself in the meantime makes kill complain, and is no matter.
            kill = f"ip netns pids {namespace} | xargs -r kill -KILL 2>/dev/null"
            subprocess.run(["sh", "-c", kill], check=False)
            subprocess.run(["ip", "netns", "delete", namespace], check=True)

    def clear(self) -> None:
        """The directors forget their services, and the connections through them, which they would
        for minutes take up again."""
        forget = "net/ipv4/vs/expire_nodest_conn"
        for director in self.directors:
            director.set_sysctls({forget: 1})
            director.run("ipvsadm", "-C")
            deadline = time.monotonic() + 60
            while len(director.run("ipvsadm", "-Lnc").splitlines()) > 2:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{director.name} does not forget its connections")
                time.sleep(0.02)
            director.set_sysctls({forget: 0})

    def _lay_wires(self) -> None:
        """Every host gets eth0 on the bridge; a client outside hangs on the router's eth1."""
        _ip(f"netns add {self._wire}", *(f"netns add {host.namespace}" for host in self.hosts))
        _ip("link add bridge type bridge", "link set bridge up", namespace=self._wire)
        for host in self.hosts:
            if self.router and host is self.client:
                peer = f"eth1 netns {self.router.namespace}"
            else:
                peer = f"{host.name} netns {self._wire}"
            _ip(f"link add eth0 type veth peer name {peer}", namespace=host.namespace)
            if self._wire in peer:
                _ip(f"link set {host.name} master bridge up", namespace=self._wire)
            _ip(
                "link set lo up",
                "link set eth0 up",
                f"address add {host.ipv4}/24 dev eth0",
                f"address add {host.ipv6}/64 dev eth0 nodad",
                namespace=host.namespace,
            )

    def _assign_vips(self) -> None:
        for real in self.reals:
            real.set_sysctls(_REAL_SYSCTLS)
        for host in (*self.directors, *self.reals):
            _ip(
                *(f"address add {vip}/{vip.max_prefixlen} dev lo" for vip in self.vips),
                namespace=host.namespace,
            )

    def _open_tunnels(self, real: Host) -> None:
        _ip(
            "link add tunnel4 type ipip external",
            "link add tunnel6 type ip6tnl mode any external",
            "link set tunnel4 up",
            "link set tunnel6 up",
            namespace=real.namespace,
        )

    def _set_routes(self) -> None:
        """The client reaches the VIPs through the director; answers come back directly."""
        to_vips = [
            f"route add {vip}/{vip.max_prefixlen} via {self.director.address(vip)}"
            for vip in self.vips
        ]
        if self.router is None:
            _ip(*to_vips, namespace=self.client.namespace)
            return
        inner, outer = self.router, self._host("router", 1, outside=True)
        inner.set_sysctls(_ROUTER_SYSCTLS)
        _ip(
            "link set eth1 up",
            f"address add {outer.ipv4}/24 dev eth1",
            f"address add {outer.ipv6}/64 dev eth1 nodad",
            *(() if self._told_routes else to_vips),
            namespace=inner.namespace,
        )
        for host in self.hosts:
            if host is not inner:
                gateway = outer if host is self.client else inner
                _ip(
                    f"route add default via {gateway.ipv4}",
                    f"route add default via {gateway.ipv6}",
                    namespace=host.namespace,
                )


class Greeter:
    """A TCP server on all addresses of a host that says the host's name to who connects."""

    def __init__(self, host: Host, port: int) -> None:
        self.host = host
        self.port = port
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; a second start is a mistake."""
        with self.host.inside():
            listener = socket.create_server(
                ("::", self.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128
            )
        self._listener = listener
        self._thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the listener; from now on connections are refused."""
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._listener = self._thread = None

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.sendall(self.host.name.encode())


def ask(client: Host, address: IPAddress, port: int, timeout_s: float = 5.0) -> str:
    """What the service at address:port says to `client`; OSError if nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with client.inside():
        connection = socket.socket(family, socket.SOCK_STREAM)
    with connection:
        connection.settimeout(timeout_s)
        connection.connect((str(address), port))
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def _ip(*lines: str, namespace: str | None = None) -> None:
    """Run lines of `ip` as one batch."""
    inside = ["-n", namespace] if namespace else []
    done = subprocess.run(
        ["ip", *inside, "-batch", "-"],
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(inside)}: {'; '.join(lines)}: {done.stderr.strip()}")
