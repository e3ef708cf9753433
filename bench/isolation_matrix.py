"""The isolation rule in simulated time, as a table: seconds until the dead are out, with the rule
and without, and seconds in which healthy servers were out. Usage: python -m bench.isolation_matrix
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from pybal.config.settings import IsolationSettings
from tests.health.isolation_sim import Scene, Simulation


def scenes() -> Iterator[tuple[str, Scene, float]]:
    """What it is called, the scene, and for how long to look."""
    for hosts in (2, 4, 10, 40):
        for silent in sorted({max(1, hosts // 4), hosts // 2, hosts * 3 // 4, hosts * 9 // 10}):
            for networks in (1, 4):
                scene = Scene(hosts, silent, networks, Fraction(1, 5))
                yield f"{silent} of {hosts} silent", scene, 60.0
    for hosts in (2, 4, 10, 40):
        yield f"cut off from {hosts} for 60 s", Scene(hosts, 0, 4, cut_off_s=60.0), 90.0
    flapping = Scene(10, 0, 4, cut_off_s=60.0, flaps_every_s=3.0)
    yield "link to 10 flaps every 3 s", flapping, 90.0
    yield "3 of 10 refuse", Scene(10, 3, 4, refuses=True), 60.0


def shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


def main() -> None:
    print("| what | networks | threshold | dead out, s | without the rule | healthy out, s |")
    print("|---|---|---|---|---|---|")
    for what, scene, for_s in scenes():
        with_rule = Simulation(scene, IsolationSettings()).run(for_s)
        without = Simulation(scene, None).run(for_s)
        dead = (shown(with_rule.dead_out_s), shown(without.dead_out_s)) if scene.silent else "--"
        healthy = f"{with_rule.healthy_out_s:g} (without: {without.healthy_out_s:g})"
        threshold = f"{float(scene.threshold):g}"
        print(f"| {what} | {scene.networks} | {threshold} | {dead[0]} | {dead[1]} | {healthy} |")


if __name__ == "__main__":
    main()
