"""`http://` and `https://`: a pool list on a web server, asked for every second."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from pybal.config.pool_list import MAX_LIST_BYTES, PoolList, parse_pool_bytes
from pybal.errors import SourceError
from pybal.http.port import HTTPRequest, HTTPResponse
from pybal.runtime.naming import quoted
from pybal.sources.parsing import parsed
from pybal.sources.poller import Pauses
from pybal.sources.polling_source import Early
from pybal.sources.ports import USER_AGENT, SourcePorts

TIMEOUT_S = 5.0
HTTP_PAUSES = Pauses(1.0, 1.0, 5.0)
HTTP_OVERDUE_S = 30.0

FULL_EVERY_S = 55.0
"""An ETag is believed for so long: many are made of a file's size and date alone, and a proxy in
between may hold on to one."""

_SETTLED_S = 1.5
"""Many servers make an ETag of the file's size and the second of its last change (nginx): two
changes within that second may share one. So it is only used once the list has outlasted it."""

_USABLE_ETAG = re.compile(r"[!-~]{1,256}")
_NEXT_PAGE = re.compile(r'rel\s*=\s*"?[^";,]*\bnext\b', re.IGNORECASE)


class HTTPReader:
    """The Reader of a URL; JSON if its path ends in `.json`, else one dict literal a line.

    Any status but 200, or 304 in answer to a conditional request, is an error. Requests are made
    conditional on an ETag alone: by Last-Modified an older file that was put back is no change.

    The server may be sending a file that is just being written. So what a text list says counts at
    once, but a server goes only when two readings in a row are without it, of which the second is
    not just the first gone on.
    """

    def __init__(self, url: str, ports: SourcePorts) -> None:
        self._url = url
        self._json_format = urlsplit(url).path.endswith(".json")
        self._ports = ports
        self._etag = ""
        self._body: bytes | None = None  # of the last reading
        self._found: PoolList | None = None  # in it
        self._pending = False  # whether more than that was returned
        self._taken_at_s = 0.0
        self._full_at_s = 0.0

    async def read(self, early: Early) -> PoolList | None:  # noqa: ARG002 - as the port has it
        """See Reader."""
        asked_at_s = self._ports.reactor.seconds()
        old = asked_at_s - self._full_at_s >= FULL_EVERY_S
        conditions = {} if old or not self._etag else {"If-None-Match": self._etag}
        request = HTTPRequest(
            self._url,
            timeout_s=TIMEOUT_S,
            max_bytes=MAX_LIST_BYTES,
            headers={"User-Agent": USER_AGENT, **conditions},
            ca_file=self._ports.ca_file,
        )
        response = await self._ports.http.fetch(request)
        if response.status == 304 and conditions:
            return None
        body = whole_body(response)
        self._full_at_s = asked_at_s
        found = await self._changed(body)
        # Only of an answer that is a list: a bad one must be fetched again in full.
        etag = response.headers.get("etag", "")
        usable = asked_at_s - self._taken_at_s >= _SETTLED_S and _USABLE_ETAG.fullmatch(etag)
        self._etag = etag if usable else ""
        return found

    def stop(self) -> None:
        """See Reader: nothing is open between readings."""

    async def _changed(self, body: bytes) -> PoolList | None:
        """The list to be in force, if it is another one than at the last reading."""
        if body == self._body and not self._pending:
            return None
        parse = partial(parse_pool_bytes, body, json_format=self._json_format)
        found = await parsed(len(body), parse, self._ports)
        before, self._found = self._found, found
        grown = self._body not in (None, body) and body.startswith(self._body or b"")
        if body != self._body:
            self._body, self._taken_at_s = body, self._ports.reactor.seconds()
        if before is None or self._json_format:
            self._pending = False
            return found
        servers = found._replace(part=True).over(before.servers)
        self._pending = grown or len(servers) > len(found.servers)
        # Where all are there it is the list as it stands, in its own order.
        return found._replace(servers=servers, part=grown) if self._pending else found


def whole_body(response: HTTPResponse) -> bytes:
    """The body of an answer that is whole and says so; SourceError for any other."""
    headers: Mapping[str, str] = response.headers
    if response.status != 200:
        raise SourceError(f"answered with status {response.status}, not 200")
    if "content-length" not in headers and "transfer-encoding" not in headers:
        raise SourceError("the answer does not say where it ends, so it may be cut off")
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        shown = quoted(encoding, 40)
        raise SourceError(f"the answer is encoded as {shown}, which was not asked for")
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise SourceError("the answer is several documents, of which none is the list")
    if "content-range" in headers or _NEXT_PAGE.search(headers.get("link", "")):
        raise SourceError("the answer is a part of the list: more is on other pages")
    return response.body
