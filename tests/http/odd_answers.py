"""Answers out of the ordinary, to a GET that asks for the connection to be closed after them.

Most are what curl and http.client both take; which, an integration test asks of them.
"""

from __future__ import annotations

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST = b"0\r\n\r\n"


def with_lines(*lines: bytes) -> bytes:
    """An answer with further header lines, between its status and its length."""
    return OK + b"".join(line + b"\r\n" for line in lines) + LENGTH + b"\r\nhi"


def with_status(line: bytes) -> bytes:
    """An answer with that status line."""
    return line + b"\r\n" + LENGTH + b"\r\nhi"


def with_length(*values: bytes) -> bytes:
    """An answer with these for its length."""
    return OK + b"".join(b"Content-Length:" + each + b"\r\n" for each in values) + b"\r\nhi"


def with_coding(line: bytes, body: bytes = b"2\r\nhi\r\n" + LAST) -> bytes:
    """An answer with that line for its transfer coding."""
    return OK + line + b"\r\n\r\n" + body


def in_chunks(body: bytes) -> bytes:
    """A chunked answer."""
    return OK + CHUNKED + b"\r\n" + body


CONTROLS = bytes(set(range(1, 32)) - set(b"\n\r")) + b"\x7f"

ODD_ANSWERS = {
    "an ordinary one": with_lines(),
    # header lines
    "a blank before a colon": with_lines(b"X-A : b"),
    "a tab before a colon": with_lines(b"X-A\t: b"),
    "a blank before the length's colon": OK + b"Content-Length : 2\r\n\r\nhi",
    "a blank before a wrong length's colon": OK + b"Content-Length : 200\r\n\r\nhi",
    "a blank before the coding's colon": with_coding(b"Transfer-Encoding : chunked"),
    "no colon": with_lines(b"nonsense"),
    "no colon, after others": with_lines(b"X-A: b", b"nonsense", b"X-B: c"),
    "a line as of a mailbox": with_lines(b"From me@example.org Mon"),
    "no name": with_lines(b": b"),
    "no name, and a length": OK + b":Content-Length: 9\r\n" + LENGTH + b"\r\nhi",
    "a lone colon": with_lines(b":"),
    "a name with blanks": with_lines(b"X A B: c"),
    "a name with signs": with_lines(b"X(A)@/[]{}: c"),
    "Latin-1 in a value": with_lines(b"X-A: \xe9\xff\x85\xa0"),
    "Latin-1 in a name": with_lines(b"X-\xe9: b"),
    "UTF-8 in a value": with_lines("X-A: žluťoučký".encode()),
    "a NUL in a value": with_lines(b"X-A: a\0b"),
    "a NUL in a name": with_lines(b"X-\0A: b"),
    "control characters in a value": with_lines(b"X-A: a" + CONTROLS + b"b"),
    "control characters in a name": with_lines(b"X-A\x01\x1b: b"),
    "a bare return in a value": with_lines(b"X-A: a\rb"),
    "a return too many": with_lines(b"X-A: a\r"),
    "a folded header": with_lines(b"X-A: a", b"  b"),
    "a folded header, by a tab": with_lines(b"X-A: a", b"\tb"),
    "a fold that looks like a length": with_lines(b"X-A: a", b" Content-Length: 9"),
    "a fold of blanks alone": with_lines(b"X-A: a", b"  "),
    "a fold before the first header": with_lines(b" a: b"),
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    "a bare line feed before the end": b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nhi",
    "a bare line feed at the end": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nhi",
    "ninety headers": with_lines(*(b"X-%d: y" % n for n in range(90))),
    "ninety long headers": with_lines(*(b"X-%d: " % n + b"y" * 2000 for n in range(90))),
    "a header of 60,000 bytes": with_lines(b"X-A: " + b"y" * 60_000),
    "60,000 blanks before a NUL": with_lines(b"X-A:" + b" " * 60_000 + b"\0"),
    "a name of 60,000 bytes": with_lines(b"y" * 60_000 + b" : b"),
    "cookies like those of the wild": with_lines(b'Set-Cookie: a="b\x01"; \xff; =; ;;'),
    "a switch offered": with_lines(b"Upgrade: h2c", b"Connection: upgrade"),
    "a connection that is to be kept": with_lines(b"Connection: keep-alive"),
    # status lines
    "no reason": with_status(b"HTTP/1.1 200"),
    "no reason, but a blank": with_status(b"HTTP/1.1 200 "),
    "a reason in Latin-1": with_status(b"HTTP/1.1 200 \xe9t\xe9"),
    "a reason with a colon": with_status(b"HTTP/1.1 200 OK: fine"),
    "a reason with control characters": with_status(b"HTTP/1.1 200 a" + CONTROLS),
    "a reason with a NUL": with_status(b"HTTP/1.1 200 a\0b"),
    "a long reason": with_status(b"HTTP/1.1 200 " + b"x" * 5000),
    "blanks around the status": with_status(b"HTTP/1.1  200  OK"),
    "a status above all others": with_status(b"HTTP/1.1 999 OK"),
    "HTTP/1.0": with_status(b"HTTP/1.0 200 OK"),
    "HTTP/1.0 without a length": b"HTTP/1.0 200 OK\r\n\r\nhi",
    "HTTP/1.0 in chunks": b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n2\r\nhi\r\n" + LAST,
    "HTTP/1.1 without a length": OK + b"\r\nhi",
    "nothing but a status": OK + b"\r\n",
    # where the body ends
    "no blank before the length": with_length(b"2"),
    "blanks around the length": with_length(b"     2    "),
    "tabs around the length": with_length(b"\t2\t"),
    "a length in capitals": OK + b"CONTENT-LENGTH: 2\r\n\r\nhi",
    "a length with zeros": with_length(b" 002"),
    "a length with a great many zeros": with_length(b" " + b"0" * 5000 + b"2"),
    "a length with a sign": with_length(b" +2"),
    "a length with a unit": with_length(b" 2 bytes"),
    "a length with a letter": with_length(b" 2x"),
    "a length with a semicolon": with_length(b" 2;"),
    "a length with a point": with_length(b" 2.0"),
    "a length in hexadecimal": with_length(b" 0x2"),
    "a length with an underscore": with_length(b" 1_0"),
    "a length of 5000 digits": with_length(b" " + b"9" * 5000),
    "a length that is a word": with_length(b" many"),
    "a negative length": with_length(b" -2"),
    "an empty length": with_length(b""),
    "the same length twice": with_length(b" 2", b" 2"),
    "the same length twice in a line": with_length(b" 2, 2"),
    "two lengths, the first too short": with_length(b" 1", b" 2"),
    "two lengths, the last too short": with_length(b" 2", b" 1"),
    "two lengths, the last too long": with_length(b" 2", b" 3"),
    "a length too short": with_length(b" 1"),
    "a length too long": with_length(b" 100"),
    "a length of nothing, and a body": with_length(b" 0"),
    "chunked and a length": with_coding(b"Content-Length: 99\r\nTransfer-Encoding: chunked"),
    "chunked in lower case": with_coding(b"transfer-encoding: chunked"),
    "chunked in capitals": with_coding(b"Transfer-Encoding: CHUNKED"),
    "chunked with blanks": with_coding(b"Transfer-Encoding:  \tchunked  "),
    "chunked twice": with_coding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    "chunked twice in a line": with_coding(b"Transfer-Encoding: chunked, chunked"),
    "identity and chunked": with_coding(b"Transfer-Encoding: identity, chunked"),
    "chunked and identity": with_coding(b"Transfer-Encoding: chunked, identity"),
    "the identity": with_coding(b"Transfer-Encoding: identity", b"hi"),
    "the identity and a length": with_lines(b"Transfer-Encoding: identity"),
    "an unknown coding": with_coding(b"Transfer-Encoding: br", b"hi"),
    "an empty coding": with_lines(b"Transfer-Encoding:"),
    "chunked after a header without name": with_coding(b": y\r\nTransfer-Encoding: chunked"),
    "chunks with extensions": in_chunks(b"2;a=b;c\r\nhi\r\n" + LAST),
    "chunks with long extensions": in_chunks(b"2;" + b"x" * 60_000 + b"\r\nhi\r\n" + LAST),
    "chunks with blanks after their size": in_chunks(b"2 \t \r\nhi\r\n0  \r\n\r\n"),
    "chunks with zeros before their size": in_chunks(b"0002\r\nhi\r\n000\r\n\r\n"),
    "chunks with capitals in their size": in_chunks(b"A\r\nhihihihihi\r\n" + LAST),
    "chunks with trailers": in_chunks(b"2\r\nhi\r\n0\r\nX-A: b\r\nX-B: c\r\n\r\n"),
    "chunks with odd trailers": in_chunks(b"2\r\nhi\r\n0\r\nX y\r\n\xff\r\n\r\n"),
    "no chunk at all": in_chunks(LAST),
    "chunks and more": in_chunks(b"2\r\nhi\r\n" + LAST + b"more"),
    "chunks without their end": in_chunks(b"2\r\nhi\r\n"),
    "half a chunk": in_chunks(b"5\r\nhi"),
    "no chunks": in_chunks(b"zz\r\n"),
    "a chunk that is longer than its size": in_chunks(b"1\r\nhi\r\n" + LAST),
    "a second answer": with_lines() + with_lines(),
    "headers that end with the connection": OK + b"X-A: b\r\n",
    "headers that end with the connection, in a line": OK + b"X-A: b",
    "headers that end with the connection, at once": OK,
    "a length that ends with the connection": OK + LENGTH,
    "a status that ends with the connection": b"HTTP/1.1 20",
    # other answers
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n" + with_lines(),
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + with_lines(),
    "an interim answer with headers": b"HTTP/1.1 100 Go on\r\nX-A: b\r\n\r\n" + with_lines(),
    "an interim answer alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\x80\x81",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "no content with a length": b"HTTP/1.1 204 No Content\r\n" + LENGTH + b"\r\n",
    "no content with a body": b"HTTP/1.1 204 No Content\r\n" + LENGTH + b"\r\nhi",
    "no content in chunks": b"HTTP/1.1 204 No Content\r\n" + CHUNKED + b"\r\n" + LAST,
    "nothing new, with a length": b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n",
    "a reset of content with a body": b"HTTP/1.1 205 Reset Content\r\n" + LENGTH + b"\r\nhi",
    "a redirect without a body": b"HTTP/1.1 301 M\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
    "an error": b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nhi",
    # no answers
    "nothing": b"",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a page alone": b"<html>hi</html>",
    "an answer after an empty line": b"\r\n" + with_lines(),
    "an answer of returns": b"HTTP/1.1 200 OK\rContent-Length: 2\r\rhi",
    "a status of four digits": with_status(b"HTTP/1.1 2000 OK"),
    "a status of two digits": with_status(b"HTTP/1.1 20 OK"),
    "a status of letters": with_status(b"HTTP/1.1 OK 200"),
    "no status": with_status(b"HTTP/1.1 OK"),
    "another name for HTTP": with_status(b"ICY 200 OK"),
}  # fmt: skip
"""By what is odd about them."""
