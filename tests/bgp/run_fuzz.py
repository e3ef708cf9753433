"""Coverage-guided fuzzing of the codec and of a whole session, with atheris.

    python -m tests.bgp.run_fuzz codec|session [libFuzzer options, CORPUS directory]

atheris is no dependency of the project: install it where you fuzz. Inputs that broke something
belong into tests/bgp/crashes, where test_crashes.py replays them.
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["pybal"]):
        targets = importlib.import_module("tests.bgp.fuzz").TARGETS
    target = targets[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
