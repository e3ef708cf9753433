"""Over random histories: no fault of a document takes a server out of the pool."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pybal.config.settings import HTTPSource
from pybal.model import ServerSpec
from tests.examples import examples
from tests.fakes.sources import SourceBench

HOSTS = "abcde"
SOURCE = HTTPSource("http://config.example/pool")
BAD_LINES = ("rubbish", "{'host': 'x y'}", "{'host': 'x', 'enabeld': False}", "{'host': '0.0.0.0'}")


@dataclass(frozen=True)
class Answer:
    """What the web server says, or (None) that it is away."""

    servers: tuple[ServerSpec, ...]
    bad_line: str | None
    status: int
    restart: bool

    @property
    def body(self) -> bytes:
        lines = [f"{{'host': '{s.host}', 'enabled': {s.enabled}}}" for s in self.servers]
        return "\n".join([*lines, *([self.bad_line] if self.bad_line else [])]).encode()

    @property
    def is_list(self) -> bool:
        return self.status == 200 and bool(self.servers)


answers = st.lists(
    st.builds(
        Answer,
        st.lists(
            st.builds(ServerSpec, st.sampled_from(HOSTS), enabled=st.booleans()),
            unique_by=lambda server: server.host,
        ).map(tuple),
        st.none() | st.sampled_from(BAD_LINES),
        st.sampled_from([200, 200, 200, 503]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=examples(0.6))
@given(answers)
def test_only_a_whole_list_takes_a_server_out_and_each_sound_entry_counts(
    history: list[Answer],
) -> None:
    with tempfile.TemporaryDirectory() as state:
        bench = SourceBench(Path(state))
        source = bench.start(SOURCE)
        in_force: dict[str, ServerSpec] = {}
        for answer in history:
            if answer.restart:
                source.stop()
                bench = SourceBench(Path(state))
                source = bench.start(SOURCE)
            bench.http.under_way[0].answer(answer.status, body=answer.body)
            if bench.published:
                now = {server.host: server for server in bench.published[-1]}
                listed = {server.host for server in answer.servers}
                gone = in_force.keys() - now.keys()
                assert not gone or (answer.is_list and not answer.bad_line)
                assert not gone & listed
                in_force = now
            if answer.is_list:
                assert set(answer.servers) <= set(in_force.values())
            bench.advance(5.1)
