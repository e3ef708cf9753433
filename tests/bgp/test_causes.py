"""The cause of a failure: kept, said once, and not hidden by what follows from it."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest

from pybal.bgp.advertisement import Advertisement
from pybal.bgp.causes import Causes, Failure, Weight
from pybal.bgp.explain import describe
from pybal.bgp.messages import Notification, Open
from pybal.bgp.notification import hard_reset, shutdown
from pybal.bgp.settings import PeerSettings
from tests.bgp.peeringcase import OPEN, THEM, VIP, VIP6, PeeringCase

OURS = Open(64700, 2, IPv4Address("10.0.0.1"), None)
LOST = Failure("connection lost", Weight.LOST, 3.0)
REFUSED = Failure("connect: refused", Weight.UNREACHED, 2.0)
CEASE = Failure("received Cease", Weight.SAID, 1.0)


def test_a_lost_or_refused_connection_does_not_hide_why_the_session_ended() -> None:
    causes = Causes()
    assert [causes.note(one) for one in (CEASE, LOST, REFUSED, LOST, REFUSED)] == [
        True, False, True, False, False,
    ]  # fmt: skip
    assert (causes.text, causes.at) == ("received Cease; since then connect: refused", 1.0)


def test_what_tells_more_takes_the_place_of_what_tells_less() -> None:
    causes = Causes()
    assert [causes.note(one) for one in (LOST, REFUSED, CEASE)] == [True] * 3
    assert causes.text == "received Cease"


def test_of_two_that_tell_as_much_the_later_one_is_the_cause() -> None:
    causes = Causes()
    other = Failure("hold timer expired", Weight.SAID, 4.0)
    assert [causes.note(one) for one in (CEASE, REFUSED, other)] == [True] * 3
    assert (causes.text, causes.at) == ("hold timer expired", 4.0)


def test_a_cause_of_a_former_session_is_forgotten_only_after_a_session() -> None:
    causes = Causes()
    assert causes.note(CEASE)
    assert not causes.note(CEASE)
    assert (causes.text, causes.at) == ("received Cease", 1.0)


def test_texts_without_end_are_not_all_remembered() -> None:
    causes = Causes()
    many = [Failure(f"broken message {n}", Weight.SAID, float(n)) for n in range(21)]
    assert [causes.note(one) for one in many] == [True] * 21
    assert [causes.note(one) for one in many] == [False] * 20 + [True]


def test_a_session_ends_the_matter_but_what_was_stays_to_be_seen() -> None:
    causes = Causes()
    causes.note(CEASE)
    causes.established()
    assert causes.text == "received Cease"
    assert causes.note(LOST)
    assert causes.text == "connection lost"
    assert causes.note(CEASE), "and it may be said again"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Notification(1, 1), "Connection Not Synchronized: the bytes do not begin a BGP message"),
        (Notification(1, 2, b"\x13\x88"), "Bad Message Length: a message of 5000 bytes"),
        (Notification(1, 3, b"\x09"), "Bad Message Type: a message of type 9"),
        (Notification(2, 1, b"\0\3"), "Unsupported Version: the peer speaks BGP version 3"),
        (Notification(2, 2, bytes.fromhex("0000fcbc")), "Bad Peer AS: peer refuses our AS 64700"),
        (Notification(2, 2), "Bad Peer AS: peer refuses our AS 64700"),
        (Notification(2, 2, b"\xfb\xff"), "Bad Peer AS: peer refuses our AS 64511"),
        (Notification(2, 2, b"\0\1\0\1"), "Bad Peer AS: peer refuses our AS 65537"),
        (Notification(2, 2, b"\0\0"), "Bad Peer AS: peer refuses our AS 64700"),
        (Notification(2, 2, b"\0\0\1"), "Bad Peer AS: peer refuses our AS 64700"),
        (Notification(2, 3), "Bad BGP Identifier: peer refuses our router ID 10.0.0.1"),
        (
            Notification(2, 7, bytes.fromhex("6300" * 10)),
            "it is about capability 99" + ", capability 99" * 9,
        ),
        (Notification(2, 7, bytes.fromhex("6300" * 12)), ", capability 99 and 2 more"),
        (Notification(2, 4, b"\1"), "Unsupported Optional Parameter: parameter 1"),
        (Notification(2, 5), "Open Message/Authentication Failure"),
        (Notification(2, 6), "Unacceptable Hold Time: peer refuses our hold time of 2 s"),
        (
            Notification(2, 7, b"\x05\x00\x41\x04\0\0\0\1\x63\x00"),
            "it is about capability extended-next-hop, capability four-octet-asn, capability 99",
        ),
        (Notification(2, 11), "Open Message/Role Mismatch: the role that the peer has"),
        (Notification(3, 1), "Update Message/Malformed Attribute List"),
        (
            Notification(3, 4, bytes.fromhex("4008040000fc58")),
            "Attribute Flags Error: COMMUNITIES with flags 0x40, value 0000fc58",
        ),
        (
            Notification(3, 6, bytes.fromhex("5001000109")),
            "ORIGIN with flags 0x50, value 09",
        ),
        (Notification(3, 4, b"\x40\x05"), "LOCAL_PREF with flags 0x40, value empty"),
        (Notification(3, 11, b"\x50\x05\0"), "LOCAL_PREF with flags 0x50, value empty"),
        (
            Notification(7, 1, bytes.fromhex("00020001")),
            "a ROUTE-REFRESH of ipv6-unicast, subtype 0, of 4 bytes",
        ),
        (Notification(3, 6, bytes.fromhex("40010109")), "ORIGIN with flags 0x40, value 09"),
        (Notification(3, 3, b"\3"), "Missing Well Known Attribute: NEXT_HOP is missing"),
        (Notification(3, 3, b"\x63"), "Missing Well Known Attribute: attribute 99 is missing"),
        (
            Notification(3, 11, bytes.fromhex("4002020201")),
            "Malformed AS Path: AS_PATH with flags 0x40, value 0201",
        ),
        (Notification(3, 11, b"\1\2\3\4\5"), "Malformed AS Path: data 0102030405"),
        (
            Notification(7, 1, b"\xff" * 16 + bytes.fromhex("0018050002000144")),
            "a ROUTE-REFRESH of ipv6-unicast, subtype 0, of 5 bytes",
        ),
        (Notification(4, 0), "Hold Timer Expired: the peer heard nothing for its hold time"),
        (Notification(5, 3, b"\1"), "Unexpected In Established: OPEN was not expected"),
        (
            Notification(6, 1, bytes.fromhex("00010100000002")),
            "Maximum Prefixes: the peer takes 2 prefixes of ipv4-unicast at most",
        ),
        (shutdown("bye"), 'Cease/Administrative Shutdown ("bye")'),
        (
            hard_reset(shutdown("bye")),
            'Cease/Hard Reset with Cease/Administrative Shutdown ("bye")',
        ),
        (hard_reset(Notification(6, 1)), "Cease/Hard Reset with Cease/Maximum Prefixes"),
        (Notification(6, 7), "Connection Collision: another connection stays"),
        (Notification(6, 10), "BFD Down: BFD says that the path is dead"),
        (Notification(7, 1, b"\xff" * 40), f"Invalid Message Length: data {'ff' * 32}..."),
        (Notification(77, 1, b"\1"), "error 77/1: data 01"),
    ],
)
def test_data_is_decoded(message: Notification, words: str) -> None:
    assert words in describe(message, OURS)


def test_data_of_any_code_and_length_is_shown() -> None:
    for code in range(10):
        for subcode in range(13):
            for size in (0, 1, 2, 3, 4, 7, 40, 4000):
                for fill in (b"\0", b"\xff", b"\1"):
                    text = describe(Notification(code, subcode, fill * size), OURS)
                    assert len(text) < 1200
                    assert text


class CauseTest(PeeringCase):
    def test_after_maximum_prefixes_it_is_said_what_the_limit_did(self) -> None:
        end = self.establish()
        self.bgp.set_announced("svc", (Advertisement(VIP), Advertisement(VIP6)))
        self.turn()
        self.router.refuse()
        end.say(Notification(6, 1, bytes.fromhex("00010100000001")))
        self.turn()
        self.turn(20)
        for text in (str(self.peer().last_error), self.logged("warn")[0]):
            assert "the peer takes 1 prefixes of ipv4-unicast at most" in text
            assert "told 1 of ipv4-unicast and 1 of ipv6-unicast, has dropped them all" in text
        assert "since then connect: connection refused" in str(self.peer().last_error)
        assert len(self.logged("warn")) == 2, "each cause once"

    def test_the_first_failure_and_each_change_of_its_cause_are_warnings(self) -> None:
        self.bgp = self.failover(PeerSettings(ip_address(THEM), asn=64999))
        self.bgp.start()
        self.turn(10)
        self.router.listen()
        for _ in range(20):
            self.turn(5)
            for end in self.router.ends:
                if end.lost is None:
                    end.say(OPEN)
        [first, second] = self.logged("warn")
        assert "connection refused" in first
        assert "peer has ASN 64600, configured is 64999" in second

    def test_a_stop_is_no_failure(self) -> None:
        self.establish()
        self.bgp.stop("bye")
        self.turn(5)
        assert self.logged("warn") == []
        assert self.peer().last_error is None

    @pytest.mark.slow
    def test_a_flood_of_broken_updates_is_summed_up(self) -> None:
        end = self.establish()
        attributes = bytes.fromhex("40010109" + "400200" + "4003040a000001")
        body = b"\0\0" + len(attributes).to_bytes(2, "big") + attributes + b"\x08\x0a"
        update = b"\xff" * 16 + (19 + len(body)).to_bytes(2, "big") + b"\2" + body
        for _ in range(100):
            end.say(update * 100)
            self.turn()
        assert self.peer().established
        self.turn(10)
        warnings = self.logged("warn")
        assert len(warnings) <= 12
        assert sum(map(len, warnings)) < 4000
        assert "times more in 10 s" in warnings[-1]
