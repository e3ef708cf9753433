"""`pybal-from-keepalived`: translates the virtual servers of a keepalived.conf."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pybal
from pybal.config.loader import parse
from pybal.migration.keepalived import Service, Translator
from pybal.migration.keepalived_text import MAX_CHARACTERS, Remark, read_keepalived
from pybal.migration.writing import one_line, pool_list, pybal_conf
from pybal.monitors.registry import BUILT_IN, kinds_of
from pybal.runtime.naming import counted
from pybal.runtime.stdout import printing, say

EXIT_OK = 0
EXIT_FAILED = 1
DEFAULT_POOLS = Path("/etc/pybal/pools")
_NEEDED = ("protocol", "ip", "port", "scheduler", "config", "monitors")


def translate(text: str, config_id: str = "") -> tuple[list[Service], list[Remark]]:
    """The services of a keepalived.conf, and what of it somebody must look at."""
    statements, remarks = read_keepalived(text, config_id)
    translator = Translator(statements, remarks)
    translator.translate()
    remarks += _refused_keys(translator.services)
    return translator.services, sorted(remarks, key=lambda remark: remark.line)


def _refused_keys(services: list[Service]) -> list[Remark]:
    """Leaves out what PyBal would refuse, so that the rest can run, and says so."""
    remarks: list[Remark] = []
    kinds = kinds_of(BUILT_IN)
    by_name = {service.name: service for service in services}
    while True:
        result = parse(pybal_conf(services, (), "", DEFAULT_POOLS), "pybal.conf", kinds)
        if not result.errors:
            return remarks
        for error in result.errors:
            service = by_name.get(error.section or "")
            if service is None or service.unusable:
                continue
            key, what = error.key or "", f"[{service.name}]"
            if key in _NEEDED or service.keys.pop(key, None) is None:
                service.unusable = f"{key}: {error.message}"
                text = f"written as a comment: {service.unusable}"
            else:
                text = f"{key} left out: {error.message}"
            remarks.append(Remark(service.line, what, text))


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns its exit status."""
    parser = _parser()
    with printing(parser.prog):
        options = parser.parse_args(arguments)
    try:
        text = _read(options.file)
        services, remarks = translate(text, options.id)
        _write(options, services, remarks)
    except OSError as error:
        print(f"pybal-from-keepalived: {_words(error)}", file=sys.stderr)  # noqa: T201
        return EXIT_FAILED
    for remark in remarks:
        print(one_line(f"{options.file}:{remark}"), file=sys.stderr)  # noqa: T201
    written = options.output / "pybal.conf"
    usable = sum(not service.unusable for service in services)
    found = f"{usable} of {counted(len(services), 'service')}, {counted(len(remarks), 'remark')}"
    check = f"pybal --check-config -c {written}"
    there = options.pools_at.absolute() == (options.output / "pools").absolute()
    further = check if there else f"put the lists into {options.pools_at}, then {check}"
    if not usable:
        further = f"mend {options.file}: it has no virtual_server that can be translated"
    say([f"{written}: {found}; next: {further}"], parser.prog)
    return EXIT_OK if usable else EXIT_FAILED


def _read(path: Path) -> str:
    """Not more of it than is looked at, and nothing if it is no text."""
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(MAX_CHARACTERS + 1)
    if "\0" in text:
        raise OSError(errno.EINVAL, "it holds NUL characters, so it is no text", str(path))
    return text


def _words(error: OSError) -> str:
    if isinstance(error, FileExistsError):
        return f"{error.filename} is there already: -o names another folder, --force replaces it"
    return f"{error.filename}: {error.strerror}"


def _write(options: argparse.Namespace, services: list[Service], remarks: list[Remark]) -> None:
    folder: Path = options.output
    pools = folder / "pools"
    own = [each for each in services if each.pool == each.name and not each.unusable]
    text = pybal_conf(services, remarks, options.file.name, options.pools_at)
    texts = {folder / "pybal.conf": text, **{pools / each.pool: pool_list(each) for each in own}}
    # What somebody has worked on since is not lost.
    there = [str(path) for path in texts if path.exists()]
    if there and not options.force:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), there[0])
    pools.mkdir(parents=True, exist_ok=True)
    for path, content in texts.items():
        path.write_text(content, "utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pybal-from-keepalived",
        description="Translates the virtual servers of a keepalived.conf into pybal.conf and pool "
        "lists. What cannot be translated is said line by line.",
    )
    parser.add_argument("file", type=Path, metavar="KEEPALIVED.CONF")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("pybal"),
        metavar="FOLDER",
        help="gets pybal.conf and pools/ (default: ./pybal)",
    )
    parser.add_argument(
        "--pools-at",
        type=Path,
        default=DEFAULT_POOLS,
        metavar="FOLDER",
        help="where the pool lists will be, as pybal.conf names them (default: %(default)s)",
    )
    parser.add_argument(
        "-i", "--id", default="", metavar="ID", help="the host's id, for lines that begin with @ID"
    )
    parser.add_argument("-f", "--force", action="store_true", help="replace files that are there")
    parser.add_argument("--version", action="version", version=f"%(prog)s {pybal.__version__}")
    return parser
