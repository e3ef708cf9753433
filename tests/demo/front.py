"""scripts/demo: sets all up, runs the play where there is a kernel with IPVS, opens the window."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.demo.narrator import Narrator
from tests.demo.window import Outside
from tests.vm.cache import cache_folder

REPOSITORY = Path(__file__).parents[2]
_ONCE_TIMEOUT_S = 600
_OPEN_TIMEOUT_S = 7 * 24 * 3600


def main() -> int:
    """The entry point; returns the exit status."""
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    narrator = Narrator(colour=colour)
    try:
        if subprocess.run([REPOSITORY / "scripts/setup", "demo"], check=False).returncode != 0:
            return 1
        return _show(options, narrator, colour=colour)
    except KeyboardInterrupt:
        return 130


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _show(options: argparse.Namespace, narrator: Narrator, *, colour: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="pybal-demo-") as name:
        window = Path(name)
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        if colour:
            environment["PYBAL_DEMO_COLOUR"] = "1"
        command = _command(options, window, narrator)
        outside = Outside(window)
        outside.start()
        # In a session of its own: Ctrl-C is for us, and we end the play in order.
        play = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            return _attend(play, window, outside, narrator, once=options.once)
        finally:
            _end(play)
            outside.stop()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Shows PyBal's main job on a real IPVS kernel, with real web servers.",
    )
    parser.add_argument(
        "--once", action="store_true", help="run through; exit 0 only if all of it was observed"
    )
    parser.add_argument("--vm", action="store_true", help="the virtual machine, in any case")
    return parser.parse_args()


def _command(options: argparse.Namespace, window: Path, narrator: Narrator) -> list[str]:
    """The play, on this kernel or in the virtual machine."""
    python = str(cache_folder().parent / "system/bin/python")
    play = [python, "-m", "tests.demo.play", str(window)]
    if not options.vm and _host_has_ipvs():
        narrator.tell("This machine's kernel has IPVS: all happens in namespaces of its own.")
        return play
    narrator.tell("A virtual machine starts, for a kernel with IPVS.")
    timeout_s = _ONCE_TIMEOUT_S if options.once else _OPEN_TIMEOUT_S
    rig = [str(REPOSITORY / "scripts/vm"), "--timeout", str(timeout_s), "--share", str(window)]
    return [*rig, "--", *play]


def _host_has_ipvs() -> bool:
    """Whether this kernel will do; loads the module if there is one."""
    if os.geteuid() != 0:
        return False
    modprobe = shutil.which("modprobe")
    if not Path("/proc/net/ip_vs").exists() and modprobe is not None:
        subprocess.run([modprobe, "-q", "ip_vs"], check=False, stderr=subprocess.DEVNULL)
    return Path("/proc/net/ip_vs").exists()


def _attend(
    play: subprocess.Popen[bytes], window: Path, outside: Outside, say: Narrator, *, once: bool
) -> int:
    """Wait for the play's end; in between, once all is shown, the window is open."""
    while play.poll() is None and not (window / "ready").exists():
        time.sleep(0.1)
    seen = play.poll() is None and _look_through(outside, say)
    if seen and not once:
        _leave_open(outside, say, play)
    (window / "stop").touch()
    status = play.wait(60)
    if status == 0 and seen:
        say.tell("")
        say.tell("All of it was observed." if once else "Good-bye.")
    return status if seen else status or 1


def _look_through(outside: Outside, say: Narrator) -> bool:
    """See with our own eyes that the instrumentation is reachable from here."""
    url = f"{outside.url}/pools"
    try:
        with urllib.request.urlopen(url, timeout=15) as answer:  # noqa: S310 - loopback
            pools = answer.read().decode()
    except OSError as error:
        say.bad(f"{url}: {error}")
        return False
    say.good(f"pybal's instrumentation is reachable at {outside.url}:")
    say.command(f"curl {url}", pools)
    return _has_page(outside, say)


def _has_page(outside: Outside, say: Narrator) -> bool:
    url = f"{outside.url}/status"
    request = urllib.request.Request(url, headers={"Accept": "text/html"})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310 - loopback
            page = answer.read().decode()
    except OSError as error:
        say.bad(f"{url}: {error}")
        return False
    if "<html" not in page or "web_80" not in page:
        say.bad(f"{url} is no page of the services")
        return False
    say.good(f"the page of it, for a browser: {url} ({len(page)} characters)")
    return True


def _leave_open(outside: Outside, say: Narrator, play: subprocess.Popen[bytes]) -> None:
    for path in ("/status", "/alerts", "/pools/web_80", "/metrics", "/api/v1/services/web_80"):
        say.tell(f"{outside.url}{path}")
    say.tell("Everything goes on running; Ctrl-C ends it.")
    with contextlib.suppress(KeyboardInterrupt):
        play.wait()


def _end(play: subprocess.Popen[bytes]) -> None:
    """The play should have ended by itself; if not, it is told to, then made to."""
    if play.poll() is not None:
        return
    play.terminate()
    try:
        play.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(play.pid, signal.SIGKILL)
        play.wait()
