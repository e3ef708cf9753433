"""A small daemon: one service, one server, one monitor. What it costs, and how soon it checks.

    python -m bench.small [--times 3] [--real] [--monitor ProxyFetch] [FILE...]

Prints medians: seconds from exec to the server's first accept, CPU until then, and of this what a
bare Python takes that imports Twisted's reactor without TLS; MiB resident a second later (all, and
what is the process's own). Each run is the first of its daemon: what monitors remember of a run
before would put the first check off. A dry run, unless `--real` (root, a kernel with IPVS). Each
FILE has lines that are added to [global]. It takes fifteen seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_SETTLED_S = 1.0
_CONFIG = """\
[global]
state-directory = {folder}/state
control-socket = {folder}/control
{more}
[web]
protocol = tcp
ip = 127.0.0.9
port = {port}
scheduler = wrr
config = file://{folder}/pool
monitors = ["{monitor}"]
depool-threshold = .5
proxyfetch.url = ["http://localhost/"]
"""
_BARE = """\
from pybal.runtime.lean_imports import import_without
import_without("OpenSSL", "twisted.internet.posixbase")
import twisted.internet.reactor
"""
_POOL = "{'host': 'localhost', 'weight': 1, 'enabled': True}\n"


def measure(folder: Path, options: argparse.Namespace, more: str) -> dict[str, float]:
    """One run."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = folder / "pybal.conf"
        port = server.getsockname()[1]
        config.write_text(
            _CONFIG.format(folder=folder, port=port, monitor=options.monitor, more=more)
        )
        (folder / "pool").write_text(_POOL)
        # A list that was written right before might not be whole yet, and would be waited for.
        time.sleep(_SETTLED_S)
        (folder / "state").mkdir()
        command = [sys.executable, "-m", "pybal", "-c", str(config)]
        began_s = time.monotonic()
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(
                command if options.real else [*command, "--dryrun"], stderr=log, stdout=log
            ) as daemon,
        ):
            try:
                server.settimeout(30)
                connection, _ = server.accept()
                first_s = time.monotonic() - began_s
                cpu_s = _cpu_s(daemon.pid)
                time.sleep(_SETTLED_S)
                connection.close()
                memory = _memory(daemon.pid)
            finally:
                daemon.terminate()
    return {
        "first check, s": first_s,
        "CPU until then, s": cpu_s,
        "of which Python with Twisted's reactor": _bare_cpu_s(),
        **memory,
    }


def _bare_cpu_s() -> float:
    """What no daemon on Twisted can do without, on this machine as busy as it is now."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", _BARE], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    shown = {"VmRSS": "resident, MiB", "RssAnon": "its own, MiB", "VmHWM": "most, MiB"}
    return {words: int(values[name][0]) / 1024 for name, words in shown.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--monitor", default="IdleConnection")
    options = parser.parse_args()
    more = "".join(file.read_text() for file in options.files)
    with tempfile.TemporaryDirectory() as name:
        # As installed: with compiled modules, which the first run writes.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{name}/pyc"
        runs = [
            measure(Path(tempfile.mkdtemp(dir=name)), options, more)
            for _ in range(options.times + 1)
        ][1:]
    for each in runs[0]:
        print(f"{each}: {statistics.median(run[each] for run in runs):.2f}")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
