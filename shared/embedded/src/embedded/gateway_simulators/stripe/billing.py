"""The simulated Stripe's subscriptions: a Checkout Session in which a person agrees, and an invoice for each period.

An invoice's event does not say by which payment it was paid, as in the API version that this stands for: that is told
by ``invoice_payment.paid``. Time passes by control only. Raises StripeRefusal with Stripe's own codes.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from embedded.gateway_simulators.stripe.api import Call, Parameters, StripeApi, metadata_of
from embedded.gateway_simulators.stripe.life import StripeLife, StripeRefusal, invalid
from embedded.gateway_simulators.stripe.store import StripeStore

MONTHS = {"month": 1, "year": 12}
OVER = ("canceled", "incomplete_expired")
GIVEN_UP = ("unpaid", "canceled")


class StripeBilling:
    """``api`` makes and finds what is not a subscription's own."""

    def __init__(self, store: StripeStore, life: StripeLife, api: StripeApi) -> None:
        self._store = store
        self._life = life
        self._api = api

    def create_session(self, object_id: str, given: Parameters) -> dict[str, Any]:
        """A Checkout Session; one of ``mode=subscription`` is ours."""
        if given.get("mode") != "subscription":
            return self._api.create_session(object_id, given)
        if "payment_intent_data" in given:
            raise invalid("You can not pass `payment_intent_data` in `subscription` mode.", param="payment_intent_data")
        interval = _interval(given)
        metadata = metadata_of(given.get("subscription_data") or {})
        session = self._api.create_session(object_id, {**given, "mode": "payment"})
        session |= {"mode": "subscription", "subscription": None}
        session |= {"_interval": interval, "_subscription_metadata": metadata}
        return session

    def agree(self, session: dict[str, Any], card: str) -> dict[str, Any]:
        """The person agrees, and pays for the first period. Raises StripeRefusal for a card that is declined: then
        there is no subscription."""
        if session["status"] != "open":
            raise invalid("This Checkout Session is over.", code="checkout_session_unexpected_state")
        intent = self._charge(session["amount_total"], session["currency"], card)
        begins_s = self._store.now_s()
        subscription = self._store.make(
            "subscription",
            cancel_at_period_end=False,
            canceled_at=None,
            currency=session["currency"],
            items={"object": "list", "data": [], "has_more": False},
            latest_invoice=None,
            metadata=session["_subscription_metadata"],
            status="incomplete",
            _amount=session["amount_total"],
            _anchor_s=begins_s,
            _interval=session["_interval"],
            _periods=0,
        )
        self._life.event("customer.subscription.created", subscription)
        invoice = self._invoice(subscription, "subscription_create")
        self._paid(subscription, invoice, intent)
        session |= {"status": "complete", "payment_status": "paid", "subscription": subscription["id"], "url": None}
        self._life.event("checkout.session.completed", session)
        return subscription

    def renew(self, subscription: dict[str, Any], card: str) -> dict[str, Any]:
        """The next period begins, and is taken from the card or not; the invoice."""
        _going_on(subscription)
        invoice = self._invoice(subscription, "subscription_cycle")
        self.retry(invoice, card)
        return invoice

    def retry(self, invoice: dict[str, Any], card: str) -> None:
        """Try to take an invoice that is open."""
        if invoice["status"] != "open":
            raise invalid("Invoice is already paid.", code="invoice_already_paid")
        subscription = self._api.get("subscription", invoice["_subscription"])
        _going_on(subscription)
        try:
            intent = self._charge(invoice["amount_due"], invoice["currency"], card)
        except StripeRefusal:
            invoice["attempt_count"] += 1
            self._life.event("invoice.payment_failed", invoice)
            self._becomes(subscription, "past_due")
            return
        self._paid(subscription, invoice, intent)

    def give_up(self, subscription: dict[str, Any], status: str) -> None:
        """All retries failed: as the account's settings have it, it is ``unpaid`` or ``canceled``."""
        _going_on(subscription)
        if status not in GIVEN_UP:
            raise invalid("It is given up as unpaid or canceled.", param="status")
        if status == "canceled":
            self.cancel(subscription["id"], {})
        else:
            self._becomes(subscription, "unpaid")

    def cancel(self, subscription_id: str, _given: Parameters) -> dict[str, Any]:
        """Ends it at once."""
        subscription = self._api.get("subscription", subscription_id)
        if subscription["status"] in OVER:
            message = f"No such subscription: '{subscription_id}'"
            raise StripeRefusal(404, "invalid_request_error", message, code="resource_missing", param="id")
        subscription |= {"status": "canceled", "canceled_at": self._store.now_s()}
        self._life.event("customer.subscription.deleted", subscription)
        return subscription

    def calls(self) -> Sequence[tuple[str, str, Call]]:
        """Method, path and what it does; one of them instead of the API's own."""
        kinds = {"subscriptions": "subscription", "invoices": "invoice", "invoice_payments": "invoice_payment"}
        return [
            ("POST", "/v1/checkout/sessions", self.create_session),
            ("DELETE", "/v1/subscriptions/{object_id}", self.cancel),
            *(("GET", f"/v1/{path}", self._listing(kind)) for path, kind in kinds.items()),
            *(("GET", f"/v1/{path}/{{object_id}}", self._getting(kind)) for path, kind in kinds.items()),
        ]

    def _getting(self, kind: str) -> Call:
        return lambda object_id, _given: self._api.get(kind, object_id)

    def _listing(self, kind: str) -> Call:
        return lambda _object_id, given: self._store.page(kind, given)

    def _charge(self, amount: int, currency: str, card: str) -> dict[str, Any]:
        """A payment that knows nothing of what it is for, as Stripe's do not."""
        intent = self._life.make_intent(amount, currency, description="Subscription")
        self._life.pay(intent, card)
        return intent

    def _invoice(self, subscription: dict[str, Any], reason: str) -> dict[str, Any]:
        amount, currency = subscription["_amount"], subscription["currency"]
        start, end = _period(subscription)
        subscription["_periods"] += 1
        details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        line = {"object": "line_item", "amount": amount, "currency": currency, "period": {"start": start, "end": end}}
        invoice = self._store.make(
            "invoice",
            amount_due=amount,
            amount_paid=0,
            amount_remaining=amount,
            attempt_count=0,
            billing_reason=reason,
            currency=currency,
            lines={"object": "list", "data": [line], "has_more": False},
            metadata={},
            parent={"type": "subscription_details", "quote_details": None, "subscription_details": details},
            period_end=start,
            period_start=start,
            status="open",
            _subscription=subscription["id"],
        )
        invoice["hosted_invoice_url"] = f"https://invoice.stripe.com/i/{invoice['id']}"
        item = {"object": "subscription_item", "current_period_start": start, "current_period_end": end}
        subscription["items"]["data"] = [item]
        subscription["latest_invoice"] = invoice["id"]
        return invoice

    def _paid(self, subscription: dict[str, Any], invoice: dict[str, Any], intent: dict[str, Any]) -> None:
        amount = invoice["amount_due"]
        invoice |= {"status": "paid", "amount_paid": amount, "amount_remaining": 0}
        invoice["attempt_count"] += 1
        payment = self._store.make(
            "invoice_payment",
            amount_paid=amount,
            amount_requested=amount,
            currency=invoice["currency"],
            invoice=invoice["id"],
            is_default=True,
            payment={"type": "payment_intent", "payment_intent": intent["id"]},
            status="paid",
        )
        self._life.event("invoice_payment.paid", payment)
        self._life.event("invoice.paid", invoice)
        self._becomes(subscription, "active")

    def _becomes(self, subscription: dict[str, Any], status: str) -> None:
        subscription["status"] = status
        self._life.event("customer.subscription.updated", subscription)


def _interval(given: Parameters) -> str:
    for line in given.get("line_items") or []:
        interval = ((line.get("price_data") or {}).get("recurring") or {}).get("interval")
        if interval in MONTHS:
            return str(interval)
    message = "You must provide at least one recurring price in `subscription` mode when using prices."
    raise invalid(message, param="line_items")


def _going_on(subscription: dict[str, Any]) -> None:
    if subscription["status"] in OVER:
        raise invalid("This subscription is canceled.")


def _period(subscription: dict[str, Any]) -> tuple[int, int]:
    months = MONTHS[subscription["_interval"]]
    number = subscription["_periods"]
    anchor = datetime.fromtimestamp(subscription["_anchor_s"], UTC)
    return _later(anchor, months * number), _later(anchor, months * (number + 1))


def _later(anchor: datetime, months: int) -> int:
    years, month = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + years, month + 1
    day = min(anchor.day, monthrange(year, month)[1])
    return int(anchor.replace(year=year, month=month, day=day).timestamp())
