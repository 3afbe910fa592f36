"""Saved cards: saving one, seeing and forgetting them, and charging one while its owner is not there.

The gateway keeps the cards, under one customer per person; we keep that customer's name and nothing else. A charge is
asked for only after its payment is stored, and only while its quote holds: see ADR 0020.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from chassis.clock import Clock
from chassis.errors import InvalidField, NotFound
from chassis.ids import IdFactory

CHARGEABLE = ("initiated", "failed")
"""States in which a charge that was stored may not have been asked for yet, or its refusal not been answered."""


class UnknownCustomer(Exception):
    """The gateway has no such customer, or no longer."""


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A way to pay as its gateway shows it. Only cards have the fields below ``kind``."""

    id: str
    kind: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None


@dataclass(frozen=True, slots=True)
class SavingBegun:
    """What the person's browser saves a card with. ``client_secret`` goes to that person only."""

    setup_intent_id: str
    client_secret: str
    publishable_key: str | None


@dataclass(frozen=True, slots=True)
class StoredPayment:
    """A payment of ours, as it is shown, that is to be charged."""

    payment_id: str
    gateway_payment_id: str
    status: str
    expires_at: datetime


class CardVault(Protocol):
    """Where cards are kept. Every call raises GatewayAway and GatewayRefused; ``key`` makes a write happen once."""

    async def close(self) -> None:
        """Let go of the connections."""
        ...

    async def make_customer(self, user_id: str, key: str) -> str:
        """A customer's name there."""
        ...

    async def begin_saving(self, customer_id: str, user_id: str, key: str) -> SavingBegun:
        """Raises UnknownCustomer."""
        ...

    async def cards(self, customer_id: str) -> Sequence[SavedCard]:
        """Those that are saved, newest first; none for a customer that is not known."""
        ...

    async def card(self, customer_id: str, card_id: str) -> SavedCard | None:
        """One of that customer's; None for anybody else's."""
        ...

    async def forget(self, card_id: str) -> None:
        """It cannot be charged any more."""
        ...

    async def charge(self, payment_id: str, gateway_payment_id: str) -> None:
        """Charge the card that the payment was begun with, once per payment; nothing if it was charged already. What
        comes of it is told as of every payment. Raises GatewayRefused: the card was not charged."""
        ...


class CustomerBook(Protocol):
    """Whose customer is whose."""

    async def find(self, user_id: str) -> str | None:
        """The person's customer."""
        ...

    async def keep(self, user_id: str, customer_id: str, *, instead_of: str | None) -> str:
        """Note it, if there is none or still ``instead_of``; answers the one that stands."""
        ...


class SavedCards:
    """The use cases. ``close`` it at the end."""

    def __init__(self, vault: CardVault, customers: CustomerBook, clock: Clock, ids: IdFactory) -> None:
        self._vault = vault
        self._customers = customers
        self._clock = clock
        self._ids = ids

    async def close(self) -> None:
        """Let go of the connections."""
        await self._vault.close()

    async def customer_of(self, user_id: str) -> str:
        """The person's customer, made when it is first needed. Raises GatewayAway, GatewayRefused."""
        return await self._customers.find(user_id) or await self._make_customer(user_id, instead_of=None)

    async def begin_saving(self, user_id: str, request_key: str | None) -> SavingBegun:
        """The same again for the same ``request_key``. Raises GatewayAway, GatewayRefused."""
        customer_id = await self.customer_of(user_id)
        name = str(self._ids.new()) if request_key is None else hashlib.sha256(request_key.encode()).hexdigest()
        try:
            return await self._vault.begin_saving(customer_id, user_id, f"setup:{customer_id}:{name}")
        except UnknownCustomer:
            # Somebody deleted it there: whatever was saved under it is gone.
            anew = await self._make_customer(user_id, instead_of=customer_id)
            return await self._vault.begin_saving(anew, user_id, f"setup:{anew}:{name}")

    async def cards(self, user_id: str) -> Sequence[SavedCard]:
        """The person's. Raises GatewayAway, GatewayRefused."""
        customer_id = await self._customers.find(user_id)
        return () if customer_id is None else await self._vault.cards(customer_id)

    async def forget(self, user_id: str, card_id: str) -> None:
        """Raises NotFound for one that is not this person's (any more), GatewayAway, GatewayRefused."""
        customer_id = await self._customers.find(user_id)
        if customer_id is None or await self._vault.card(customer_id, card_id) is None:
            raise NotFound("unknown_payment_method", "There is no such payment method of yours")
        await self._vault.forget(card_id)

    async def paying_by(self, user_id: str, card_id: str) -> Mapping[str, Any]:
        """What the gateway's part of a payment says to pay by this card. Raises InvalidField for one that is not this
        person's, GatewayAway, GatewayRefused."""
        customer_id = await self._customers.find(user_id)
        if customer_id is None or await self._vault.card(customer_id, card_id) is None:
            raise InvalidField(
                "payment_method_id", "unknown_payment_method", "There is no such payment method of yours"
            )
        return {"mode": "payment_intent", "customer": customer_id, "payment_method": card_id}

    async def charge(self, payment: StoredPayment) -> bool:
        """Ask for the charge of a payment that is stored; False where its time is over or it needs none. A repeat
        charges nothing twice, and is refused as the first was. Raises GatewayAway, GatewayRefused."""
        if payment.status not in CHARGEABLE or self._clock.now() >= payment.expires_at:
            return False
        await self._vault.charge(payment.payment_id, payment.gateway_payment_id)
        return True

    async def _make_customer(self, user_id: str, *, instead_of: str | None) -> str:
        key = f"customer:{user_id}" if instead_of is None else f"customer:{user_id}:after:{instead_of}"
        made = await self._vault.make_customer(user_id, key)
        return await self._customers.keep(user_id, made, instead_of=instead_of)
