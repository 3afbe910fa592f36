"""Carry work through all its hops until nothing is left, without a clock: relays, consumers, projectors, workers.

A step is whatever ``run_once()`` is in the product: it does what waits now and answers how much that was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Step = Callable[[], Awaitable[int]]
DRAIN_TIMEOUT_S = 20.0


class NeverDrained(AssertionError):
    """The steps still found work when the time was over: most likely they feed each other for ever."""


async def drain(*steps: Step, timeout_s: float = DRAIN_TIMEOUT_S) -> int:
    """Run the steps in turn until a whole round does nothing; answers how much was done in all.

    An error of a step is the caller's. Raises NeverDrained after ``timeout_s``.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    total = 0
    while True:
        done = [await step() for step in steps]
        total += sum(done)
        if not any(done):
            return total
        if loop.time() > deadline:
            raise NeverDrained(f"still at work after {timeout_s} s; the last round did {done}")
