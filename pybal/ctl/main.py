"""The command line of `pybalctl`."""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import NoReturn, TextIO, TypeAlias

from pybal import DEFAULT_CONFIG, __version__
from pybal.ctl import commands, history, operator
from pybal.ctl.client import Client, NoDaemonError, SocketClient, WrongWordError
from pybal.ctl.commands import (
    EXIT_GOOD,
    EXIT_NO_DAEMON,
    EXIT_REFUSED,
    EXIT_WRONG,
    Asked,
    Result,
)
from pybal.ctl.place import DEFAULT_SOCKET, usual_place
from pybal.ctl.table import fitted, painted, printable
from pybal.errors import ControlError

_INTERRUPTED = 130
_WATCH_EVERY_S = 2.0
_CLEAR = "\x1b[H\x1b[2J"

Run = Callable[[Asked], Result]

_Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_STATUSES = """exit status: 0 good; 1 refused, failed or not known to the daemon; of `check`: down;
2 a wrong command line; of a `diff`: something differs; 3 no daemon answers"""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where output goes, and the time. `screen()` is the size of a terminal that can be cleared;
    None: it is none."""

    out: TextIO
    errors: TextIO
    colour: bool
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    screen: Callable[[], os.terminal_size] | None = None

    def show(self, result: Result, *, as_json: bool) -> int:
        """Print what a command ends with; its exit status."""
        if as_json and result.live:
            for document in result.document:
                print(json.dumps(document), file=self.out, flush=True)
        elif as_json:
            print(json.dumps(result.document, indent=2), file=self.out)
        else:
            for line in painted(result.lines, colour=self.colour):
                print(line, file=self.out, flush=result.live)
        return self._end(result)

    def show_screen(self, result: Result, size: os.terminal_size) -> int:
        """In place of what is there: as much as fits."""
        lines = list(painted(fitted(result.lines, size.columns, size.lines), colour=self.colour))
        self.out.write(_CLEAR + "\n".join(lines) + "\n")
        return self._end(result)

    def _end(self, result: Result) -> int:
        for error in result.errors:
            self.complain(error)
        self.out.flush()
        return result.status

    def refuse(self, text: str, remedy: str = "", *, as_json: bool) -> None:
        """An error, in one line with what would help; `as_json` for programs, too."""
        if as_json:
            print(json.dumps({"error": text, "remedy": remedy}), file=self.out, flush=True)
        self.complain(f"{text}. {remedy}" if remedy else text)

    def complain(self, text: str) -> None:
        """An error, in one line."""
        print(f"pybalctl: {printable(text)}", file=self.errors, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pybalctl` with these arguments (default: the process's). Returns the exit status."""
    out, errors = (_text_file(stream) for stream in (sys.stdout, sys.stderr))
    colour = wants_colour(os.environ, is_terminal=out.isatty())
    clears = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    screen = shutil.get_terminal_size if clears else None
    terminal = Terminal(out, errors, colour, screen=screen)
    try:
        return run(arguments, terminal, SocketClient)
    except OSError as error:
        # Python would flush once more, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if isinstance(error, BrokenPipeError):
            return EXIT_GOOD  # who stops reading, as `head` does, has read enough
        terminal.complain(f"stdout: {error.strerror}")
        return EXIT_REFUSED
    except KeyboardInterrupt:
        return _INTERRUPTED


def _text_file(stream: TextIO | None) -> TextIO:
    """One that takes every character; a stream that the shell has closed is None."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream or Path(os.devnull).open("w")


def wants_colour(environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    """On a terminal that knows colours, unless NO_COLOR says otherwise (no-color.org)."""
    return is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def run(
    arguments: Sequence[str] | None, terminal: Terminal, connect: Callable[[Path], Client]
) -> int:
    """One command, from its words to its exit status."""
    options = parse(arguments)
    client = connect(options.socket or usual_place())
    if options.command == "watch":
        return _watch(options, terminal, client)
    try:
        return _once(options.run, options, terminal, client)
    except KeyboardInterrupt:
        if not getattr(options, "follow", False):
            raise
        return EXIT_GOOD  # It would have gone on for ever.


def _once(run: Run, options: argparse.Namespace, terminal: Terminal, client: Client) -> int:
    try:
        result = run(Asked(client, options, terminal.now))
        if options.command == "watch" and terminal.screen is not None and not options.json:
            return terminal.show_screen(result, terminal.screen())
        return terminal.show(result, as_json=options.json)
    except NoDaemonError as error:
        terminal.refuse(str(error), as_json=options.json)
        return EXIT_NO_DAEMON
    except ControlError as error:
        terminal.refuse(str(error), error.remedy, as_json=options.json)
        return EXIT_WRONG if isinstance(error, WrongWordError) else EXIT_REFUSED
    except (KeyError, TypeError, AttributeError) as error:
        # An upgrade does not restart the daemon: it may be older than this program.
        terminal.complain(
            f"The daemon's answer is not what pybalctl {__version__} knows "
            f"({type(error).__name__}: {error}). Is the daemon of another version? `--json` works"
        )
    return EXIT_REFUSED


def _watch(options: argparse.Namespace, terminal: Terminal, client: Client) -> int:
    """The status again and again; a daemon that is away may come back."""
    try:
        while True:
            _once(commands.status, options, terminal, client)
            terminal.sleep(_WATCH_EVERY_S)
    except KeyboardInterrupt:
        return EXIT_GOOD


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else does."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, _complaint(self.prog, message))


def _complaint(program: str, message: str) -> str:
    sentence = _ended(_shorter(printable(message)))
    return f"{program}: {sentence} `{program} --help` says what is right\n"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith("?") else f"{sentence}."


_CHOICES = re.compile(r"invalid choice: '(?P<word>.*)' \(choose from (?P<known>.*)\)$")


def _shorter(message: str) -> str:
    """Of all the words that there are, the one that was probably meant."""
    if not (choice := _CHOICES.search(message)):
        return message
    known = [word.strip(" '") for word in choice["known"].split(",")]
    near = get_close_matches(choice["word"], known, 1)
    if not near:
        return message
    return f"{message[: choice.start()]}there is no '{choice['word']}', did you mean {near[0]}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; exits with 2 if it is wrong."""
    parser = _parser()
    words = _joined(sys.argv[1:] if arguments is None else arguments)
    said = StringIO()  # argparse itself says nothing of --help that could not be printed
    try:
        with redirect_stdout(said):
            options, rest = parser.parse_known_args(words)
    finally:
        print(said.getvalue(), end="", flush=True)  # noqa: T201
    if not any(word.startswith("-") for word in rest):
        rest = _late(options, rest)
    objection = ""
    if rest:
        objection = f"unrecognized arguments: {' '.join(rest)}"
    elif options.command == "config" and options.config is not None and options.action is None:
        objection = "-c FILE belongs to `config diff`"
    elif getattr(options, "everywhere", False) and options.services:
        objection = "--all is for all services, so that none is named"
    elif options.command == "events":
        objection = history.objection(options)
    if objection:  # the command's own help has what is right
        parser.exit(2, _complaint(f"{parser.prog} {options.command}", objection))
    return options


def _late(options: argparse.Namespace, rest: list[str]) -> list[str]:
    """Takes services that stand behind options, where argparse looks for none any more; returns
    what is left."""
    if hasattr(options, "services"):
        options.services = [*options.services, *rest]
        return []
    if rest and getattr(options, "service", ()) is None:
        options.service, *rest = rest
    return rest


_TIMES = {"--at", "--since", "--until", "--for"}
_NEGATIVE = re.compile(r"-\d")


def _joined(words: Sequence[str]) -> list[str]:
    """`--since -1h` is `--since=-1h`: argparse takes what begins with a dash for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in _TIMES and _NEGATIVE.match(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


@functools.cache
def _parser() -> argparse.ArgumentParser:
    """Made once: it takes ten milliseconds, which nobody notices but tests by the hundred."""
    parser: argparse.ArgumentParser = _Parser(
        prog="pybalctl",
        description="Shows what PyBal does, and has it do something, over its control socket.",
        epilog=_STATUSES,
    )
    parser.add_argument("--version", action="version", version=f"pybalctl {__version__}")
    _add_common(parser, socket=None, json=False)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_add_reading, _add_changing):
        add(subparsers)
    return parser


def _add_common(parser: argparse.ArgumentParser, **defaults: object) -> None:
    """Options that are understood before and after the command."""
    parser.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        default=defaults.get("socket", argparse.SUPPRESS),
        help=f"the control socket (default: as in {DEFAULT_CONFIG}, or {DEFAULT_SOCKET})",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=defaults.get("json", argparse.SUPPRESS),
        help="print the document that the daemon answers",
    )


def _add(subparsers: _Subparsers, name: str, text: str, run: Run | None) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=text, description=text)
    _add_common(parser)
    parser.set_defaults(run=run)
    return parser


def _add_reading(subparsers: _Subparsers) -> None:
    _add(subparsers, "status", "all services at a glance, the worst first", commands.status)
    pool = _add(subparsers, "pool", "a pool and its servers", commands.pool)
    pool.add_argument("service", metavar="NAME", help="the service")
    server = _add(subparsers, "server", "a server in all its services", commands.server)
    server.add_argument("host", metavar="HOST", help="the server, as pool lists name it")
    why = _add(subparsers, "why", "why a server is or is not pooled", commands.why)
    why.add_argument("host", metavar="HOST", help="the server, as pool lists name it")
    why.add_argument("service", metavar="SERVICE", nargs="?", help="in this service alone")
    why.add_argument("--at", metavar="TIME", help=f"at that moment: {history.TIMES}")
    _add_events(subparsers)
    bgp = _add(subparsers, "bgp", "all BGP peers, or all of one", commands.bgp)
    bgp.add_argument("peer", metavar="PEER", nargs="?", help="the peer's address")
    ipvs = _add(
        subparsers,
        "ipvs",
        "the kernel's table: in order? what passes? `ipvs diff`: what is not as it should be",
        commands.ipvs,
    )
    ipvs.add_argument("action", metavar="diff", nargs="?", choices=["diff"], help="compare")
    _add(subparsers, "sources", "where pool lists come from", commands.sources)
    _add(subparsers, "alerts", "what an operator must look at", commands.alerts)
    config = _add(
        subparsers,
        "config",
        "the configuration that runs; `config diff`: what a reload would do",
        commands.config,
    )
    config.add_argument("action", metavar="diff", nargs="?", choices=["diff"], help="compare")
    config.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="with this (default: the daemon's file)"
    )
    _add(
        subparsers, "overrides", "servers drained, disabled, enabled for a time", operator.overrides
    )
    _add(subparsers, "watch", "the status again every 2 s, until Ctrl-C", None)
    names = _add(subparsers, "names", "names, one a line, for completion", commands.names)
    kinds = ["services", "hosts", "peers", "alerts"]
    names.add_argument("kind", metavar=f"{{{'|'.join(kinds)}}}", choices=kinds, help="of what")


_OVERRIDES = (
    ("drain", "no new connections to a server for a time; those that it has stay"),
    ("disable", "take a server out for a time"),
    ("enable", "pool a server for a time though its list disables it"),
)


def _add_overrides(subparsers: _Subparsers) -> None:
    for name, text in _OVERRIDES:
        parser = _add(subparsers, name, text, operator.change)
        operator.add_scope(parser)
        operator.add_for_a_time(parser)
        if name != "enable":  # It takes nobody away.
            parser.add_argument(
                "--force",
                action="store_true",
                help="though fewer are left than the threshold wants",
            )
    undo = _add(subparsers, "undo", "end the overrides of a server", operator.undo)
    operator.add_scope(undo)
    ack = _add(subparsers, "ack", "know of alerts for a time: no alarm", operator.acknowledge)
    operator.add_alert(ack)
    operator.add_for_a_time(ack)
    unack = _add(subparsers, "unack", "know of alerts no longer", operator.unacknowledge)
    operator.add_alert(unack)


def _add_events(subparsers: _Subparsers) -> None:
    events = _add(subparsers, "events", "what has happened, and because of what", history.events)
    events.add_argument("--since", metavar="TIME", help=f"not before: {history.TIMES}")
    events.add_argument("--until", metavar="TIME", help="not after")
    kinds = "of this kind, such as decision, report, list, kernel, route"
    for name, what in (("service", "of this service"), ("host", "of this server"), ("kind", kinds)):
        text = f"{what}; may be there several times"
        events.add_argument(
            f"--{name}", metavar=name.upper(), action="append", default=[], help=text
        )
    number = history.number
    events.add_argument("--incident", metavar="NUMBER", type=number, help="of this incident")
    events.add_argument(
        "--limit",
        metavar="N",
        type=number,
        help=f"the newest N (default {history.SHOWN} without --since)",
    )
    events.add_argument(
        "--all", action="store_true", help="each event of an incident, not one line for all"
    )
    events.add_argument(
        "-f", "--follow", action="store_true", help="then what happens, as it happens, until Ctrl-C"
    )


def _add_check(subparsers: _Subparsers) -> None:
    text = "check a server now, once, apart from the checks that run"
    check = _add(subparsers, "check", text, commands.check)
    check.add_argument("service", metavar="SERVICE", help="the service")
    check.add_argument("host", metavar="HOST", help="the server, as the pool list names it")
    check.add_argument(
        "-v", "--verbose", action="store_true", help="with what passed: connection, TLS, request"
    )


def _add_changing(subparsers: _Subparsers) -> None:
    _add_check(subparsers)
    _add_overrides(subparsers)
    _add(subparsers, "reload", "read pybal.conf again and go over to it", commands.reload)
    confirm = _add(
        subparsers, "confirm", "apply what a list wants and its floor holds back", commands.confirm
    )
    confirm.add_argument("service", metavar="SERVICE", help="the service")
    maintenance = _add(
        subparsers,
        "maintenance",
        "move the traffic of a service, or of this director, away by BGP; or end that",
        commands.maintenance,
    )
    maintenance.add_argument(
        "action", metavar="{begin|end}", choices=["begin", "end"], help="which"
    )
    maintenance.add_argument("service", metavar="SERVICE", nargs="?", help="of this service alone")
