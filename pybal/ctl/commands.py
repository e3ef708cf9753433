"""What each command asks of the daemon, and what it makes of the answer."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pybal.ctl import render, render_history, render_network
from pybal.ctl.client import Client, NoDaemonError, UnknownError
from pybal.ctl.table import Line, Style
from pybal.errors import ControlError

EXIT_GOOD = 0
EXIT_REFUSED = 1
EXIT_WRONG = 2
EXIT_DIFFERS = 2
EXIT_NO_DAEMON = 3

MAX_CONFIG_BYTES = 16 * 1024 * 1024
_LISTED = 20
_NONE = "''"
"""An empty name, as it is typed."""

Document = Any


@dataclass(frozen=True, slots=True)
class Result:
    """What a command ends with: lines for people, the document for `--json`, errors (one a line),
    the exit status. `live`: lines and documents (many then) come as things happen."""

    lines: Iterable[Line]
    document: Document
    errors: tuple[str, ...] = ()
    status: int = EXIT_GOOD
    live: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A command with its arguments, to be asked of a daemon."""

    client: Client
    options: argparse.Namespace
    now: Callable[[], float] = time.time


def status(asked: Asked) -> Result:
    """All services at a glance, the worst first."""
    document = asked.client.get("services")
    daemon, bgp = asked.client.get("daemon"), asked.client.get("bgp")
    alerts = asked.client.get("alerts")
    lines = [
        *render.heading(daemon, asked.now()),
        render_network.headline(alerts),
        *render.status_lines(document["services"], bgp, alerts["alerts"]),
    ]
    return Result(lines, document)


def pool(asked: Asked) -> Result:
    """A pool and its servers."""
    name = asked.options.service
    try:
        document = asked.client.get("services", name)
    except UnknownError as error:
        raise _no_service(asked.client, name) from error
    return Result(render.pool_lines(document, asked.now()), document)


def server(asked: Asked) -> Result:
    """A server in all its services."""
    servers = _find_server(asked.client, asked.options.host, None)
    return Result(render.server_lines(servers), {"servers": servers})


def why(asked: Asked) -> Result:
    """Why a server is or is not pooled, or was or was not at a moment."""
    if asked.options.at is not None:
        return why_at(asked)
    servers = _find_server(asked.client, asked.options.host, asked.options.service)
    lines = render.cut_off_lines(asked.client.get("daemon"), asked.now())
    lines += render.why_lines(servers, asked.now())
    return Result(lines, {"servers": servers})


def why_at(asked: Asked) -> Result:
    """From the history."""
    options = asked.options
    query = [("at", options.at)]
    if options.service is not None:
        query.append(("service", options.service))
    try:
        document = asked.client.get("servers", options.host, "why", query=query)
    except UnknownError as error:
        services = [] if options.service is None else [options.service]
        refuse_unknown(asked.client, services, [options.host], because=error)
        raise
    return Result(render_history.why_lines(document), document)


def bgp(asked: Asked) -> Result:
    """All peers, or one."""
    document, address = asked.client.get("bgp"), asked.options.peer
    if address is None:
        dry_run = not document["enabled"] and asked.client.get("daemon")["dry_run"]
        return Result(render_network.bgp_lines(document, asked.now(), dry_run=dry_run), document)
    for peer in document["peers"]:
        if peer["address"] == address:
            return Result(render_network.peer_lines(document, peer, asked.now()), peer)
    if not document["enabled"]:
        raise ControlError("BGP is off, so that there are no peers", "`pybalctl bgp` says why")
    known = [peer["address"] for peer in document["peers"]]
    raise _unknown(f"There is no BGP peer {address or _NONE}", address, known, "bgp")


def ipvs(asked: Asked) -> Result:
    """The kernel's table."""
    document = asked.client.get("ipvs")
    if asked.options.action is not None:
        lines, differs = render_network.ipvs_diff(document, asked.now())
        return Result(lines, document, status=EXIT_DIFFERS if differs else EXIT_GOOD)
    return Result(render_network.ipvs_lines(document, asked.now()), document)


def sources(asked: Asked) -> Result:
    """Where the pool lists come from."""
    document = asked.client.get("services")
    return Result(render.sources_lines(document["services"], asked.now()), document)


def config(asked: Asked) -> Result:
    """The configuration that runs, or what a file would change of it."""
    document = asked.client.get("config")
    if asked.options.action is None:
        return Result([Line(each) for each in document["text"].splitlines()], document)
    return compare(asked.client, asked.options.config, document["path"])


def compare(client: Client, path: Path | None, running: str) -> Result:
    """What a reload with this file would do; without one, with that of the daemon."""
    text = _read(path or Path(running))
    document = client.post("config", "compare", body={"content": text})
    # The daemon does not know which file was read.
    named = f"{path or running}:"
    errors, warnings = (
        [
            named + each.removeprefix(f"{running}:") if each.startswith(f"{running}:") else each
            for each in document.get(kind, ())
        ]
        for kind in ("errors", "warnings")
    )
    steps = document["steps"]
    if errors:
        return Result([], document, tuple(errors), EXIT_REFUSED)
    lines = [Line(each) for each in steps] or [Line("Nothing would change")]
    status = EXIT_DIFFERS if steps else EXIT_GOOD
    return Result([*lines, *_warning_lines(warnings)], document, status=status)


def _warning_lines(warnings: Iterable[str]) -> list[Line]:
    """A key that is misspelt, say, may be why nothing changes. A daemon that has not been restarted
    since an upgrade may name none."""
    return [Line(f"WARNING: {each}", Style.WORSE) for each in warnings]


def _read(path: Path) -> str:
    """Bytes that are no UTF-8 stay what they are: the daemon knows where they do harm."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise ControlError(f"{path} is longer than {MAX_CONFIG_BYTES} bytes", "Is it the file?")
        return data.decode("utf-8", "surrogateescape")
    except OSError as error:
        remedy = "-c FILE names the file, if it is another one"
        raise ControlError(f"{path}: {error.strerror}", remedy) from error


def check(asked: Asked) -> Result:
    """Check a server now, once."""
    service, host = asked.options.service, asked.options.host
    try:
        document = asked.client.post("services", service, "servers", host, "check")
    except UnknownError as error:
        if service in _hosts(asked.client):  # HOST comes first everywhere else
            remedy = f"It is a server: pybalctl check SERVICE {service}"
            raise ControlError(str(error), remedy) from error
        raise
    lines = render.check_lines(document, verbose=asked.options.verbose)
    return Result(lines, document, status=EXIT_GOOD if document["up"] else EXIT_REFUSED)


def reload(asked: Asked) -> Result:
    """Read pybal.conf again and go over to it."""
    try:
        document = asked.client.post("reload")
    except ControlError as error:
        errors = _one_by_one(str(error), asked.client)
        said = {"error": str(error), "remedy": error.remedy}
        return Result([], said, (*errors, *filter(None, [error.remedy])), EXIT_REFUSED)
    lines = [Line(each) for each in document["steps"]] or [Line("Nothing has changed")]
    warned = _warning_lines(document.get("warnings", ()))
    return Result([*lines, *warned, *_what_is_wrong(asked.client)], document)


def _what_is_wrong(client: Client) -> list[Line]:
    """The line of /alerts, if there is something to look at: a service that has come, say, has no
    servers. A daemon that stops says no more."""
    with contextlib.suppress(NoDaemonError, ControlError):
        alerts = client.get("alerts")
        if alerts["status"] != "ok":
            return [render_network.headline(alerts)]
    return []


def _one_by_one(error: str, client: Client) -> tuple[str, ...]:
    """The errors of the last reload, if they are what it says; a daemon that stops says no more."""
    with contextlib.suppress(NoDaemonError, ControlError):
        last = client.get("config")["last_reload"]
        if last and "; ".join(last["errors"]) == error:
            return tuple(last["errors"])
    return (error,)


def confirm(asked: Asked) -> Result:
    """Apply what is held back."""
    name = asked.options.service
    try:
        document = asked.client.post("services", name, "confirm")
    except UnknownError as error:
        raise _no_service(asked.client, name) from error
    gone = ", ".join(document["confirmed"])
    text = f"No longer kept against the list of {name}: {gone}. What is left: pybalctl pool {name}"
    return Result([Line(text)], document)


def maintenance(asked: Asked) -> Result:
    """Move traffic away by BGP, or end that."""
    action, name = asked.options.action, asked.options.service
    try:
        body = None if name is None else {"service": name}
        document = asked.client.post("bgp", "maintenance", action, body=body)
    except UnknownError as error:
        raise _no_service(asked.client, name or "") from error
    what = name or "This whole director"
    if document.get("changed", True):
        of = name or "this whole director"
        text = f"The maintenance of {of} {action}s"
        if action == "begin":
            text += "; pybalctl bgp shows how far it is, pybalctl ipvs what still comes"
    elif action == "begin":
        text = f"{what} is in maintenance already"
    else:
        text = f"{what} is not in maintenance"
    shared = _shared_address(asked.client, name) if action == "begin" and name else []
    return Result([Line(text), *shared], document)


def _shared_address(client: Client, name: str) -> list[Line]:
    """That nothing moves yet, where services that are not in maintenance have the same address."""
    document = client.get("bgp")
    moved = {one["service"] for one in document["maintenance"]}
    for each in document["prefixes"] if None not in moved else ():
        is_one_address = each["prefix"].endswith(("/32", "/128"))
        others = [other for other in each["services"] if other not in moved | {name}]
        if is_one_address and name in each["services"] and others:
            shown = ", ".join(others[:_LISTED]) + (", …" if others[_LISTED:] else "")
            text = f"{each['prefix']} does not move before its other services are, too: {shown}"
            return [Line(text, Style.WORSE)]
    return []


def alerts(asked: Asked) -> Result:
    """What an operator must look at."""
    document = asked.client.get("alerts")
    return Result(render_network.alerts_lines(document, asked.now()), document)


def names(asked: Asked) -> Result:
    """Names, one a line, for the completion of words."""
    match asked.options.kind:
        case "services":
            found = _services(asked.client)
        case "hosts":
            found = sorted(_hosts(asked.client))
        case "alerts":
            found = list(dict.fromkeys(e["id"] for e in asked.client.get("alerts")["alerts"]))
        case _:
            found = [peer["address"] for peer in asked.client.get("bgp")["peers"]]
    return Result([Line(each) for each in found], found)


def _services(client: Client) -> list[str]:
    return [service["name"] for service in client.get("services")["services"]]


def _hosts(client: Client) -> set[str]:
    hosts = set()
    for name in client.get_text("pools").splitlines():
        try:
            pool = client.get_text("pools", name)
        except UnknownError:
            continue  # it has gone meanwhile
        hosts |= {line.rpartition(":\t")[0] for line in pool.splitlines()}
    return hosts


def _find_server(client: Client, host: str, service: str | None) -> list[Document]:
    services = _services(client)
    if service is not None and service not in services:
        unknown = _no_service(client, service)
        refuse_service_as_host(client, host, unknown)
        raise unknown
    found = []
    for name in services if service is None else [service]:
        try:
            found.append(client.get("services", name, "servers", host))
        except UnknownError:
            continue
    if not found:
        where = "" if service is None else f" in {service}"
        known = _hosts(client) if service is None else _pool_hosts(client, service)
        command = "names hosts" if service is None else f"pool {service}"
        unknown = _unknown(f"There is no server {host or _NONE}{where}", host, known, command)
        refuse_service_as_host(client, host, unknown)
        raise unknown
    return found


def refuse_service_as_host(client: Client, host: str, because: ControlError) -> None:
    """ControlError if the name of a service stands where that of a server belongs."""
    if host in _services(client):
        remedy = f"{host} is a service (pybalctl pool {host}); here HOST comes first"
        raise ControlError(str(because), remedy) from because


def refuse_unknown(
    client: Client,
    services: Sequence[str],
    hosts: Sequence[str],
    because: ControlError | None = None,
) -> None:
    """Nothing was found of these: ControlError if one of them is no name, but much like one; or
    like none, where the daemon's own words (`because`) are none."""
    for names, known, error in (
        (services, _services, _no_service),
        (hosts, _hosts, _no_server),
    ):
        unknown = set(names).difference(known(client)) if names else ()
        for name in sorted(unknown):
            refusal = error(client, name)
            if because is None:
                raise refusal
            if "Did you mean" in refusal.remedy:
                raise ControlError(str(because), refusal.remedy) from because


def _no_server(client: Client, name: str) -> ControlError:
    return _unknown(f"There is no server {name or _NONE}", name, _hosts(client), "names hosts")


def _pool_hosts(client: Client, service: str) -> list[str]:
    return [each["host"] for each in client.get("services", service)["servers"]]


def _no_service(client: Client, name: str) -> ControlError:
    return _unknown(f"There is no service {name or _NONE}", name, _services(client), "status")


def _unknown(text: str, name: str, known: Iterable[str], command: str) -> ControlError:
    """With the names that are nearest; those that begin like it are near, too."""
    every = sorted(known)
    near = [each for each in every if each.startswith(name)][:3] if name else []
    near = list(dict.fromkeys([*near, *get_close_matches(name, every, 3)]))[:3]
    if near:
        return ControlError(text, f"Did you mean {' or '.join(near)}?")
    if not every:
        return ControlError(text, "There are none")
    if len(every) <= _LISTED:
        return ControlError(text, f"There are {', '.join(every)}")
    return ControlError(text, f"`pybalctl {command}` lists those that there are")
