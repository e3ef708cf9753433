"""Who plays in the demo: the web servers, pybal, and a client that never stops asking."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.stage import Host, IPAddress, Stage

PORT = 80
INSTRUMENTATION_PORT = 9090
SERVICES = ("web_80", "web6_80")

_NGINX = """
daemon off;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 80; listen [::]:80;
        location / {{ return 200 "{name}\\n"; }}
    }}
}}
"""

_PYBAL = """
[global]
instrumentation = yes
control-socket = {folder}/control.sock
state-directory = {folder}/state
bgp = yes
# A router keeps the routes of a director that was killed: its kernel goes on forwarding.
bgp-graceful-restart = yes
bgp-local-asn = 64600
bgp-peer-address = {router}
bgp-nexthop-ipv4 = {host.ipv4}
bgp-nexthop-ipv6 = {host.ipv6}
bgp-med = {med}
bgp-connect-retry = 1

# Direct routing: the answer goes from the real server straight to the client.
[web_80]
protocol = tcp
ip = {vip4}
port = 80
scheduler = rr
config = file://{folder}/pool
depool-threshold = .5
monitors = [ "ProxyFetch", "IdleConnection" ]
proxyfetch.url = "http://www.example.org/"
proxyfetch.interval = 2
proxyfetch.timeout = 2
idleconnection.max-delay = 2

# The same servers over IPv6, reached through IPIP tunnels.
[web6_80]
protocol = tcp
ip = {vip6}
port = 80
scheduler = rr
tunneling = true
config = file://{folder}/pool
depool-threshold = .5
monitors = [ "ProxyFetch", "IdleConnection" ]
proxyfetch.url = "http://www.example.org/"
proxyfetch.interval = 2
proxyfetch.timeout = 2
idleconnection.max-delay = 2
"""


class WebServer:
    """nginx in a real server's namespace; it answers with that server's name."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self._folder = folder / host.name
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start nginx."""
        self._folder.mkdir(exist_ok=True)
        config = self._folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=self._folder, name=self.host.name))
        error_log = str(self._folder / "error.log")
        self._process = subprocess.Popen(
            self.host.wrap("nginx", "-e", error_log, "-c", str(config)), start_new_session=True
        )

    def kill(self) -> None:
        """Kill nginx, master and workers, as a crash does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class PyBal:
    """The daemon in a director's namespace, its log in a file; `med` is for the router to choose
    by, the lowest first."""

    def __init__(self, stage: Stage, host: Host, folder: Path, *, med: int) -> None:
        self.host = host
        self.name = host.name
        self._stage = stage
        self._folder = folder / host.name
        self._med = med
        self._process: subprocess.Popen[bytes] | None = None
        self._told: dict[str, int] = {}

    @property
    def log(self) -> str:
        """All that it has logged."""
        path = self._folder / "pybal.log"
        return path.read_text() if path.exists() else ""

    def new_log_lines(self, word: str) -> str:
        """The lines since the last call that contain `word`."""
        log = self.log
        new = log[self._told.get(word, 0) :]
        self._told[word] = len(log)
        return "\n".join(line for line in new.splitlines() if word in line)

    def start(self) -> None:
        """Write pybal.conf and the pool, and start the daemon."""
        vip4, vip6 = self._stage.vips
        router = self._stage.router.ipv4 if self._stage.router else None
        self._folder.mkdir(exist_ok=True)
        config = self._folder / "pybal.conf"
        values = {"vip4": vip4, "vip6": vip6, "router": router, "med": self._med}
        config.write_text(_PYBAL.format(**values, host=self.host, folder=self._folder))
        pool = [
            f"{{ 'host': '{r.name}', 'weight': 10, 'enabled': True }}\n" for r in self._stage.reals
        ]
        (self._folder / "pool").write_text("".join(pool))
        with (self._folder / "pybal.log").open("a") as log:
            self._process = subprocess.Popen(
                self.host.wrap(sys.executable, "-m", "pybal", "-c", str(config)),
                stderr=log,
                env=self._environment(),
            )

    def _environment(self) -> dict[str, str]:
        # To compile everything at each start takes seconds in the virtual machine.
        environment = dict(os.environ, PYTHONPYCACHEPREFIX=str(self._folder.parent / "pycache"))
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return environment

    def is_running(self) -> bool:
        """Whether the process lives, or was stopped by us."""
        return self._process is None or self._process.poll() is None

    def stop(self) -> int:
        """Stop it in order; its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self) -> None:
        """SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def edit(self, before: str, after: str) -> None:
        """Change pybal.conf, which a start writes anew."""
        config = self._folder / "pybal.conf"
        text = config.read_text()
        if before not in text:
            raise AssertionError(f"{config} has no {before!r}")
        config.write_text(text.replace(before, after))

    def ctl(self, *command: str) -> tuple[int, str]:
        """Run pybalctl: its exit status, and all that it says."""
        socket_path = str(self._folder / "control.sock")
        done = subprocess.run(
            self.host.wrap(sys.executable, "-m", "pybal.ctl", "--socket", socket_path, *command),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            env=self._environment(),
        )  # fmt: skip
        return done.returncode, done.stdout

    def get(self, path: str, accept: str = "text/plain") -> Answer:
        """Ask its instrumentation; OSError if that does not answer."""
        with self.host.inside():
            connection = http.client.HTTPConnection("127.0.0.1", INSTRUMENTATION_PORT, timeout=5)
            connection.connect()
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Accept": accept})
            answer = connection.getresponse()
            content_type = answer.headers.get("Content-Type", "text/plain")
            return Answer(answer.status, content_type, answer.read().decode())


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    content_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the client: when it began (monotonic), who answered, or what went wrong."""

    at: float
    server: str
    error: str


class Traffic:
    """The client asks all VIPs in turn, all the time, a new connection for each request."""

    def __init__(self, stage: Stage, pause_s: float = 0.02) -> None:
        self._stage = stage
        self._pause_s = pause_s
        self._requests: list[Request] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(10)

    def since(self, moment: float) -> list[Request]:
        """The finished requests that began at `moment` or later."""
        return [request for request in self._requests[:] if request.at >= moment]

    def _run(self) -> None:
        for vip in itertools.cycle(self._stage.vips):
            if self._stopping.wait(self._pause_s):
                return
            at = time.monotonic()
            try:
                self._requests.append(Request(at, self._fetch(vip), ""))
            except (OSError, http.client.HTTPException) as error:
                self._requests.append(Request(at, "", f"{vip}: {error or type(error).__name__}"))

    def _fetch(self, vip: IPAddress) -> str:
        family = socket.AF_INET if vip.version == 4 else socket.AF_INET6
        connection = http.client.HTTPConnection(str(vip), PORT)
        with self._stage.client.inside():
            connection.sock = socket.socket(family, socket.SOCK_STREAM)
        with contextlib.closing(connection):
            connection.sock.settimeout(3)
            connection.sock.connect((str(vip), PORT))
            connection.request("GET", "/", headers={"Host": "www.example.org"})
            answer = connection.getresponse()
            body = answer.read().decode().strip()
            if answer.status != 200:
                raise http.client.HTTPException(f"status {answer.status}")
            return body
