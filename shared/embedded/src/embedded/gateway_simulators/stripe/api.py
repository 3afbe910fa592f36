"""The simulated Stripe's API: what each call does, by the objects that it is about. At the bottom of ``StripeApi``
stands the table of the calls.

Takes and answers plain values; knows no HTTP. Raises StripeRefusal with Stripe's own codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from embedded.gateway_simulators.stripe.life import StripeLife, StripeRefusal, invalid
from embedded.gateway_simulators.stripe.store import StripeStore

AMOUNT_MIN_UNITS = 50
AMOUNT_MAX_UNITS = 99_999_999
SESSION_MIN_S, SESSION_MAX_S = 30 * 60, 24 * 3600
METADATA_MAX_KEYS, METADATA_KEY_MAX_CHARS, METADATA_VALUE_MAX_CHARS = 50, 40, 500
REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
CANCEL_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")

Parameters = Mapping[str, Any]
Call = Callable[[str, Parameters], dict[str, Any]]


class StripeApi:
    """``pages`` is where people reach the pay pages, without a slash at its end."""

    def __init__(self, store: StripeStore, life: StripeLife, pages: str) -> None:
        self._store = store
        self._life = life
        self._pages = pages

    def create_intent(self, _object_id: str, given: Parameters) -> dict[str, Any]:
        """A PaymentIntent."""
        amount = _amount(_needed(given, "amount"), "amount")
        more = {name: given[name] for name in ("description", "receipt_email") if name in given}
        return self._life.make_intent(
            amount, _currency(given), metadata=metadata_of(given), **self._payer(given), **more
        )

    def cancel_intent(self, intent_id: str, given: Parameters) -> dict[str, Any]:
        """Cancels."""
        reason = given.get("cancellation_reason")
        if reason is not None and reason not in CANCEL_REASONS:
            raise invalid("Invalid cancellation_reason", param="cancellation_reason")
        intent = self.get("payment_intent", intent_id)
        self._life.cancel(intent, reason)
        return intent

    def create_session(self, _object_id: str, given: Parameters) -> dict[str, Any]:
        """A Checkout Session with a page to pay on."""
        if given.get("mode") != "payment":
            raise invalid("Only mode=payment is simulated.", param="mode")
        lines = given.get("line_items") or []
        if not lines:
            raise invalid("You must pass line_items.", param="line_items")
        prices = [_needed(line, "price_data") for line in lines]
        amounts = [_amount(_needed(price, "unit_amount"), "unit_amount") * int(line.get("quantity", 1))
                   for line, price in zip(lines, prices, strict=True)]  # fmt: skip
        data = given.get("payment_intent_data") or {}
        session = self._store.make(
            "checkout.session",
            amount_total=sum(amounts),
            cancel_url=given.get("cancel_url"),
            client_reference_id=given.get("client_reference_id"),
            currency=_currency(prices[0]),
            customer_email=given.get("customer_email"),
            expires_at=self._expiry(given),
            metadata=metadata_of(given),
            mode="payment",
            payment_intent=None,
            payment_status="unpaid",
            status="open",
            success_url=_needed(given, "success_url"),
            _payment_intent_data={"metadata": metadata_of(data), "description": data.get("description")},
        )
        session["url"] = f"{self._pages}/pay/{session['id']}"
        return session

    def expire_session(self, session_id: str, _given: Parameters) -> dict[str, Any]:
        """Ends a session that nobody paid."""
        session = self.get("checkout.session", session_id)
        self._life.expire(session)
        return session

    def create_refund(self, _object_id: str, given: Parameters) -> dict[str, Any]:
        """Sends back all that is left, or ``amount``."""
        charge = self._charge_of(given)
        reason = given.get("reason")
        if reason is not None and reason not in REFUND_REASONS:
            raise invalid("Invalid reason", param="reason")
        left = charge["amount"] - charge["amount_refunded"]
        amount = _amount(given["amount"], "amount", least=1) if "amount" in given else left
        return self._life.refund(charge, amount, metadata=metadata_of(given), reason=reason)

    def get(self, kind: str, object_id: str) -> dict[str, Any]:
        """The object. Raises StripeRefusal(404)."""
        found = self._store.find(kind, object_id)
        if found is None:
            message = f"No such {kind.rpartition('.')[2]}: '{object_id}'"
            raise StripeRefusal(404, "invalid_request_error", message, code="resource_missing", param="id")
        return found

    def customer(self, customer_id: Any, param: str) -> dict[str, Any]:
        """One that was not deleted. Raises StripeRefusal with what Stripe says of a name that it does not know."""
        customer = self._store.find("customer", customer_id)
        if customer is None or customer.get("deleted"):
            raise invalid(f"No such customer: '{customer_id}'", code="resource_missing", param=param)
        return customer

    def _payer(self, given: Parameters) -> dict[str, Any]:
        """The customer whom an intent is for, and the saved card that it waits to charge."""
        payer = {"customer": self.customer(given["customer"], "customer")["id"]} if "customer" in given else {}
        if "payment_method" not in given:
            return payer
        method = self.get("payment_method", given["payment_method"])
        if method["customer"] is None or method["customer"] != payer.get("customer"):
            raise invalid("The PaymentMethod does not belong to this customer.", param="payment_method")
        return payer | {"payment_method": method["id"], "status": "requires_confirmation"}

    def _charge_of(self, given: Parameters) -> dict[str, Any]:
        if "charge" in given:
            return self.get("charge", given["charge"])
        intent = self.get("payment_intent", str(_needed(given, "payment_intent")))
        if intent["latest_charge"] is None:
            raise invalid("This PaymentIntent does not have a successful charge to refund.")
        return self.get("charge", intent["latest_charge"])

    def _expiry(self, given: Parameters) -> int:
        now_s = self._store.now_s()
        at_s = int(given.get("expires_at", now_s + SESSION_MAX_S))
        if not now_s + SESSION_MIN_S <= at_s <= now_s + SESSION_MAX_S:
            raise invalid("expires_at must be between 30 minutes and 24 hours from now.", param="expires_at")
        return at_s

    def _getting(self, kind: str) -> Call:
        return lambda object_id, _given: self.get(kind, object_id)

    def _listing(self, kind: str) -> Call:
        return lambda _object_id, given: self._store.page(kind, given)

    def calls(self) -> Sequence[tuple[str, str, Call]]:
        """Method, path and what it does."""
        kinds = {
            "payment_intents": "payment_intent",
            "checkout/sessions": "checkout.session",
            "charges": "charge",
            "refunds": "refund",
            "disputes": "dispute",
            "balance_transactions": "balance_transaction",
            "events": "event",
        }
        return [
            ("POST", "/v1/payment_intents", self.create_intent),
            ("POST", "/v1/payment_intents/{object_id}/cancel", self.cancel_intent),
            ("POST", "/v1/checkout/sessions", self.create_session),
            ("POST", "/v1/checkout/sessions/{object_id}/expire", self.expire_session),
            ("POST", "/v1/refunds", self.create_refund),
            *(("GET", f"/v1/{path}", self._listing(kind)) for path, kind in kinds.items()),
            *(("GET", f"/v1/{path}/{{object_id}}", self._getting(kind)) for path, kind in kinds.items()),
        ]


def _needed(given: Parameters, name: str) -> Any:
    if given.get(name) in (None, "", [], {}):
        raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return given[name]


def _amount(text: Any, param: str, *, least: int = AMOUNT_MIN_UNITS) -> int:
    if not isinstance(text, str) or not text.isascii() or not text.isdigit():
        raise invalid(f"Invalid integer: {text}", code="parameter_invalid_integer", param=param)
    units = int(text)
    if units < least:
        raise invalid("Amount is too small.", code="amount_too_small", param=param)
    if units > AMOUNT_MAX_UNITS:
        raise invalid("Amount must be no more than 8 digits.", code="amount_too_large", param=param)
    return units


def _currency(given: Parameters) -> str:
    currency = str(_needed(given, "currency")).lower()
    if len(currency) != 3 or not currency.isalpha():
        raise invalid(f"Invalid currency: {currency}", param="currency")
    return currency


def metadata_of(given: Parameters) -> dict[str, str]:
    """What a request says of itself. Raises StripeRefusal."""
    metadata = given.get("metadata") or {}
    if not isinstance(metadata, dict) or len(metadata) > METADATA_MAX_KEYS:
        raise invalid("Metadata must be at most 50 keys.", param="metadata")
    for key, value in metadata.items():
        if len(key) > METADATA_KEY_MAX_CHARS or len(str(value)) > METADATA_VALUE_MAX_CHARS:
            raise invalid("Metadata keys have at most 40 characters, values 500.", param=f"metadata[{key}]")
    return {key: str(value) for key, value in metadata.items() if value != ""}
