"""Waiting for what happens in its own time: poll a condition against a deadline, never sleep a fixed time.

For integration and end-to-end tests only; a unit test turns a clock by hand instead.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
POLL_S = 0.02


class NeverHappened(AssertionError):
    """The condition did not become true in time; the text holds what it answered last."""


@overload
async def eventually(condition: Callable[[], Awaitable[T]], timeout_s: float = 30.0) -> T: ...
@overload
async def eventually(condition: Callable[[], T], timeout_s: float = 30.0) -> T: ...
async def eventually(condition: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """Wait until ``condition`` answers something true, and return that.

    ``condition`` may be a plain or an async function; an AssertionError inside it counts as "not yet", any other
    error is the caller's. Raises NeverHappened after ``timeout_s`` with the last answer or assertion.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        true, last = await _ask(condition)
        if true:
            return last
        if asyncio.get_running_loop().time() >= deadline:
            raise NeverHappened(f"not within {timeout_s} s; last seen: {last!r}")
        await asyncio.sleep(POLL_S)


async def _ask(condition: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        answer = condition()
        value = await answer if inspect.isawaitable(answer) else answer
    except AssertionError as not_yet:
        return False, not_yet
    return bool(value), value
