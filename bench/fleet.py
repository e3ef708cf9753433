"""A whole site on one machine: real servers in one network namespace, the real daemon (dry run)
in another, and a cable between them that can be cut.

The largest shape is the largest real director's: 116 services, 440 hosts, 11,600 monitors, of
which 600 are ProxyFetch (half of them HTTPS), and one pool of 240 servers that 44 services share.
`scale` shrinks all of it. Root, iproute2.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.namespace import Namespace

NETWORK = "10.20.0.0/16"
MOST_A_PROCESS = 6000
MORTALS = 100
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Pool:
    """One service, with its hosts by number."""

    name: str
    port: int
    hosts: tuple[int, ...]
    idle: bool
    fetch: str
    pool_file: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a site consists of."""

    pools: tuple[Pool, ...]

    @property
    def monitors(self) -> int:
        """How many monitors run against it."""
        return sum(len(pool.hosts) * (pool.idle + bool(pool.fetch)) for pool in self.pools)

    @property
    def hosts(self) -> set[int]:
        """All hosts' numbers."""
        return {host for pool in self.pools for host in pool.hosts}

    @property
    def mortals(self) -> list[tuple[str, int]]:
        """Address and port of the servers that are processes of their own: a few of each service
        that has no ProxyFetch, of one host after the other."""
        pools = [pool for pool in self.pools if not pool.fetch]
        numbers = range(min(MORTALS, len(pools) * len(pools[0].hosts)))
        return [
            (address(pools[n % len(pools)].hosts[n // len(pools)]), pools[n % len(pools)].port)
            for n in numbers
        ]

    def listeners(self) -> list[tuple[str, int, str]]:
        """For bench.servers."""
        mortals = set(self.mortals)
        return [
            (where, pool.port, "mortal" if (where, pool.port) in mortals else pool.fetch or "idle")
            for pool in self.pools
            for where in map(address, pool.hosts)
        ]


def address(host: int) -> str:
    """Of the host with that number."""
    return f"10.20.{host // 250}.{host % 250 + 1}"


def name(host: int) -> str:
    """Of the host with that number, as in its pool list."""
    return f"h{host}.example"


def largest(scale: float = 1.0) -> Shape:
    """The largest real director's shape, or a part of it."""
    shared = tuple(range(max(4, round(240 * scale))))
    services = max(2, round(44 * min(1.0, scale * 4)))
    pools = [
        Pool(f"shared-{n}_{8000 + n}", 8000 + n, shared, True, "", "shared")
        for n in range(services)
    ]
    others = max(2, round(60 * scale))
    for n in range(others):
        # 200 hosts of their own, ten to a service.
        hosts = tuple(len(shared) + (n * 10 + i) % max(10, round(200 * scale)) for i in range(10))
        fetch = "https" if n % 2 else "http"
        pool_name = f"web-{n}_{9000 + n}"
        pools.append(Pool(pool_name, 9000 + n, hosts, n < others * 0.74, fetch, pool_name))
    return Shape(tuple(pools))


def pool_text(hosts: Sequence[int], weights: Mapping[int, int]) -> str:
    """A pool list; the weight is 10 unless another is given."""
    entries = {name(h): {"enabled": True, "weight": weights.get(h, 10)} for h in hosts}
    return json.dumps(entries)


def config(shape: Shape, folder: Path, threshold: str) -> str:
    """A pybal.conf."""
    lines = ["[global]", "instrumentation = yes", "instrumentation_ips = ['127.0.0.1']",
             "state-directory = none"]  # fmt: skip
    for number, pool in enumerate(shape.pools):
        monitors = ["IdleConnection"] * pool.idle + ["ProxyFetch"] * bool(pool.fetch)
        lines += [
            f"[{pool.name}]",
            "protocol = tcp",
            f"ip = 10.30.{number // 250}.{number % 250 + 1}",
            f"port = {pool.port}",
            "scheduler = wrr",
            f"config = file://{folder}/{pool.pool_file}.json",
            f"depool-threshold = {threshold}",
            f"monitors = {monitors}",
        ]
        if pool.fetch:
            lines.append(f"proxyfetch.url = ['{pool.fetch}://site.example/health']")
    return "\n".join(lines) + "\n"


class Switch:
    """The servers' processes, and the switch of all servers. Two descriptors a server, and no more
    than the usual hard limit of 20,000 a process."""

    def __init__(
        self, wrap: Callable[..., list[str]], folder: Path, shape: list[tuple[str, int, str]]
    ) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        self._owner: dict[tuple[str, int], subprocess.Popen[str]] = {}
        for start in range(0, len(shape), MOST_A_PROCESS):
            part = shape[start : start + MOST_A_PROCESS]
            path = folder / f"servers-{start}.json"
            path.write_text(json.dumps(part))
            process = subprocess.Popen(
                wrap(sys.executable, "-m", "bench.servers", str(path)),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._processes.append(process)
            self._owner |= {(server, port): process for server, port, _ in part}
        for process in self._processes:
            assert _read(process) == "ready"

    def tell(self, verb: str, server: str, port: int, *rest: object) -> float:
        """Have a command obeyed; the moment at which it was."""
        return float(_ask(self._owner[server, port], verb, server, port, *rest))

    def counts(self) -> tuple[int, int, int]:
        """Connections now, ever, and the most begun in one second since the last time."""
        answers = [_ask(process, "counts").split() for process in self._processes]
        now, ever, most = (sum(int(answer[n]) for answer in answers) for n in range(3))
        return now, ever, most

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


def _ask(process: subprocess.Popen[str], *words: object) -> str:
    assert process.stdin is not None
    process.stdin.write(" ".join(map(str, words)) + "\n")
    process.stdin.flush()
    return _read(process)


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class Director:
    """The real daemon in dry run, each line of its log with the moment at which it came."""

    def __init__(self, command: list[str]) -> None:
        self.started_at_s = time.monotonic()
        self._process = subprocess.Popen(
            command, cwd=ROOT, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        self.lines: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)

    def stop(self, limit_s: float) -> tuple[int | None, float]:
        """SIGTERM, and what came of it: the exit status, and the processor time of its whole life.
        None where it had to be killed."""
        self._process.terminate()
        usage: list[float] = []

        def reap() -> None:
            _, status, used = os.wait4(self.pid, 0)
            usage.append(used.ru_utime + used.ru_stime)
            self._process.returncode = os.waitstatus_to_exitcode(status)

        waiting = threading.Thread(target=reap, daemon=True)
        waiting.start()
        waiting.join(limit_s)
        status = self._process.returncode
        if status is None:
            os.kill(self.pid, signal.SIGKILL)
            waiting.join()
        self._reader.join(5)
        return status, usage[0]

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def waited_s(self) -> float:
        """How long its main thread was ready to run, and others had the processors."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9

    def memory(self) -> tuple[float, float]:
        """Resident memory now and at its most, MiB."""
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines()
        )
        return tuple(int(status[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def matching(self, text: str, since: int = 0) -> list[tuple[float, str]]:
        """The log lines that hold the text."""
        return [(at_s, line) for at_s, line in self.lines[since:] if text in line]

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append((time.monotonic(), line.rstrip()))


class Site:
    """All of it, running. Use `with running(shape) as site`."""

    def __init__(self, shape: Shape, folder: Path, ours: Namespace, theirs: Namespace) -> None:
        self.shape = shape
        self.folder = folder
        self.program: tuple[str, ...] = ("-m", "pybal")
        self._ours, self._theirs = ours, theirs
        for pool in shape.pools:
            self.write_pool(pool.pool_file, pool.hosts)
        self.switch = Switch(theirs.wrap, folder, shape.listeners())

    def write_pool(
        self, pool_file: str, hosts: Sequence[int], weights: Mapping[int, int] | None = None
    ) -> None:
        """Put a pool list in place, whole."""
        new = self.folder / "new"
        new.write_text(pool_text(hosts, weights or {}))
        new.rename(self.folder / f"{pool_file}.json")

    def director(self, threshold: str = "0", *, options: str = "") -> Director:
        """Start the daemon; end it with `with`."""
        path = self.folder / "pybal.conf"
        text = config(self.shape, self.folder, threshold)
        path.write_text(text.replace("[global]", f"[global]\n{options}", 1))
        command = [sys.executable, *self.program, "-n", "-c", str(path)]
        return Director(["nsenter", f"--net=/var/run/netns/{self._ours.name}", "--",
                         *self._with_names(command)])  # fmt: skip

    def get(self, path: str, accept: str = "*/*") -> str:
        """What the daemon answers."""
        command = ["curl", "-sSf", "-m", "60", "-H", f"Accept: {accept}", f"127.0.0.1:9090{path}"]
        return subprocess.run(
            self._ours.wrap(*command), check=True, capture_output=True, text=True
        ).stdout

    def metric(self, wanted: str) -> float:
        """The value of the one series, or the sum of all series, of that name."""
        values = [
            float(line.rsplit(" ", 1)[1])
            for line in self.get("/metrics").splitlines()
            if line.startswith((wanted + " ", wanted + "{"))
        ]
        return sum(values)

    def cut(self) -> None:
        """From now on what the director sends vanishes without a word."""
        self._theirs.ip("route", "del", "local", NETWORK, "dev", "lo")

    def mend(self) -> None:
        """Undo cut()."""
        self._theirs.ip("route", "add", "local", NETWORK, "dev", "lo")

    def _with_names(self, command: list[str]) -> list[str]:
        # Not `ip netns exec`, which stays as the parent: the process is to be the daemon itself.
        hosts = f"/etc/netns/{self._ours.name}/hosts"
        script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
        return ["unshare", "--mount", "--", "sh", "-c", script, "sh", *command]


@contextmanager
def running(shape: Shape) -> Iterator[Site]:
    """Two namespaces, and the servers in one of them."""
    hosts: dict[str, tuple[str, ...]] = {name(h): (address(h),) for h in sorted(shape.hosts)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(Namespace(hosts))
        theirs = stack.enter_context(Namespace())
        ours.ip("link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", theirs.name)
        for space, own in ((ours, "10.10.0.1/24"), (theirs, "10.10.0.2/24")):
            space.ip("address", "add", own, "dev", "v0")
            space.ip("link", "set", "v0", "up")
        ours.ip("route", "add", NETWORK, "via", "10.10.0.2")
        theirs.ip("route", "add", "local", NETWORK, "dev", "lo")
        site = Site(shape, folder, ours, theirs)
        stack.callback(site.switch.close)
        yield site


def wait_for_first_results(site: Site, limit_s: float = 120.0) -> float:
    """Until every monitor has spoken; the moment when that was seen. Each answer costs the daemon
    a tenth of a second, so it is asked again when half of those that are left may have spoken."""
    began_s, wait_s = time.monotonic(), 0.5
    while (past_s := time.monotonic() - began_s) < limit_s:
        time.sleep(wait_s)
        try:
            text = site.get("/metrics")
        except subprocess.CalledProcessError:
            continue
        spoken = text.count("\npybal_monitor_status{")
        if spoken >= site.shape.monitors:
            return time.monotonic()
        wait_s = past_s * (site.shape.monitors - spoken) / (2 * spoken + 1)
        wait_s = min(2.0, max(0.5, wait_s))
    raise TimeoutError("not all monitors have spoken")


def load_average() -> str:
    """How busy the machine is with other things: it is part of every number."""
    return "load " + " ".join(f"{load:.2f}" for load in os.getloadavg())
