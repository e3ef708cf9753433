"""Pool lists over HTTP: which answers of a real server are a list, and which are refused whole."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from pybal.config.pool_list import PoolList
from pybal.errors import HTTPFetchError, SourceError
from pybal.model import ServerSpec
from pybal.sources.http import HTTPReader
from tests.fakes.sources import source_ports
from tests.integration.reactors import real_client, run_in_reactor
from tests.integration.test_http_hostile import says, server

pytestmark = pytest.mark.integration

LIST = b"{'host': 'a'}\n{'host': 'b'}\n"
JSON = b'{"a.example": {"enabled": true}, "b.example": {"weight": 1}}'
SIZE = b"Content-Length: %d" % len(LIST)
ZIPPED = gzip.compress(LIST)


def answer(
    *headers: bytes, status: bytes = b"200 OK", body: bytes = LIST, version: bytes = b"1.1"
) -> bytes:
    lines = [b"HTTP/" + version + b" " + status, *headers, b"", b""]
    return b"\r\n".join(lines) + body


def sized(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    return answer(b"Content-Length: %d" % len(body), *headers, status=status, body=body)


def chunked(*, end: bytes = b"0\r\n\r\n", coding: bytes = b"chunked") -> bytes:
    body = b"%x\r\n%s\r\n" % (len(LIST), LIST) + end
    return answer(b"Transfer-Encoding: " + coding, body=body)


LISTS = {
    "with a length": sized(LIST),
    "HTTP/1.0 with a length": answer(SIZE, version=b"1.0"),
    "a length twice, the same": answer(SIZE, SIZE),
    "chunked": chunked(),
    "Chunked": chunked(coding=b"Chunked"),
    "chunked with trailers": chunked(end=b"0\r\nX: y\r\n\r\n"),
    "after an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n" + sized(LIST),
    "with a mark of UTF-8": sized(b"\xef\xbb\xbf" + LIST),
    "with ends of lines as on Windows": sized(LIST.replace(b"\n", b"\r\n")),
    "called HTML": sized(LIST, b"Content-Type: text/html"),
}

NO_LISTS = {
    # It is not said where it ends, or it does not end there.
    "no length": answer(),
    "HTTP/1.0 without a length": answer(version=b"1.0"),
    "no length, and the connection is to be closed": answer(b"Connection: close"),
    "longer than its length": answer(b"Content-Length: 14"),
    "shorter than its length": answer(b"Content-Length: 100"),
    "two lengths": answer(SIZE, b"Content-Length: 14"),
    "a negative length": answer(b"Content-Length: -1"),
    "no last chunk": chunked(end=b""),
    "no end after the last chunk": chunked(end=b"0\r\n"),
    "a chunk that is cut off": answer(b"Transfer-Encoding: chunked", body=b"ff\r\n" + LIST),
    "two answers": sized(LIST) + sized(LIST),
    # Another status.
    "201": sized(LIST, status=b"201 Created"),
    "203": sized(LIST, status=b"203 Non-Authoritative Information"),
    "204": answer(status=b"204 No Content", body=b""),
    "206": sized(LIST, b"Content-Range: bytes 0-27/100", status=b"206 Partial Content"),
    "300": sized(LIST, status=b"300 Multiple Choices"),
    "302 to itself": answer(b"Location: /", b"Content-Length: 0", status=b"302 Found", body=b""),
    "304 that nobody asked for": answer(status=b"304 Not Modified", body=b""),
    "404": sized(LIST, status=b"404 Not Found"),
    "503": sized(LIST, b"Retry-After: 1", status=b"503 Service Unavailable"),
    # A part of a list, or one that is wrapped up.
    "a range": answer(SIZE, b"Content-Range: bytes 0-27/100"),
    "a first page": answer(SIZE, b'Link: </pool?page=2>; rel="next"'),
    "a page in the middle": answer(SIZE, b'Link: </?p=1>; rel="prev", </?p=3>; rel=next'),
    "ranges": sized(b"--x\r\n\r\n" + LIST + b"--x--\r\n", b"Content-Type: multipart/byteranges"),
    "zipped": sized(ZIPPED, b"Content-Encoding: gzip"),
    "zipped, and it is not said": sized(ZIPPED),
    "zipped in transfer": chunked(coding=b"gzip, chunked"),
    "said to be brotli": answer(SIZE, b"Content-Encoding: br"),
    # Something else.
    "nothing": sized(b""),
    "comments": sized(b"# nobody\n\n"),
    "no HTTP": LIST,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "closed at once": b"",
    "HTTP/2": answer(SIZE, version=b"2"),
    "nginx": sized(b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>\r\n"),
    "a directory": sized(b"<html><head><title>Index of /pools/</title></head>\n</html>\n"),
    "a directory as text": sized(b"Index of /pools\n\nweb\ndns\n"),
    "JSON": sized(JSON),
    "an array": sized(b'["a.example", "b.example"]\n'),
    "an error": sized(b'{"error": {"code": 503, "message": "x"}}\n'),
    "an error with a host": sized(b'{"host": "config1", "error": "overloaded"}\n'),
    "of etcd": sized(b'{"errorCode":100,"message":"Key not found","cause":"/x","index":5}\n'),
    "YAML": sized(b"- host: a\n- host: b\n"),
    "a list in one line": sized(b"[{'host': 'a'}, {'host': 'b'}]\n"),
    "CSV": sized(b"host,weight\na,10\nb,10\n"),
    "UTF-16": sized(LIST.decode().encode("utf-16")),
    "half of it twice": sized(b"{'host': 'a'{'host': 'a'}\n"),
}

DAMAGED = {
    "cut off within a line, which its length says": sized(LIST[:-9]),
    "an error page after it": sized(LIST[:14] + b"<html>502 Bad Gateway</html>\n"),
    "zeroes at its end": sized(LIST[:14] + b"\0" * 14),
    "a conflict of a merge": sized(b"<<<<<<< HEAD\n" + LIST[:14] + b"=======\n>>>>>>> x\n"),
}


def read(said: bytes, path: str = "/pool") -> PoolList:
    with server(says(said)) as port:

        async def main(reactor: Any) -> PoolList | None:
            ports = source_ports(
                reactor, http=real_client(reactor), names=_NoNames(), in_thread=_no_thread
            )
            return await HTTPReader(f"http://127.0.0.1:{port}{path}", ports).read(lambda _: None)

        found = run_in_reactor(main)
    assert found is not None
    return found


class _NoNames:
    def look_up(self, host: str) -> Deferred[Any]:
        raise AssertionError(host)


def _no_thread(function: Any) -> Deferred[None]:
    raise AssertionError(function)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_shows_that_it_is_one_is_taken(name: str) -> None:
    found = read(LISTS[name])
    assert found.servers == (ServerSpec("a"), ServerSpec("b"))
    assert found.problems == ()


@pytest.mark.parametrize("name", NO_LISTS)
def test_whatever_is_something_else_is_refused_whole(name: str) -> None:
    with pytest.raises((SourceError, HTTPFetchError)) as caught:
        read(NO_LISTS[name])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_list_is_said_to_be_one(name: str) -> None:
    found = read(DAMAGED[name])
    assert found.servers == (ServerSpec("a"),)
    assert found.damage


NO_JSON = {
    "cut off": JSON[:-20],
    "cut off after a server": JSON[:-1],
    "twice": JSON + JSON,
    "an array": b'["a.example"]',
    "an array of objects": b'[{"host": "a.example", "weight": 1}]',
    "nothing": b"{}",
    "null": b"null",
    "a text": b'"a.example"',
    "an error": b'{"error": {"code": 503, "message": "x"}}',
    "an empty error": b'{"error": {}}',
    "of Spring": b'{"timestamp": "x", "status": 500, "error": "Internal", "path": "/pool"}',
    "of etcd": b'{"errorCode": 100, "message": "Key not found", "cause": "/x", "index": 5}',
    "a directory of etcd": b'{"action": "get", "node": {"key": "/x", "dir": true, "nodes": []}}',
    "of Kubernetes": b'{"kind": "Status", "status": "Failure", "code": 403, "details": {}}',
    "nested one deeper": b'{"pool": {"a.example": {"enabled": true}}}',
    "of conftool": b'{"a.example": {"pooled": "yes", "weight": 1}}',
    "by service": b'{"web": {"host": "a.example", "weight": 1}}',
    "numbers": b'{"a.example": 10, "b.example": 10}',
    "nobody": b'{"a.example": null}',
    "UTF-16": JSON.decode().encode("utf-16"),
    "HTML": b"<html><body>503</body></html>",
    "YAML": b"a.example:\n  weight: 10\n",
}


@pytest.mark.parametrize("name", NO_JSON)
def test_json_that_is_no_list_is_refused_whole(name: str) -> None:
    with pytest.raises(SourceError):
        read(sized(NO_JSON[name]), "/pool.json")


def test_json_that_is_a_list_is_taken() -> None:
    assert len(read(sized(JSON), "/pool.json").servers) == 2
