"""The IPVS generic netlink messages, on pyroute2's classes (include/uapi/linux/ip_vs.h).

This is their one definition: pyroute2 reads it when it resolves the family, and
pybal.ipvs.codec compiles its packing from it, because building a message through these
classes takes a hundred times what the kernel takes to act on it.

Addresses and netmasks are declared as raw bytes: Debian 12's pyroute2 has no address type
that follows the family attribute.
"""

from __future__ import annotations

from enum import IntEnum

from pyroute2.netlink import genlmsg, nla

FAMILY_NAME = "IPVS"
VERSION = 1


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


class ServiceFlags(nla):  # type: ignore[misc]  # pyroute2 ships no types
    """struct ip_vs_flags: only the bits in `mask` are meant."""

    fields = (("flags", "I"), ("mask", "I"))


class ServiceAttributes(nla):  # type: ignore[misc]
    """A virtual service. In each map an attribute's number is its place."""

    nla_map = (
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
    flags = ServiceFlags


class DestinationAttributes(nla):  # type: ignore[misc]
    """A real server of a service."""

    nla_map = (
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


class IPVSMessage(genlmsg):  # type: ignore[misc]
    """Any message of the family."""

    nla_map = (
        ("IPVS_CMD_ATTR_UNSPEC", "none"),
        ("IPVS_CMD_ATTR_SERVICE", "service"),
        ("IPVS_CMD_ATTR_DEST", "destination"),
    )
    service = ServiceAttributes
    destination = DestinationAttributes
