"""The little of DNS that a check needs, against Twisted's whole of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.names import dns

from pybal.monitors.dns_wire import TYPE_A, TYPE_AAAA, Answer, encode_name, make_query, read_answer
from pybal.net.addresses import is_host_name

QUERY = make_query(0x1234, "en.example", TYPE_AAAA)


def reply(
    *, id: int = 0x1234, name: str = "en.example", type: int = TYPE_AAAA, rcode: int = 0
) -> dns.Message:
    """What a server says of a name, with one record if there is one."""
    message = dns.Message(id=id, answer=1, rCode=rcode)
    message.addQuery(name.encode(), type)
    if rcode == 0:
        message.answers.append(dns.RRHeader(name.encode()))
    return message


labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63)
names = st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda n: len(n) < 250)


@given(id=st.integers(0, 65535), name=names, type=st.sampled_from((TYPE_A, TYPE_AAAA)))
def test_another_implementation_reads_the_query_as_it_was_meant(
    id: int, name: str, type: int
) -> None:
    message = dns.Message()
    message.fromStr(make_query(id, name, type).wire)
    (question,) = message.queries
    assert (message.id, message.answer, message.recDes) == (id, 0, 1)
    assert (question.name.name, question.type, question.cls) == (name.encode(), type, dns.IN)


def test_a_trailing_dot_the_root_and_other_scripts_are_encoded() -> None:
    assert encode_name("en.example.") == encode_name("en.example") == b"\x02en\x07example\0"
    assert encode_name(".") == b"\0"
    assert encode_name("bücher.example") == b"\x0dxn--bcher-kva\x07example\0"


@pytest.mark.parametrize("name", ["", "..", "a..b", ".a", "x" * 64, ".".join(["x" * 63] * 5)])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        encode_name(name)


def test_a_query_is_laid_out_as_the_rfc_draws_it() -> None:
    # RFC 1035 section 4.1: recursion desired, one question, nothing else; class IN.
    header, name = "123401000001000000000000", "02656e076578616d706c6500"
    assert QUERY.wire.hex() == header + name + "001c0001"
    assert make_query(0, ".", TYPE_A).wire.hex()[24:] == "0000010001"


def test_a_name_has_labels_of_63_and_255_octets_in_all_at_most() -> None:
    # RFC 1035 section 2.3.4.
    assert encode_name("x" * 63)[:2] == b"?x"
    longest = ".".join(["x" * 63] * 3 + ["x" * 61])
    assert len(encode_name(longest)) == 255
    with pytest.raises(ValueError, match="is not a host name"):
        encode_name(longest + "x")


def test_a_query_says_what_it_asks() -> None:
    assert str(QUERY) == "AAAA en.example"


@pytest.mark.parametrize(
    ("rcode", "name"),
    list(enumerate(("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"))),
)
def test_an_answer_is_read_with_its_code_by_name(rcode: int, name: str) -> None:
    assert read_answer(QUERY, reply(rcode=rcode).toStr()) == Answer(name, int(rcode == 0), False)


def test_a_rare_code_keeps_its_number() -> None:
    answer = read_answer(QUERY, reply(rcode=9).toStr())
    assert answer is not None and answer.rcode == "response code 9"


def test_truncation_is_noticed() -> None:
    message = reply()
    message.trunc = 1
    answer = read_answer(QUERY, message.toStr())
    assert answer is not None and answer.truncated


def test_the_case_of_the_question_may_differ() -> None:
    assert read_answer(QUERY, reply(name="EN.eXample").toStr()) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        reply(id=0x4321).toStr(),
        reply(name="de.example").toStr(),
        reply(type=TYPE_A).toStr(),
        QUERY.wire,
        QUERY.wire[:3] + b"\x01" + QUERY.wire[4:],
        reply().toStr()[:11],
        reply().toStr()[:20],
        b"",
        dns.Message(id=0x1234, answer=1, opCode=dns.OP_NOTIFY).toStr(),
    ],
    ids=[
        "id",
        "name",
        "type",
        "a query",
        "a query with a code",
        "no header",
        "half a question",
        "nothing",
        "opcode",
    ],
)
def test_what_does_not_answer_this_query_is_none(wrong: bytes) -> None:
    assert read_answer(QUERY, wrong) is None


@pytest.mark.parametrize(("rcode", "accepted"), [(0, False), (1, True), (2, True), (3, False)])
def test_only_an_error_may_leave_the_question_out(rcode: int, accepted: bool) -> None:
    message = dns.Message(id=0x1234, answer=1, rCode=rcode)
    assert (read_answer(QUERY, message.toStr()) is not None) is accepted


@given(data=st.binary(max_size=600))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    assert read_answer(QUERY, data) is None or data[:2] == b"\x12\x34"


@given(at=st.integers(0, 27), byte=st.integers(0, 255))
def test_a_changed_byte_is_no_accident(at: int, byte: int) -> None:
    """Of header and question: what still passes for an answer differs in flags or counts."""
    wire = bytearray(reply().toStr())
    before = bytes(wire)
    wire[at] = byte
    answer = read_answer(QUERY, bytes(wire))
    same = bytes(wire).lower() == before.lower()
    assert answer is None or same or 2 <= at < 12


@given(
    st.lists(st.integers(1, 70), min_size=1, max_size=130) | st.just([63, 63, 63, 61]),
    st.sampled_from(["", "."]),
)
def test_every_name_that_pybal_conf_takes_fits_into_a_query(sizes: list[int], dot: str) -> None:
    name = ".".join("a" * size for size in sizes) + dot
    if is_host_name(name):
        assert len(encode_name(name)) <= 255
