"""All servers of a large pool die at once: what that costs a program that does nothing but see it.

    python -m bench.bare_death [--servers 500,1000,2000,4000,8000]

It has a connection to each of them and, as the daemon does in bench.pool_death, connects once more
when that ends; when this is refused the server is gone. All of it is system calls: what they cost a
server is the kernel's part of the daemon's time, and tells whether it grows with the pool.
"""

from __future__ import annotations

import argparse
import os
import resource
import select
import socket
import sys

from bench.pool_death import PORT, Servers, addresses

SETTLE_S = 2.0
EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


class Watcher:
    """Has a connection to each server."""

    def __init__(self, hosts: list[str]) -> None:
        self._epoll = select.epoll()
        self._open: dict[int, tuple[socket.socket, str]] = {}
        for host in hosts:
            self._connect(host)

    def _connect(self, host: str) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.connect_ex((host, PORT))
        self._epoll.register(sock.fileno(), EVENTS)
        self._open[sock.fileno()] = sock, host

    def settle(self) -> None:
        """Until all are connected."""
        while self._epoll.poll(SETTLE_S):
            pass

    def watch(self) -> None:
        """Until all are gone."""
        while self._open:
            for number, events in self._epoll.poll(-1, 4096):
                self._told(number, events)

    def _told(self, number: int, events: int) -> None:
        sock, host = self._open[number]
        refused = events & select.EPOLLERR and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not refused and not events & select.EPOLLRDHUP:
            return
        del self._open[number]
        self._epoll.unregister(number)
        sock.close()
        if not refused:
            self._connect(host)


def watched(hosts: list[str], ready: int) -> None:
    """What the program does; it writes what that cost."""
    watcher = Watcher(hosts)
    watcher.settle()
    before = resource.getrusage(resource.RUSAGE_SELF)
    os.write(ready, b".")
    watcher.watch()
    after = resource.getrusage(resource.RUSAGE_SELF)
    user_ms, system_ms = (
        (getattr(after, name) - getattr(before, name)) * 1e3 / len(hosts)
        for name in ("ru_utime", "ru_stime")
    )
    print(f"{len(hosts)} servers: {user_ms:.4f} ms of CPU a server, {system_ms:.4f} the kernel's")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", default="500,1000,2000,4000,8000")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for count in map(int, options.servers.split(",")):
        hosts = addresses(count, 20)
        with Servers(hosts, [PORT]) as victims:
            is_ready, ready = os.pipe()
            program = os.fork()
            if not program:
                watched(hosts, ready)
                sys.stdout.flush()
                os._exit(0)
            os.read(is_ready, 1)
            victims.kill()
            os.waitpid(program, 0)


if __name__ == "__main__":
    main()
