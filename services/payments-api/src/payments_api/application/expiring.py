"""Payments whose time is over: whoever has not begun to pay by then is told so. Later money is taken nevertheless."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Protocol

from chassis.clock import Clock
from payments_api.application.ports import PaymentStore
from payments_api.domain.deciding import Expire


class Pool(Protocol):
    """A pool of database connections."""

    def acquire(self) -> AbstractAsyncContextManager[Any]: ...


class Expiring:
    """The use case. ``grace_s`` is how long after a quote's end a webhook may still be on its way."""

    def __init__(self, pool: Pool, payments: PaymentStore, clock: Clock, *, grace_s: float) -> None:
        self._pool = pool
        self._payments = payments
        self._clock = clock
        self._grace = timedelta(seconds=grace_s)

    async def expire(self, payment_id: str, *, is_given_up: bool = False) -> None:
        """Let the payment expire if its time is over: one that somebody is paying only if that ``is_given_up``."""
        async with self._pool.acquire() as conn, conn.transaction():
            state = await self._payments.load(conn, payment_id)
            assert state.quote is not None, "a payment that was begun has a quote"
            if self._clock.now() >= state.quote.expires_at + self._grace:
                await self._payments.save(conn, state, [Expire(is_given_up)])
