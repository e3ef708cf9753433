"""`http://` and `https://`: a pool list on a web server, asked for every second."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from twisted.logger import Logger

from pybal.errors import HTTPFetchError, SourceError
from pybal.http.port import HTTPRequest, HTTPResponse
from pybal.model import SourceSnapshot
from pybal.sources.base import MAX_LIST_BYTES, USER_AGENT, SourcePorts, parse_bytes
from pybal.sources.lastgood import LastGood
from pybal.sources.poller import Poller

TIMEOUT_S = 5.0
_INTERVAL_S = 1.0
_MAX_RETRY_S = 5.0

_SETTLED_S = 1.5
"""Many servers make an ETag of the file's size and the second of its last change (nginx): two
changes within that second may share one. So it is only used once the list has outlasted it."""

_USABLE_ETAG = re.compile(r"[!-~]{1,256}")


class HTTPPool:
    """The Source of a URL; JSON if its path ends in `.json`, else one dict literal a line.

    Any status but 200, or 304 in answer to a conditional request, is an error. Requests are made
    conditional on an ETag alone: by Last-Modified an older file that was put back is no change.
    """

    def __init__(self, url: str, ports: SourcePorts, log: Logger, last_good: LastGood) -> None:
        self._url = url
        self._json_format = urlsplit(url).path.endswith(".json")
        self._ports = ports
        self._last_good = last_good
        self._conditions: Mapping[str, str] = {}
        self._taken: bytes | None = None  # the digest of the body that is in force
        self._taken_at_s = 0.0
        self._poller = Poller(
            ports.reactor,
            ports.random,
            log,
            self._poll,
            interval_s=_INTERVAL_S,
            retry_s=_INTERVAL_S,
            max_retry_s=_MAX_RETRY_S,
        )

    def start(self) -> None:
        """See Source."""
        self._last_good.start()
        self._poller.start()

    def stop(self) -> None:
        """See Source. A request that is under way is cancelled."""
        self._poller.stop()
        self._last_good.stop()

    def snapshot(self) -> SourceSnapshot:
        """See Source."""
        return self._last_good.snapshot()

    async def _poll(self) -> bool:
        request = HTTPRequest(
            self._url,
            timeout_s=TIMEOUT_S,
            max_bytes=MAX_LIST_BYTES,
            headers={"User-Agent": USER_AGENT, **self._conditions},
            ca_file=self._ports.ca_file,
        )
        asked_at_s = self._ports.reactor.seconds()
        try:
            self._take(await self._ports.http.fetch(request), asked_at_s)
        except (HTTPFetchError, SourceError) as error:
            self._last_good.reject(str(error))
            return False
        return True

    def _take(self, response: HTTPResponse, asked_at_s: float) -> None:
        if response.status == 304 and self._conditions:
            self._last_good.unchanged()
            return
        if response.status != 200:
            raise SourceError(f"answered with status {response.status}, not 200")
        digest = hashlib.sha256(response.body).digest()
        if digest == self._taken:
            self._last_good.unchanged()
        else:
            pool = parse_bytes(response.body, json_format=self._json_format)
            self._last_good.accept(pool.servers, [str(problem) for problem in pool.problems])
            self._taken = digest
            self._taken_at_s = self._ports.reactor.seconds()
        # Only of an answer that was taken: a bad one must be fetched again in full.
        etag = response.headers.get("etag", "")
        usable = asked_at_s - self._taken_at_s >= _SETTLED_S and _USABLE_ETAG.fullmatch(etag)
        self._conditions = {"If-None-Match": etag} if usable else {}
