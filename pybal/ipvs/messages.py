"""The IPVS generic netlink messages (include/uapi/linux/ip_vs.h). Their one definition. Pure.

The maps are in pyroute2's notation, an attribute's number being its place: the classes that
pyroute2 wants are made of them in pybal.ipvs.connection. pybal.ipvs.codec compiles its packing
from them too, because building a message through those classes takes some forty times as long.

Addresses and netmasks are declared as raw bytes: Debian 12's pyroute2 has no address type
that follows the family attribute. To pyroute2, statistics are
mere `hex`.
"""

from __future__ import annotations

from enum import IntEnum

FAMILY_NAME = "IPVS"
VERSION = 1

AttributeMap = tuple[tuple[str, str], ...]


class Command(IntEnum):
    """IPVS_CMD_*: what a message asks for or brings."""

    NEW_SERVICE = 1
    SET_SERVICE = 2
    DEL_SERVICE = 3
    GET_SERVICE = 4
    NEW_DEST = 5
    SET_DEST = 6
    DEL_DEST = 7
    GET_DEST = 8
    NEW_DAEMON = 9
    DEL_DAEMON = 10
    GET_DAEMON = 11
    SET_CONFIG = 12
    GET_CONFIG = 13


MESSAGE: AttributeMap = (
    ("IPVS_CMD_ATTR_UNSPEC", "none"),
    ("IPVS_CMD_ATTR_SERVICE", "service"),
    ("IPVS_CMD_ATTR_DEST", "destination"),
    ("IPVS_CMD_ATTR_DAEMON", "daemon"),
    ("IPVS_CMD_ATTR_TIMEOUT_TCP", "uint32"),
    ("IPVS_CMD_ATTR_TIMEOUT_TCP_FIN", "uint32"),
    ("IPVS_CMD_ATTR_TIMEOUT_UDP", "uint32"),
)

SERVICE: AttributeMap = (
    ("IPVS_SVC_ATTR_UNSPEC", "none"),
    ("IPVS_SVC_ATTR_AF", "uint16"),
    ("IPVS_SVC_ATTR_PROTOCOL", "uint16"),
    ("IPVS_SVC_ATTR_ADDR", "cdata"),
    ("IPVS_SVC_ATTR_PORT", "be16"),
    ("IPVS_SVC_ATTR_FWMARK", "uint32"),
    ("IPVS_SVC_ATTR_SCHED_NAME", "asciiz"),
    ("IPVS_SVC_ATTR_FLAGS", "flags"),
    ("IPVS_SVC_ATTR_TIMEOUT", "uint32"),
    ("IPVS_SVC_ATTR_NETMASK", "cdata"),
    ("IPVS_SVC_ATTR_STATS", "hex"),
    ("IPVS_SVC_ATTR_PE_NAME", "asciiz"),
    ("IPVS_SVC_ATTR_STATS64", "hex"),
)

DESTINATION: AttributeMap = (
    ("IPVS_DEST_ATTR_UNSPEC", "none"),
    ("IPVS_DEST_ATTR_ADDR", "cdata"),
    ("IPVS_DEST_ATTR_PORT", "be16"),
    ("IPVS_DEST_ATTR_FWD_METHOD", "uint32"),
    ("IPVS_DEST_ATTR_WEIGHT", "uint32"),
    ("IPVS_DEST_ATTR_U_THRESH", "uint32"),
    ("IPVS_DEST_ATTR_L_THRESH", "uint32"),
    ("IPVS_DEST_ATTR_ACTIVE_CONNS", "uint32"),
    ("IPVS_DEST_ATTR_INACT_CONNS", "uint32"),
    ("IPVS_DEST_ATTR_PERSIST_CONNS", "uint32"),
    ("IPVS_DEST_ATTR_STATS", "hex"),
    ("IPVS_DEST_ATTR_ADDR_FAMILY", "uint16"),
    ("IPVS_DEST_ATTR_STATS64", "hex"),
    ("IPVS_DEST_ATTR_TUN_TYPE", "uint8"),
    ("IPVS_DEST_ATTR_TUN_PORT", "be16"),
    ("IPVS_DEST_ATTR_TUN_FLAGS", "uint16"),
)

DAEMON: AttributeMap = (
    ("IPVS_DAEMON_ATTR_UNSPEC", "none"),
    ("IPVS_DAEMON_ATTR_STATE", "uint32"),
    ("IPVS_DAEMON_ATTR_MCAST_IFN", "asciiz"),
    ("IPVS_DAEMON_ATTR_SYNC_ID", "uint32"),
    ("IPVS_DAEMON_ATTR_SYNC_MAXLEN", "uint16"),
    ("IPVS_DAEMON_ATTR_MCAST_GROUP", "cdata"),
    ("IPVS_DAEMON_ATTR_MCAST_GROUP6", "cdata"),
    ("IPVS_DAEMON_ATTR_MCAST_PORT", "uint16"),
    ("IPVS_DAEMON_ATTR_MCAST_TTL", "uint8"),
)

STATISTICS: AttributeMap = (
    ("IPVS_STATS_ATTR_UNSPEC", "none"),
    ("IPVS_STATS_ATTR_CONNS", "uint64"),
    ("IPVS_STATS_ATTR_INPKTS", "uint64"),
    ("IPVS_STATS_ATTR_OUTPKTS", "uint64"),
    ("IPVS_STATS_ATTR_INBYTES", "uint64"),
    ("IPVS_STATS_ATTR_OUTBYTES", "uint64"),
    ("IPVS_STATS_ATTR_CPS", "uint64"),
    ("IPVS_STATS_ATTR_INPPS", "uint64"),
    ("IPVS_STATS_ATTR_OUTPPS", "uint64"),
    ("IPVS_STATS_ATTR_INBPS", "uint64"),
    ("IPVS_STATS_ATTR_OUTBPS", "uint64"),
)
"""What STATS64 holds; STATS has some as uint32 and is not read."""

FLAGS_FIELDS = (("flags", "I"), ("mask", "I"))
"""struct ip_vs_flags: only the bits in `mask` are meant."""
