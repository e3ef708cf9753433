"""A token bucket is used up, and fills again."""

from __future__ import annotations

from pybal.runtime.token_bucket import TokenBucket


def test_tokens_are_used_up_and_come_back_but_never_more_than_the_bucket_holds() -> None:
    bucket = TokenBucket(3, 2)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(100.6) for _ in range(2)] == [True, False]
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


def test_of_what_is_asked_for_all_is_taken_or_nothing() -> None:
    bucket = TokenBucket(100, 10)
    assert bucket.take(5.0, 60)
    assert not bucket.take(5.0, 60)
    assert bucket.has(5.0, 40)
    assert bucket.take(5.0, 40)
    assert not bucket.has(5.9, 10)
    assert bucket.take(6.0, 10)
