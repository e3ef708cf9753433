"""What [global] and its sub-sections `[[peer ADDRESS]]` say of BGP. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pybal.config.bad_value import BadValueError
from pybal.config.bgp_kinds import (
    BFD_INTERVAL,
    BFD_MULTIPLIER,
    COMMUNITIES,
    HOLD_TIME,
    LARGE_COMMUNITIES,
    PASSWORD,
    RESTART_TIME,
    ROUTER_ID,
    SHUTDOWN_DELAY,
    TTL_SECURITY,
)
from pybal.config.kinds import (
    ABSOLUTE_PATH,
    ADDRESSES,
    AS_PATH,
    ASN,
    BOOLEAN,
    IPV4,
    IPV6,
    MED,
    PORT,
    SECONDS,
)
from pybal.config.section import SectionReader
from pybal.config.settings import BGPPeer, BGPPeerOptions, BGPSettings
from pybal.model import IPAddress
from pybal.net.addresses import parse_address

SecretReader = Callable[[Path], str]
"""The only line of a file that others cannot read. Raises BadValueError, which says why not."""

_PEERS = "bgp-peer-address"


def read_bgp(
    reader: SectionReader,
    subsections: Iterable[SectionReader],
    read_secret: SecretReader,
    *,
    wanted: bool,
) -> BGPSettings:
    """Read all of it; what must be set is only missed if BGP is `wanted`."""
    if wanted:
        local_asn = reader.require("bgp-local-asn", ASN) or 0
    else:
        local_asn = reader.get("bgp-local-asn", ASN, 0)
    return BGPSettings(
        local_asn=local_asn,
        peers=_read_peers(reader, subsections, read_secret, wanted=wanted),
        as_path=reader.get("bgp-as-path", AS_PATH, (local_asn,)),
        nexthop_ipv4=reader.get("bgp-nexthop-ipv4", IPV4, None),
        nexthop_ipv6=reader.get("bgp-nexthop-ipv6", IPV6, None),
        med=reader.get("bgp-med", MED, 0),
        local_ips=reader.get("bgp-local-ips", ADDRESSES, ()),
        local_port=reader.get("bgp-local-port", PORT, 179),
        advertised_addresses=reader.get(
            "advertised_instrumentation_ips", ADDRESSES, (), alias="advertised-instrumentation-ips"
        ),
        router_id=reader.get("bgp-router-id", ROUTER_ID, None),
        communities=reader.get("bgp-communities", COMMUNITIES, ()),
        large_communities=reader.get("bgp-large-communities", LARGE_COMMUNITIES, ()),
        local_pref=reader.get("bgp-local-pref", MED, 100),
        shutdown_delay_s=reader.get("bgp-shutdown-delay", SHUTDOWN_DELAY, 0.0),
    )


def _read_peers(
    reader: SectionReader,
    subsections: Iterable[SectionReader],
    read_secret: SecretReader,
    *,
    wanted: bool,
) -> tuple[BGPPeer, ...]:
    addresses = reader.get(_PEERS, ADDRESSES, ())
    if wanted and not addresses and not reader.is_bad(_PEERS):
        reader.missing(_PEERS, f"must be {ADDRESSES.wanted}")
    general = _read_options(reader, BGPPeerOptions(), read_secret)
    own: dict[IPAddress, BGPPeerOptions] = {}
    for section in subsections:
        address = parse_address(_written_address(section))
        if address is None:
            section.error_of_section("must be [[peer ADDRESS]]")
        elif address in own:
            section.error_of_section(f"a second sub-section of {address}")
        elif addresses and address not in addresses:
            section.error_of_section(f"{address} is not in {_PEERS}")
        options = _read_options(section, general, read_secret)
        section.warn_of_unknown()
        if address is not None:
            own[address] = options
    return tuple(BGPPeer(address, own.get(address, general)) for address in addresses)


def _written_address(section: SectionReader) -> str:
    """`[peer ADDRESS]` is how it is called."""
    return section.name.strip("[]").removeprefix("peer").strip()


def _read_options(
    reader: SectionReader, general: BGPPeerOptions, read_secret: SecretReader
) -> BGPPeerOptions:
    """What can be said for all routers, and for one of them again."""

    def flag(key: str, default: bool) -> bool:
        return reader.get(key, BOOLEAN, default)

    return BGPPeerOptions(
        asn=reader.get("bgp-peer-asn", ASN, general.asn),
        password=_read_password(reader, general.password, read_secret),
        ttl_security_hops=reader.get("bgp-ttl-security", TTL_SECURITY, general.ttl_security_hops),
        hold_time_s=reader.get("bgp-hold-time", HOLD_TIME, general.hold_time_s),
        connect_retry_s=reader.get("bgp-connect-retry", SECONDS, general.connect_retry_s),
        graceful_restart=flag("bgp-graceful-restart", general.graceful_restart),
        graceful_restart_time_s=reader.get(
            "bgp-graceful-restart-time", RESTART_TIME, general.graceful_restart_time_s
        ),
        bfd=flag("bgp-bfd", general.bfd),
        bfd_interval_ms=reader.get("bgp-bfd-interval", BFD_INTERVAL, general.bfd_interval_ms),
        bfd_multiplier=reader.get("bgp-bfd-multiplier", BFD_MULTIPLIER, general.bfd_multiplier),
    )


def _read_password(
    reader: SectionReader, general: str | None, read_secret: SecretReader
) -> str | None:
    here, file = "bgp-password", "bgp-password-file"
    if reader.is_empty(here) or reader.is_empty(file):
        general = None  # a peer's way to do without the password of all
    if reader.is_set(here) and reader.is_set(file):
        reader.error(file, f"{here} is in line {reader.line_of(here)}; set only one")
    password = reader.get(here, PASSWORD, general)
    path = reader.get(file, ABSOLUTE_PATH, None)
    if path is None or reader.is_bad(file):
        return password
    try:
        secret = read_secret(path)
    except BadValueError as bad:
        reader.error(file, f"{path}: {bad}")
        return None
    try:
        return PASSWORD.parse(secret)
    except BadValueError as bad:
        reader.error(file, f"{path}: must hold {PASSWORD.wanted}; {bad}")
        return None
