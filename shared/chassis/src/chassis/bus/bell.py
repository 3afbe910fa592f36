"""A bell that wakes whoever waits for news, without losing a ring between looking and waiting.

Take ``count`` first, look, then wait for a ring since that count. Within one event loop.
"""

from __future__ import annotations

import asyncio


class Bell:
    """Counts rings; waiting is for the next one after a known count."""

    def __init__(self) -> None:
        self.count = 0
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake all who wait."""
        self.count += 1
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, since: int, timeout_s: float) -> bool:
        """Whether it rang after ``since``; waits up to ``timeout_s`` for that."""
        if self.count != since:
            return True
        try:
            # Not wait_for: on 3.11 it loses a cancellation that arrives together with a ring.
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        except TimeoutError:
            return False
        return True
