"""Put small faults into modules and see whether their own tests notice. See scripts/mutants."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

# What tests use is imported once, here, and not by each trial anew.
import hypothesis.stateful
import twisted.internet.task
import twisted.test.proto_helpers
import twisted.trial.unittest
import twisted.web.client

from tests.mutation.faults import Fault, faults
from tests.mutation.own_tests import OwnTests, module_name, pure_modules
from tests.mutation.session import Quick, Touched, Trials
from tests.mutation.trial import Outcome, trial

_IMPORTED = (hypothesis, twisted)
ROOT = Path(__file__).parent.parent.parent
EQUIVALENTS = Path(__file__).parent / "equivalents.txt"
NEAREST = 3
"""So many files of tests are tried before the others."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A fault that no test noticed; `line` is the source's line, stripped."""

    path: Path
    number: int
    line: str
    what: str

    def key(self) -> tuple[str, str, str]:
        """What names it though lines move."""
        return str(self.path), self.what, self.line

    def __str__(self) -> str:
        return f"{self.path}:{self.number}: {self.what}: {self.line}"


@dataclass(frozen=True, slots=True)
class Result:
    """Of one module."""

    tried: int
    survivors: tuple[Survivor, ...]


class NoTestsError(Exception):
    """The module's tests do not exist, or fail without any fault."""


def known_equivalents(text: str) -> frozenset[tuple[str, str, str]]:
    """Faults that change nothing that could be seen: lines of `path | what | source line | why`.

    Raises ValueError for a line without a reason."""
    found = set()
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            # The source line may hold such bars itself.
            key, _, why = line.rpartition(" | ")
            parts = [part.strip() for part in key.split(" | ", 2)]
            if len(parts) != 3 or not all((*parts, why.strip())):
                raise ValueError(f"not `path | what | source line | why`: {line}")
            found.add((parts[0], parts[1], parts[2]))
    return frozenset(found)


def chosen(all_of_them: Sequence[Fault], sample: int | None, seed: int, path: Path) -> list[Fault]:
    """A sample, the same for the same seed; in the order of the source."""
    if sample is None or sample >= len(all_of_them):
        return list(all_of_them)
    picked = Random(f"{seed} {path}").sample(range(len(all_of_them)), sample)
    return [all_of_them[index] for index in sorted(picked)]


def examine(path: Path, tests: Sequence[Path], sample: int | None, seed: int) -> Result:
    """Try the module's faults. Raises NoTestsError."""
    source = (ROOT / path).read_bytes()
    if not tests:
        raise NoTestsError(f"{path}: no unit test imports it")
    picked = chosen(faults(source), sample, seed, path)
    lines = source.decode().splitlines()
    survivors = []
    for fault in missed(path, source, tests, picked, seed):
        line = lines[fault.line - 1].strip()
        survivors.append(Survivor(path, fault.line, line, fault.what))
        print(survivors[-1], flush=True)
    return Result(len(picked), tuple(survivors))


def missed(
    path: Path, source: bytes, tests: Sequence[Path], picked: Sequence[Fault], seed: int
) -> Iterator[Fault]:
    """Those of the faults that no test notices. Raises NoTestsError."""
    name = module_name(path)
    touched_file, results_file = os.memfd_create("touched"), os.memfd_create("results")
    session = Trials(ROOT / path, source, picked, touched_file, results_file)
    trial(name, ROOT / path, source, tests, None, seed, session)
    results = os.pread(results_file, len(picked), 0).decode()
    if len(results) < len(picked):
        raise NoTestsError(f"{path}: its tests do not pass as it is")
    touched = Touched.from_file(touched_file)
    for fault, result in zip(picked, results, strict=True):
        if result == Trials.MISSED:
            yield fault
        elif result == Trials.OPEN:
            faulty = fault.in_source(source)
            # The nearest tests come first, because to load the others takes time.
            if all(
                trial(
                    name, ROOT / path, faulty, part, touched.limit_s(), seed, Quick(touched)
                ).outcome
                is Outcome.PASSED
                for part in (tests[:NEAREST], tests[NEAREST:])
                if part
            ):
                yield fault


def main(arguments: Sequence[str]) -> int:
    """The exit status: see scripts/mutants."""
    options = _options(arguments)
    own_tests = OwnTests(ROOT)
    known = known_equivalents(EQUIVALENTS.read_text("utf-8"))
    modules = [_relative(each) for each in options.modules] or pure_modules(ROOT)
    bad = False
    tried = left = 0
    for path in modules:
        try:
            result = examine(path, own_tests.of(path), options.sample, options.seed)
        except NoTestsError as error:
            print(error, flush=True)
            bad = True
            continue
        unknown = [each for each in result.survivors if each.key() not in known]
        tried += result.tried
        left += len(unknown)
        noticed = result.tried - len(unknown)
        share = noticed / result.tried if result.tried else 1.0
        print(f"{path}: {noticed} of {result.tried} noticed ({share:.0%})", flush=True)
    if tried:
        print(f"in all: {tried - left} of {tried} noticed ({(tried - left) / tried:.1%})")
    return 1 if bad or left else 0


def _relative(module: Path) -> Path:
    return module.resolve().relative_to(ROOT)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", type=Path, metavar="MODULE", help="a file of pybal/")
    parser.add_argument("--sample", type=int, metavar="N", help="so many faults of each module")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="which ones (default 1)")
    options = parser.parse_args(arguments)
    for module in options.modules:
        if not module.is_file() or not module.resolve().is_relative_to(ROOT / "pybal"):
            parser.error(f"{module} is no file of pybal/")
    if options.sample is not None and options.sample < 1:
        parser.error("--sample wants at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
