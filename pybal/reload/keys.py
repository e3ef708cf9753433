"""What a reload touches when a key of pybal.conf changes: the one table. Pure.

The manual is made from it, `difference.py` reads it, and tests hold it against etc/pybal.conf and
against the settings' own fields.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Effect(Enum):
    """What is touched; the value says it to people."""

    IN_PLACE = "in place"
    """The running part takes the new value; no connection, session or check begins anew that has
    not changed itself."""
    SERVICE_ANEW = "this service anew"
    """The new service stands and is announced before the old one is withdrawn."""
    PEER_ANEW = "this peer anew"
    """The BGP session ends and begins again with the new values; the others stay."""
    RESTART = "needs a restart"
    """The running daemon keeps the old value, and says so."""


class Key(NamedTuple):
    """Keys of pybal.conf that make one value: their names, the value's place in the settings
    (dotted fields), and what a change of it touches. `secret`: the value is never shown."""

    names: tuple[str, ...]
    field: str
    effect: Effect = Effect.IN_PLACE
    secret: bool = False


def _keys(effect: Effect, *pairs: tuple[str, str]) -> tuple[Key, ...]:
    return tuple(Key(tuple(names.split()), field, effect) for names, field in pairs)


GLOBAL_KEYS = (
    *_keys(
        Effect.RESTART,
        ("dryrun", "dry_run"),
        ("dry-run-bgp", "dry_run_bgp"),
        ("state-directory", "state_directory"),
        ("handover", "handover"),
    ),
    *_keys(
        Effect.IN_PLACE,
        ("instrumentation instrumentation_port instrumentation_ips", "instrumentation"),
        ("isolation isolation-threshold isolation-window isolation-hold", "isolation"),
        ("list-floor list-window list-hold", "list_guard"),
        ("flap-damping", "flap_damping"),
        ("control-socket control-socket-group", "control"),
        ("runcommand-concurrency", "runcommand_concurrency"),
        ("runcommand-user", "runcommand_user"),
        ("strict", "strict"),
        ("log-level", "log_level"),
        ("history-retention history-size", "history"),
        ("ipvs-audit-interval", "ipvs.audit_interval_s"),
        ("ipvs-cleanup", "ipvs.cleanup"),
        ("ipvs-statistics", "ipvs.statistics"),
        ("ipvs-tcp-timeout ipvs-tcpfin-timeout ipvs-udp-timeout", "ipvs.kernel.timeouts"),
        (
            "ipvs-sync-daemon ipvs-sync-interface ipvs-sync-id ipvs-sync-group ipvs-sync-port"
            " ipvs-sync-ttl",
            "ipvs.kernel.sync",
        ),
    ),
)
"""Keys of [global] that are not BGP's; the fields are those of `Settings`."""

BGP_KEYS = (
    *_keys(
        Effect.PEER_ANEW,
        ("bgp-local-asn", "local_asn"),
        ("bgp-router-id", "router_id"),
        ("bgp-confederation-id", "confederation_id"),
        ("bgp-confederation-peers", "confederation_peers"),
    ),
    *_keys(
        Effect.IN_PLACE,
        ("bgp-as-path", "as_path"),
        ("bgp-nexthop-ipv4", "nexthop_ipv4"),
        ("bgp-nexthop-ipv6", "nexthop_ipv6"),
        ("bgp-med", "med"),
        ("bgp-communities", "communities"),
        ("bgp-large-communities", "large_communities"),
        ("bgp-extended-communities", "extended_communities"),
        ("bgp-link-bandwidth", "link_bandwidth"),
        ("bgp-local-pref", "local_pref"),
        ("bgp-local-ips", "local_ips"),
        ("bgp-local-port", "local_port"),
        ("advertised_instrumentation_ips", "advertised_addresses"),
        ("bgp-shutdown-delay", "shutdown_delay_s"),
        ("bgp-maintenance-med", "maintenance_med"),
        ("bgp-maintenance-prepend", "maintenance_prepend"),
        ("bgp-maintenance-withdraw", "maintenance_withdraw_s"),
    ),
)
"""Keys of [global] about BGP as a whole; the fields are those of `BGPSettings`."""

SWITCHES = _keys(Effect.IN_PLACE, ("bgp", "bgp"), ("bgp-peer-address", "peers"))
"""`bgp` starts and stops the speaker, `bgp-peer-address` adds and removes peers. They are no fields
that `difference.py` compares one by one; the manual and the tests know them from here."""

PEER_KEYS = (
    *_keys(
        Effect.PEER_ANEW,
        ("bgp-peer-asn", "asn"),
        ("bgp-ttl-security", "ttl_security_hops"),
        ("bgp-hold-time", "hold_time_s"),
        ("bgp-connect-retry", "connect_retry_s"),
        ("bgp-graceful-restart", "graceful_restart"),
        ("bgp-graceful-restart-time", "graceful_restart_time_s"),
        ("bgp-bfd", "bfd"),
        ("bgp-bfd-interval", "bfd_interval_ms"),
        ("bgp-bfd-multiplier", "bfd_multiplier"),
        ("bgp-bfd-multihop", "bfd_multihop"),
        ("bgp-bfd-auth", "bfd_auth"),
        ("bgp-passive", "passive"),
        ("bgp-connect-only", "connect_only"),
        ("bgp-multihop", "multihop"),
        ("bgp-families", "families"),
        ("bgp-tcp-ao", "tcp_ao"),
        ("bgp-long-lived-graceful-restart", "long_lived_stale_s"),
        ("bgp-role", "role"),
        ("bgp-role-strict", "role_strict"),
    ),
    *_keys(Effect.IN_PLACE, ("bgp-prepend", "prepend"), ("bgp-import", "imports")),
    Key(("bgp-password", "bgp-password-file"), "password", Effect.PEER_ANEW, secret=True),
    Key(
        ("bgp-bfd-password", "bgp-bfd-password-file"), "bfd_password", Effect.PEER_ANEW, secret=True
    ),
)
"""Keys of [global] or of [[peer ADDRESS]]; the fields are those of `BGPPeerOptions`."""

ONE_PEER_KEYS = (
    *_keys(
        Effect.PEER_ANEW,
        ("bgp-source-address", "source_address"),
        ("bgp-interface", "interface"),
        ("bgp-peer-port", "port"),
        ("bgp-peer-limit", "limit"),
    ),
    *_keys(
        Effect.IN_PLACE,
        ("bgp-description", "description"),
        ("bgp-nexthop-ipv4", "nexthop_ipv4"),
        ("bgp-nexthop-ipv6", "nexthop_ipv6"),
        ("bgp-med", "med"),
        ("bgp-local-pref", "local_pref"),
        ("bgp-communities", "communities"),
        ("bgp-large-communities", "large_communities"),
        ("bgp-extended-communities", "extended_communities"),
    ),
)
"""Keys of [[peer ADDRESS]] and its kind alone, or that mean something else in [global]; the fields
are those of `BGPPeerOptions`, too."""

SERVICE_KEYS = (
    *_keys(
        Effect.SERVICE_ANEW,
        ("protocol", "protocol"),
        ("ip", "address"),
        ("port", "port"),
        ("fwmark", "ipvs.fwmark"),
        ("server-address-family", "ipvs.server_version"),
    ),
    *_keys(
        Effect.IN_PLACE,
        ("scheduler", "scheduler"),
        ("ops", "one_packet"),
        ("scheduler-flags", "ipvs.scheduler_flags"),
        ("tunneling forwarding-method", "ipvs.forwarding"),
        ("tunnel-type tunnel-port tunnel-checksum", "ipvs.tunnel"),
        ("persistence-timeout persistence-netmask", "ipvs.persistence"),
        ("persistence-engine", "ipvs.persistence_engine"),
        ("upper-threshold", "ipvs.upper_threshold"),
        ("lower-threshold", "ipvs.lower_threshold"),
        ("config", "source"),
        ("depool-threshold", "depool_threshold"),
        ("list-floor list-window list-hold", "list_guard"),
        ("flap-damping", "flap_damping"),
        ("depool-method drain-timeout", "drain_timeout_s"),
        ("bgp", "bgp.announced"),
        ("bgp-med", "bgp.med"),
        ("bgp-communities", "bgp.communities"),
        ("bgp-large-communities", "bgp.large_communities"),
        ("bgp-extended-communities", "bgp.extended_communities"),
        ("bgp-link-bandwidth", "bgp.link_bandwidth"),
        ("bgp-aggregate", "bgp.aggregate"),
        ("bgp-aggregate-only", "bgp.aggregate_only"),
        ("bgp-withdraw-on-down", "bgp.withdraw_below"),
        ("monitors", "monitors"),
    ),
)
"""Keys of a service; the fields are those of `ServiceSettings`. The options of a monitor
(`proxyfetch.url`) are in place, too: monitors of that kind begin anew, with the verdict of those
before them; all others go on."""
