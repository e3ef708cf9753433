"""A program for the kernel that drops what is no BFD packet before it wakes anybody. Pure.

It is what the decoder would discard anyway (RFC 5880 section 6.8.6), and of neighbours what has
crossed a router (RFC 5881 section 5): noise, however much, is not to cost our checks their time.
"""

from __future__ import annotations

import struct

from pybal.bgp.bfd.packet import SIZE, VERSION, BFDState

_UDP_HEADER = 8
_NETWORK_HEADER = 0x1_0000_0000 - 0x10_0000  # SKF_NET_OFF: offsets into the IP header
_TTL_AT = {4: 8, 6: 7}
_MAX_TTL = 255

# Classic BPF (linux/filter.h): load a byte, a word, the length; compare; compute; return.
_BYTE, _WORD, _LENGTH = 0x30, 0x20, 0x80
_EQUAL, _GREATER, _AT_LEAST, _AT_LEAST_X = 0x15, 0x25, 0x35, 0x3D
_AND, _SHIFT, _MINUS, _TO_X = 0x54, 0x74, 0x14, 0x07
_RETURN = 0x06
_ALL = 0xFFFFFFFF
_DROP = -1  # in place of a jump: to the end, which drops

_Step = tuple[int, int, int, int]
"""Operation, where to jump if it holds and if not, operand; a jump of 0 is to the next."""


def program(version: int, *, multihop: bool) -> bytes:
    """For the receiving socket of one IP version: an array of struct sock_filter."""
    flags, ours = _UDP_HEADER + 1, _UDP_HEADER + 8
    steps: list[_Step] = [
        _do(_LENGTH),
        (_AT_LEAST, 0, _DROP, _UDP_HEADER + SIZE),
        _do(_BYTE, _UDP_HEADER),
        _do(_SHIFT, 5),
        (_EQUAL, 0, _DROP, VERSION),
        _do(_BYTE, flags),
        _do(_AND, 1),  # multipoint
        (_EQUAL, 0, _DROP, 0),
        _do(_BYTE, _UDP_HEADER + 2),  # detect multiplier
        (_EQUAL, _DROP, 0, 0),
        _do(_BYTE, _UDP_HEADER + 3),  # length, at most what there is
        (_AT_LEAST, 0, _DROP, SIZE),
        _do(_TO_X),
        _do(_LENGTH),
        _do(_MINUS, _UDP_HEADER),
        (_AT_LEAST_X, 0, _DROP, 0),
        _do(_WORD, _UDP_HEADER + 4),  # the peer's discriminator
        (_EQUAL, _DROP, 0, 0),
        _do(_WORD, ours),
        (_EQUAL, 0, 3, 0),
        _do(_BYTE, flags),
        _do(_SHIFT, 6),
        (_GREATER, _DROP, 0, BFDState.DOWN),
    ]
    if not multihop:
        steps += [
            _do(_BYTE, _NETWORK_HEADER + _TTL_AT[version]),
            (_EQUAL, 0, _DROP, _MAX_TTL),
        ]
    steps += [_do(_RETURN, _ALL), _do(_RETURN, 0)]
    return b"".join(_packed(step, len(steps) - at - 2) for at, step in enumerate(steps))


def _do(operation: int, operand: int = 0) -> _Step:
    """What is no comparison: the next step comes next, and no jumps are looked at."""
    return operation, 0, 0, operand


def _packed(step: _Step, to_the_end: int) -> bytes:
    operation, if_so, if_not, operand = step
    jumps = [to_the_end if jump == _DROP else jump for jump in (if_so, if_not)]
    return struct.pack("=HBBI", operation, *jumps, operand)
