"""The kernel's IPVS table as others show it: `/proc/net/ip_vs`, or node_exporter. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from pybal.errors import PyBalError
from pybal.ipvs.model import ServiceKey
from pybal.model import L4Protocol
from pybal.net.addresses import endpoint

Table = dict[str, dict[str, int]]
"""Service as in `tcp 192.0.2.1:80` -> server as in `192.0.2.11:80` -> weight."""

_PROTOCOLS = {protocol.value: protocol for protocol in L4Protocol}
_SAMPLE = re.compile(r"^node_ipvs_backend_weight\{(.*)\}\s+(\S+)(?:\s+\d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class TableError(PyBalError):
    """That is no IPVS table."""


def from_proc(text: str) -> Table:
    """Read `/proc/net/ip_vs` (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show): addresses and
    ports are hexadecimal, IPv6 in brackets. Raises TableError."""
    if not text.startswith("IP Virtual Server"):
        raise TableError("that is not /proc/net/ip_vs")
    table: Table = {}
    servers: dict[str, int] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] in ("IP", "Prot"):
            continue
        try:
            if words[0] == "->":
                if words[1] != "RemoteAddress:Port":
                    servers[_hex_endpoint(words[1])] = int(words[3])
            elif words[0] == "FWM":
                servers = table.setdefault(_mark(words), {})
            elif words[0].lower() in _PROTOCOLS:
                key = f"{words[0].lower()} {_hex_endpoint(words[1])}"
                servers = table.setdefault(key, {})
            else:
                raise TableError(f"unknown line {line!r}")
        except (IndexError, ValueError) as error:
            raise TableError(f"cannot read the line {line!r}") from error
    return table


def _mark(words: list[str]) -> str:
    """The kernel does not show the family: PyBal's IPv6 ones are told apart by their servers, so
    both kinds are one here."""
    return str(ServiceKey.marked(int(words[1], 16), 4)).removesuffix(" IPv4")


def _hex_endpoint(text: str) -> str:
    host, _, port = text.rpartition(":")
    if host.startswith("["):
        return endpoint(IPv6Address(host.strip("[]")), int(port, 16))
    return endpoint(IPv4Address(int(host, 16)), int(port, 16))


def from_node_exporter(text: str) -> Table:
    """Read node_exporter's `/metrics`; a service without servers is not in it. Raises
    TableError."""
    table: Table = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is None:
            continue
        labels = dict(_LABEL.findall(match[1]))
        try:
            servers = table.setdefault(_labelled_service(labels), {})
            server = ip_address(labels["remote_address"])
            servers[endpoint(server, int(labels["remote_port"]))] = int(float(match[2]))
        except (KeyError, ValueError) as error:
            raise TableError(f"cannot read the line {line!r}") from error
    return table


def _labelled_service(labels: dict[str, str]) -> str:
    mark = labels.get("local_mark", "")
    if mark and int(mark, 16):
        return _mark(["FWM", mark])
    address = ip_address(labels["local_address"])
    return f"{labels['proto'].lower()} {endpoint(address, int(labels['local_port']))}"
