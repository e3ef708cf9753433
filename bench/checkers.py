"""Processor time of checks: PyBal's TCPCheck or ProxyFetch beside HAProxy's and keepalived's
counterparts, against the same real servers, one after another in one run.

    python -m bench.checkers [--haproxy /usr/sbin/haproxy] [--check tcp|http|https] [--reversed]
    scripts/vm -- PYTHON -m bench.checkers      # with keepalived, which needs IPVS

Each checks --servers 100 once a second for --seconds 20; the checks are counted by the servers
(those by TCP alone are reckoned).
Prints seconds of processor time (the daemon and its children) per 1,000 checks, and ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.fleet import ROOT, Switch

PORT = 18080
WARM_UP_S = 5.0

PYBAL = """
[global]
instrumentation = no
control-socket = no
state-directory = none
[bench_80]
protocol = tcp
ip = 10.30.0.1
port = {port}
scheduler = rr
config = file://{folder}/pool
"""
FETCH = """
monitors = ['ProxyFetch']
proxyfetch.url = ['{scheme}://site.example/health']
proxyfetch.interval = 1
"""
CONNECT = """
monitors = ['TCPCheck']
tcpcheck.interval = 1
"""

HAPROXY = """
global
    nbthread 1
    maxconn 5000
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    timeout check 5s
frontend nobody
    bind 127.0.0.1:18999
    default_backend bench
backend bench
    {check}
    default-server check inter 1s {tls}
"""
HTTPCHK = """
    option httpchk
    http-check send meth GET uri /health ver HTTP/1.1 hdr Host site.example
    http-check expect status 200
"""

KEEPALIVED = """
global_defs {{
    checker_log_all_failures
}}
virtual_server 10.30.0.1 {port} {{
    delay_loop 1
    lb_algo rr
    lb_kind DR
    protocol TCP
"""
REAL_SERVER = """
    real_server {address} {port} {{
        {check} {{
            connect_timeout 5
            {url}
        }}
    }}
"""
URL = """
            url {
                path /health
                status_code 200
            }
"""


def addresses(count: int) -> list[str]:
    return [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count)]


def pybal(folder: Path, options: argparse.Namespace) -> list[str]:
    (folder / "pool").write_text("".join(f"{{'host': '{a}'}}\n" for a in options.addresses))
    config = folder / "pybal.conf"
    monitor = CONNECT if options.check == "tcp" else FETCH.format(scheme=options.check)
    config.write_text(PYBAL.format(port=PORT, folder=folder) + monitor)
    return [sys.executable, "-m", "pybal", "-n", "-c", str(config)]


def haproxy(folder: Path, options: argparse.Namespace) -> list[str]:
    tls = "check-ssl verify none" if options.check == "https" else ""
    check = "" if options.check == "tcp" else HTTPCHK
    lines = [f"    server s{n} {a}:{PORT}\n" for n, a in enumerate(options.addresses)]
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(tls=tls, check=check) + "".join(lines))
    return [options.haproxy, "-db", "-f", str(config)]


def keepalived(folder: Path, options: argparse.Namespace) -> list[str]:
    check = {"tcp": "TCP_CHECK", "http": "HTTP_GET", "https": "SSL_GET"}[options.check]
    url = "" if options.check == "tcp" else URL
    servers = [
        REAL_SERVER.format(address=a, port=PORT, check=check, url=url) for a in options.addresses
    ]
    config = folder / "keepalived.conf"
    config.write_text(KEEPALIVED.format(port=PORT) + "".join(servers) + "}\n")
    return ["keepalived", "-n", "-C", "-f", str(config), "-p", str(folder / "pid"),
            "-c", str(folder / "checkers.pid")]  # fmt: skip


PEERS = {"pybal": pybal, "haproxy": haproxy, "keepalived": keepalived}


@contextmanager
def running(command: list[str], log: Path) -> Iterator[int]:
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(20)


def cpu_s(pid: int) -> float:
    """Of the process and its children, as far as they run."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    tasks = (task for one in (pid, *children) for task in Path(f"/proc/{one}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def measure(name: str, folder: Path, switch: Switch, options: argparse.Namespace) -> float:
    log = folder / f"{name}.log"
    with running(PEERS[name](folder, options), log) as pid:
        time.sleep(WARM_UP_S)
        before, used_s = switch.counts()[1], cpu_s(pid)
        time.sleep(options.seconds)
        checks, used_s = switch.counts()[1] - before, cpu_s(pid) - used_s
    if options.check == "tcp":
        # HAProxy resets such a connection before a server can accept it.
        checks = round(options.servers * options.seconds)
    if not checks:
        raise RuntimeError(f"{name} made no check:\n{log.read_text()[-2000:]}")
    cost_s = 1000 * used_s / checks
    print(f"{name:11} {checks:6} checks, {cost_s:.3f} s of CPU per 1,000", flush=True)
    return cost_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--haproxy", default="haproxy")
    parser.add_argument("--servers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--reversed", action="store_true", help="PyBal is measured last")
    parser.add_argument("--check", choices=("tcp", "http", "https"), default="http")
    options = parser.parse_args()
    options.addresses = addresses(options.servers)
    there = {"pybal": True, "haproxy": shutil.which(options.haproxy) is not None,
             "keepalived": "PYBAL_IN_VM" in os.environ}  # fmt: skip
    costs = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        kind = "idle" if options.check == "tcp" else options.check
        shape = [(address, PORT, kind) for address in options.addresses]
        switch = Switch(lambda *command: [*command], folder, shape)
        try:
            for name in reversed(PEERS) if options.reversed else PEERS:
                if there[name]:
                    costs[name] = measure(name, folder, switch, options)
                else:
                    print(f"{name}: not here")
        finally:
            switch.close()
    for name, cost_s in costs.items():
        if name != "pybal" and cost_s:
            print(f"pybal : {name} = {costs['pybal'] / cost_s:.2f}")
    print(json.dumps(costs))


if __name__ == "__main__":
    main()
