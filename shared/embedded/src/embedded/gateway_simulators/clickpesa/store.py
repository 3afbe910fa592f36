"""What the simulated ClickPesa remembers: tokens, checkout links, payments. In memory only; amounts are Decimals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chassis.clock import Clock
from chassis.ids import IdFactory

TOKEN_LIFETIME = timedelta(hours=1)
OPEN = ("PROCESSING", "PENDING", "ON-HOLD")
PAID = ("SUCCESS", "SETTLED")


class ClickPesaRefusal(Exception):
    """An answer of the API other than a good one."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Link:
    """A checkout link. ``price`` is in whole units of ``currency``."""

    reference: str
    price: Decimal
    currency: str
    customer: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Collected:
    """What a payer gave, in whole units of ``currency``."""

    amount: Decimal
    currency: str


class ClickPesaStore:
    """State and its changes; which of them are told by webhook is not its business."""

    def __init__(self, clock: Clock, ids: IdFactory) -> None:
        self._clock = clock
        self._ids = ids
        self._tokens: dict[str, datetime] = {}
        self.links: dict[str, Link] = {}
        self.payments: list[dict[str, Any]] = []
        self.tokens_made = 0

    def new_token(self) -> str:
        """Valid for an hour; comes with its ``Bearer``."""
        self.tokens_made += 1
        token = f"Bearer simulated.{self._ids.new().hex}"
        self._tokens[token] = self._clock.now() + TOKEN_LIFETIME
        return token

    def is_valid(self, token: str) -> bool:
        """Whether it was given out and its hour is not over."""
        return self._clock.now() < self._tokens.get(token, self._clock.now())

    def forget_tokens(self) -> None:
        """As when the checksum feature is switched."""
        self._tokens.clear()

    def payments_of(self, reference: str) -> list[dict[str, Any]]:
        """All attempts, oldest first."""
        return [payment for payment in self.payments if payment["orderReference"] == reference]

    def attempt(self, link: Link, status: str, collected: Collected, message: str) -> dict[str, Any]:
        """A new attempt; one that is open becomes this instead."""
        waiting = [payment for payment in self.payments_of(link.reference) if payment["status"] in OPEN]
        payment = waiting[-1] if waiting else self._new_payment(link)
        payment |= {"collectedAmount": collected.amount, "collectedCurrency": collected.currency}
        return self.change(payment, status, message)

    def change(self, payment: dict[str, Any], status: str, message: str) -> dict[str, Any]:
        """Another status."""
        payment |= {"status": status, "message": message, "updatedAt": self._now()}
        return payment

    def paid(self, reference: str) -> dict[str, Any]:
        """The latest payment with money. Raises ClickPesaRefusal."""
        found = [payment for payment in self.payments_of(reference) if payment["status"] in PAID]
        if not found:
            raise ClickPesaRefusal(404, f"Nothing was paid for {reference}")
        return found[-1]

    def _new_payment(self, link: Link) -> dict[str, Any]:
        payment_id = f"LCP{self._ids.new().hex[-12:].upper()}"
        payment: dict[str, Any] = {
            "id": payment_id,
            "status": "PROCESSING",
            "paymentReference": f"SIM{payment_id[3:]}",
            "orderReference": link.reference,
            "collectedAmount": link.price,
            "collectedCurrency": link.currency,
            "message": "",
            "channel": "M-PESA" if link.currency == "TZS" else "CARD",
            "createdAt": self._now(),
            "updatedAt": self._now(),
            "customer": dict(link.customer),
            "clientId": "simulated",
        }
        self.payments.append(payment)
        return payment

    def _now(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
