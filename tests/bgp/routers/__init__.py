"""BIRD, FRR, GoBGP, OpenBGPD and ExaBGP in the router's namespace, behind one interface."""

from __future__ import annotations

from tests.bgp.routers.base import PLAIN, Router, Terms
from tests.bgp.routers.bird import Bird
from tests.bgp.routers.exabgp import ExaBGP
from tests.bgp.routers.frr import Frr, FrrWithBFD
from tests.bgp.routers.gobgp import GoBGP
from tests.bgp.routers.openbgpd import OpenBGPD

ROUTERS: tuple[type[Router], ...] = (Bird, Frr, GoBGP, OpenBGPD, ExaBGP)

__all__ = [
    "PLAIN", "ROUTERS", "Bird", "ExaBGP", "Frr", "FrrWithBFD", "GoBGP", "OpenBGPD", "Router",
    "Terms",
]  # fmt: skip
