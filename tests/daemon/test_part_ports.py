"""What the parts of the daemon are given."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock

from pybal.daemon.part_ports import source_ports
from pybal.ipvs.memory import MemoryKernel
from pybal.runtime.time_slices import TimeSlices
from tests.bgp.memory import MemoryNetwork
from tests.config.texts import load
from tests.fakes.daemon import Answering, memory_ports
from tests.fakes.sources import FakeThread


def test_pool_lists_are_parsed_one_after_another_and_not_beside_what_is_read(
    tmp_path: Path,
) -> None:
    """Ten threads that parse had the interpreter ten times as long as the reactor."""
    clock, parsing = Clock(), FakeThread()
    (tmp_path / "pybal.conf").write_text("[global]\n")
    settings = load(tmp_path / "pybal.conf").settings
    assert settings is not None
    ports = memory_ports(
        clock,
        FakeThread(),
        Answering(clock, set()),
        MemoryKernel(),
        MemoryNetwork(clock),
        lambda _: None,
    )._replace(parse_in_thread=parsing)
    assert source_ports(ports, settings, TimeSlices(clock)).in_thread is parsing
