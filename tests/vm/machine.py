"""Runs one command in a fresh machine: prepares the control folder, carries the outputs,
keeps the time, cleans up."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.vm import engines, packages
from tests.vm.cache import cache_folder
from tests.vm.errors import RigError
from tests.vm.processors import one_of_its_own

TIMED_OUT = 124
_CONSOLE_TAIL_BYTES = 4096
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Job:
    """A command, where and how to run it. `share` is a folder of the host that the command
    may write to, under the same path; None gives it one that vanishes afterwards."""

    command: list[str]
    folder: Path
    environment: Mapping[str, str]
    timeout_s: float
    memory_mb: int = 1024
    share: Path | None = None


def run(engine: str, job: Job, stdout: int = 1, stderr: int = 2) -> int:
    """Run `job`, its outputs going to two file descriptors; returns its exit status.

    124 when the time was up. Raises RigError if the machine ended without a status.
    """
    packages.require(engine)
    with _control_folder() as control:
        share = job.share.resolve() if job.share is not None else control / "share"
        share.mkdir(parents=True, exist_ok=True)
        with _Outputs(stdout, stderr) as outputs:
            start = engines.start_of(
                engine, engines.Run(control, share, job.memory_mb, *outputs.inherited)
            )
            _write_control(control, share, engine, start.modules, job)
            with _processors(start) as processors:
                timed_out = _run_machine(start, control, outputs, job.timeout_s, processors)
        status = control / "status"
        if status.exists():
            return int(status.read_text())
        if timed_out:
            return TIMED_OUT
        raise RigError(f"the {engine} machine ended early; its console said:\n{outputs.console()}")


@contextlib.contextmanager
def _control_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pybal-vm-")).resolve()
    try:
        if any(c in str(folder) for c in " ,="):
            raise RigError(f"the path of the temporary folder {folder} needs plain characters")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_control(control: Path, share: Path, engine: str, modules: Path, job: Job) -> None:
    shutil.copy(_HERE / "stage2.sh", control / "stage2.sh")
    own_share = share if job.share is not None else ""
    values = {"rig_engine": engine, "rig_modules": modules, "rig_share": own_share}
    (control / "settings").write_text(
        "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())
    )
    environment = dict(job.environment, PYBAL_IN_VM="1", PYBAL_VM_SHARE=str(share))
    environment["PATH"] = environment.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    lines = [
        f"export {name}={shlex.quote(value)}"
        for name, value in environment.items()
        if name.isidentifier()  # exported shell functions have other names
    ]
    lines += [f"cd {shlex.quote(str(job.folder))} || exit 125", f"exec {shlex.join(job.command)}"]
    (control / "command.sh").write_text("\n".join(lines) + "\n")


def _processors(start: engines.Start) -> contextlib.AbstractContextManager[set[int]]:
    """Those of the host that the machine may use."""
    if start.takes_turns:
        return one_of_its_own(cache_folder())
    return contextlib.nullcontext(os.sched_getaffinity(0))


def _run_machine(
    start: engines.Start,
    control: Path,
    outputs: _Outputs,
    timeout_s: float,
    processors: set[int],
) -> bool:
    """Run the machine to its end, or kill it; True if its time was up."""
    engine = subprocess.Popen(
        start.command,
        stdin=subprocess.DEVNULL,
        stdout=outputs.inherited[0],
        stderr=outputs.inherited[0],
        env=dict(os.environ, **start.environment),
        pass_fds=outputs.inherited,
        start_new_session=True,
    )
    os.sched_setaffinity(engine.pid, processors)
    # Through hostfs each of our files that the guest knows is one open file of the engine.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(engine.pid, resource.RLIMIT_NOFILE, (most, most))
    guard = _guard(engine.pid, control)
    outputs.close_inherited()
    try:
        return not outputs.carry(time.monotonic() + timeout_s)
    finally:
        guard.kill()
        guard.communicate()
        # Every process of the engine is in its group; the number stays ours until wait().
        os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()


def _guard(engine_pid: int, control: Path) -> subprocess.Popen[bytes]:
    """A process that cleans up in our place if we are killed: that ends its input."""
    return subprocess.Popen(
        ["sh", "-c", 'read -r _; kill -KILL "-$1"; rm -rf "$2"', "guard", f"{engine_pid}", control],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


class _Outputs:
    """Three pipes out of the machine: its console (the end is kept), stdout and stderr."""

    def __init__(self, stdout: int, stderr: int) -> None:
        self._console = b""
        self._selector = selectors.DefaultSelector()
        written = []
        for target in (None, stdout, stderr):
            read_end, write_end = os.pipe()
            written.append(write_end)
            self._selector.register(read_end, selectors.EVENT_READ, target)
        self.inherited = (written[0], written[1], written[2])

    def __enter__(self) -> _Outputs:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()

    def close_inherited(self) -> None:
        """The engine has its copies now."""
        for descriptor in self.inherited:
            os.close(descriptor)

    def console(self) -> str:
        """The end of what the machine's console said."""
        return self._console.decode(errors="replace").replace("\r", "")

    def carry(self, deadline: float) -> bool:
        """Carry on until all pipes are closed; False if `deadline` (monotonic) came first."""
        while self._selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in self._selector.select(left):
                data = os.read(key.fd, 65536)
                if not data:
                    self._selector.unregister(key.fd)
                    os.close(key.fd)
                elif key.data is None:
                    self._console = (self._console + data)[-_CONSOLE_TAIL_BYTES:]
                else:
                    _write_all(key.data, data)
        return True


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
