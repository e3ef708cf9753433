"""How a router is spoken to: said for all of them in [global], and for one in `[[peer ADDRESS]]`.
Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pybal.config.bad_value import BadValueError
from pybal.config.bgp_kinds import (
    BFD_AUTH,
    BFD_INTERVAL,
    BFD_KEY_SIZES,
    BFD_MULTIPLIER,
    COMMUNITIES,
    DESCRIPTION,
    EXTENDED_COMMUNITIES,
    FAMILIES,
    HOLD_TIME,
    IMPORT,
    LARGE_COMMUNITIES,
    MULTIHOP,
    NEXT_HOP_IPV6,
    PASSWORD,
    PREPEND,
    RESTART_TIME,
    ROLE,
    STALE_TIME,
    TCP_AO,
    TTL_SECURITY,
)
from pybal.config.kinds import (
    ABSOLUTE_PATH,
    ASN,
    BOOLEAN,
    HOST_ADDRESS,
    INTERFACE,
    MED,
    PORT,
    SECONDS,
)
from pybal.config.section import SectionReader
from pybal.config.settings import BGPPeerOptions
from pybal.model import IPAddress

SecretReader = Callable[[Path], str]
"""The only line of a file that others cannot read. Raises BadValueError, which says why not."""


def read_options(
    reader: SectionReader, general: BGPPeerOptions, read_secret: SecretReader
) -> BGPPeerOptions:
    """What can be said for all routers, and for one of them again."""

    def flag(key: str, default: bool) -> bool:
        return reader.get(key, BOOLEAN, default)

    found = replace(
        general,
        asn=reader.get("bgp-peer-asn", ASN, general.asn),
        password=_read_password(reader, "bgp-password", general.password, read_secret),
        ttl_security_hops=reader.get("bgp-ttl-security", TTL_SECURITY, general.ttl_security_hops),
        multihop=reader.get("bgp-multihop", MULTIHOP, general.multihop),
        hold_time_s=reader.get("bgp-hold-time", HOLD_TIME, general.hold_time_s),
        connect_retry_s=reader.get("bgp-connect-retry", SECONDS, general.connect_retry_s),
        graceful_restart=flag("bgp-graceful-restart", general.graceful_restart),
        graceful_restart_time_s=reader.get(
            "bgp-graceful-restart-time", RESTART_TIME, general.graceful_restart_time_s
        ),
        bfd=flag("bgp-bfd", general.bfd),
        bfd_interval_ms=reader.get("bgp-bfd-interval", BFD_INTERVAL, general.bfd_interval_ms),
        bfd_multiplier=reader.get("bgp-bfd-multiplier", BFD_MULTIPLIER, general.bfd_multiplier),
        bfd_multihop=flag("bgp-bfd-multihop", general.bfd_multihop),
        bfd_auth=reader.get("bgp-bfd-auth", BFD_AUTH, general.bfd_auth),
        bfd_password=_read_password(reader, "bgp-bfd-password", general.bfd_password, read_secret),
        passive=flag("bgp-passive", general.passive),
        connect_only=flag("bgp-connect-only", general.connect_only),
        families=reader.get("bgp-families", FAMILIES, general.families),
        prepend=reader.get("bgp-prepend", PREPEND, general.prepend),
        tcp_ao=reader.get("bgp-tcp-ao", TCP_AO, general.tcp_ao),
        long_lived_stale_s=reader.get(
            "bgp-long-lived-graceful-restart", STALE_TIME, general.long_lived_stale_s
        ),
        role=reader.get("bgp-role", ROLE, general.role),
        role_strict=flag("bgp-role-strict", general.role_strict),
        imports=reader.get("bgp-import", IMPORT, general.imports),
    )
    _check_ways(reader, found)
    _check_bfd(reader, found)
    return found


def read_own_options(
    reader: SectionReader,
    address: IPAddress | None,
    general: BGPPeerOptions,
    read_secret: SecretReader,
) -> BGPPeerOptions:
    """Those of one router: what is said for all, and what can only be said of one."""
    found = replace(
        read_options(reader, general, read_secret),
        description=reader.get("bgp-description", DESCRIPTION, ""),
        source_address=reader.get("bgp-source-address", HOST_ADDRESS, None),
        interface=reader.get("bgp-interface", INTERFACE, None),
        port=reader.get("bgp-peer-port", PORT, general.port),
        nexthop_ipv4=reader.get("bgp-nexthop-ipv4", HOST_ADDRESS, None),
        nexthop_ipv6=reader.get("bgp-nexthop-ipv6", NEXT_HOP_IPV6, None),
        med=reader.get("bgp-med", MED, None),
        local_pref=reader.get("bgp-local-pref", MED, None),
        communities=reader.get("bgp-communities", COMMUNITIES, ()),
        large_communities=reader.get("bgp-large-communities", LARGE_COMMUNITIES, ()),
        extended_communities=reader.get("bgp-extended-communities", EXTENDED_COMMUNITIES, ()),
    )
    source = found.source_address
    if source is not None and address is not None and source.version != address.version:
        reader.error(
            "bgp-source-address", f"must be an IPv{address.version} address, as the peer's"
        )
    return found


def _check_ways(reader: SectionReader, options: BGPPeerOptions) -> None:
    """What contradicts itself, where the later of both keys is."""
    if options.passive and options.connect_only:
        key = "bgp-connect-only" if reader.is_set("bgp-connect-only") else "bgp-passive"
        reader.error(key, "bgp-passive and bgp-connect-only together let nobody connect")
    if options.multihop is not None and options.ttl_security_hops is not None:
        key = "bgp-multihop" if reader.is_set("bgp-multihop") else "bgp-ttl-security"
        reader.error(key, "with bgp-ttl-security the TTL is 255; leave bgp-multihop out")
    if options.tcp_ao is not None and options.password is None and reader.is_set("bgp-tcp-ao"):
        reader.error("bgp-tcp-ao", "needs bgp-password or bgp-password-file, which is its key")
    if options.role_strict and options.role is None and reader.is_set("bgp-role-strict"):
        reader.warn("bgp-role-strict", "has no effect without bgp-role")


def _check_bfd(reader: SectionReader, options: BGPPeerOptions) -> None:
    auth, key = options.bfd_auth, "bgp-bfd-auth"
    here = [
        each for each in (key, "bgp-bfd-password", "bgp-bfd-password-file") if reader.is_set(each)
    ]
    if auth is not None and here:
        key = here[0]
        size_bytes = len((options.bfd_password or "").encode())
        if not size_bytes:
            reader.error(key, "needs bgp-bfd-password or bgp-bfd-password-file, which is its key")
        elif size_bytes > BFD_KEY_SIZES[auth.kind]:
            most = BFD_KEY_SIZES[auth.kind]
            reader.error(key, f"the key of {auth.kind} has {most} bytes at most, not {size_bytes}")
    unused = auth is None and not reader.is_bad(key)
    if unused and options.bfd_password and reader.is_set("bgp-bfd-password"):
        reader.warn("bgp-bfd-password", "has no effect without bgp-bfd-auth")
    far = (options.multihop or 1) > 1 or (options.ttl_security_hops or 1) > 1
    if options.bfd and far and not options.bfd_multihop and reader.is_set("bgp-bfd"):
        reader.warn(
            "bgp-bfd",
            "is for neighbours; to a peer behind other routers it needs bgp-bfd-multihop = yes",
        )


def _read_password(
    reader: SectionReader, here: str, general: str | None, read_secret: SecretReader
) -> str | None:
    file = f"{here}-file"
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
