"""Telling people by mail what became of their payment: a row in the transaction of the news, sent behind.

Once per failed attempt and once per piece that was credited. What was credited gets its receipt here too, with or
without mail. Sends nothing itself: that is ``notifying_sending``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from contracts.amounts import Asset, format_units
from payments_api.application.ports import Purchase, payment_of
from payments_api.application.receipts import GATEWAY_NAMES, Receipts
from payments_api.domain.deciding import ReportCredited
from payments_api.domain.payment import Payment

Kind = Literal["failed", "credited", "renewal", "purchase_refused"]


class MailOutbox(Protocol):
    """Where mails wait to be sent."""

    async def write(self, conn: Any, kind: Kind, payment_id: str, dedupe_key: str, facts: Mapping[str, str]) -> None:
        """Write one in ``conn``'s transaction, to whom the payment's details name: nobody named, nothing written.

        The same ``dedupe_key`` writes once.
        """
        ...


class Notifying:
    """Call it in the transaction of the news, after the payment was saved. Without ``outbox`` no mail is written."""

    def __init__(self, receipts: Receipts, outbox: MailOutbox | None) -> None:
        self._receipts = receipts
        self._outbox = outbox

    async def on_failed(self, conn: Any, before: Payment, after: Payment) -> None:
        """An attempt to pay failed; nothing if the payment took it for old news."""
        if self._outbox is None or after.version == before.version:
            return
        facts = {
            "reference": after.reference,
            "gateway": _gateway_name(after.gateway),
            "amount": _amount(after.asked, after.asked_asset),
            "reason": after.failure_reason or "",
        }
        payment_id = payment_of(after.stream)
        await self._outbox.write(conn, "failed", payment_id, f"failed:{payment_id}:{after.version}", facts)

    async def on_credited(self, conn: Any, before: Payment, after: Payment, credited: ReportCredited) -> None:
        """A piece became credits; nothing if the payment knew of it."""
        if after.version == before.version:
            return
        payment_id = payment_of(after.stream)
        number = await self._receipts.issue(conn, payment_id, credited)
        if self._outbox is None:
            return
        facts = {
            "reference": after.reference,
            "gateway": _gateway_name(after.gateway),
            "amount": _amount(credited.received, credited.received_asset),
            "credits": _amount(credited.credits, credited.credit_asset),
            "receipt": number,
        }
        await self._outbox.write(conn, "credited", payment_id, f"credited:{payment_id}:{after.version}", facts)

    async def on_renewal(self, conn: Any, payment: Payment, pay_url: str) -> None:
        """A further period of a subscription is to be paid at ``pay_url``."""
        if self._outbox is None:
            return
        assert payment.quote is not None, "a payment that was begun has a quote"
        quote = payment.quote
        facts = {
            "reference": payment.reference,
            "gateway": _gateway_name(payment.gateway),
            "amount": _amount(quote.price, quote.price_asset),
            "credits": _amount(quote.credits + quote.bonus, quote.credit_asset),
            "until": f"{quote.expires_at:%d %B %Y, %H:%M} UTC",
            "pay_url": pay_url,
        }
        payment_id = payment_of(payment.stream)
        await self._outbox.write(conn, "renewal", payment_id, f"renewal:{payment_id}", facts)

    async def on_purchase_refused(self, conn: Any, payment_id: str, purchase: Purchase) -> None:
        """What ``payment_id`` was paid for cannot be bought with the credits that are there."""
        refusal = purchase.refusal
        if self._outbox is None or refusal is None:
            return
        facts = {
            "service": purchase.service_name,
            "required": _amount(refusal.required, purchase.asset),
            "available": _amount(refusal.available, purchase.asset),
        }
        dedupe_key = f"purchase_refused:{purchase.deployment_id}"
        await self._outbox.write(conn, "purchase_refused", payment_id, dedupe_key, facts)


def _gateway_name(gateway: str) -> str:
    return GATEWAY_NAMES.get(gateway, gateway)


def _amount(units: int, asset: str) -> str:
    return f"{format_units(units, asset)} {Asset.parse(asset).code}"
