"""How the simulated Stripe's objects change, and the events that each change makes.

The only place that changes them. Raises StripeRefusal with Stripe's own codes.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from embedded.gateway_simulators.stripe.cards import Error, Use, card_of
from embedded.gateway_simulators.stripe.store import API_VERSION, StripeStore

FEE_PER_MILLE = 29
FEE_FIXED_UNITS = 30
DISPUTE_FEE_UNITS = 1500
PAYABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = (*PAYABLE, "processing")
DISPUTE_ENDS = ("won", "lost", "warning_closed")

Tell = Callable[[dict[str, Any]], None]


class StripeRefusal(Exception):
    """Stripe's error object, with the status that it comes under."""

    def __init__(self, status: int, kind: str, message: str, **more: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": kind, "message": message} | {name: value for name, value in more.items() if value}


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> StripeRefusal:
    """A request that cannot be done."""
    return StripeRefusal(400, "invalid_request_error", message, code=code, param=param)


class StripeLife:
    """``tell`` is given each event."""

    def __init__(self, store: StripeStore, tell: Tell, api_version: str = API_VERSION) -> None:
        self._store = store
        self._tell = tell
        self._api_version = api_version

    def pay(self, intent: dict[str, Any], number: str, *, when: Use = "paid") -> None:
        """Try a card. Raises StripeRefusal when it is declined, or the intent cannot be paid."""
        self._payable(intent)
        card = card_of(number)
        error = card.error_when(when)
        if error is not None:
            self._decline(intent, error)
        charge = self._charge(intent, number)
        self._succeed(intent, charge)
        if card.afterwards == "disputed":
            self.dispute(intent, intent["amount"], "fraudulent", is_inquiry=False)

    def pay_later(self, intent: dict[str, Any]) -> None:
        """A delayed method: the money is on its way."""
        self._payable(intent)
        intent["status"] = "processing"
        self.event("payment_intent.processing", intent)
        for session in self._sessions(intent):
            session["status"] = "complete"
            self.event("checkout.session.completed", session)

    def settle(self, intent: dict[str, Any], *, is_paid: bool) -> None:
        """What became of a delayed payment."""
        if intent["status"] != "processing":
            raise invalid("Only what is processing can be settled.", code="payment_intent_unexpected_state")
        if is_paid:
            self._succeed(intent, self._charge(intent, "delayed"), checkout="async_payment_succeeded")
            return
        self._fail(intent, ("payment_intent_payment_attempt_failed", None, "The bank did not pay."))
        for session in self._sessions(intent):
            self.event("checkout.session.async_payment_failed", session)

    def require_action(self, intent: dict[str, Any]) -> None:
        """The payer's bank wants to see them."""
        self._payable(intent)
        intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}}
        self.event("payment_intent.requires_action", intent)

    def cancel(self, intent: dict[str, Any], reason: str | None) -> None:
        """Nobody can pay it any more."""
        if intent["status"] not in CANCELABLE:
            raise invalid("It cannot be canceled any more.", code="payment_intent_unexpected_state")
        intent |= {"status": "canceled", "canceled_at": self._store.now_s(), "cancellation_reason": reason}
        self.event("payment_intent.canceled", intent)

    def expire(self, session: dict[str, Any]) -> None:
        """A session's time is over."""
        if session["status"] != "open":
            raise invalid("Only open Checkout Sessions can be expired.", code="checkout_session_unexpected_state")
        session |= {"status": "expired", "url": None}
        self.event("checkout.session.expired", session)

    def intent_of(self, session: dict[str, Any]) -> dict[str, Any]:
        """A session's intent, made when somebody begins to pay. Raises StripeRefusal for a session that is over."""
        if session["status"] != "open":
            raise invalid("This Checkout Session is over.", code="checkout_session_unexpected_state")
        found = self._store.find("payment_intent", session["payment_intent"])
        if found is None:
            found = self.make_intent(session["amount_total"], session["currency"], **session["_payment_intent_data"])
            session["payment_intent"] = found["id"]
        return found

    def make_intent(self, amount: int, currency: str, **more: Any) -> dict[str, Any]:
        """A new intent that waits for a way to pay."""
        fields: dict[str, Any] = {
            "amount": amount,
            "amount_received": 0,
            "cancellation_reason": None,
            "currency": currency,
            "customer": None,
            "description": None,
            "last_payment_error": None,
            "latest_charge": None,
            "metadata": {},
            "next_action": None,
            "payment_method": None,
            "status": "requires_payment_method",
        }
        intent = self._store.make("payment_intent", **fields | more)
        intent["client_secret"] = f"{intent['id']}_secret_simulated"
        return intent

    def refund(self, charge: dict[str, Any], amount: int, **more: Any) -> dict[str, Any]:
        """Send money back. Raises StripeRefusal when that is more than is left."""
        left = charge["amount"] - charge["amount_refunded"]
        if left == 0:
            raise invalid("The charge has already been refunded.", code="charge_already_refunded")
        if not 0 < amount <= left:
            raise invalid("Refund amount is greater than unrefunded amount on charge.", param="amount")
        is_pending = charge["_afterwards"] == "refund_pending"
        settled = self._settle_balance(-amount, charge["currency"], 0, "refund", charge["id"])
        fields = {
            "amount": amount,
            "balance_transaction": settled["id"],
            "charge": charge["id"],
            "currency": charge["currency"],
            "payment_intent": charge["payment_intent"],
            "metadata": {},
            "reason": None,
            "status": "pending" if is_pending else "succeeded",
        }
        refund = self._store.make("refund", **fields | more)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self.event("refund.created", refund)
        self.event("charge.refunded", charge)
        if charge["_afterwards"] == "refund_fails":
            self.fail_refund(refund, "declined")
        return refund

    def settle_refund(self, refund: dict[str, Any]) -> None:
        """A pending refund came through."""
        if refund["status"] != "pending":
            raise invalid("Only a pending refund can succeed.")
        refund["status"] = "succeeded"
        self.event("refund.updated", refund)

    def fail_refund(self, refund: dict[str, Any], reason: str) -> None:
        """The money comes back to us, also when the refund had succeeded."""
        if refund["status"] not in ("pending", "succeeded"):
            raise invalid("This refund has failed already.")
        refund |= {"status": "failed", "failure_reason": reason}
        charge = self._store.find("charge", refund["charge"])
        if charge is not None:
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
        self.event("refund.failed", refund)

    def dispute(self, intent: dict[str, Any], amount: int, reason: str, *, is_inquiry: bool) -> dict[str, Any]:
        """Somebody's bank asks for the money back; an inquiry only asks."""
        charge = self._store.find("charge", intent["latest_charge"])
        if intent["status"] != "succeeded" or charge is None:
            raise invalid("Only what was paid can be disputed.")
        taken = [] if is_inquiry else [self._dispute_balance(charge, -amount, DISPUTE_FEE_UNITS)]
        charge["disputed"] = True
        dispute = self._store.make(
            "dispute",
            amount=amount,
            balance_transactions=taken,
            charge=charge["id"],
            currency=charge["currency"],
            payment_intent=intent["id"],
            reason=reason,
            status="warning_needs_response" if is_inquiry else "needs_response",
        )
        self.event("charge.dispute.created", dispute)
        if not is_inquiry:
            self.event("charge.dispute.funds_withdrawn", dispute)
        return dispute

    def close_dispute(self, dispute: dict[str, Any], status: str) -> None:
        """The bank decided."""
        is_inquiry = dispute["status"].startswith("warning_")
        if dispute["status"] in DISPUTE_ENDS or status not in DISPUTE_ENDS or is_inquiry != (status == DISPUTE_ENDS[2]):
            raise invalid("This dispute cannot end like that.", param="status")
        dispute["status"] = status
        charge = self._store.find("charge", dispute["charge"])
        if status == "won" and charge is not None:
            dispute["balance_transactions"].append(self._dispute_balance(charge, dispute["amount"], 0))
            self.event("charge.dispute.funds_reinstated", dispute)
        self.event("charge.dispute.closed", dispute)

    def event(self, kind: str, subject: dict[str, Any]) -> None:
        """Keep an event with the object as it is now, and tell it."""
        event = self._store.make(
            "event",
            api_version=self._api_version,
            data={"object": public(subject)},
            _delivered=False,
            pending_webhooks=1,
            request={"id": None, "idempotency_key": None},
            type=kind,
        )
        self._tell(event)

    def _payable(self, intent: dict[str, Any]) -> None:
        if intent["status"] not in PAYABLE:
            raise invalid("It cannot be paid any more.", code="payment_intent_unexpected_state")

    def _decline(self, intent: dict[str, Any], error: Error) -> None:
        charge = self._store.make("charge", amount=intent["amount"], currency=intent["currency"], status="failed")
        self._fail(intent, error, charge["id"])
        code, decline_code, message = error
        raise StripeRefusal(402, "card_error", message, code=code, decline_code=decline_code)

    def _fail(self, intent: dict[str, Any], error: Error, charge: str | None = None) -> None:
        code, decline_code, message = error
        told = {"code": code, "decline_code": decline_code, "message": message, "type": "card_error", "charge": charge}
        intent |= {"status": "requires_payment_method", "last_payment_error": told, "payment_method": None}
        self.event("payment_intent.payment_failed", intent)

    def _succeed(self, intent: dict[str, Any], charge: dict[str, Any], *, checkout: str = "completed") -> None:
        intent |= {"status": "succeeded", "amount_received": intent["amount"], "latest_charge": charge["id"]}
        intent |= {"last_payment_error": None, "next_action": None}
        self.event("charge.succeeded", charge)
        self.event("payment_intent.succeeded", intent)
        for session in self._sessions(intent):
            session |= {"status": "complete", "payment_status": "paid", "url": None}
            self.event(f"checkout.session.{checkout}", session)

    def _charge(self, intent: dict[str, Any], number: str) -> dict[str, Any]:
        amount, currency = intent["amount"], intent["currency"]
        fee = (amount * FEE_PER_MILLE + 500) // 1000 + FEE_FIXED_UNITS
        charge = self._store.make(
            "charge",
            amount=amount,
            amount_refunded=0,
            currency=currency,
            disputed=False,
            metadata=dict(intent["metadata"]),
            paid=True,
            payment_intent=intent["id"],
            refunded=False,
            status="succeeded",
            _afterwards=card_of(number).afterwards,
        )
        charge["balance_transaction"] = self._settle_balance(amount, currency, fee, "charge", charge["id"])["id"]
        return charge

    def _settle_balance(self, amount: int, currency: str, fee: int, kind: str, source: str) -> dict[str, Any]:
        return self._store.make(
            "balance_transaction",
            amount=amount,
            currency=currency,
            fee=fee,
            net=amount - fee,
            reporting_category=kind,
            source=source,
            type=kind,
        )

    def _dispute_balance(self, charge: dict[str, Any], amount: int, fee: int) -> dict[str, Any]:
        settled = self._settle_balance(amount, charge["currency"], fee, "adjustment", charge["id"])
        return deepcopy(settled)

    def _sessions(self, intent: dict[str, Any]) -> list[dict[str, Any]]:
        return self._store.where("checkout.session", payment_intent=intent["id"])


def public(made: Any) -> Any:
    """A copy without what the simulator notes for itself."""
    if isinstance(made, list):
        return [public(each) for each in made]
    if not isinstance(made, dict):
        return made
    return {name: public(value) for name, value in made.items() if not name.startswith("_")}
