"""`pybal`, and `python -m pybal`."""

import sys

from pybal.runtime.held_signals import hold_signals


def run() -> int:
    """The program. To import the rest of it takes its time, and a reload may be asked for by then.
    Returns the exit status."""
    hold_signals()
    from pybal.main import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
