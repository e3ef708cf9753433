"""The log's writer: in order, and never in the way, however slow the reader."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import threading
from collections.abc import Iterator

import pytest

from pybal.runtime.log_writer import HELD_S, LogWriter
from tests.running import until

PATIENCE_S = 30.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The reading and the writing end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def is_ready(end: int, event: int, timeout_s: float) -> bool:
    """poll(2): select(2) knows no descriptor above 1023, and other tests may have taken those."""
    poll = select.poll()
    poll.register(end, event)
    return bool(poll.poll(timeout_s * 1000))


def read_until(end: int, last: bytes) -> list[bytes]:
    data = b""
    while not data.endswith(last):
        assert is_ready(end, select.POLLIN, PATIENCE_S), f"nothing more after {data[-200:]!r}"
        data += os.read(end, 65536)
    return data.splitlines()


def fill(writer: LogWriter, end: int) -> None:
    """Have the writer wait in the midst of a line that its pipe has no room for."""
    writer.write("." * 999_999 + "\n")
    until(lambda: not is_ready(end, select.POLLOUT, 0), PATIENCE_S)


def test_lines_come_out_in_order(pipe: tuple[int, int]) -> None:
    reader, writer_end = pipe
    writer = LogWriter(writer_end)
    writer.start()
    lines = [f"line {number} é\n" for number in range(1000)]
    for line in lines:
        writer.write(line)
    assert read_until(reader, b"line 999 \xc3\xa9\n") == "".join(lines).encode().splitlines()
    assert writer.flush(PATIENCE_S)


def test_a_reader_that_has_stopped_blocks_nothing_and_loses_what_is_too_much(
    pipe: tuple[int, int],
) -> None:
    reader, writer_end = pipe
    writer = LogWriter(writer_end, max_waiting_bytes=1_000_000)
    writer.start()
    fill(writer, writer_end)
    for number in range(20_000):  # twice what may wait
        writer.write(f"{number:99}\n")
    assert not writer.flush(0.01)
    _, *numbers, lost = read_until(reader, b"messages were lost here\n")
    writer.write("and on\n")
    assert read_until(reader, b"and on\n") == [b"and on"]
    assert [int(line) for line in numbers] == list(range(10_000))
    assert lost == b"[log] WARN: 10000 messages were lost here"


def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    reader, writer_end = pipe
    other = os.dup(writer_end)
    nobody, alone = os.pipe()
    os.close(nobody)
    os.dup2(alone, writer_end)
    os.close(alone)
    writer = LogWriter(writer_end)
    writer.start()
    writer.write("nobody reads this\n")
    assert writer.flush(PATIENCE_S)
    os.dup2(other, writer_end)
    os.close(other)
    writer.write("but this\n")
    assert read_until(reader, b"\n") == [b"but this"]


def test_a_full_disk_is_no_error() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LogWriter(full)
    writer.start()
    writer.write("there is no room\n")
    assert writer.flush(PATIENCE_S)
    os.close(full)


def test_a_descriptor_that_others_made_non_blocking_loses_nothing(pipe: tuple[int, int]) -> None:
    reader, writer_end = pipe
    os.set_blocking(writer_end, False)
    writer = LogWriter(writer_end)
    writer.start()
    for number in range(2000):
        writer.write(f"{number:99}\n")
    assert [int(line) for line in read_until(reader, b" 1999\n")] == list(range(2000))


def test_text_that_is_no_text_is_escaped(pipe: tuple[int, int]) -> None:
    reader, writer_end = pipe
    writer = LogWriter(writer_end)
    writer.start()
    writer.write("\udcff\n")
    assert read_until(reader, b"\n") == [b"\\udcff"]


def test_a_descriptor_above_those_that_select_knows_is_waited_for() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    reading, writing = os.pipe()
    high = fcntl.fcntl(writing, fcntl.F_DUPFD, 2000)
    os.close(writing)
    os.set_blocking(high, False)
    writer = LogWriter(high)
    writer.start()
    lines = "x" * 999 + "\n"
    for _ in range(200):
        writer.write(lines)
    got = 0
    while got < 200 * len(lines):
        got += len(os.read(reading, 65536))
    assert writer.flush(10)
    for descriptor in (reading, high):
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


LONG_S = 1000.0


def holding(writer_end: int, latest_s: float = LONG_S) -> LogWriter:
    """A writer that waits for its wake-up, as in a running reactor."""
    writer = LogWriter(writer_end, latest_s=latest_s)
    writer.start()
    writer.write("before\n")
    writer.flush(PATIENCE_S)
    writer.hold()
    return writer


def test_what_a_turn_says_is_written_when_the_reactor_waits(pipe: tuple[int, int]) -> None:
    reader, writer_end = pipe
    writer = holding(writer_end)
    assert read_until(reader, b"before\n")
    writer.write("one\n")
    writer.turn_ends(100.0, waits=False)
    writer.write("two\n")
    assert not is_ready(reader, select.POLLIN, 0.02)
    writer.turn_ends(100.001, waits=True)
    assert read_until(reader, b"two\n") == [b"one", b"two"]


@pytest.mark.parametrize("turn_s", [0.0004, 0.003, 0.019, 0.3])
def test_a_reactor_that_never_waits_holds_a_line_for_a_moment_only(
    pipe: tuple[int, int], turn_s: float
) -> None:
    reader, writer_end = pipe
    writer = holding(writer_end)
    assert read_until(reader, b"before\n")
    writer.write("busy\n")
    now_s = 100.0
    while now_s < 100.0 + HELD_S - 1e-6:
        writer.turn_ends(now_s, waits=False)
        now_s += turn_s
    assert not is_ready(reader, select.POLLIN, 0.02)
    writer.turn_ends(now_s + 1e-6, waits=False)
    assert read_until(reader, b"\n") == [b"busy"]


def test_another_thread_does_not_wait_for_a_turn(pipe: tuple[int, int]) -> None:
    reader, writer_end = pipe
    writer = holding(writer_end)
    assert read_until(reader, b"before\n")
    writer.write("held\n")
    other = threading.Thread(target=writer.write, args=["other\n"])
    other.start()
    assert read_until(reader, b"other\n") == [b"held", b"other"]
    other.join()


@pytest.mark.parametrize("how", ["flush", "release", "a turn that never ends"])
def test_nothing_is_held_for_good(pipe: tuple[int, int], how: str) -> None:
    reader, writer_end = pipe
    writer = holding(writer_end, 0.05 if how == "a turn that never ends" else LONG_S)
    assert read_until(reader, b"before\n")
    writer.write("held\n")
    if how == "flush":
        assert writer.flush(PATIENCE_S)
    elif how == "release":
        writer.release()
        writer.write("free\n")
    assert read_until(reader, b"\n")[0] == b"held"
