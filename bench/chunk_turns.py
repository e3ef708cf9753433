"""How long a turn of the reactor is held by an answer in the smallest chunks that there are.

    python -m bench.chunk_turns

What a turn takes of a connection (STREAM_BYTES), and eight times as much beside it. Prints the
median and the longest of a hundred turns, in milliseconds.
"""

from __future__ import annotations

import statistics
import time

from pybal.http.response_reader import ResponseReader
from pybal.net.channels import STREAM_BYTES

TURNS = 100
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"1\r\nx\r\n"


def turn_s(size: int) -> float:
    """Seconds that one reader takes for so many bytes of chunks."""
    reader = ResponseReader(1 << 20)
    reader.feed(HEAD)
    data = CHUNK * (size // len(CHUNK))
    began_s = time.perf_counter()
    reader.feed(data)
    return time.perf_counter() - began_s


def main() -> None:
    for size in (STREAM_BYTES, 8 * STREAM_BYTES):
        turns_ms = sorted(1000 * turn_s(size) for _ in range(TURNS))
        print(f"{size} bytes: {statistics.median(turns_ms):.1f} ms, at most {turns_ms[-1]:.1f} ms")


if __name__ == "__main__":
    main()
