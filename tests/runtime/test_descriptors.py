"""Descriptors: the limit, and the places that the kernel has for them."""

from __future__ import annotations

import resource
import subprocess
import sys

from pybal.runtime.descriptors import UNLIMITED, descriptor_limit

SHOW = """
import os, resource, sys
# A table is as large as the process that it was forked from needs, and stays so over an exec:
# the one that is looked at comes from here, where next to nothing is open.
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
places, taken = int(sys.argv[1]), [int(word) for word in sys.argv[2:]]
from pybal.runtime.descriptors import raise_descriptor_limit
for number in taken:
    os.dup2(0, number)
before = os.listdir("/proc/self/fd")
raise_descriptor_limit(places)
assert os.listdir("/proc/self/fd") == before
status = dict(line.split(":") for line in open("/proc/self/status"))
print(*resource.getrlimit(resource.RLIMIT_NOFILE), status["FDSize"])
"""


def shown(places: int, *taken: int, soft: int = 64, hard: int = 4096) -> list[int]:
    """In a process where these are taken: its soft limit, the hard one, the table's places. It has
    as many as its parent uses at the start; so that is a shell, not what other tests left open."""
    run = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", SHOW, str(places)]
        + [str(number) for number in taken],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return [int(word) for word in run.stdout.split()]


def test_the_limit_is_raised_and_there_are_places_at_once() -> None:
    assert shown(2048) == [4096, 4096, 2048]


def test_there_are_no_more_places_than_descriptors_are_allowed() -> None:
    assert shown(65_536, hard=1000) == [1000, 1000, 1024]


def test_a_table_that_is_taken_to_its_end_is_left_alone() -> None:
    assert shown(4096, 511, soft=512, hard=512) == [512, 512, 512]


def test_the_limit_is_what_the_process_may_raise_it_to() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert descriptor_limit() == (UNLIMITED if hard == resource.RLIM_INFINITY else hard)
