"""A keepalived.conf's virtual servers -> PyBal's services. Pure.

What it has and PyBal has not is never dropped: each statement that nobody has taken into account is
a remark, with what PyBal has in its place, if anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pybal.config.foreign_words import instead_of
from pybal.ipvs.model import SCHEDULER_FLAGS, SCHEDULERS
from pybal.migration.keepalived_checks import CheckReader, Server, host_header, said_for_all
from pybal.migration.keepalived_text import Remark, Statement, whole_number
from pybal.net.addresses import parse_address

_METHODS = {"nat": "masquerade", "dr": "direct", "tun": "tunnel"}
_KEYS = {
    "persistence_timeout": "persistence-timeout",
    "persistence_granularity": "persistence-netmask",
}
_SCHEDULER_KEYS = ("lvs_sched", "lb_algo")
_METHOD_KEYS = ("lvs_method", "lb_kind")
_DEFAULT_PERSISTENCE_S = "360"
_DEFAULT_WEIGHT = 1
_MAX_WEIGHT = 65535
_NO_ADDRESS = {4: "192.0.2.1", 6: "2001:db8::1"}
"""For services of a firewall mark; RFC 5737 and 3849 have these for examples."""
_RANGE = re.compile(r"(.*[.:])([0-9A-Fa-f]+)-([0-9A-Fa-f]+)")
_MAX_RANGE = 256
_NOT_TRANSLATED = "not translated"
_INSTEAD = {
    "router_id": "PyBal calls itself by the host's name",
    "delay_before_retry": "the next check comes after MONITOR.interval, see MONITOR.fall",
    "host": "checks go to the server's own address",
    "include": "put the text of that file in place of this line, and translate again",
    "payload": "use udp.payload, with \\xHH for a byte",
    "require_reply": "use udp.expect, a regular expression",
    "digest": "use proxyfetch.expect, a text that is there",
}
"""Where keepalived means something of its own by a word."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is: an address and port, or a firewall mark."""

    line: int
    address: str
    port: int
    fwmark: int = 0


@dataclass(slots=True)
class Service:
    """A section: its name, its keys in their order, its servers. `unusable`: why it cannot run as
    it is; it is written as a comment then."""

    name: str
    pool: str
    line: int
    keys: dict[str, str] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=list)
    left_out: list[Server] = field(default_factory=list)
    unusable: str = ""


class Translator:
    """Goes through the statements; then `services` and `remarks` are all that came of it."""

    def __init__(self, statements: list[Statement], remarks: list[Remark]) -> None:
        self.services: list[Service] = []
        self.remarks = remarks
        self._groups: dict[str, Statement] = {}
        self._names: set[str] = set()
        self._checks = CheckReader(remarks)
        self._statements = statements

    def translate(self) -> None:
        """All of it."""
        for statement in self._statements:
            if statement.name == "virtual_server_group" and len(statement.words) > 1:
                self._groups[statement.words[1]] = statement
        for statement in self._statements:
            if statement.name == "virtual_server":
                self._virtual_server(statement)
        self.remarks += _unseen(self._statements)
        self.remarks.sort(key=lambda remark: remark.line)

    def _remark(self, statement: Statement, text: str) -> None:
        self.remarks.append(Remark(statement.line, statement.text(), text))

    # A virtual server

    def _virtual_server(self, block: Statement) -> None:
        block.seen = True
        places = list(self._places(block, block.words[1:]))
        if not places:
            return
        keys, protocol = self._keys(block)
        virtual_host = _argument(block, "virtualhost")
        servers = list(self._servers(block, host_header(virtual_host, places[0].address)))
        keys |= self._limits(block)
        reached = [each for each in servers if any(not _why_left_out(each, at) for at in places)]
        keys |= self._monitors(block, reached or servers)
        pools: list[Service] = []
        for place in places:
            service = self._service(place, protocol, keys, servers)
            # Services with the same servers read the same list.
            same = (each for each in pools if each.servers == service.servers)
            service.pool = next(same, service).name
            if not service.unusable:
                pools.append(service)
            self.services.append(service)

    def _places(self, block: Statement, words: tuple[str, ...]) -> Iterator[Place]:
        kind = words[0].lower() if words else ""
        version = 6 if _argument(block, "ip_family").lower() == "inet6" else 4
        if kind == "group":
            group = self._groups.get(words[1] if len(words) > 1 else "")
            if group is None:
                self._remark(block, "not translated: there is no such virtual_server_group")
                return
            group.seen = True
            for each in group.block:
                each.seen = True
                yield from self._places_of_line(each, each.words, version)
        else:
            yield from self._places_of_line(block, words, version)

    def _places_of_line(
        self, at: Statement, words: tuple[str, ...], version: int
    ) -> Iterator[Place]:
        if words and words[0].lower() == "fwmark":
            mark = whole_number(words[1]) if len(words) > 1 else None
            if mark:
                yield Place(at.line, _NO_ADDRESS[version], 0, mark)
            else:
                self._remark(at, "not translated: no firewall mark")
            return
        port = whole_number(words[1]) if len(words) > 1 else None
        addresses = _addresses(words[0]) if words else []
        if not addresses:
            self._remark(at, "not translated: no address")
        elif port is None or not 0 < port < 2**16:
            self._remark(at, "not translated: a service of PyBal has one port")
        else:
            for address in addresses:
                yield Place(at.line, address, port)

    def _keys(self, block: Statement) -> tuple[dict[str, str], str]:
        """Its own keys, and its protocol."""
        protocol = _argument(block, "protocol").lower() or "tcp"
        keys = {"scheduler": self._scheduler(block)}
        if any(_flags(block, "ops")):
            keys["ops"] = "yes"
        flags = self._scheduler_flags(block, keys["scheduler"])
        if flags:
            keys["scheduler-flags"] = ", ".join(flags)
        keys["forwarding-method"] = self._method(block)
        for name, key in _KEYS.items():
            found = _first(block, name)
            if found is not None:
                default = _DEFAULT_PERSISTENCE_S if key == "persistence-timeout" else ""
                found.seen = True
                keys[key] = found.words[1] if len(found.words) > 1 else default
        return keys, protocol

    def _scheduler(self, block: Statement) -> str:
        for name in _SCHEDULER_KEYS:
            found = _first(block, name)
            if found is not None:
                found.seen = True
                scheduler = found.words[1].lower() if len(found.words) > 1 else ""
                if scheduler in SCHEDULERS:
                    return scheduler
                self._remark(found, "not translated: no scheduler of PyBal; wlc is taken")
        return "wlc"

    def _scheduler_flags(self, block: Statement, scheduler: str) -> list[str]:
        known = SCHEDULER_FLAGS.get(scheduler, ())
        found = []
        for number, flag in enumerate(known, start=1):
            names = (flag, f"flag-{number}")
            if any(made for name in names for made in _flags(block, name)):
                found.append(flag)
        return found

    def _method(self, block: Statement) -> str:
        for name in _METHOD_KEYS:
            found = _first(block, name)
            if found is not None and len(found.words) > 1:
                method = _METHODS.get(found.words[1].lower())
                if method is not None:
                    found.seen = True
                    if len(found.words) > 2:
                        self._remark(found, "what follows is not translated: see tunnel-type")
                    return method
        self._remark(block, "says no lvs_method: masquerade is taken, keepalived's default")
        return "masquerade"

    # Its servers

    def _servers(self, block: Statement, host: str) -> Iterator[Server]:
        for each in (each for each in block.block if each.name == "real_server"):
            each.seen = True
            address = each.words[1] if len(each.words) > 1 else ""
            port = whole_number(each.words[2]) if len(each.words) > 2 else None
            if parse_address(address) is None:
                self._remark(each, "not translated: no address")
                continue
            if len(each.words) > 2 and (port is None or port >= 2**16):
                self._remark(each, "not translated: no port")
                continue
            inherited = {**said_for_all(block), **said_for_all(each)}
            server = Server(each.line, address, port, self._weight(each), inherited=inherited)
            here = _argument(each, "virtualhost") or host
            for checker in each.block:
                self._checks.read(checker, server, here)
            yield server

    def _weight(self, server: Statement) -> int:
        found = _first(server, "weight")
        if found is None:
            return _DEFAULT_WEIGHT
        found.seen = True
        weight = whole_number(found.words[1]) if len(found.words) > 1 else None
        if weight is None or weight > _MAX_WEIGHT:
            text = f"no weight from 0 to {_MAX_WEIGHT}: {_DEFAULT_WEIGHT} is taken"
            self._remark(found, text)
            return _DEFAULT_WEIGHT
        return weight

    def _limits(self, block: Statement) -> dict[str, str]:
        """What keepalived says of each server and PyBal of the service."""
        servers = [each for each in block.block if each.name == "real_server"]
        keys: dict[str, str] = {}
        for name, key in (("uthreshold", "upper-threshold"), ("lthreshold", "lower-threshold")):
            found = [each for server in servers if (each := _first(server, name)) is not None]
            values = {each.words[1] for each in found if len(each.words) > 1}
            if len(found) == len(servers) and len(values) == 1:
                keys[key] = values.pop()
                for each in found:
                    each.seen = True
        inhibiting = _all(block, "inhibit_on_failure")
        for server in servers:
            inhibiting += _all(server, "inhibit_on_failure")
        for each in inhibiting:
            each.seen = True
        if inhibiting:
            keys["depool-method"] = "drain"
            text = "depool-method = drain, for all servers: weight 0 for 300 s, then it is removed"
            self._remark(inhibiting[0], text)
        return keys

    def _monitors(self, block: Statement, servers: list[Server]) -> dict[str, str]:
        """The monitors of all servers. PyBal checks all servers of a service alike."""
        chosen: dict[str, tuple[int, dict[str, str]]] = {}
        for server in servers:
            for check in server.checks:
                first = chosen.setdefault(check.monitor, (check.line, check.options))
                if first[1] != check.options:
                    text = f"as in line {first[0]}: PyBal checks all servers of a service alike"
                    self.remarks.append(Remark(check.line, check.monitor, text))
        for server in servers:
            missing = chosen.keys() - {check.monitor for check in server.checks}
            if missing:
                text = f"is checked by {', '.join(sorted(missing))}, as the others are"
                self.remarks.append(Remark(server.line, server.host, text))
        keys = {"monitors": f"[ {', '.join(map(repr, chosen))} ]" if chosen else "[]"}
        interval = _argument(block, "delay_loop")
        for monitor, (_, options) in chosen.items():
            if interval:
                keys[f"{monitor.lower()}.interval"] = interval
            keys |= {f"{monitor.lower()}.{name}": value for name, value in options.items()}
        if not chosen:
            self._remark(block, "checks nothing: its servers are always up")
        return keys

    def _service(
        self, place: Place, protocol: str, keys: dict[str, str], servers: list[Server]
    ) -> Service:
        name = self._name(place, protocol)
        service = Service(name, name, place.line)
        port = place.port
        if place.fwmark:
            port = next((s.port for s in servers if s.port), None) or _checked_port(keys) or 80
            text = f"its address is not known: put it in place of {place.address} in [{name}]"
            self.remarks.append(Remark(place.line, f"fwmark {place.fwmark}", text))
        service.keys = {"protocol": protocol, "ip": place.address, "port": str(port)}
        if place.fwmark:
            service.keys["fwmark"] = str(place.fwmark)
        service.keys |= keys
        for server in servers:
            if why := _why_left_out(server, place):
                service.left_out.append(server)
                text = f"left out of [{name}]: {why}; PyBal forwards to the service's own"
                self.remarks.append(Remark(server.line, f"real_server {server.host}", text))
            else:
                service.servers.append(server)
        if not service.servers:
            service.unusable = "no server of it can be reached as PyBal forwards"
            self.remarks.append(
                Remark(place.line, f"[{name}]", f"written as a comment: {service.unusable}")
            )
        return service

    def _name(self, place: Place, protocol: str) -> str:
        where = f"{place.address.replace(':', '-')}_{place.port}"
        name = f"fwmark_{place.fwmark}" if place.fwmark else where
        if protocol != "tcp":
            name += f"_{protocol}"
        unique, number = name, 2
        while unique in self._names:
            unique, number = f"{name}_{number}", number + 1
        self._names.add(unique)
        return unique


def _why_left_out(server: Server, place: Place) -> str:
    """Nothing if PyBal can forward to the server."""
    if place.fwmark:
        return ""
    if server.port not in (None, 0, place.port):
        return f"port {server.port}"
    return "another address family" if (":" in server.host) is not (":" in place.address) else ""


def _checked_port(keys: dict[str, str]) -> int | None:
    ports = (whole_number(value) for key, value in keys.items() if key.endswith(".port"))
    return next((port for port in ports if port is not None), None)


def _addresses(text: str) -> list[str]:
    """One address, or those of a range such as 192.0.2.3-10: its last part, hexadecimal in
    IPv6."""
    if parse_address(text) is not None:
        return [text]
    match = _RANGE.fullmatch(text)
    if match is None:
        return []
    base = 16 if ":" in text else 10
    try:
        first, last = int(match[2], base), int(match[3], base)
    except ValueError:
        return []
    if not first <= last < first + _MAX_RANGE:
        return []
    found = [f"{match[1]}{n:x}" if base == 16 else f"{match[1]}{n}" for n in range(first, last + 1)]
    return found if all(parse_address(each) is not None for each in found) else []


def _all(block: Statement, name: str) -> list[Statement]:
    return [each for each in block.block if each.name == name]


def _first(block: Statement, name: str) -> Statement | None:
    return next(iter(_all(block, name)), None)


def _argument(block: Statement, name: str) -> str:
    """The first word after a name, which is seen thereby; nothing if there is none."""
    found = _first(block, name)
    if found is None or len(found.words) < 2:
        return ""
    found.seen = True
    return found.words[1]


def _flags(block: Statement, name: str) -> Iterator[bool]:
    """Each statement of that name, now seen: whether it says yes."""
    for each in _all(block, name):
        each.seen = True
        yield len(each.words) == 1 or each.words[1].lower() in ("true", "yes", "on")


def _unseen(statements: list[Statement]) -> Iterator[Remark]:
    """What nobody has taken into account. Of a block that is none of ours, all at once."""
    for each in statements:
        if each.seen or each.name == "global_defs":
            yield from _unseen(each.block)
        else:
            lines = f" (to line {each.end})" if each.end > each.line else ""
            hint = _INSTEAD.get(each.name) or instead_of(each.name)
            yield Remark(
                each.line, each.text(), f"{_NOT_TRANSLATED}{lines}" + (f"; {hint}" if hint else "")
            )
