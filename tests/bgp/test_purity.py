"""The protocol's core is loaded and used without the outside world."""

from __future__ import annotations

import subprocess
import sys

import pytest

CORE = ("codec", "negotiation", "transitions", "adj_rib_out", "rib", "bfd.packet", "bfd.session")


def loaded(imports: str, asked: str) -> str:
    """What of `asked`, an expression over `sys.modules`, a fresh interpreter has loaded."""
    program = f"import sys; sys.path.insert(0, '.'); import {imports}; print(*sorted({asked}))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_the_core_brings_no_sockets_or_chance() -> None:
    core = ", ".join(f"pybal.bgp.{module}" for module in CORE)
    outside = {"twisted", "socket", "random", "asyncio", "zope.interface"}
    assert loaded(core, f"{outside} & set(sys.modules)") == ""
    assert loaded("pybal.bgp.link", f"{outside} & set(sys.modules)") != "", "the question works"


@pytest.mark.slow
def test_the_speaker_knows_nothing_of_the_rest_of_the_house() -> None:
    rooms = ("pybal.ipvs", "pybal.monitors", "pybal.config", "pybal.sources")
    assert (
        loaded("pybal.announce.failover", f"m for m in sys.modules if m.startswith({rooms})") == ""
    )
