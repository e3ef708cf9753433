"""What a Deferred has come to by now; for tests that are plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

T = TypeVar("T")


def result_of(deferred: Deferred[T]) -> T:
    """The result of a Deferred that has fired; raises what it failed with."""
    results: list[T] = []
    failures: list[Failure] = []
    deferred.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    assert results, "the Deferred has not fired"
    return results[0]


def error_of(deferred: Deferred[T]) -> BaseException:
    """The exception of a Deferred that has failed."""
    results: list[T] = []
    failures: list[Failure] = []
    deferred.addCallbacks(results.append, failures.append)
    assert failures, f"the Deferred has not failed: {results}"
    error = failures[0].value
    assert error is not None
    return error


def at_once(function: Callable[[], T]) -> Deferred[T]:
    """In place of a thread."""
    try:
        return succeed(function())
    except Exception as error:  # noqa: BLE001 - as a thread pool hands it on
        return fail(error)
