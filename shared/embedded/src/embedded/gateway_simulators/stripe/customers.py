"""The simulated Stripe's customers and the cards that it keeps for them: saving one, and charging one off-session.

At the bottom of ``StripeCustomers`` stands the table of the calls. Raises StripeRefusal with Stripe's own codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embedded.gateway_simulators.stripe.api import Call, Parameters, StripeApi, metadata_of
from embedded.gateway_simulators.stripe.cards import card_of
from embedded.gateway_simulators.stripe.life import StripeLife, StripeRefusal, invalid
from embedded.gateway_simulators.stripe.store import StripeStore

EXPIRES_MONTH, EXPIRES_YEAR = 12, 2034
USAGES = ("on_session", "off_session")
CONFIRMABLE = "requires_confirmation"


class StripeCustomers:
    """Beside ``api``, whose payment intents name what is kept here."""

    def __init__(self, store: StripeStore, life: StripeLife, api: StripeApi) -> None:
        self._store = store
        self._life = life
        self._api = api

    def create_customer(self, _object_id: str, given: Parameters) -> dict[str, Any]:
        """A customer without cards."""
        more = {name: given[name] for name in ("email", "name", "description") if name in given}
        return self._store.make("customer", metadata=metadata_of(given), **more)

    def delete_customer(self, customer_id: str, _given: Parameters) -> dict[str, Any]:
        """For good: its cards can no longer be charged, and nothing can be made for it."""
        customer = self._api.customer(customer_id, "id")
        for method in self._store.where("payment_method", customer=customer_id):
            method["customer"] = None
        customer["deleted"] = True
        return {"id": customer_id, "object": "customer", "deleted": True}

    def create_setup_intent(self, _object_id: str, given: Parameters) -> dict[str, Any]:
        """A form that saves a card."""
        usage = given.get("usage", "off_session")
        if usage not in USAGES:
            raise invalid("Invalid usage", param="usage")
        customer = self._api.customer(given["customer"], "customer")["id"] if "customer" in given else None
        setup = self._store.make(
            "setup_intent",
            customer=customer,
            last_setup_error=None,
            metadata=metadata_of(given),
            payment_method=None,
            status="requires_payment_method",
            usage=usage,
        )
        setup["client_secret"] = f"{setup['id']}_secret_simulated"
        return setup

    def complete(self, setup_id: str, number: str) -> dict[str, Any]:
        """What a person does with the form. Raises StripeRefusal when the card is declined already now."""
        setup = self._api.get("setup_intent", setup_id)
        if setup["status"] != "requires_payment_method":
            raise invalid("This SetupIntent is over.", code="setup_intent_unexpected_state")
        error = card_of(number).error_when("saved")
        if error is not None:
            code, decline_code, message = error
            setup["last_setup_error"] = {"code": code, "decline_code": decline_code, "message": message}
            self._life.event("setup_intent.setup_failed", setup)
            raise StripeRefusal(402, "card_error", message, code=code, decline_code=decline_code)
        method = self._method(number, setup["customer"])
        setup |= {"status": "succeeded", "payment_method": method["id"], "last_setup_error": None}
        if setup["customer"] is not None:
            self._life.event("payment_method.attached", method)
        self._life.event("setup_intent.succeeded", setup)
        return setup

    def detach(self, method_id: str, _given: Parameters) -> dict[str, Any]:
        """For good."""
        method = self._api.get("payment_method", method_id)
        if method["customer"] is None:
            raise invalid("The payment method you provided is not attached to a customer.", param="payment_method")
        method["customer"] = None
        self._life.event("payment_method.detached", method)
        return method

    def confirm(self, intent_id: str, given: Parameters) -> dict[str, Any]:
        """Charge the card that the intent names."""
        intent = self._api.get("payment_intent", intent_id)
        if intent["status"] != CONFIRMABLE:
            message = f"This PaymentIntent's status is {intent['status']}: it cannot be confirmed."
            raise invalid(message, code="payment_intent_unexpected_state")
        if not given.get("return_url"):
            raise invalid("An intent that takes automatic payment methods needs a return_url.", param="return_url")
        method = self._api.get("payment_method", intent["payment_method"])
        if method["customer"] != intent["customer"]:
            raise invalid("The payment method was detached from its customer.", param="payment_method")
        self._life.pay(intent, method["_number"], when="off_session" if given.get("off_session") == "true" else "paid")
        return intent

    def methods_of(self, customer_id: str, given: Parameters) -> dict[str, Any]:
        """A customer's cards."""
        self._api.customer(customer_id, "customer")
        return self._store.page("payment_method", {**given, "customer": customer_id})

    def method_of(self, customer_id: str, given: Parameters) -> dict[str, Any]:
        """One of them; nobody else's."""
        self._api.customer(customer_id, "customer")
        method = self._api.get("payment_method", given["inner_id"])
        if method["customer"] != customer_id:
            message = f"The customer does not have a payment method with the ID {method['id']}."
            raise StripeRefusal(404, "invalid_request_error", message, code="resource_missing", param="payment_method")
        return method

    def calls(self) -> Sequence[tuple[str, str, Call]]:
        """Method, path and what it does."""
        return [
            ("POST", "/v1/customers", self.create_customer),
            ("GET", "/v1/customers/{object_id}", lambda object_id, _given: self._api.get("customer", object_id)),
            ("DELETE", "/v1/customers/{object_id}", self.delete_customer),
            ("GET", "/v1/customers/{object_id}/payment_methods", self.methods_of),
            ("GET", "/v1/customers/{object_id}/payment_methods/{inner_id}", self.method_of),
            ("POST", "/v1/setup_intents", self.create_setup_intent),
            ("GET", "/v1/setup_intents/{object_id}", lambda object_id, _: self._api.get("setup_intent", object_id)),
            ("POST", "/v1/payment_methods/{object_id}/detach", self.detach),
            ("POST", "/v1/payment_intents/{object_id}/confirm", self.confirm),
        ]

    def _method(self, number: str, customer_id: str | None) -> dict[str, Any]:
        number = number.replace(" ", "")
        card = {"brand": "visa", "exp_month": EXPIRES_MONTH, "exp_year": EXPIRES_YEAR, "last4": number[-4:]}
        return self._store.make("payment_method", card=card, customer=customer_id, type="card", _number=number)
