"""The error tree. Every error that PyBal raises on purpose descends from PyBalError.

Programming mistakes stay what Python raises for them; a module that needs a more
precise error derives it from one of these, beside the code that raises it.
"""

from __future__ import annotations

import errno as errno_names
import os


class PyBalError(Exception):
    """Base of all expected failures; its text is one line fit for a log."""


class ConfigError(PyBalError):
    """pybal.conf cannot be used. The text has one line for each problem."""


class SourceError(PyBalError):
    """A pool list could not be fetched or holds nothing usable; the last good list stays."""


class HTTPFetchError(PyBalError):
    """An HTTP exchange ended without a complete, acceptable answer."""


class HTTPLocalFaultError(HTTPFetchError):
    """This director had not what the exchange needs; it says nothing of the server."""

    def __init__(self, text: str, cause: OSError) -> None:
        super().__init__(text)
        self.cause = cause


class ResolutionError(PyBalError):
    """A host name has no address of the wanted family (yet)."""


class KernelError(PyBalError):
    """The kernel refused an IPVS operation.

    `operation` says what was tried, in words; `errno` is the kernel's answer.
    """

    def __init__(self, operation: str, errno: int, hint: str = "") -> None:
        self.operation = operation
        self.errno = errno
        self.hint = hint
        name = errno_names.errorcode.get(errno, str(errno))
        text = f"{operation}: {os.strerror(errno)} ({name})"
        super().__init__(f"{text}; {hint}" if hint else text)
