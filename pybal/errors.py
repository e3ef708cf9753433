"""The error tree. Every error that PyBal raises on purpose descends from PyBalError. Pure.

Programming mistakes stay what Python raises for them; a module that needs a more
precise error derives it from one of these, beside the code that raises it.
"""

from __future__ import annotations

import errno as errno_names
import os
from functools import cache

_LONGEST_WORDS = 500

_LOCAL_FAULTS = frozenset(
    {
        errno_names.EMFILE,
        errno_names.ENFILE,
        errno_names.ENOBUFS,
        errno_names.ENOMEM,
        # Of epoll: fs.epoll.max_user_watches.
        errno_names.ENOSPC,
        errno_names.EAGAIN,
        errno_names.EADDRNOTAVAIL,
        errno_names.EADDRINUSE,
        # A firewall rule on this host, or not the right to open the socket at all.
        errno_names.EPERM,
    }
)


def is_local_fault(error: OSError) -> bool:
    """Whether this director is at fault (out of descriptors, memory or ports), not the server."""
    return error.errno in _LOCAL_FAULTS


def describe_os_error(error: OSError) -> str:
    """The error as a human reads it: `connection refused`."""
    if error.errno is None:
        return str(error)
    return _words(error.errno)


def said_by(error: BaseException | None) -> str:
    """What an exception says as a human reads it: one of ours as it is, one of the system without
    its number, any other with its kind. Twisted's Failures might have none."""
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    if error is None or isinstance(error, PyBalError):
        return str(error or "")
    return in_one_line(error)


def in_one_line(error: BaseException) -> str:
    """`ValueError: what it says`, bounded, of an exception that a stranger's code raised."""
    try:
        text = " ".join(str(error).split())[:_LONGEST_WORDS]
    except Exception:  # noqa: BLE001 - its __str__ is the stranger's, too
        text = "it does not say why"
    name = type(error).__name__
    return f"{name}: {text}" if text else name


@cache
def _words(code: int) -> str:
    # To ask the system takes long, and a whole pool may fail for the same reason.
    text = os.strerror(code)
    return text[:1].lower() + text[1:]


class PyBalError(Exception):
    """Base of all expected failures; its text is one line fit for a log."""


class RefusedError(PyBalError):
    """What somebody asked for is not done; `remedy` is what would help."""

    def __init__(self, text: str, remedy: str = "") -> None:
        self.remedy = remedy
        super().__init__(text)


class ControlError(RefusedError):
    """What an operator asked for cannot be done as things are."""


class NoSuchThingError(ControlError):
    """What an operator named, a service or a server say, does not exist."""


class SourceError(PyBalError):
    """A pool list could not be fetched or holds nothing usable; the last good list stays."""


class HTTPFetchError(PyBalError):
    """An HTTP exchange ended without a complete, acceptable answer. `what` is what happened,
    without what was asked and how long it took. What came of it waited `waited_s` for its turn
    with us."""

    def __init__(self, text: str, what: str = "", waited_s: float = 0.0) -> None:
        self.what = what or text
        self.waited_s = waited_s
        super().__init__(text)


class HTTPLocalFaultError(HTTPFetchError):
    """The exchange could not be tried, through our own fault: it says nothing of the server.
    `cause` is the system's word, if it was that."""

    def __init__(self, text: str, cause: OSError | None = None) -> None:
        self.cause = cause
        super().__init__(text)


class ResolutionError(PyBalError):
    """A host name has no address of the wanted family (yet)."""


class KernelError(PyBalError):
    """The kernel refused an IPVS operation.

    `operation` says what was tried, in words; `errno` is the kernel's answer.
    """

    def __init__(self, operation: str, errno: int, hint: str = "") -> None:
        self.errno = errno
        self.hint = hint
        name = errno_names.errorcode.get(errno, str(errno))
        text = f"{operation}: {os.strerror(errno)} ({name})"
        super().__init__(f"{text}; {hint}" if hint else text)
