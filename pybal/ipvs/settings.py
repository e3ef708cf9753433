"""What pybal.conf says of the care for the IPVS table as a whole. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pybal.ipvs.options import KernelOptions


class Cleanup(Enum):
    """What becomes of services that stand in the kernel and are not configured."""

    OWNED = "owned"
    """Those that PyBal made or managed go, others are reported."""
    NONE = "none"
    """All stay, and are reported."""
    ALL = "all"
    """All go."""


@dataclass(frozen=True, slots=True)
class IPVSSettings:
    """`audit_interval_s`: how often the kernel's whole table is compared with what should be
    there; 0 is never. `statistics`: whether connections and traffic are read and shown."""

    audit_interval_s: float = 60.0
    cleanup: Cleanup = Cleanup.OWNED
    statistics: bool = True
    kernel: KernelOptions = field(default_factory=KernelOptions)
