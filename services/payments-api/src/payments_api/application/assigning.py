"""Giving unallocated money to a person, by an operator's decision. The ledger decides; here its outcome gets a name.

The books are looked at first: money that has an owner is never asked for again, so twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chassis.errors import Conflict, NotFound
from payments_api.application.ports import BookedPayment, Ledger


@dataclass(frozen=True, slots=True)
class Assigned:
    """Whose the money is now and what it became, in smallest units of credits. ``is_repeat``: it was before."""

    payment: BookedPayment
    is_repeat: bool


class Assigning:
    """``new_key`` names each attempt: the ledger repeats a refusal under its key, but money may come meanwhile."""

    def __init__(self, ledger: Ledger, new_key: Callable[[], str]) -> None:
        self._ledger = ledger
        self._new_key = new_key

    async def assign(
        self, gateway: str, gateway_payment_id: str, user_id: str, worth_cents: int | None = None
    ) -> Assigned:
        """Make the money theirs; ``worth_cents`` is what it was worth in dollars, for what has no rate.

        Raises NotFound (nothing is booked), Conflict (it is somebody else's, or nothing that can be credited is left),
        LedgerAway.
        """
        before = await self._booked(gateway, gateway_payment_id)
        if before.user_id is not None:
            return Assigned(_theirs(before, user_id), is_repeat=True)
        accepted = await self._ledger.allocate(
            gateway, gateway_payment_id, user_id, key=self._new_key(), worth_cents=worth_cents
        )
        after = await self._booked(gateway, gateway_payment_id)
        if after.user_id is None:
            raise Conflict("not_assignable", "Nothing of that money can be credited: it went back, or it has no rate")
        return Assigned(_theirs(after, user_id), is_repeat=not accepted)

    async def _booked(self, gateway: str, gateway_payment_id: str) -> BookedPayment:
        booked = await self._ledger.booked(gateway, gateway_payment_id)
        if booked is None:
            raise NotFound("payment_unknown", "No payment of that gateway is booked under that id")
        return booked


def _theirs(payment: BookedPayment, user_id: str) -> BookedPayment:
    if payment.user_id != user_id:
        raise Conflict("assigned_before", "That money belongs to somebody else")
    return payment
