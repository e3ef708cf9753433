"""HTTP over the control socket, with the standard library alone: a command must start fast."""

from __future__ import annotations

import contextlib
import grp
import http.client
import json
import math
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from pybal.errors import ControlError, PyBalError, said_by

READ_TIMEOUT_S = 20.0
STREAM_TIMEOUT_S = 60.0
"""A stream has a heartbeat every 15 s."""
CHANGE_TIMEOUT_S = 300.0
"""A reload waits for names and pool lists of new services, a check for its monitors."""
MAX_ANSWER_BYTES = 256 * 2**20
"""The largest documents have some tens of MB."""
MAX_EVENT_BYTES = 16 * 2**20
"""Of what is streamed; one that concerns a pool of thousands has less than a MB."""
_TAKING_TIME = ("/reload", "/check", "/config/compare")
_TURN_S = 0.02
"""After it is seen anew whether others still wait."""

_UNIT = "pybal"
_SYSTEMCTL_TIMEOUT_S = 3.0

Document = Any
"""JSON, as `/api/v1` describes it."""

Query = Sequence[tuple[str, str]]
"""Parameters of a URL; one may be there several times."""


class NoDaemonError(PyBalError):
    """Nobody answers on the control socket; the text says why and what would help."""


class UnknownError(ControlError):
    """The daemon knows nothing of that path or name."""


class WrongWordError(ControlError):
    """What was asked for is nothing that there could be: a time, a kind of events."""


class Client(Protocol):
    """What the commands need of the daemon. Each method raises NoDaemonError, or ControlError if
    the daemon says no (UnknownError if it does not know what was named, WrongWordError if it cannot
    read what was asked)."""

    def get(self, *segments: str, query: Query = ()) -> Document:
        """The document at `/api/v1/…`."""
        ...

    def follow(self, *segments: str, query: Query = ()) -> Iterator[Document]:
        """What is streamed there, for ever."""
        ...

    def get_text(self, *segments: str) -> str:
        """The text at a path outside `/api/v1`."""
        ...

    def post(self, *segments: str, body: Document = None) -> Document:
        """Have something done; what the daemon answers."""
        ...


def unit_state() -> str:
    """What systemd says of the daemon's unit; empty if there is no systemd to ask."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - a fixed command
            [systemctl, "is-active", _UNIT],
            capture_output=True,
            text=True,
            timeout=_SYSTEMCTL_TIMEOUT_S,
            check=False,
        )
        return done.stdout.strip()
    return ""


class _Connection(socket.socket):
    """Its timeout is that of each single wait. Once it is bounded, what drips, or never ends, is
    given up, too."""

    _ends_at_s = math.inf
    _bytes_left = math.inf

    def bound(self, within_s: float) -> None:
        """An answer has to be there within that time, and to be no larger than any of ours."""
        self._ends_at_s = time.monotonic() + within_s
        self._bytes_left = MAX_ANSWER_BYTES

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As http.client reads, through makefile()."""
        left_s = self._ends_at_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        if left_s < math.inf:
            self.settimeout(left_s)
        count = super().recv_into(buffer, nbytes, flags)
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise OSError(f"the answer is larger than {MAX_ANSWER_BYTES // 2**20} MiB")
        return count


class SocketClient:
    """Asks the daemon that listens at `path`, each time over a connection of its own."""

    def __init__(
        self,
        path: Path,
        unit_state: Callable[[], str] = unit_state,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._path = path
        self._unit_state = unit_state
        self._read_timeout_s = read_timeout_s

    def get(self, *segments: str, query: Query = ()) -> Document:
        """The document at `/api/v1/…`."""
        if not all(segments):
            raise UnknownError("Nothing has an empty name")  # the path would be another one's
        return _parse(self._ask("GET", _api(segments) + _query(query), "application/json"))

    def follow(self, *segments: str, query: Query = ()) -> Iterator[Document]:
        """What is streamed there by server-sent events, for ever."""
        connection = http.client.HTTPConnection("pybal", timeout=STREAM_TIMEOUT_S)
        with contextlib.closing(connection):
            connection.sock = self._connected(STREAM_TIMEOUT_S)
            try:
                path = _api(segments) + _query(query)
                connection.request("GET", path, headers={"Accept": "text/event-stream"})
                response = connection.getresponse()
                if response.status != HTTPStatus.OK:
                    raise _refusal(response.status, response.read(MAX_EVENT_BYTES))
                while line := response.readline(MAX_EVENT_BYTES + 1):
                    if len(line) > MAX_EVENT_BYTES:
                        raise OSError(f"an event is larger than {MAX_EVENT_BYTES // 2**20} MiB")
                    if line.startswith(b"data: "):
                        yield _parse(line[6:])
            except TimeoutError as error:
                raise self._none(f"has been silent for {STREAM_TIMEOUT_S:g} s") from error
            except (OSError, http.client.HTTPException) as error:
                raise self._none(f"broke off the stream: {said_by(error)}") from error
        raise self._none("ended the stream")

    def get_text(self, *segments: str) -> str:
        """The text at a path outside `/api/v1`."""
        return self._ask("GET", _path(segments), "text/plain").decode("utf-8", "replace")

    def post(self, *segments: str, body: Document = None) -> Document:
        """Have something done; what the daemon answers."""
        data = b"" if body is None else json.dumps(body).encode()
        return _parse(self._ask("POST", _api(segments), "application/json", data))

    def _ask(self, method: str, path: str, accept: str, body: bytes = b"") -> bytes:
        takes_time = method == "POST" and path.endswith(_TAKING_TIME)
        timeout_s = CHANGE_TIMEOUT_S if takes_time else self._read_timeout_s
        connection = http.client.HTTPConnection("pybal", timeout=timeout_s)
        with contextlib.closing(connection):
            connection.sock = asked = self._connected(timeout_s)
            asked.bound(timeout_s)
            try:
                connection.request(method, path, body or None, {"Accept": accept})
                response = connection.getresponse()
                answer = response.read()
            except TimeoutError as error:
                raise self._none(f"gives no answer within {timeout_s:g} s") from error
            except (OSError, http.client.HTTPException) as error:
                raise self._none(f"broke off the exchange: {said_by(error)}") from error
        if response.status != HTTPStatus.OK:
            raise _refusal(response.status, answer)
        return answer

    def _connected(self, timeout_s: float) -> _Connection:
        connection = _Connection(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        ends_at_s = time.monotonic() + timeout_s
        try:
            while True:
                # Where others wait, the kernel says so at once: to connect a UNIX socket is never
                # under way.
                try:
                    connection.connect(os.fspath(self._path))
                    break
                except BlockingIOError:
                    if time.monotonic() >= ends_at_s:
                        raise
                time.sleep(_TURN_S)
        except BlockingIOError as error:
            connection.close()
            raise self._none(f"has others waiting, for {timeout_s:g} s and more") from error
        except FileNotFoundError as error:
            connection.close()
            raise self._none("is not there", _START) from error
        except ConnectionRefusedError as error:
            connection.close()
            raise self._none(self._refused(), _START) from error
        except PermissionError as error:
            connection.close()
            raise self._none("may not be used: permission denied", self._who_may()) from error
        except OSError as error:
            connection.close()
            raise self._none(f"cannot be used: {said_by(error)}", _START) from error
        return connection

    def _none(self, what: str, remedy: str = "Look into its log") -> NoDaemonError:
        state = self._unit_state()
        unit = f" (systemd: {_UNIT}.service is {state})" if state else ""
        return NoDaemonError(f"The control socket {self._path} {what}{unit}. {remedy}")

    def _refused(self) -> str:
        with contextlib.suppress(OSError):
            if not self._path.is_socket():
                return "is no socket"
        return "is there, but nobody listens at it"

    def _who_may(self) -> str:
        with contextlib.suppress(OSError, KeyError):
            group_id = self._path.stat().st_gid
            if group_id != 0:
                return f"Run it as root or as a member of the group {grp.getgrgid(group_id)[0]}"
        return "Run it as root; control-socket-group in pybal.conf names a group that may, too"


_START = (
    "Start the daemon (systemctl start pybal), or say where its socket is (pybalctl --socket PATH);"
    " a dry run has one only if control-socket is set"
)


def _api(segments: tuple[str, ...]) -> str:
    return _path(("api", "v1", *segments))


def _path(segments: tuple[str, ...]) -> str:
    return "/" + "/".join(quote(segment, safe="", errors="surrogateescape") for segment in segments)


def _query(query: Query) -> str:
    return f"?{urlencode(query, errors='surrogateescape')}" if query else ""


def _parse(answer: bytes) -> Document:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise ControlError("What listens there answers no JSON", "Is it PyBal?") from error


_KINDS: dict[int, type[ControlError]] = {
    HTTPStatus.NOT_FOUND: UnknownError,
    HTTPStatus.BAD_REQUEST: WrongWordError,
}


def _refusal(status: int, answer: bytes) -> ControlError:
    """The daemon's own words, if it has any."""
    kind = _KINDS.get(status, ControlError)
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(answer)
        if isinstance(said, dict) and isinstance(said.get("error"), str):
            remedy = said.get("remedy")
            return kind(said["error"], remedy if isinstance(remedy, str) else "")
    return kind(f"The daemon answers HTTP status {status}", "Its log may say more")
