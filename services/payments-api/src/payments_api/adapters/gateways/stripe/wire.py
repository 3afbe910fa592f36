"""What we ask of Stripe, in Stripe's words: the parameters of each write, and its currencies. No I/O.

Every intent and session carries our reference and the person, so that whatever comes of it finds its payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from contracts.amounts import Asset, format_units
from payments_api.application.gateways import METADATA_VALUE_MAX_CHARS, OUR_METADATA_KEYS, PayRequest, RefundRequest
from payments_api.domain.quotes import Quote

ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
WHOLE_UNITS_ONLY = frozenset({"ISK", "UGX"})
"""Two decimals on the wire, and both of them must be zero."""
AMOUNT_MAX_UNITS = 99_999_999
"""Stripe takes amounts of at most eight digits."""
MINIMUM_CENTS = 50

PURPOSE = "tfc_purchase"
PRODUCT = "Credits"
DESCRIPTION_MAX_CHARS = 500
# Stripe's own bounds are 30 minutes and 24 hours from when it hears the request.
SESSION_MIN = timedelta(minutes=31)
SESSION_MAX = timedelta(hours=23, minutes=59)
REFUND_REASONS = frozenset({"duplicate", "fraudulent", "requested_by_customer"})


def exponent_of(currency: str) -> int:
    """How many decimals Stripe's smallest unit of ``currency`` (upper case) has."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def asset_of(currency: str) -> str:
    """``usd`` → ``USD/2``."""
    code = currency.upper()
    return f"{code}/{exponent_of(code)}"


def is_chargeable(currency: str, units: int) -> bool:
    """Whether Stripe takes an amount with these last digits."""
    if currency in THREE_DECIMAL:
        return units % 10 == 0
    return units % 100 == 0 if currency in WHOLE_UNITS_ONLY else True


def session_expiry(quote: Quote, lifetime_s: int) -> datetime:
    """The quote's own, as far as Stripe lets a session live. The quote was made ``lifetime_s`` before it ends, which is
    now; without a clock of its own the same quote makes the same session."""
    now = quote.expires_at - timedelta(seconds=lifetime_s)
    return min(max(quote.expires_at, now + SESSION_MIN), now + SESSION_MAX)


def session_parameters(request: PayRequest, quote: Quote, frontend_url: str, expires_at: datetime) -> dict[str, Any]:
    """A hosted Checkout Session for the price of ``quote``."""
    price = {
        "currency": _currency(quote),
        "unit_amount": quote.price,
        "product_data": {"name": _product(quote)},
    }
    metadata = metadata_of(request, quote)
    intent: dict[str, Any] = {"metadata": metadata} | _description(request)
    parameters: dict[str, Any] = {
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": price}],
        "client_reference_id": request.reference,
        "metadata": metadata,
        "payment_intent_data": intent,
        "success_url": f"{frontend_url}/credits/success?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{frontend_url}/credits",
        "expires_at": int(expires_at.timestamp()),
    }
    return parameters | ({"customer_email": request.customer_email} if request.customer_email else {})


def intent_parameters(request: PayRequest, quote: Quote) -> dict[str, Any]:
    """A PaymentIntent that our own page confirms with Stripe's elements; or, by a saved card, that we confirm ourselves
    once the payment is stored: until then it charges nothing."""
    parameters: dict[str, Any] = {
        "amount": quote.price,
        "currency": _currency(quote),
        "automatic_payment_methods": {"enabled": True},
        "metadata": metadata_of(request, quote),
    }
    receipt = {"receipt_email": request.customer_email} if request.customer_email else {}
    return parameters | _saved_card(request) | _description(request) | receipt


def refund_parameters(refund: RefundRequest) -> dict[str, Any]:
    """``reason`` is one of Stripe's three; what was really said goes along as metadata."""
    reason = refund.reason if refund.reason in REFUND_REASONS else "requested_by_customer"
    target = "payment_intent" if refund.gateway_payment_id.startswith("pi_") else "charge"
    return {
        target: refund.gateway_payment_id,
        "amount": refund.amount,
        "reason": reason,
        "metadata": {
            "refund_id": refund.refund_id,
            "reference": refund.reference,
            "reason": refund.reason[:METADATA_VALUE_MAX_CHARS],
        },
    }


def metadata_of(request: PayRequest, quote: Quote) -> dict[str, str]:
    """Ours under the seeds' keys, and the request's own, which never replace them."""
    promised = format_units(quote.credits + quote.bonus, quote.credit_asset)
    ours = {
        "reference": request.reference,
        "user_id": request.user_id,
        "payment_id": request.payment_id,
        "credits": promised,
        "tfc_amount": promised,
        "purpose": PURPOSE,
    }
    if request.package_id is not None:
        ours["package_id"] = request.package_id
    theirs = {key: value for key, value in request.metadata.items() if key not in OUR_METADATA_KEYS}
    return ours | theirs


def ours_first(metadata: Mapping[str, Any], limit: int) -> dict[str, str]:
    """The first ``limit`` texts, those that we gave ourselves before the request's own."""
    ours = {key: metadata[key] for key in OUR_METADATA_KEYS if key in metadata}
    texts = [(key, value) for key, value in (ours | dict(metadata)).items() if isinstance(value, str)]
    return dict(texts[:limit])


def _currency(quote: Quote) -> str:
    return Asset.parse(quote.price_asset).code.lower()


def _product(quote: Quote) -> str:
    code = Asset.parse(quote.credit_asset).code
    return f"{PRODUCT}: {format_units(quote.credits + quote.bonus, quote.credit_asset)} {code}"


def _saved_card(request: PayRequest) -> dict[str, str]:
    return {name: request.options[name] for name in ("customer", "payment_method") if name in request.options}


def _description(request: PayRequest) -> dict[str, str]:
    return {"description": request.description[:DESCRIPTION_MAX_CHARS]} if request.description else {}
