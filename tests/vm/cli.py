"""scripts/vm: run a command as root on a kernel with IPVS."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.vm import engines, guest, machine, packages
from tests.vm.cache import cache_folder, key_of
from tests.vm.errors import RigError

REPOSITORY = Path(__file__).parents[2]
RIG_FAILED = 125
_PROBE_TIMEOUT_S = 60


def main() -> int:
    """The entry point; returns the exit status."""
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        if options.setup:
            set_up(options.engine)
        if not options.command:
            return 0
        engine = _pick(options.engine)
        job = machine.Job(
            options.command, REPOSITORY, os.environ, options.timeout, options.memory, options.share
        )
        status = machine.run(engine, job)
        if status == machine.TIMED_OUT:
            _say(f"ended by its time limit of {options.timeout:g} s, or with status 124")
        return status
    except (RigError, OSError, subprocess.SubprocessError) as error:
        _say(str(error))
        return RIG_FAILED
    except KeyboardInterrupt:
        return 130


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/vm",
        description="Run COMMAND as root in a small virtual machine whose kernel has IPVS. "
        "It sees this machine's files; what it changes is gone afterwards.",
        epilog=f"Exit status: the command's; {machine.TIMED_OUT} when its time was up, "
        f"{RIG_FAILED} when the machine failed.",
    )
    parser.add_argument("--setup", action="store_true", help="install the Debian packages first")
    parser.add_argument(
        "--engine",
        choices=["auto", *engines.NAMES],
        default=os.environ.get("PYBAL_VM_ENGINE", "auto"),
        help="default: $PYBAL_VM_ENGINE, or auto: uml if it starts here, else qemu",
    )
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS")
    parser.add_argument("--memory", type=int, default=1024, metavar="MB")
    parser.add_argument(
        "--share",
        type=Path,
        metavar="DIR",
        help="a folder the command may write to ($PYBAL_VM_SHARE), same path inside and out",
    )
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="after --")
    options = parser.parse_args()
    if not options.command and not options.setup:
        parser.error("no COMMAND; for example: scripts/vm -- ipvsadm -Ln")
    return options


def set_up(engine: str) -> None:
    """Install what `engine` needs; for auto QEMU's part only if User-Mode Linux does not boot."""
    packages.install(packages.missing("uml" if engine == "auto" else engine))
    if engine == "auto" and not _uml_boots():
        packages.install(packages.missing("qemu"))


def _pick(engine: str) -> str:
    if engine != "auto":
        return engine
    if packages.missing("uml") and not packages.missing("qemu"):
        return "qemu"
    packages.require("uml")
    return "uml" if _uml_boots() else "qemu"


def _uml_boots() -> bool:
    """Whether User-Mode Linux works on this machine; found out once, then remembered."""
    made_of = key_of(*sorted(guest.HERE.glob("*.sh")), guest.HERE / "ptrace_shim.c")
    finding = cache_folder() / f"uml-boots-{key_of(made_of, str(os.uname()))}"
    if not finding.exists():
        job = machine.Job(["true"], Path("/"), {}, _PROBE_TIMEOUT_S)
        try:
            works = machine.run("uml", job) == 0
        except RigError as error:
            _say(str(error))
            works = False
        finding.write_text("yes" if works else "no")
    return finding.read_text() == "yes"


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(f"scripts/vm: {text}", file=sys.stderr)
