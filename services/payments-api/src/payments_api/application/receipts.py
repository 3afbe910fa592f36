"""Receipts: one per payment, numbered without gaps per year, made in the transaction that credits it.

Tax is what prices include; it is rounded here and nowhere else. Knows no layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from chassis.clock import Clock
from chassis.errors import Conflict, NotFound
from payments_api.domain.deciding import ReportCredited

GATEWAY_NAMES: Mapping[str, str] = {
    "stripe": "Stripe",
    "clickpesa": "ClickPesa",
    "bank": "Bank transfer",
    "crypto": "Cryptocurrency",
    "demo": "Demo",
}
"""As people know them."""


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sells, and the share of ``tax_rate`` that is added to what they keep: 0.18 for 18 %."""

    name: str
    address: str = ""
    tax_id: str | None = None
    tax_rate: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """What came and what it bought, in smallest units."""

    gateway_payment_id: str
    credited_at: datetime
    received_asset: str
    received: int
    credit_asset: str
    credits: int


@dataclass(frozen=True, slots=True)
class Total:
    """Of one asset: ``net + tax == total``."""

    asset: str
    net: int
    tax: int
    total: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt. ``buyer_email`` is None where nobody told it, or it was emptied."""

    number: str
    issued_at: datetime
    seller: Seller
    buyer_id: str
    buyer_email: str | None
    payment_id: str
    payment_reference: str
    gateway: str
    lines: Sequence[ReceiptLine]

    @property
    def totals(self) -> Sequence[Total]:
        """One per asset that came, in the order of the lines."""
        sums: dict[str, int] = {}
        for line in self.lines:
            sums[line.received_asset] = sums.get(line.received_asset, 0) + line.received
        return [with_tax_told(asset, total, self.seller.tax_rate) for asset, total in sums.items()]


def with_tax_told(asset: str, total: int, tax_rate: Decimal) -> Total:
    """How much of ``total`` is tax: rounded half-up once, the rest by subtraction."""
    rate = Fraction(tax_rate)
    share = total * rate / (1 + rate)
    tax = (2 * share.numerator + share.denominator) // (2 * share.denominator)
    return Total(asset, total - tax, tax, total)


def numbered(year: int, number: int) -> str:
    """As it is written: ``2026-000001``."""
    return f"{year}-{number:06d}"


class ReceiptDesk(Protocol):
    """Where receipts are kept."""

    async def issue(self, conn: Any, payment_id: str, seller: Seller, line: ReceiptLine) -> str:
        """The payment's receipt with this line, in ``conn``'s transaction; made now if it has none. Its number."""
        ...

    async def read(self, payment_id: str, user_id: str | None) -> Receipt | None:
        """The receipt of a payment of theirs, of anybody's where ``user_id`` is None."""
        ...

    async def is_theirs(self, payment_id: str, user_id: str) -> bool:
        """Whether they have such a payment."""
        ...


class Drawing(Protocol):
    """What makes a document of a receipt; the same again for the same receipt."""

    def __call__(self, receipt: Receipt) -> bytes: ...


class NotCredited(Conflict):
    """There is nothing to give a receipt for."""

    def __init__(self) -> None:
        super().__init__("no_receipt", "This payment has no receipt: nothing has been credited for it")


class Receipts:
    """The use cases."""

    def __init__(self, desk: ReceiptDesk, seller: Seller, clock: Clock) -> None:
        self._desk = desk
        self._seller = seller
        self._clock = clock

    async def issue(self, conn: Any, payment_id: str, credited: ReportCredited) -> str:
        """The payment's receipt with what was just credited, in ``conn``'s transaction; a repeat changes nothing.

        Answers its number. Takes the lock of the year's numbers and holds it to the commit.
        """
        line = ReceiptLine(
            credited.gateway_payment_id,
            self._clock.now().astimezone(UTC),
            credited.received_asset,
            credited.received,
            credited.credit_asset,
            credited.credits,
        )
        return await self._desk.issue(conn, payment_id, self._seller, line)

    async def of_payment(self, payment_id: str, user_id: str) -> Receipt:
        """The receipt of a payment of theirs. Raises NotFound, or NotCredited."""
        receipt = await self._desk.read(payment_id, user_id)
        if receipt is not None:
            return receipt
        if await self._desk.is_theirs(payment_id, user_id):
            raise NotCredited
        raise NotFound("unknown_payment", "There is no such payment")

    async def of_anybody(self, payment_id: str) -> Receipt | None:
        """The receipt of a payment, for the mail to whoever paid."""
        return await self._desk.read(payment_id, None)
