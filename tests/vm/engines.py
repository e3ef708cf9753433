"""How each engine is started: its command line, for one run.

The guest's console and the command's two outputs leave through inherited file descriptors.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.vm import guest


@dataclass(frozen=True, slots=True)
class Run:
    """What one start of the machine needs to know.

    `control` and `share` are folders of the host that the guest may write to; the three
    numbers are file descriptors that the engine inherits.
    """

    control: Path
    share: Path
    memory_mb: int
    console_fd: int
    out_fd: int
    err_fd: int


@dataclass(frozen=True, slots=True)
class Start:
    """A command to start the machine with, additions to its environment, its modules.

    `takes_turns`: its processes never compute side by side, but wake one another at each system
    call of the guest, which takes two or three times as long where each has an idle processor."""

    command: list[str]
    environment: dict[str, str]
    modules: Path
    takes_turns: bool


def uml(run: Run) -> Start:
    """User-Mode Linux: a kernel that is a process of the host."""
    kernel = guest.uml_kernel()
    initrd = guest.initramfs(kernel.modules, ["overlay"])
    command = [
        str(kernel.image),
        f"mem={run.memory_mb}M",
        f"initrd={initrd}",
        f"con=null con0=null,fd:{run.console_fd}",
        f"ssl=null ssl1=null,fd:{run.out_fd} ssl2=null,fd:{run.err_fd}",
        f"uml_dir={run.control}/uml",
        # Picking a RAID algorithm takes longer than all the rest of the start.
        "noreboot quiet panic=-1 initcall_blacklist=raid6_select_algo",
        f"rig_engine=uml rig_control={run.control}",
    ]
    environment = {"LD_PRELOAD": str(guest.ptrace_shim()), "TMPDIR": _memory_folder(run.memory_mb)}
    words = [word for part in command for word in part.split()]
    return Start(words, environment, kernel.modules, takes_turns=True)


def _memory_folder(size_mb: int) -> str:
    """Where User-Mode Linux keeps the guest's memory: in the host's if that is possible."""
    shm = os.statvfs("/dev/shm")
    roomy = shm.f_bavail * shm.f_frsize > size_mb * 2**20
    return "/dev/shm" if roomy and not shm.f_flag & os.ST_NOEXEC else "/tmp"


def qemu(run: Run) -> Start:
    """QEMU, emulating a processor: slow, and independent of what the host can do."""
    kernel = guest.qemu_kernel()
    initrd = guest.initramfs(
        kernel.modules, ["virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay"]
    )
    folder = "local,security_model=none,multidevs=remap"
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max,-la57"]
    command += ["-M", "pc", "-nodefaults", "-nic", "none", "-display", "none", "-no-reboot"]
    command += ["-m", f"{run.memory_mb}", "-smp", f"{min(os.cpu_count() or 1, 4)}"]
    command += ["-kernel", str(kernel.image), "-initrd", str(initrd)]
    command += ["-append",
        "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable random.trust_cpu=on "
        f"norandmaps pci=noacpi rig_engine=qemu rig_control={run.control}",
    ]  # fmt: skip
    command += ["-virtfs", f"{folder},path=/,readonly=on,mount_tag=root"]
    command += ["-virtfs", f"{folder},path={run.control},mount_tag=control"]
    command += ["-virtfs", f"{folder},path={run.share},mount_tag=share"]
    command += ["-chardev", f"file,id=console,path=/dev/fd/{run.console_fd}"]
    command += ["-serial", "chardev:console", "-device", "virtio-serial"]
    for name, descriptor in (("out", run.out_fd), ("err", run.err_fd)):
        command += ["-chardev", f"file,id={name},path=/dev/fd/{descriptor}"]
        command += ["-device", f"virtserialport,chardev={name},name={name}"]
    return Start(command, {}, kernel.modules, takes_turns=False)


_ENGINES: dict[str, Callable[[Run], Start]] = {"uml": uml, "qemu": qemu}
NAMES = tuple(_ENGINES)


def start_of(engine: str, run: Run) -> Start:
    """How to start `engine` for `run`."""
    return _ENGINES[engine](run)
