"""How much may be done: so much at once, and so much a second in the long run. Pure."""

from __future__ import annotations


class TokenBucket:
    """Full at first, with `burst` tokens; `per_s` come back each second. Time is an argument, in
    seconds, and does not go back."""

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at_s = 0.0

    def has(self, now_s: float, tokens: float) -> bool:
        """Whether so many are there."""
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return self._left >= tokens

    def take(self, now_s: float, tokens: float = 1) -> bool:
        """Whether so many were there, which are gone then."""
        if not self.has(now_s, tokens):
            return False
        self._left -= tokens
        return True
