"""`pybal`, and `python -m pybal`."""

import gc
import sys

from pybal.runtime.held_signals import hold_signals

_PLUGINS = "pybal.monitors"
_EXIT_INTERRUPTED = 130
_EXIT_MISSING = 1
"""To start again would not mend it, as with a wrong configuration."""
_EXIT_FAILED = 70
"""What nobody foresaw, such as no memory and no thread left, may be over with the next start; with
Python's own 1 the service manager would make none (debian/pybal.service)."""


def run() -> int:
    """The program. Returns the exit status."""
    try:
        return _load_and_run()
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except Exception:  # noqa: BLE001 - the boundary: Python would say the same, and exit with 1
        sys.excepthook(*sys.exc_info())
        return _EXIT_FAILED


def _load_and_run() -> int:
    """To import the rest of the program takes its time, and a reload may be asked for by then."""
    hold_signals()
    # To search what imports make for garbage is a sixteenth of the start, and nearly all of it
    # stays.
    gc.disable()
    from pybal.runtime.entry_points import entry_points_of
    from pybal.runtime.lean_imports import import_when_used, import_without

    # Twisted has it at hand for its client of HTTP; with it come Python's own clients of HTTP.
    import_when_used("http.cookiejar")
    # TLS of ours is OpenSSL's in memory, not Python's nor Twisted's, and most do without
    # (daemon/on_demand.py). Monitors of other packages may have theirs of either.
    try:
        if not entry_points_of(_PLUGINS):
            import_without("ssl", "asyncio")
            import_without("OpenSSL", "twisted.internet.posixbase")
        from pybal.main import main
    except ModuleNotFoundError as error:
        if (error.name or "pybal").startswith("pybal"):
            raise
        text = f"the Python package {error.name} is missing; setup.py names all that are needed"
        sys.stderr.write(f"[pybal] CRITICAL: {text}\n")
        return _EXIT_MISSING

    gc.freeze()
    gc.enable()
    return main()


if __name__ == "__main__":
    sys.exit(run())
