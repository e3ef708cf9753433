"""What may be wrong, in words that help who has to mend it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from pybal.bgp.attributes import Fault, Severity
from pybal.bgp.explain import describe, limit_reached
from pybal.bgp.messages import Notification, Open
from pybal.bgp.prefix import Prefix
from pybal.bgp.settings import PeerSettings

_FAULTS_SHOWN = 5


def explain_received(message: Notification, ours: Open, told: Collection[Prefix]) -> str:
    """A NOTIFICATION of a peer that has had our OPEN and knows the prefixes `told`."""
    words = describe(message, ours)
    if not limit_reached(message):
        return words
    counts = Counter(str(prefix.family) for prefix in told)
    known = " and ".join(f"{count} of {family}" for family, count in sorted(counts.items()))
    return (
        f"{words}; it had been told {known or 'none'}, has dropped them all, and takes no session"
        " until its limit is raised, or its operator or its timer starts it again"
    )


def explain_silence(peer: PeerSettings) -> str:
    """Why an attempt to connect gets no answer: the kernel at the other end drops what comes
    with a wrong key or TTL without a word."""
    guesses = ["it is down or filtered"]
    if peer.password is not None:
        guesses.append("has another MD5 password, or none")
    else:
        guesses.append("expects an MD5 password")
    if peer.ttl_security_hops is None:
        guesses.append("expects TTL security")
    return f"no answer: {', '.join(guesses[:-1])}, or {guesses[-1]}"


def faults_in_words(severity: Severity, faults: Sequence[Fault]) -> str:
    """What is wrong with an UPDATE, and what becomes of it (RFC 7606)."""
    shown = [fault.reason for fault in faults[:_FAULTS_SHOWN]]
    more = len(faults) - len(shown)
    reasons = "; ".join(shown) + (f"; and {more} more" if more else "")
    return f"{severity.name.lower().replace('_', '-')}: {reasons}"
