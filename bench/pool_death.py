"""All servers of a large pool die at once: how soon they are out, and what that costs.

    python -m bench.pool_death [--servers 500,1000,2000,4000,8000] [--threshold 0] [--flap]
                               [--services 1] [--times 1] [--log]
    scripts/vm --memory 3000 --timeout 1500 -- \\
        sh -c "ulimit -n 40000 && PYTHON -m bench.pool_death --kernel --servers 2000"

Dry run on loopback addresses, IdleConnection; with --kernel (root, in the virtual machine) on the
kernel's own table, and keepalived with TCP_CHECK each second beside, if it is installed: with
`retry 0`, where the first failure counts, and as it is by default, where the second does, a second
later. The servers that die are one process that is killed; a fifth more hosts, in another, live on,
in a service of their own. The daemon runs as operators run it; with --log, which shows all lines,
on the kernel's table with DEBUG. With --services the hosts are so many fewer, and each is in all
services. --flap kills them, revives them a second later, and kills them again after another 1.5 s.

For each size: when the first and the last removal came, after the kill; CPU of the daemon for each
server, until it has come to rest, and from the first removal to the last, with the attempts to
reach it in that time; the longest turn of the reactor; on the kernel's table also the most memory.
A process that is killed takes its time to go, and it goes backwards: the kernel closes the
connections first, and the listeners last. Until then nobody is found down, as a server that ends a
connection in an orderly way is reconnected to once.

What a server costs does not grow with the pool: in calls of functions see bench.pool_calls, and of
the kernel bench.bare_death. But a death that takes longer than a second, as that of thousands may,
has more in it: the first that were out are tried again, and snapshots of them are made, while the
last ones wait for their turn; and of sockets that have ended, more than wait to be closed until it
is over (net.epoll.MOST_TO_CLOSE; to close both of a server takes some 20 microseconds). And where
few die most of them have lines in the log, of thousands a few hundred have.

One run says little of what a server costs: the same run again may take twice or half as much. With
--times all sizes are gone through so many times, in turn, and the medians are shown with the least
and the most.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from bench.fleet import ROOT, Director, load_average
from pybal.monitors.short_lived import STEADY_S
from pybal.runtime.gc_tuning import SETTLED_AFTER_S

PORT = 18000
REST_S = 1.5
REST_CPU_S, REST_CPU_EACH_S = 0.05, 0.02e-3
"""In all, and for each server: some are still tried within REST_S. Where others have the
processors, too, a storm goes on with little, but with more than that."""
LEAST_TURN_MS = 5
LONG_MS = 20
"""Where there is one processor, who reads a line takes it from the daemon: these turns alone."""
TABLE = Path("/proc/net/ip_vs")

GLOBAL = """
[global]
instrumentation = no
control-socket = no
state-directory = none
"""
SERVICE = """
[{name}]
protocol = tcp
ip = 10.30.{high}.{low}
port = {port}
scheduler = rr
config = file://{folder}/{pool}
depool-threshold = {threshold}
monitors = ["IdleConnection"]
"""
KEEPALIVED = """
virtual_server 10.30.0.1 {port} {{
    delay_loop 1
    lb_algo rr
    lb_kind DR
    protocol TCP
"""
KEEPALIVED_SERVER = """
    real_server {address} {port} {{
        TCP_CHECK {{
            connect_timeout 3
            {retry}
        }}
    }}
"""


def addresses(count: int, network: int) -> list[str]:
    return [f"127.{network}.{n // 250}.{n % 250 + 1}" for n in range(count)]


class Servers:
    """Listeners in one process, which can be killed; it tells how many connections it has."""

    def __init__(self, hosts: list[str], ports: list[int]) -> None:
        self._hosts, self._ports = hosts, ports
        self.took_s = 0.0
        self.start()

    def start(self) -> None:
        """Listen, all of them."""
        ports = ",".join(map(str, self._ports))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.pool_death", "--listen", ports],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n".join(self._hosts))
        self._process.stdin.close()
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> float:
        """Returns when, and notes how long it took."""
        at_s = time.monotonic()
        self._process.kill()
        self._process.wait()
        self.took_s = time.monotonic() - at_s
        return at_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def listen(ports: list[int]) -> None:
    """What such a process does: accepts, and is silent."""
    import selectors

    selector = selectors.DefaultSelector()
    for host in sys.stdin.read().split():
        for port in ports:
            listener = socket.create_server((host, port), backlog=64)
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    kept: list[socket.socket] = []
    while True:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            with suppress(OSError):
                kept.append(key.fileobj.accept()[0])


def configure(folder: Path, victims: list[str], alive: list[str], threshold: str, n: int) -> Path:
    for name, hosts in (("dying", victims), ("living", alive)):
        (folder / name).write_text("".join(f"{{'host': '{host}'}}\n" for host in hosts))
    services = [(f"dying-{i}", "dying", PORT + i, i + 1) for i in range(n)]
    services.append(("living", "living", PORT, 250))
    text = GLOBAL + "".join(
        SERVICE.format(
            name=name, high=0, low=low, port=port, folder=folder, pool=pool, threshold=threshold
        )
        for name, pool, port, low in services
    )
    path = folder / "pybal.conf"
    path.write_text(text)
    return path


def daemon(config: Path, *, dry: bool, debug: bool = False) -> Director:
    options = ["-n"] if dry else ["-d"] if debug else []
    least_ms = LEAST_TURN_MS if dry else LONG_MS
    command = [sys.executable, "-m", "bench.turns", str(least_ms), *options, "-c", str(config)]
    return Director(command)


def connections(pid: int) -> int:
    """How many sockets a process has, about."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def wait_for_connections(director: Director, count: int) -> None:
    deadline = time.monotonic() + 120
    while connections(director.pid) < count:
        time.sleep(0.5)
        if time.monotonic() > deadline:
            raise TimeoutError("\n".join(line for _, line in director.lines[-20:]))


def wait_for_rest(
    director: Director, least_s: float = 2.0, most_s: float = 60.0, *, rest_cpu_s: float = 0.1
) -> None:
    """Until it has used less CPU than that for REST_S, or for so long."""
    deadline = time.monotonic() + most_s
    time.sleep(least_s)
    while time.monotonic() < deadline:
        used_s = director.cpu_s()
        time.sleep(REST_S)
        if director.cpu_s() - used_s < rest_cpu_s:
            return


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one death: seconds until the last one was out; CPU a server in milliseconds, until the
    daemon had come to rest and from the first removal to the last; the longest turn, and how much
    processor time the one took that took most of that, in milliseconds."""

    last_out_s: float
    until_rest_ms: float
    until_out_ms: float
    longest_ms: float
    worked_ms: float


def measure(options: argparse.Namespace, count: int) -> Measured:
    """One size, PyBal."""
    hosts = addresses(count // options.services, 20)
    alive = addresses(max(3, len(hosts) // 5), 21)
    ports = [PORT + n for n in range(options.services)]
    with (
        tempfile.TemporaryDirectory() as name,
        Servers(hosts, ports) as victims,
        Servers(alive, [PORT]),
    ):
        config = configure(Path(name), hosts, alive, options.threshold, options.services)
        with daemon(config, dry=not options.kernel, debug=options.log) as director:
            wait_for_connections(director, len(hosts) * len(ports) + len(alive))
            # Connections that lasted less are closed by a server that is at fault, perhaps: they
            # are not reconnected to at once.
            wait_for_rest(director, STEADY_S)
            # The start is over for the garbage collector, too.
            time.sleep(max(0.0, director.started_at_s + SETTLED_AFTER_S + 1 - time.monotonic()))
            since, cpu_s = len(director.lines), director.cpu_s()
            killed_s = victims.kill()
            if options.flap:
                time.sleep(1)
                victims.start()
                time.sleep(1.5)
                killed_s = victims.kill()
            watched = watch(killed_s) if options.kernel else ""
            # Servers that are down are tried ever less often: by then each has been tried as often,
            # however many they are.
            wait_for_rest(director, rest_cpu_s=REST_CPU_S + REST_CPU_EACH_S * count)
            cpu_s = director.cpu_s() - cpu_s
            lines = director.lines[since:]
            if options.log:
                print(*(f"{at_s - killed_s:.3f} {line}" for at_s, line in lines), sep="\n")
            found = show(options, len(hosts) * len(ports), cpu_s, killed_s, lines, victims.took_s)
            if watched:
                _, most_mib = director.memory()
                print(f"    the kernel's table: {watched}; {most_mib:.0f} MiB")
    return found


def show(
    options: argparse.Namespace,
    count: int,
    cpu_s: float,
    killed_s: float,
    lines: list[tuple[float, str]],
    took_s: float,
) -> Measured:
    gone = [(at_s - killed_s, line.split()) for at_s, line in lines if line.startswith("GONE")]
    removed = sum(int(words[1]) for _, words in gone)
    turns = [float(line.split()[1]) for _, line in lines if line.startswith("TURN")]
    worked = [float(line.split()[2]) for _, line in lines if line.startswith("TURN")]
    after = [moment for moment, _ in gone if moment > 0]
    times = f"first {min(after):.3f}, last {max(after):.3f} s" if after else "none"
    # From the first line that tells of them to the last.
    until_out_ms = (float(gone[-1][1][2]) - float(gone[0][1][2])) * 1e3 if gone else 0.0
    tried = int(gone[-1][1][3]) - int(gone[0][1][3]) if gone else 0
    removals = (
        f" {removed} removed: {times}; {until_out_ms / count:.3f} ms of CPU a server"
        f" from the first to the last, tried {tried / count:.1f} times;"
    )
    long, long_worked = (sum(turn > LONG_MS for turn in each) for each in (turns, worked))
    print(
        f"{count} servers in {options.services} services, threshold {options.threshold}"
        f"{', flap' if options.flap else ''}, dead after {took_s:.3f} s:"
        # On the kernel's table the daemon is not asked: watch() tells.
        f"{'' if options.kernel else removals} {cpu_s * 1e3 / count:.3f} ms until it rests;"
        f" longest turn {max(turns, default=0):.0f} ms ({long} over {LONG_MS}),"
        f" of processor time {max(worked, default=0):.0f} ms ({long_worked} over);"
        f" {len(lines)} lines; {load_average()}",
        flush=True,
    )
    return Measured(
        max(after, default=0.0),
        cpu_s * 1e3 / count,
        until_out_ms / count,
        max(turns, default=0.0),
        max(worked, default=0.0),
    )


def show_medians(found: Mapping[int, list[Measured]]) -> None:
    """What stands of many runs."""
    for count, runs in found.items():
        shown = []
        for field in fields(Measured):
            values = sorted(getattr(run, field.name) for run in runs)
            middle = statistics.median(values)
            shown.append(f"{field.name} {middle:.3g} ({values[0]:.3g} to {values[-1]:.3g})")
        print(f"{count} servers, {len(runs)} times:", ", ".join(shown))


# -- on the kernel's own table -----------------------------------------------------------------


def watch(killed_s: float, limit_s: float = 60.0) -> str:
    """Follows the large service in the kernel's table until it is empty; both daemons alike."""
    most = standing()
    first = last = None
    while time.monotonic() < killed_s + limit_s:
        now = standing()
        if now < most and first is None:
            first = time.monotonic() - killed_s
        if now == 0:
            last = time.monotonic() - killed_s
            break
        time.sleep(0.1)
    if first is None:
        return f"none of {most} gone after {limit_s:.0f} s"
    rest = f"{now} left after {limit_s:.0f} s" if last is None else f"all gone after {last:.2f}"
    return f"the first of {most} was seen to be gone after {first:.2f} s, {rest}"


def standing() -> int:
    """How many servers the services that die have in the kernel. It is asked while the daemon
    works, on the same processor, so by counting."""
    services = re.split(rb"\n(?=TCP|UDP|FWM)", TABLE.read_bytes())[1:]
    return sum(each.count(b"\n  ->") for each in services if not each.startswith(b"TCP  0A1E00FA"))


@contextmanager
def keepalived(folder: Path, hosts: list[str], retry: str) -> Iterator[int]:
    text = KEEPALIVED.format(port=PORT) + "".join(
        KEEPALIVED_SERVER.format(address=host, port=PORT, retry=retry) for host in hosts
    )
    config = folder / "keepalived.conf"
    config.write_text(text + "}\n")
    command = ["keepalived", "-n", "-C", "-f", str(config), "-p", str(folder / "pid"),
               "-c", str(folder / "checkers.pid")]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def beside(count: int, retry: str, words: str) -> None:
    """The same death under keepalived."""
    hosts = addresses(count, 20)
    with tempfile.TemporaryDirectory() as name, Servers(hosts, [PORT]) as victims:
        subprocess.run(["ipvsadm", "-C"], check=False)
        with keepalived(Path(name), hosts, retry):
            deadline = time.monotonic() + 120
            while standing() < count and time.monotonic() < deadline:
                time.sleep(0.5)
            time.sleep(5)
            print(f"    keepalived {words}:", watch(victims.kill()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", default="500,1000,2000,4000,8000")
    parser.add_argument("--threshold", default="0")
    parser.add_argument("--services", type=int, default=1)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--flap", action="store_true")
    parser.add_argument("--kernel", action="store_true")
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--listen", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.listen:
        listen([int(port) for port in options.listen.split(",")])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if options.kernel and "PYBAL_IN_VM" not in os.environ:
        raise SystemExit("the kernel's table is changed in the virtual machine alone: scripts/vm")
    found: dict[int, list[Measured]] = {int(count): [] for count in options.servers.split(",")}
    for _ in range(options.times):
        for count, runs in found.items():
            runs.append(measure(options, count))
            if options.kernel and shutil.which("keepalived"):
                beside(count, "retry 0", "with retry 0")
                beside(count, "", "by default")
    if options.times > 1:
        show_medians(found)


if __name__ == "__main__":
    main()
