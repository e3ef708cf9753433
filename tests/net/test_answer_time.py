"""How long a peer may take to answer, when we are slow."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.task import Clock

from pybal.net.answer_time import AnswerTime
from pybal.net.port import UDPEvents
from tests.fakes.network import FakeChannel


class Rig:
    """5 seconds for an answer, and when they were over."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.over_at: list[float] = []
        self.time = AnswerTime(self.clock, 5.0, lambda: self.over_at.append(self.clock.seconds()))
        self.channel = self.new_channel()

    def new_channel(self) -> FakeChannel:
        events = UDPEvents(lambda _: None, lambda _: None)
        channel = FakeChannel(ip_address("192.0.2.7"), 53, events)
        self.time.goes_by(channel)
        return channel

    def run(self) -> None:
        self.clock.pump([0.5] * 40)


def test_what_the_peer_takes_counts_alone() -> None:
    rig = Rig()
    rig.channel.waited_in_all = 1.5
    rig.run()
    assert rig.over_at == [6.5]


def test_over_several_channels_it_is_added_up() -> None:
    rig = Rig()
    rig.channel.waited_in_all = 1.5
    rig.new_channel().waited_in_all = 2.0
    assert rig.time.waited_s() == 3.5
    rig.run()
    assert rig.over_at == [8.5]


def test_it_is_over_after_twice_the_time_in_any_case() -> None:
    rig = Rig()
    rig.channel.waited_in_all = 60
    rig.run()
    assert rig.over_at == [10.0]


def test_what_lies_in_the_socket_is_told_first_and_may_be_the_answer() -> None:
    rig = Rig()
    rig.channel.unseen = rig.time.end
    rig.run()
    assert not rig.over_at and not rig.clock.getDelayedCalls()


def test_without_a_channel_it_is_over_in_time() -> None:
    clock, over = Clock(), []
    AnswerTime(clock, 5.0, lambda: over.append(1))
    clock.advance(5)
    assert over
