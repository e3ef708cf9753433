"""Which groups a TLS client offers for the exchange of keys.

From version 3.5 on OpenSSL sends a post-quantum share beside the one of X25519. Nothing that a
check sends must stay secret for decades, and the share is a tenth of what a check costs.
"""

from __future__ import annotations

import ctypes
from typing import Any, cast

from cryptography.hazmat.bindings import _rust
from OpenSSL import SSL

GROUPS = (
    b"X25519:P-256:X448:P-384:P-521:ffdhe2048:X25519MLKEM768",
    b"X25519:P-256:X448:P-384:P-521:ffdhe2048",
    b"X25519:P-256:P-384:P-521",
)
"""A share is sent of the first; a server that knows only another one asks for that. The first line
that this OpenSSL knows counts."""

_FIRST_POST_QUANTUM = 0x30500000
_SSL_CTRL_SET_GROUPS_LIST = 92


def offer_x25519_alone(context: SSL.Context) -> bool:
    """Have connections of it send the one share; False if this is not to be had here."""
    if SSL.OPENSSL_VERSION_NUMBER < _FIRST_POST_QUANTUM:
        return True
    return any(_set_groups(context, groups) for groups in GROUPS)


def _set_groups(context: SSL.Context, groups: bytes) -> bool:
    """pyOpenSSL has no name for this, and what is beneath it only from cryptography 45 on."""
    library, pointer = cast(Any, SSL)._lib, cast(Any, context)._context
    if hasattr(library, "SSL_CTX_set1_curves_list"):
        done = bool(library.SSL_CTX_set1_curves_list(pointer, groups) == 1)
    else:
        done = _by_linked_library(int(cast(Any, SSL)._ffi.cast("uintptr_t", pointer)), groups)
    if not done:
        library.ERR_clear_error()
    return done


def _by_linked_library(pointer: int, groups: bytes) -> bool:
    """Of the OpenSSL that cryptography is linked to, as Debian's is. Where it brings its own, that
    has no names to be found, and another OpenSSL must not be given its pointers."""
    try:
        control = ctypes.CDLL(_rust.__file__).SSL_CTX_ctrl
    except (OSError, AttributeError):
        return False
    control.restype = ctypes.c_long
    control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
    return bool(control(pointer, _SSL_CTRL_SET_GROUPS_LIST, 0, groups) == 1)
