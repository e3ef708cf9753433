"""What [global] says of BGP, and its sub-sections of peers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pybal.config.bad_value import BadValueError
from pybal.config.bgp_checks import (
    check_communities,
    check_group,
    check_needs,
    check_options,
    check_peer,
    check_speaker,
    check_unnamed,
)
from pybal.config.bgp_kinds import (
    COMMUNITIES,
    EXTENDED_COMMUNITIES,
    LARGE_COMMUNITIES,
    LINK_BANDWIDTH,
    LINK_NAME,
    NEXT_HOP_IPV6,
    PEER_ADDRESSES,
    PEER_LIMIT,
    PREFIX,
    PREPEND,
    ROUTER_ID,
    SHUTDOWN_DELAY,
    WITHDRAW_AFTER,
)
from pybal.config.bgp_peer_section import SecretReader, read_options, read_own_options
from pybal.config.kinds import ADDRESSES, AS_PATH, ASN, HOST_ADDRESS, MED, PORT
from pybal.config.section import SectionReader
from pybal.config.settings import (
    BGPInterfacePeer,
    BGPPeer,
    BGPPeerGroup,
    BGPPeerOptions,
    BGPSettings,
)
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
        nexthop_ipv6=reader.get("bgp-nexthop-ipv6", NEXT_HOP_IPV6, None),
        med=reader.get("bgp-med", MED, 0),
        local_ips=reader.get("bgp-local-ips", ADDRESSES, ()),
        local_port=reader.get("bgp-local-port", PORT, 179),
        advertised_addresses=reader.get(
            "advertised_instrumentation_ips", ADDRESSES, (), alias="advertised-instrumentation-ips"
        ),
        router_id=reader.get("bgp-router-id", ROUTER_ID, None),
        communities=reader.get("bgp-communities", COMMUNITIES, ()),
        large_communities=reader.get("bgp-large-communities", LARGE_COMMUNITIES, ()),
        extended_communities=reader.get("bgp-extended-communities", EXTENDED_COMMUNITIES, ()),
        link_bandwidth=reader.get("bgp-link-bandwidth", LINK_BANDWIDTH, None),
        local_pref=reader.get("bgp-local-pref", MED, 100),
        shutdown_delay_s=reader.get("bgp-shutdown-delay", SHUTDOWN_DELAY, 0.0),
        confederation_id=reader.get("bgp-confederation-id", ASN, None),
        confederation_peers=reader.get("bgp-confederation-peers", AS_PATH, ()),
        maintenance_med=reader.get("bgp-maintenance-med", MED, None),
        maintenance_prepend=reader.get("bgp-maintenance-prepend", PREPEND, 0),
        maintenance_withdraw_s=reader.get("bgp-maintenance-withdraw", WITHDRAW_AFTER, 30.0),
    )
    options = _PeerReader(reader, read_secret, settings, wanted=wanted)
    for section in subsections:
        options.read(section)
    return options.complete()


class _PeerReader:
    """Reads `[[peer ADDRESS]]`, `[[peer INTERFACE]]` and `[[peers PREFIX]]`."""

    def __init__(
        self, reader: SectionReader, read_secret: SecretReader, bgp: BGPSettings, *, wanted: bool
    ) -> None:
        self._reader = reader
        self._read_secret = read_secret
        self._bgp = bgp
        self._wanted = wanted
        self._written = reader.get(_PEERS, PEER_ADDRESSES, ())
        self._general = read_options(reader, BGPPeerOptions(), read_secret)
        self._own: dict[IPAddress, BGPPeerOptions] = {}
        self._sections: dict[IPAddress, SectionReader] = {}
        self._groups: list[BGPPeerGroup] = []
        self._interfaces: list[BGPInterfacePeer] = []

    def read(self, section: SectionReader) -> None:
        kind, _, name = section.name.strip("[]").partition(" ")
        name = name.strip()
        if kind == "peers":
            self._read_group(section, name)
            return
        address = parse_scoped_address(name)
        if address is not None:
            self._read_named(section, address)
        elif LINK_NAME.fullmatch(name):
            self._read_interface(section, name)
        else:
            section.error_of_section("must be [[peer ADDRESS]] or [[peer INTERFACE]]")
            self._read_options(section, None)

    def _read_options(
        self, section: SectionReader, address: IPAddress | None, *, of_many: bool = False
    ) -> BGPPeerOptions:
        options = read_own_options(section, address, self._general, self._read_secret)
        if of_many:
            section.know("bgp-peer-limit")
        elif section.is_set("bgp-peer-limit"):
            section.ignore("bgp-peer-limit", "has no effect: it belongs in [[peers PREFIX]]")
        section.warn_of_unknown()
        check_options(section, options, self._general)
        check_needs(section, options)
        check_communities(section, options.communities, self._bgp.communities)
        return options

    def _read_named(self, section: SectionReader, address: IPAddress) -> None:
        if address in self._own:
            section.error_of_section(f"a second sub-section of {address}")
        elif self._written and address not in self._written:
            section.error_of_section(f"{address} is not in {_PEERS}")
        self._own[address] = self._read_options(section, address)
        self._sections[address] = section

    def _read_interface(self, section: SectionReader, name: str) -> None:
        if name in (one.interface for one in self._interfaces):
            section.error_of_section(f"a second sub-section of {name}")
        options = self._read_options(section, None)
        if options.interface is not None:
            section.warn("bgp-interface", f"has no effect: the router is looked for on {name}")
        check_unnamed(section, options, self._bgp)
        self._interfaces.append(BGPInterfacePeer(name, options))

    def _read_group(self, section: SectionReader, name: str) -> None:
        try:
            network = PREFIX.parse(name)
        except BadValueError as bad:
            why = f"; {bad}" if str(bad) else ""
            section.error_of_section(f"must be [[peers PREFIX]], {PREFIX.wanted}{why}")
            self._read_options(section, None, of_many=True)
            return
        if network in (group.network for group in self._groups):
            section.error_of_section(f"a second sub-section of {network}")
        limit = section.get("bgp-peer-limit", PEER_LIMIT, self._general.limit)
        options = replace(self._read_options(section, None, of_many=True), limit=limit)
        check_unnamed(section, options, self._bgp)
        check_group(section, network, options)
        if options.connect_only:
            section.error("bgp-connect-only", "peers out of a prefix connect to us")
        self._groups.append(BGPPeerGroup(network, options))

    def complete(self) -> BGPSettings:
        reader, written = self._reader, self._written
        addresses = tuple(dict.fromkeys(written))
        others = bool(self._groups or self._interfaces)
        if self._wanted and not addresses and not reader.is_bad(_PEERS):
            if self._own:
                # A sub-section alone makes no peer.
                own = ", ".join(map(str, self._own))
                reader.missing(_PEERS, f"must name those of the sub-sections [[peer]]: {own}")
            elif not others:
                reader.missing(_PEERS, f"must be {PEER_ADDRESSES.wanted}")
        for address in addresses:
            if written.count(address) > 1:
                reader.warn(_PEERS, f"names {address} {written.count(address)} times; once counts")
        peers = tuple(BGPPeer(a, self._own.get(a, self._general)) for a in addresses)
        found = replace(
            self._bgp,
            peers=peers,
            groups=tuple(self._groups),
            interface_peers=tuple(self._interfaces),
        )
        if self._wanted:
            check_options(reader, self._general)
            check_needs(reader, self._general, found.all_options)
            check_speaker(reader, found)
            if any(address not in self._sections for address in addresses):
                check_unnamed(reader, self._general, self._bgp)
            for peer in peers:
                check_peer(self._sections.get(peer.address), reader, peer, self._bgp)
        return found
