"""What [global] and its sub-sections `[[peer ADDRESS]]` say of BGP. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pybal.config.bgp_checks import check_confederation, check_options, check_peer
from pybal.config.bgp_kinds import (
    COMMUNITIES,
    LARGE_COMMUNITIES,
    PEER_ADDRESSES,
    PREPEND,
    ROUTER_ID,
    SHUTDOWN_DELAY,
    WITHDRAW_AFTER,
)
from pybal.config.bgp_peer_section import SecretReader, read_options, read_own_options
from pybal.config.kinds import ADDRESSES, AS_PATH, ASN, HOST_ADDRESS, IPV6, MED, PORT
from pybal.config.section import SectionReader
from pybal.config.settings import BGPPeer, BGPPeerOptions, BGPSettings
from pybal.model import IPAddress
from pybal.net.addresses import parse_scoped_address

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
    settings = BGPSettings(
        local_asn=local_asn,
        peers=(),
        as_path=reader.get("bgp-as-path", AS_PATH, (local_asn,)),
        nexthop_ipv4=reader.get("bgp-nexthop-ipv4", HOST_ADDRESS, None),
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
        confederation_id=reader.get("bgp-confederation-id", ASN, None),
        confederation_peers=reader.get("bgp-confederation-peers", AS_PATH, ()),
        maintenance_med=reader.get("bgp-maintenance-med", MED, None),
        maintenance_prepend=reader.get("bgp-maintenance-prepend", PREPEND, 0),
        maintenance_withdraw_s=reader.get("bgp-maintenance-withdraw", WITHDRAW_AFTER, 30.0),
    )
    peers = _read_peers(reader, subsections, read_secret, settings, wanted=wanted)
    return replace(settings, peers=peers)


def _read_peers(
    reader: SectionReader,
    subsections: Iterable[SectionReader],
    read_secret: SecretReader,
    bgp: BGPSettings,
    *,
    wanted: bool,
) -> tuple[BGPPeer, ...]:
    written = reader.get(_PEERS, PEER_ADDRESSES, ())
    addresses = tuple(dict.fromkeys(written))
    if wanted and not addresses and not reader.is_bad(_PEERS):
        reader.missing(_PEERS, f"must be {PEER_ADDRESSES.wanted}")
    for address in addresses:
        if written.count(address) > 1:
            reader.warn(_PEERS, f"names {address} {written.count(address)} times; once counts")
    general = read_options(reader, BGPPeerOptions(), read_secret)
    own: dict[IPAddress, BGPPeerOptions] = {}
    sections: dict[IPAddress, SectionReader] = {}
    for section in subsections:
        named = parse_scoped_address(_written_address(section))
        if named is None:
            section.error_of_section("must be [[peer ADDRESS]]")
        elif named in own:
            section.error_of_section(f"a second sub-section of {named}")
        elif addresses and named not in addresses:
            section.error_of_section(f"{named} is not in {_PEERS}")
        options = read_own_options(section, named, general, read_secret)
        section.warn_of_unknown()
        if named is not None:
            own[named] = options
            sections[named] = section
            check_options(section, options, general)
    peers = tuple(BGPPeer(address, own.get(address, general)) for address in addresses)
    if wanted:
        check_options(reader, general)
        check_confederation(reader, bgp)
        for peer in peers:
            check_peer(sections.get(peer.address), reader, peer, bgp)
    return peers


def _written_address(section: SectionReader) -> str:
    """`[peer ADDRESS]` is how it is called."""
    return section.name.strip("[]").removeprefix("peer").strip()
