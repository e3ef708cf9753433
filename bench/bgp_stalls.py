"""How long the reactor is held while N prefixes are announced and withdrawn, to BIRD.

    sudo python -m bench.bgp_stalls [--count 10000]

Half of the prefixes are IPv4, half IPv6; 100 services want them, as in one turn of a reload.
Prints the longest stall of each phase; the goal is 20 ms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.bgp_updates import prefixes
from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Speaker, Wire, eventually
from tests.bgp.routers import Bird

SERVICES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10000)
    count = parser.parse_args().count
    vips = prefixes(4, count // 2) + prefixes(6, count // 2)
    with Wire() as wire, tempfile.TemporaryDirectory() as directory:
        bird = Bird(wire, Path(directory))
        peer = {"address": ROUTER_IPV4, "asn": 64600}
        speaker = Speaker(wire, Path(directory), peers=[peer], listen=[OUR_IPV4], probe=True)
        try:
            speaker.wait_established()
            time.sleep(1)
            print(f"idle: {phase(speaker)} ms")
            for index in range(SERVICES):
                speaker.ask(prepare=[f"s{index}", vips[index::SERVICES]])
            phase(speaker)
            speaker.ask(announce_prepared=True)
            wanted = f"{count} of {count} routes"
            eventually("all", lambda: wanted in bird.cli("show route count"), 30)
            print(f"{count} announced: {phase(speaker)} ms")
            bird.cli("reload in pybal")
            time.sleep(2)
            print(f"{count} refreshed: {phase(speaker)} ms")
            bird.cli("restart pybal")
            eventually("all again", lambda: wanted in bird.cli("show route count"), 30)
            print(f"{count} on a new session: {phase(speaker)} ms")
            for index in range(SERVICES):
                speaker.ask(withdraw=f"s{index}")
            eventually("none", lambda: " 0 of 0 routes" in bird.cli("show route count"), 30)
            print(f"{count} withdrawn: {phase(speaker)} ms")
        finally:
            speaker.close()
            bird.close()


def phase(speaker: Speaker) -> float:
    return float(speaker.ask(stall=True))


if __name__ == "__main__":
    main()
