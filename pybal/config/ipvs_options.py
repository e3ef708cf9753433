"""Reads the options of a service that are IPVS's alone. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Network

from pybal.config.bad_value import BadValueError, did_you_mean
from pybal.config.foreign_words import forwarding_instead_of
from pybal.config.kinds import BOOLEAN, MAX_U32, PORT, Kind, choice, integer
from pybal.config.section import SectionReader
from pybal.ipvs.model import SCHEDULER_FLAGS, Checksum, Forwarding, Persistence, Tunnel, TunnelType
from pybal.ipvs.options import ServiceOptions
from pybal.model import IPAddress, L4Protocol
from pybal.runtime.naming import shortened

MAX_PERSISTENCE_S = 31 * 86400  # as ipvsadm has it; a kernel of 1,000 Hz can count to 49 days
_ALL_FLAGS = tuple(name for names in SCHEDULER_FLAGS.values() for name in names)
_METHODS = {
    "direct": Forwarding.DIRECT,
    "tunnel": Forwarding.TUNNEL,
    "masquerade": Forwarding.MASQUERADE,
}
_CHECKSUMS = {"no": Checksum.NONE, "yes": Checksum.FULL, "remote": Checksum.REMOTE}
_FAMILIES = {"ipv4": 4, "ipv6": 6}
_DIGITS = re.compile("[0-9]{1,3}")


def _flags(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    for name in names:
        if name not in _ALL_FLAGS:
            hint = did_you_mean(name, _ALL_FLAGS)
            raise BadValueError(f"{shortened(name, 64)!r} is none; {hint}")
    return names


def _netmask(version: int) -> Kind[int]:
    """The prefix length of a netmask; an IPv4 one may be written 255.255.255.0."""
    longest = 128 if version == 6 else 32

    def parse(text: str) -> int:
        if _DIGITS.fullmatch(text) and 1 <= int(text) <= longest:
            return int(text)
        lengths = {str(IPv4Network((0, n)).netmask): n for n in range(1, 33)}
        if version == 6 or text not in lengths:
            raise BadValueError
        return lengths[text]

    dotted = "" if version == 6 else ", or a netmask such as 255.255.255.0"
    return Kind(f"a prefix length from 1 to {longest}{dotted}", parse)


_FLAGS = Kind(f"some of {', '.join(_ALL_FLAGS)}, separated by commas", _flags)
_FWMARK = integer(1, MAX_U32, "a firewall mark")
_METHOD = choice(_METHODS, forwarding_instead_of)
_TUNNEL_TYPE = choice(kind.name.lower() for kind in TunnelType)
_CHECKSUM = choice(_CHECKSUMS)
_ENGINE = Kind("sip", choice(("sip", "sip")).parse)
_PERSISTENCE_S = integer(1, MAX_PERSISTENCE_S, "seconds")
_THRESHOLD = integer(0, 2**31 - 1, "a number of connections")
_FAMILY = choice(_FAMILIES)


def read_ipvs_options(
    reader: SectionReader,
    protocol: L4Protocol | None,
    address: IPAddress | None,
    scheduler: str | None,
) -> ServiceOptions:
    """The options; protocol, address and scheduler are None where they are missing or bad."""
    forwarding = _read_forwarding(reader)
    persistence = _read_persistence(reader, 4 if address is None else address.version)
    upper = reader.get("upper-threshold", _THRESHOLD, 0)
    lower = reader.get("lower-threshold", _THRESHOLD, 0)
    if lower > upper and not reader.is_bad("upper-threshold"):
        reader.error("lower-threshold", f"must be at most upper-threshold, which is {upper}")
    return ServiceOptions(
        forwarding=forwarding,
        tunnel=_read_tunnel(reader, forwarding),
        fwmark=reader.get("fwmark", _FWMARK, 0),
        scheduler_flags=_read_flags(reader, scheduler),
        persistence=persistence,
        persistence_engine=_read_engine(reader, protocol),
        upper_threshold=upper,
        lower_threshold=lower,
        server_version=_read_server_version(reader, forwarding, address),
    )


def _read_forwarding(reader: SectionReader) -> Forwarding:
    tunneling = reader.get("tunneling", BOOLEAN, False)
    name = reader.get("forwarding-method", _METHOD, "tunnel" if tunneling else "direct")
    forwarding = _METHODS[name]
    if reader.is_set("tunneling") and not reader.is_bad("tunneling"):
        wanted = forwarding is Forwarding.TUNNEL
        if tunneling is not wanted and not reader.is_bad("forwarding-method"):
            right = "yes" if wanted else "no"
            with_method = f"with forwarding-method = {name}"
            reader.error("tunneling", f"must be {right}, or left out, {with_method}")
    return forwarding


def _read_tunnel(reader: SectionReader, forwarding: Forwarding) -> Tunnel:
    name = reader.get("tunnel-type", _TUNNEL_TYPE, "ipip")
    kind = TunnelType[name.upper()]
    port = reader.get("tunnel-port", PORT, 0)
    checksum_name = reader.get("tunnel-checksum", _CHECKSUM, "no")
    if forwarding is not Forwarding.TUNNEL:
        if not (reader.is_bad("forwarding-method") or reader.is_bad("tunneling")):
            for key in ("tunnel-type", "tunnel-port", "tunnel-checksum"):
                if reader.is_set(key) and not reader.is_bad(key):
                    reader.error(key, "must not be set without forwarding-method = tunnel")
        return Tunnel()
    if reader.is_bad("tunnel-type"):
        return Tunnel()
    if kind is TunnelType.GUE and not reader.is_set("tunnel-port"):
        reader.missing("tunnel-port", f"must be {PORT.wanted}, because tunnel-type is gue")
    if kind is not TunnelType.GUE and reader.is_set("tunnel-port"):
        reader.error("tunnel-port", "must not be set without tunnel-type = gue")
    if checksum_name == "yes" and kind is TunnelType.IPIP:
        reader.error("tunnel-checksum", "must be no: ipip has no checksum")
    if checksum_name == "remote" and kind is not TunnelType.GUE:
        reader.error("tunnel-checksum", f"must not be remote with {name}: that is gue's alone")
    return Tunnel(kind, port, _CHECKSUMS[checksum_name].value)


def _read_flags(reader: SectionReader, scheduler: str | None) -> int:
    names = reader.get("scheduler-flags", _FLAGS, ())
    if scheduler is None:
        return 0
    known = SCHEDULER_FLAGS.get(scheduler, ())
    for name in names:
        if name not in known:
            others = f"has {' and '.join(known)}" if known else "has no flags"
            reader.error(
                "scheduler-flags", f"{name} is not of scheduler {scheduler}, which {others}"
            )
            return 0
    return sum(1 << bit for bit, name in enumerate(known) if name in names)


def _read_persistence(reader: SectionReader, version: int) -> Persistence | None:
    timeout_s = reader.get("persistence-timeout", _PERSISTENCE_S, None)
    length = reader.get("persistence-netmask", _netmask(version), 128 if version == 6 else 32)
    if timeout_s is not None:
        return Persistence(timeout_s, length)
    if not reader.is_bad("persistence-timeout"):
        for key in ("persistence-netmask", "persistence-engine"):
            if reader.is_set(key) and not reader.is_bad(key):
                reader.error(key, "must not be set without persistence-timeout")
    return None


def _read_engine(reader: SectionReader, protocol: L4Protocol | None) -> str:
    engine = reader.get("persistence-engine", _ENGINE, "")
    if engine and protocol not in (None, L4Protocol.UDP):
        reader.error(
            "persistence-engine", f"must not be {engine} with {protocol.value}: it is for udp"
        )
    return engine


def _read_server_version(
    reader: SectionReader, forwarding: Forwarding, address: IPAddress | None
) -> int | None:
    name = reader.get("server-address-family", _FAMILY, "")
    version = _FAMILIES.get(name)
    if version is None or address is None or version == address.version:
        return version
    if forwarding is not Forwarding.TUNNEL:
        reader.error(
            "server-address-family",
            f"must be ipv{address.version}, as ip is: only a tunnel leads to the other family",
        )
    return version
