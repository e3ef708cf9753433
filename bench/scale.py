"""PyBal at the scale of the largest director, against real sockets: see bench/fleet.py.

python -m bench.scale [--scale 1.0] WHAT...

start        seconds until the last first result, the most checks begun in one second
steady       --minutes 10: share of a core, memory, stalls, false results; scraped every 15 s,
             the shared pool changed every minute
latency      kill -9 of --times 100 servers, each a process, to the moment its removal is shown
outage       all 1,920 servers of eight services killed at once: when the first and the last is
             depooled, and the stalls
stop         SIGSTOP for 30 s, then SIGCONT, --times 20: no server may change its state
clock        the wall clock set forward and back (in the virtual machine only)
unreachable  all servers unreachable for 20 s, then back: no server may change its state
leak         --servers 10000 added and removed: descriptors, timers, series as before

As root, on a machine that does nothing else (the load average is printed):

    python -m bench.scale --minutes 10 steady                        # 12 minutes
    python -m bench.scale start unreachable leak latency outage      # 8; who is killed stays dead
    python -m bench.scale --times 20 --seconds 30 stop               # 16
    scripts/vm --memory 4000 --timeout 900 -- \\
        sh -c "ulimit -n 40000 && python -m bench.scale --seconds 5 clock"
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable

from bench.fleet import (
    Director,
    Site,
    address,
    largest,
    load_average,
    running,
    wait_for_first_results,
)

SCRAPE_EVERY_S = 15.0
CHANGE_EVERY_S = 60.0


def start(site: Site, options: argparse.Namespace) -> None:  # noqa: ARG001
    site.switch.counts()
    with site.director() as director:
        last_s = wait_for_first_results(site) - director.started_at_s
        waited_s = director.waited_s()
        most = site.switch.counts()[2]
        print(
            f"start: {site.shape.monitors} monitors, all spoke after {last_s:.1f} s, of which it "
            f"waited {waited_s:.1f} s for a processor; at most {most} connections in a second, "
            f"{director.cpu_s():.1f} s of CPU, {director.memory()[0]:.0f} MiB; {load_average()}"
        )
        show_stalls(site, dict.fromkeys(stall_counts(site), 0.0))


def steady(site: Site, options: argparse.Namespace) -> None:
    with settled(site) as director:
        seconds = options.minutes * 60
        began_s, cpu_s, stalls = time.monotonic(), director.cpu_s(), stall_counts(site)
        scrapes, changes, durations = 0, 0, []
        while (past_s := time.monotonic() - began_s) < seconds:
            if past_s >= changes * CHANGE_EVERY_S:
                changes += 1
                shared = next(p for p in site.shape.pools if p.pool_file == "shared")
                site.write_pool("shared", shared.hosts, {shared.hosts[0]: 10 + changes})
            if past_s >= scrapes * SCRAPE_EVERY_S:
                scrapes += 1
                scrape_s = time.monotonic()
                site.get("/metrics")
                durations.append(time.monotonic() - scrape_s)
            time.sleep(0.2)
        wall_s = time.monotonic() - began_s
        cpu_s = director.cpu_s() - cpu_s
        rss, most = director.memory()
        print(
            f"steady: {site.shape.monitors} monitors for {wall_s:.0f} s, {scrapes} scrapes of "
            f"{statistics.median(durations):.2f} s, {changes} pool changes: "
            f"{100 * cpu_s / wall_s:.1f} % of a core, RSS {rss:.0f} MiB (most {most:.0f})"
        )
        show_stalls(site, stalls)
        print(f"false results: {false_results(director)}; {load_average()}")


def latency(site: Site, options: argparse.Namespace) -> None:
    times = []
    with settled(site) as director:
        for server, port in site.shape.mortals[: options.times]:
            since = len(director.lines)
            killed_s = site.switch.tell("kill", server, port)
            times.append(first(director, f"-r {server}:{port}", since) - killed_s)
            time.sleep(0.05)
    print(
        f"latency: n={len(times)}, {site.shape.monitors} monitors: median "
        f"{statistics.median(times) * 1e3:.1f} ms, worst {max(times) * 1e3:.1f} ms; "
        f"{load_average()}"
    )


def outage(site: Site, options: argparse.Namespace) -> None:  # noqa: ARG001
    pools = [pool for pool in site.shape.pools if pool.pool_file == "shared"][:8]
    victims = [(address(host), pool.port) for pool in pools for host in pool.hosts]
    # It counts the removals itself: lines of a log are limited.
    site.program, program = ("-m", "bench.turns", "20"), site.program
    with settled(site) as director:
        site.program = program
        time.sleep(5)
        since, stalls = len(director.lines), stall_counts(site)
        began_s = time.monotonic()
        for victim in victims:
            site.switch.tell("kill", *victim)
        killed_s = time.monotonic() - began_s
        time.sleep(15)
        gone = [(at_s - began_s, int(line.split()[1])) for at_s, line in director.lines[since:]
                if line.startswith("GONE")]  # fmt: skip
        print(
            f"outage: {len(victims)} servers killed within {killed_s:.2f} s; "
            f"{sum(count for _, count in gone)} depooled, the first after {gone[0][0]:.2f}, "
            f"the last after {gone[-1][0]:.2f} s"
        )
        show_stalls(site, stalls)


def stop(site: Site, options: argparse.Namespace) -> None:
    with settled(site) as director:
        for _ in range(options.times):
            os.kill(director.pid, signal.SIGSTOP)
            time.sleep(options.seconds)
            os.kill(director.pid, signal.SIGCONT)
            time.sleep(options.seconds / 2)
        print(
            f"stop: {options.times} times {options.seconds} s: "
            f"{false_results(director)} results down, "
            f"{len(director.matching('ipvsadm -d'))} servers depooled, "
            f"{site.metric('pybal_lost_time_gaps_total'):.0f} gaps seen, "
            f"{site.metric('pybal_monitor_discarded_results_total'):.0f} failures not believed; "
            f"{load_average()}"
        )


def clock(site: Site, options: argparse.Namespace) -> None:
    if "PYBAL_IN_VM" not in os.environ:
        raise SystemExit("the clock is set in the virtual machine alone: scripts/vm -- ...")
    with settled(site) as director:
        for hours in (1, -1, 24):
            subprocess.run(["date", "-s", f"{hours:+} hours"], check=True, capture_output=True)
            time.sleep(options.seconds)
        print(
            f"clock set by +1, -1 and +24 hours: {false_results(director)} results down, "
            f"{len(director.matching('ipvsadm -d'))} servers depooled, "
            f"{site.metric('pybal_lost_time_gaps_total'):.0f} gaps seen"
        )


def unreachable(site: Site, options: argparse.Namespace) -> None:
    with settled(site) as director:
        site.cut()
        time.sleep(options.seconds)
        site.mend()
        during = site.get("/alerts").split(":")[0]
        time.sleep(40)
        print(
            f"unreachable for {options.seconds} s: {false_results(director)} results down, "
            f"{len(director.matching('ipvsadm -d'))} servers depooled, isolations "
            f"{site.metric('pybal_isolations_total'):.0f}; alerts were {during!r}, are "
            f"{site.get('/alerts')!r}; {load_average()}"
        )
        for _, line in [*director.matching("cut off"), *director.matching("answer")][:6]:
            print("   ", line)


def leak(site: Site, options: argparse.Namespace) -> None:
    shared = next(p for p in site.shape.pools if p.pool_file == "shared")
    services = sum(p.pool_file == "shared" for p in site.shape.pools)
    half = shared.hosts[: len(shared.hosts) // 2]
    with settled(site) as director:
        # The HTTPS servers hang up on who does not speak TLS for a minute: the first loss of each
        # begins a series, as does the first audit.
        time.sleep(65)
        before, series_before = state(site, director), series(site)
        turns = max(1, round(options.servers / ((len(shared.hosts) - len(half)) * services)))
        for _ in range(turns):
            for hosts in (half, shared.hosts):
                site.write_pool("shared", hosts)
                time.sleep(4)
        wait_for_first_results(site)
        time.sleep(5)
        after, more = state(site, director), series(site) - series_before
    moved = turns * (len(shared.hosts) - len(half)) * services
    print(f"leak: {moved} servers removed and added\n  before {before}\n  after  {after}")
    print(f"  more series of {dict(more)}")


def series(site: Site) -> Counter[str]:
    """How many there are of each metric."""
    lines = site.get("/metrics").splitlines()
    return Counter(re.split("[{ ]", line, maxsplit=1)[0] for line in lines if line[0] != "#")


def state(site: Site, director: Director) -> dict[str, float]:
    text = site.get("/metrics")
    return {
        "descriptors": director.descriptors(),
        "connections": site.switch.counts()[0],
        "series": text.count("\npybal_"),
        "timers": site.metric("pybal_reactor_delayed_calls"),
        "children": len(
            subprocess.run(
                ["pgrep", "-P", str(director.pid)], capture_output=True, text=True, check=False
            ).stdout.split()
        ),
        "RSS MiB": round(director.memory()[0], 1),
    }


class settled:  # noqa: N801 - reads as a word: `with settled(site) as director`
    """A director all of whose monitors have spoken."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._director = site.director()

    def __enter__(self) -> Director:
        wait_for_first_results(self._site)
        time.sleep(2)
        return self._director

    def __exit__(self, *error: object) -> None:
        self._director.__exit__(None, None, None)


def false_results(director: Director) -> int:
    return len(director.matching("reports server"))


def stall_counts(site: Site) -> dict[str, float]:
    prefix = 'pybal_reactor_stall_seconds_bucket{le="'
    return {
        line[len(prefix) :].split('"')[0]: float(line.rsplit(" ", 1)[1])
        for line in site.get("/metrics").splitlines()
        if line.startswith(prefix)
    }


def show_stalls(site: Site, before: dict[str, float]) -> None:
    counts = {bound: n - before[bound] for bound, n in stall_counts(site).items()}
    total = counts["+Inf"]
    over = {f"> {bound} s": int(total - n) for bound, n in counts.items() if bound != "+Inf"}
    longest_s = site.metric("pybal_reactor_stall_seconds_max")
    print(f"stalls: of {total:.0f} beats {over}; longest since the start {longest_s * 1e3:.0f} ms")


def first(director: Director, text: str, since: int, limit_s: float = 30.0) -> float:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        found = [at_s for at_s, line in director.matching("ipvsadm -d", since) if text in line]
        if found:
            return found[0]
        time.sleep(0.001)
    raise TimeoutError(text)


WHAT: dict[str, Callable[[Site, argparse.Namespace], None]] = {
    "start": start,
    "steady": steady,
    "latency": latency,
    "outage": outage,
    "stop": stop,
    "clock": clock,
    "unreachable": unreachable,
    "leak": leak,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="+", choices=WHAT)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--servers", type=int, default=10_000)
    options = parser.parse_args()
    with running(largest(options.scale)) as site:
        for what in options.what:
            WHAT[what](site, options)


if __name__ == "__main__":
    main()
