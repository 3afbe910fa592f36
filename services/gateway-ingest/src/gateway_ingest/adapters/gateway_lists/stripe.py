"""Stripe's own list of payments: PaymentIntents that succeeded, what of them went back, and all news of one.

Read by the same functions as its webhooks, so that a payment is the same whichever way it is learnt. Writes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from gateway_ingest.adapters.gateway_lists.stripe_connection import StripeReader
from gateway_ingest.adapters.gateway_lists.stripe_periods import period_of
from gateway_ingest.adapters.gateways.stripe import afterwards, payments
from gateway_ingest.domain.facts import Confirmed, Disputed, Finding
from gateway_ingest.domain.judging import OddEvent, unix_time
from gateway_ingest.domain.reconciling import ListedPayment, News, Window

NAME = "stripe"
SUCCEEDED = "succeeded"
CHARGE = "latest_charge"
SETTLED = "balance_transaction"

log = structlog.get_logger(__name__)


class StripeList:
    """See application.reconciling_ports.GatewayList."""

    def __init__(self, stripe: StripeReader) -> None:
        self._stripe = stripe

    async def listed(self, window: Window) -> AsyncIterator[ListedPayment]:
        """See the port. Stripe's list knows no state: what did not succeed is left out here."""
        created = {"gte": int(window.since.timestamp()), "lt": int(window.until.timestamp())}
        asked = {"created": created, "expand": [f"data.{CHARGE}.{SETTLED}"]}
        async for intent in self._stripe.pages(self._stripe.v1.payment_intents.list_async, asked):
            payment = await self._payment(intent)
            if payment is not None:
                yield payment

    async def one(self, payment_id: str, reference: str | None) -> ListedPayment | None:
        """See the port."""
        intent = await self._intent(payment_id)
        return None if intent is None else await self._payment(intent)

    async def news(self, payment: ListedPayment) -> Sequence[News]:
        """See the port. Fees are told where Stripe says them, as its webhooks do with what is expanded."""
        intent = await self._intent(payment.payment_id)
        if intent is None:
            return []
        facts = await self._how_it_came(payment.confirmed, intent)
        facts += _facts(afterwards.charge_settled, _charge(intent))
        for refund in await self._of(payment.payment_id, self._stripe.v1.refunds.list_async, [f"data.{SETTLED}"]):
            facts += [*_facts(afterwards.refund_told, refund), *afterwards.fees(refund)]
        for dispute in await self._disputes(intent):
            facts += [*_facts(afterwards.disputed, dispute), *afterwards.fees(dispute)]
        return facts

    async def _how_it_came(self, confirmed: Confirmed, intent: dict[str, Any]) -> list[News]:
        """A payment without our reference may be a subscription's: then its invoice gives it one, and says for what."""
        period = None if confirmed.reference else await period_of(self._stripe, intent)
        return [confirmed] if period is None else [replace(confirmed, reference=period.reference), period]

    async def _payment(self, intent: dict[str, Any]) -> ListedPayment | None:
        if intent.get("status") != SUCCEEDED:
            return None
        try:
            confirmed = payments.intent_succeeded(intent)
        except OddEvent as odd:
            log.warning("listed_payment_unreadable", gateway=NAME, payment=intent.get("id"), reason=odd.reason)
            return None
        assert isinstance(confirmed, Confirmed), "what succeeded was paid"
        charge = _charge(intent)
        lost_units = sum(map(_lost_units, await self._disputes(intent)))
        returned_units = min(confirmed.received.units, int(charge.get("amount_refunded") or 0) + lost_units)
        return ListedPayment(confirmed, returned_units, _paid_at(intent, charge))

    async def _intent(self, payment_id: str) -> dict[str, Any] | None:
        asked: Any = {"expand": [f"{CHARGE}.{SETTLED}"]}
        return await self._stripe.found(self._stripe.v1.payment_intents.retrieve_async(payment_id, asked))

    async def _disputes(self, intent: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Asked for only where the charge says that there was one."""
        if not _charge(intent).get("disputed"):
            return []
        return await self._of(intent["id"], self._stripe.v1.disputes.list_async, [])

    async def _of(self, payment_id: str, list_: Callable[..., Any], expand: Sequence[str]) -> Sequence[dict[str, Any]]:
        """What belongs to a payment, oldest first."""
        asked = {"payment_intent": payment_id, **({"expand": list(expand)} if expand else {})}
        return [each async for each in self._stripe.pages(list_, asked)][::-1]


def _facts(read: Callable[[dict[str, Any]], Finding], subject: dict[str, Any]) -> Sequence[News]:
    """What ``subject`` says; nothing, with a line in the log, where it makes no sense."""
    try:
        finding = read(subject)
    except OddEvent as odd:
        log.warning("listed_news_unreadable", gateway=NAME, subject=subject.get("id"), reason=odd.reason)
        return ()
    return (finding,) if isinstance(finding, News) else ()


def _lost_units(dispute: dict[str, Any]) -> int:
    facts = [fact for fact in _facts(afterwards.disputed, dispute) if isinstance(fact, Disputed)]
    return sum(fact.amount.units for fact in facts if fact.state == "lost")


def _paid_at(intent: dict[str, Any], charge: dict[str, Any]) -> datetime:
    """When the money came: an intent may have waited for long, and a slow method's charge is settled days later."""
    settled = charge.get(SETTLED)
    came = settled.get("created") if isinstance(settled, dict) else None
    told = (unix_time(each) for each in (came, charge.get("created"), intent.get("created")))
    return next((time for time in told if time is not None), datetime.fromtimestamp(0, UTC))


def _charge(intent: dict[str, Any]) -> dict[str, Any]:
    charge = intent.get(CHARGE)
    return charge if isinstance(charge, dict) else {}
