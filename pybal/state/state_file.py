"""What outlives the process: one JSON document in one file of the state directory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.errors import PyBalError, describe_os_error, said_by
from pybal.runtime.clock import DelayedCall
from pybal.runtime.naming import shortened
from pybal.runtime.retry import Retry
from pybal.runtime.threads import NoThreadError
from pybal.state.files import read_regular_file, write_atomically
from pybal.state.state_writing import StateWriting

MAX_BYTES = 32 * 1024 * 1024

Document = dict[str, Any]
"""A JSON object. Its member `format` is the file's own."""

TRY_AGAIN_S = 5.0
TRY_AGAIN_MAX_S = 60.0
"""What could not be written is tried again, ever later, and at once with each change."""

_YEAR_5000 = 1e11

_OTHER_SHAPES = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    OverflowError,
)

T = TypeVar("T")


class StateFileError(PyBalError):
    """The file holds nothing that can be used."""


class StateFile(Generic[T]):
    """A value in a file. `encode` makes a document of it; `decode` may raise StateFileError, or
    whatever Python raises for a document of another shape. All methods block, on the disk alone."""

    def __init__(
        self,
        path: Path,
        format_version: int,
        encode: Callable[[T], Document],
        decode: Callable[[Document], T],
    ) -> None:
        self.path = path
        self._format = format_version
        self._encode = encode
        self._decode = decode

    def load(self) -> T | None:
        """The value; None if there is no file. Raises StateFileError, also for a FIFO, a device
        and the like, which are not read."""
        try:
            data = read_regular_file(self.path, MAX_BYTES).data
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateFileError(f"it cannot be read: {describe_os_error(error)}") from None
        except PyBalError as error:
            raise StateFileError(str(error)) from None
        return self.parse(data)

    def save(self, value: T) -> None:
        """Replace the value atomically; on return it is on the disk. Raises OSError."""
        write_atomically(self.path, self.render(value))

    def parse(self, data: bytes) -> T:
        """The value of a content; StateFileError."""
        try:
            document = json.loads(data)
            if document["format"] != self._format:
                raise StateFileError(f"its format is {document['format']!r:.20}")
            return self._decode(document)
        except _OTHER_SHAPES as error:
            what = f"{type(error).__name__}: {shortened(str(error), 200)}"
            raise StateFileError(f"it is damaged ({what})") from None

    def render(self, value: T) -> bytes:
        """The content for a value."""
        return json.dumps({"format": self._format, **self._encode(value)}).encode()


def moment(value: Any) -> float:
    """Unix seconds that a document gives. ValueError for what is none, or cannot be shown."""
    at = float(value)
    if not 0 <= at < _YEAR_5000:
        raise ValueError(f"{at!r} is no moment")
    return at


class WriteBehind(Generic[T]):
    """Keeps a StateFile up to date off the reactor's thread: one writing at a time, each of the
    newest value. What fails is one line of the log until a writing succeeds, and is tried again.

    `value()` is asked for `after_s` after the first change; what it returns must not change. What
    has changed while a thread writes, that thread writes next, without the reactor: in a stop that
    has no more turns.
    """

    def __init__(
        self,
        file: StateFile[T],
        value: Callable[[], T],
        writing: StateWriting,
        failed: Callable[[str], None],
        *,
        after_s: float = 0.0,
    ) -> None:
        self._file = file
        self._value = value
        self._files = writing
        self._failed = failed
        self._after_s = after_s
        self._later: DelayedCall | None = None
        self._retry = Retry(writing.clock, self._write, TRY_AGAIN_S, TRY_AGAIN_MAX_S)
        self._stopped = False
        self._lock = Lock()
        """Of what both threads touch."""
        self._writing = False
        self._next: tuple[T, ...] = ()

    def changed(self) -> None:
        """The value on the disk is no longer the newest."""
        if self._later is not None:
            return
        if self._after_s:
            self._later = self._files.clock.callLater(self._after_s, self._write)
        else:
            self._write()

    def hurry(self) -> None:
        """The process is about to end: what waits is written now, and each change from now on."""
        self._after_s = 0.0
        if self._later is not None:
            self._later.cancel()
            self._write()

    def stop(self) -> None:
        """The file may be another's from now on: what fails is not tried again. Idempotent."""
        with self._lock:
            self._stopped = True
        self._retry.cancel()
        self._files.forget(self._file.path)

    def _write(self) -> None:
        self._later = None
        self._retry.cancel()
        value = self._value()
        with self._lock:
            if self._writing:
                self._next = (value,)
                return
            self._writing = True
        if not self._stopped:
            self._files.begin(self._file.path)
        written = self._files.in_thread(lambda: self._save(value))
        written.addCallbacks(self._succeeded, self._not_written)

    def _save(self, value: T) -> None:
        """In the thread. Of several writings the last one says whether that went well."""
        while True:
            error: Exception | None = None
            try:
                self._file.save(value)
            except Exception as raised:  # noqa: BLE001 - it is handed on, unless a later one is well
                error = raised
            with self._lock:
                if not self._next:
                    self._writing = False
                    break
                (value,), self._next = self._next, ()
                if not self._stopped:
                    # The disk has answered: it may be slower than what changes.
                    self._files.begin(self._file.path)
        try:
            if error is not None:
                raise error
        finally:
            # It leads to this frame: they would keep one another, and what was to be written.
            error = None

    def _succeeded(self, _: object) -> None:
        self._retry.succeeded()
        if not self._writing:  # Else what is newer is on its way by now, and may not arrive.
            self._files.forget(self._file.path)

    def _not_written(self, failure: Failure) -> None:
        if failure.check(NoThreadError):
            self._writing, self._next = False, ()
        if not self._retry.failures:
            self._failed(f"{self._file.path}: {said_by(failure.value)}")
        if not self._stopped:
            self._files.failed(self._file.path, failure.value, self._write)
            self._retry.failed()


def load_or_warn(file: StateFile[T], what: str, log: Logger) -> T | None:
    """The value of the last run, or None; what is wrong with the file is a line of the log."""
    try:
        return file.load()
    except StateFileError as error:
        log.warn(
            "{what} in {path} is not used: {error}",
            what=what,
            path=str(file.path),
            error=str(error),
        )
        return None
