"""The options of `pybal`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pybal import DEFAULT_CONFIG


def command_line(version: str) -> argparse.ArgumentParser:
    """The parser of them; of a wrong command line it ends the process with status 2."""
    parser = argparse.ArgumentParser(
        prog="pybal", description="Manages Linux Virtual Server from health checks."
    )
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path(DEFAULT_CONFIG),
        metavar="FILE",
        help=f"the configuration (default: {DEFAULT_CONFIG})",
    )
    parser.add_argument(
        "-n",
        "--dryrun",
        "--dry-run",
        action="store_true",
        help="check servers, but only show the changes of the IPVS table",
    )
    parser.add_argument(
        "-d", "--debug", action="store_true", help="log at level DEBUG, with IPVS commands"
    )
    one_of = parser.add_mutually_exclusive_group()
    one_of.add_argument(
        "--check-config",
        action="store_true",
        help="say what is wrong with the configuration and its pool files, or what would run; "
        "exit 0 or 1",
    )
    parser.add_argument(
        "--json", action="store_true", help="of --check-config: print one JSON document"
    )
    one_of.add_argument(
        "--diff",
        action="store_true",
        help="say what a reload with the configuration would change of the running daemon, as "
        "`pybalctl config diff`; exit 0 nothing, 2 something, 1 errors, 3 no daemon",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="do not start with the last good configuration if the file has errors; of "
        "--check-config: a warning is no better than an error",
    )
    parser.add_argument("--version", action="version", version=f"pybal {version}")
    return parser
