"""The demo's window: pybal's instrumentation, seen from outside of its namespace or machine.

Two ends share a folder, which is all that a virtual machine without a network needs. The
outside one listens on the host and writes each request into a file; the inside one polls for
them, asks pybal, and writes the answer beside it.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.demo.actors import INSTRUMENTATION_PORT, Answer

_POLL_S = 0.05
_ANSWER_WITHIN_S = 10
_ASKED, _ANSWERED = ".request", ".answer"


class Outside:
    """Serves what the inside end answers, on a port of the host's loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = self._listen()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Serve, in threads of its own."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()

    def _listen(self) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"exchange": staticmethod(self._exchange)})
        try:
            return ThreadingHTTPServer(("127.0.0.1", INSTRUMENTATION_PORT), handler)
        except OSError:
            return ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def _exchange(self, path: str, accept: str) -> Answer | None:
        name = self._folder / uuid.uuid4().hex
        answered = name.with_suffix(_ANSWERED)
        _write_whole(name.with_suffix(_ASKED), json.dumps({"path": path, "accept": accept}))
        deadline = time.monotonic() + _ANSWER_WITHIN_S
        while not answered.exists():
            if time.monotonic() > deadline:
                return None
            time.sleep(_POLL_S)
        answer = Answer(**json.loads(answered.read_text()))
        answered.unlink()
        return answer


class _Handler(BaseHTTPRequestHandler):
    """One request of a person or a browser."""

    exchange: Callable[[str, str], Answer | None]

    def do_GET(self) -> None:
        accept = self.headers.get("Accept", "text/plain")
        if "text/event-stream" in accept:
            self.send_error(503, "no live events through this window: the page reads again")
            return
        answer = self.exchange(self.path, accept)
        if answer is None:
            self.send_error(504, "pybal did not answer")
            return
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal is the narrator's."""


def serve_inside(folder: Path, get: Callable[[str, str], Answer]) -> None:
    """Answer the requests that lie in `folder` now, by `get(path, accept)`."""
    for asked in folder.glob(f"*{_ASKED}"):
        request = json.loads(asked.read_text())
        asked.unlink()
        try:
            answer = get(request["path"], request["accept"])
        except OSError as error:
            answer = Answer(502, "text/plain", f"pybal does not answer: {error}\n")
        values = {name: getattr(answer, name) for name in answer.__slots__}
        _write_whole(asked.with_suffix(_ANSWERED), json.dumps(values))


def _write_whole(path: Path, text: str) -> None:
    """The file appears complete or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.rename(path)
