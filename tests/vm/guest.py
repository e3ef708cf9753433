"""The guest's parts, built from Debian's packages on first use and cached.

Each function returns the path of a finished part.
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.vm import packages
from tests.vm.cache import cache_folder, cached, key_of
from tests.vm.errors import RigError

HERE = Path(__file__).parent
_KERNEL_PACKAGE = "linux-image-amd64"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that can be started, and the folder of its modules (`.../RELEASE`)."""

    image: Path
    modules: Path


def uml_kernel() -> Kernel:
    """User-Mode Linux as Debian ships it."""
    releases = sorted(packages.UML_MODULES.iterdir())
    if not releases:
        raise RigError(f"{packages.UML_MODULES} holds no modules")
    return Kernel(packages.UML_KERNEL, releases[-1])


def ptrace_shim() -> Path:
    """The library that lets User-Mode Linux run on processors with large registers."""
    source = HERE / "ptrace_shim.c"

    def build(folder: Path) -> None:
        output = folder / "ptrace_shim.so"
        command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(output), str(source), "-ldl"]
        subprocess.run(command, check=True)

    return cached(f"shim-{key_of(source)}", build) / "ptrace_shim.so"


def qemu_kernel() -> Kernel:
    """The kernel of Debian's newest image package, unpacked into the cache, not installed."""
    present = sorted(cache_folder().glob("kernel-*"))
    folder = present[-1] if present else _fetch_kernel()
    (modules,) = (folder / "lib/modules").iterdir()
    return Kernel(folder / "vmlinux", modules)


def _fetch_kernel() -> Path:
    depends = _output("apt-cache", "depends", _KERNEL_PACKAGE)
    names = [line.split()[-1] for line in depends.splitlines() if "Depends: linux-image" in line]
    if not names:
        raise RigError(f"apt knows no {_KERNEL_PACKAGE}; run: apt-get update")

    def build(folder: Path) -> None:
        # Root's apt would drop its rights and could not write here; our stdout is the command's.
        fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", names[0]]
        subprocess.run(fetch, cwd=folder, check=True, stdout=sys.stderr)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
        package.unlink()
        if not (folder / "lib").exists():  # Debian 13 ships /usr/lib, and has /lib be a link
            (folder / "lib").symlink_to("usr/lib")
        (image,) = (folder / "boot").glob("vmlinuz-*")
        release = image.name.removeprefix("vmlinuz-")
        (folder / "vmlinux").write_bytes(_unpack_bzimage(image.read_bytes()))
        shutil.rmtree(folder / "boot")
        search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        depmod = shutil.which("depmod", path=search) or "depmod"
        subprocess.run([depmod, "-b", str(folder), release], check=True)

    return cached(f"kernel-{names[0].removeprefix('linux-image-')}", build)


def _unpack_bzimage(image: bytes) -> bytes:
    """The ELF kernel inside a bzImage (Linux x86 boot protocol, 2.08 and later).

    Without it the emulated processor would spend seconds to unpack it, at each start.
    """
    setup_sectors = image[0x1F1] or 4
    offset = int.from_bytes(image[0x248:0x24C], "little") + (setup_sectors + 1) * 512
    packed = image[offset : offset + int.from_bytes(image[0x24C:0x250], "little")]
    if packed.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(packed)
    if packed.startswith(b"\x28\xb5\x2f\xfd"):
        # The kernel's build adds four bytes, the size, to what it has compressed.
        unpack = ["zstd", "--decompress", "--stdout", "--quiet"]
        return subprocess.run(unpack, input=packed[:-4], check=True, capture_output=True).stdout
    raise RigError(f"the kernel image is compressed with neither xz nor zstd: {packed[:6].hex()}")


def initramfs(modules: Path, wanted: list[str]) -> Path:
    """The first stage's file system: busybox, init.sh and the modules it needs to go on."""
    init = HERE / "init.sh"
    order = _load_order(modules, wanted)

    def build(folder: Path) -> None:
        root = folder / "root"
        for name in ("bin", "proc", "sys", "dev", "modules", "host", "ram", "new"):
            (root / name).mkdir(parents=True)
        shutil.copy(packages.BUSYBOX, root / "bin/busybox")
        for applet in ("sh", "mount", "umount", "mkdir", "insmod", "switch_root"):
            (root / "bin" / applet).symlink_to("busybox")
        shutil.copy(init, root / "init")
        (root / "init").chmod(0o755)
        for path in order:
            data = path.read_bytes()
            # busybox may not know how to unpack them.
            data = lzma.decompress(data) if path.suffix == ".xz" else data
            (root / "modules" / path.name.removesuffix(".xz")).write_bytes(data)
        loads = "".join(f"{path.name.removesuffix('.xz')}\n" for path in order)
        (root / "modules/order").write_text(loads)
        names = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
        with (folder / "initramfs").open("wb") as output:
            subprocess.run(
                ["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"],
                input=names.encode(), cwd=root, stdout=output, check=True,
            )  # fmt: skip
        shutil.rmtree(root)

    name = f"initramfs-{key_of(init, packages.BUSYBOX, *order)}"
    return cached(name, build) / "initramfs"


def _load_order(modules: Path, wanted: list[str]) -> list[Path]:
    """The files of `wanted` and what they depend on, dependencies first; built-in ones drop out."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, dependencies = line.partition(":")
        needs[_module_name(path)] = [*reversed(dependencies.split()), path]
    builtin = {_module_name(p) for p in (modules / "modules.builtin").read_text().split()}
    order: list[Path] = []
    for name in wanted:
        if name not in needs and name not in builtin:
            raise RigError(f"{modules} holds no module {name}")
        order += [modules / path for path in needs.get(name, []) if modules / path not in order]
    return order


def _module_name(path: str) -> str:
    return Path(path).name.split(".")[0].replace("-", "_")


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
