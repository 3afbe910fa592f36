"""What we ask of Stripe: parameters, metadata, currencies, and how its refusals read to us."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
import stripe as library

from chassis.errors import InvalidField
from payments_api.adapters.gateways.stripe import wire
from payments_api.adapters.gateways.stripe.api import StripeApi
from payments_api.adapters.gateways.stripe.connection import (
    PINNED_API_VERSION,
    KeyUsedOtherwise,
    StripeAccess,
    StripeConnection,
    in_our_words,
)
from payments_api.adapters.gateways.stripe.gateway import StripeGateway, StripeShop
from payments_api.application.gateways import GatewayAway, GatewayRefused, PayRequest, Rate, RefundRequest
from payments_api.domain.quotes import PackageTerms, Pricing, Quote, QuoteRefused, Terms

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TERMS = Terms("USD/2", "TFC/2", Fraction(1), 3600)
PRICING = Pricing(TERMS, {"starter": PackageTerms(1000, 1000, 100)})
REQUEST = PayRequest("p-1", "REF1", "alice", "USD/2", 2500)
QUOTE = Quote("USD/2", 2500, "TFC/2", 2500, 250, NOW + timedelta(hours=1))
SHOP = "https://shop.example"
SECRET = "sk_test_verysecret"


class FixedRates:
    """Euros at 1.25, yen at 0.0065."""

    async def usd_per(self, code: str) -> Rate:
        return Rate({"EUR": "1.25", "JPY": "0.0065", "ISK": "0.0075", "KWD": "3.25"}[code], NOW, ("fixed",))


def gateway(
    rates: FixedRates | None = None, currencies: tuple[str, ...] = ("EUR", "JPY", "ISK", "KWD")
) -> StripeGateway:
    api = StripeApi(StripeConnection(StripeAccess(SECRET, 5.0, api_base="http://127.0.0.1:9")))
    shop = StripeShop(SHOP, "pk_test_x", currencies)
    return StripeGateway(api, shop, PRICING, rates=rates)


def test_a_session_sells_the_quote() -> None:
    request = replace(REQUEST, description="For Ada", customer_email="ada@example.com", package_id="starter")
    asked = wire.session_parameters(request, QUOTE, SHOP, NOW + timedelta(hours=1))
    metadata = {
        "reference": "REF1",
        "user_id": "alice",
        "payment_id": "p-1",
        "package_id": "starter",
        "credits": "27.50",
        "tfc_amount": "27.50",
        "purpose": "tfc_purchase",
    }
    assert asked == {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 2500,
                    "product_data": {"name": "Credits: 27.50 TFC"},
                },
            }
        ],
        "client_reference_id": "REF1",
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata, "description": "For Ada"},
        "success_url": "https://shop.example/credits/success?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/credits",
        "expires_at": int((NOW + timedelta(hours=1)).timestamp()),
        "customer_email": "ada@example.com",
    }


def test_an_intent_has_the_same_metadata() -> None:
    asked = wire.intent_parameters(REQUEST, QUOTE)
    assert asked == {
        "amount": 2500,
        "currency": "usd",
        "automatic_payment_methods": {"enabled": True},
        "metadata": wire.metadata_of(REQUEST, QUOTE),
    }


def test_a_request_cannot_replace_our_metadata() -> None:
    theirs = {"user_id": "mallory", "credits": "1000000", "package_id": "whale", "order": "7"}
    metadata = wire.metadata_of(replace(REQUEST, metadata=theirs), QUOTE)
    assert (metadata["user_id"], metadata["credits"], metadata["order"]) == ("alice", "27.50", "7")
    assert "package_id" not in metadata


@pytest.mark.parametrize(("lives", "lasts"), [(60, 1860), (3600, 3600), (10 * 86_400, 86_340)])
def test_a_session_lives_as_the_quote_within_stripes_bounds(lives: int, lasts: int) -> None:
    quote = replace(QUOTE, expires_at=NOW + timedelta(seconds=lives))
    assert wire.session_expiry(quote, lives) == NOW + timedelta(seconds=lasts)


@pytest.mark.parametrize(
    ("payment", "reason", "target", "given"),
    [
        ("pi_1", "they asked", "payment_intent", "requested_by_customer"),
        ("pi_1", "duplicate", "payment_intent", "duplicate"),
        ("ch_1", "fraudulent", "charge", "fraudulent"),
    ],
)
def test_a_refund_is_named_after_ours(payment: str, reason: str, target: str, given: str) -> None:
    asked = wire.refund_parameters(RefundRequest("rf-1", payment, "REF1", "USD/2", 700, reason))
    assert asked == {
        target: payment,
        "amount": 700,
        "reason": given,
        "metadata": {"refund_id": "rf-1", "reference": "REF1", "reason": reason},
    }


@pytest.mark.parametrize(
    ("currency", "asset"), [("usd", "USD/2"), ("jpy", "JPY/0"), ("KWD", "KWD/3"), ("tzs", "TZS/2"), ("isk", "ISK/2")]
)
def test_exponents_are_stripes(currency: str, asset: str) -> None:
    assert wire.asset_of(currency) == asset


@pytest.mark.asyncio
async def test_without_rates_only_dollars_are_sold() -> None:
    stripe = gateway()
    assert stripe.describe() == {
        "currencies": ["USD"],
        "minimum": {"amount": "0.50", "currency": "USD"},
        "maximum": {"amount": "999999.99", "currency": "USD"},
        "publishable_key": "pk_test_x",
        "modes": ["checkout", "payment_intent"],
    }
    assert await stripe.quote(REQUEST, NOW) == replace(QUOTE, bonus=0)
    with pytest.raises(InvalidField, match="unknown_currency"):
        await stripe.quote(replace(REQUEST, asset="EUR/2"), NOW)
    await stripe.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("asset", "price", "credits"),
    [("EUR/2", 1999, 2498), ("JPY/0", 5000, 3250), ("KWD/3", 10_010, 3253), ("ISK/2", 100_000, 750)],
)
async def test_other_currencies_at_their_rate_rounded_down(asset: str, price: int, credits: int) -> None:  # noqa: A002
    stripe = gateway(FixedRates())
    quote = await stripe.quote(replace(REQUEST, asset=asset, price=price), NOW)
    assert quote == Quote(asset, price, "TFC/2", credits, 0, NOW + timedelta(seconds=3600))
    await stripe.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": 49}, "below_minimum"),
        ({"price": 100_000_000}, "above_maximum"),
        ({"asset": "JPY/2"}, "unknown_currency"),
        ({"asset": "CHF/2"}, "unknown_currency"),
        ({"asset": "JPY/0", "price": 76}, "below_minimum"),
        ({"asset": "KWD/3", "price": 10_011}, "too_many_decimals"),
        ({"asset": "ISK/2", "price": 100_050}, "too_many_decimals"),
        ({"asset": "EUR/2", "package_id": "starter"}, "package_in_dollars"),
        ({"options": {"mode": "subscription"}}, "unknown_mode"),
    ],
)
async def test_what_cannot_be_quoted(changes: dict[str, Any], code: str) -> None:
    stripe = gateway(FixedRates())
    with pytest.raises(InvalidField) as refused:
        await stripe.quote(replace(REQUEST, **changes), NOW)
    assert refused.value.code == code
    await stripe.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("price", [0, -2500])
async def test_a_price_is_above_zero(price: int) -> None:
    stripe = gateway()
    with pytest.raises(QuoteRefused) as refused:
        await stripe.quote(replace(REQUEST, price=price), NOW)
    assert refused.value.code == "not_positive"
    await stripe.close()


def test_the_pinned_version_is_the_librarys() -> None:
    assert library.api_version == PINNED_API_VERSION


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def error_body(**error: Any) -> dict[str, Any]:
    return {"json_body": {"error": error}}


@pytest.mark.parametrize(
    ("error", "expected", "says"),
    [
        (library.APIConnectionError(f"no route, {SECRET}"), GatewayAway, "APIConnectionError"),
        (caused(library.APIConnectionError(SECRET), OSError(SECRET)), GatewayAway, "APIConnectionError OSError"),
        (library.APIError(f"{SECRET}", http_status=500), GatewayAway, "APIError 500"),
        (library.RateLimitError("slow down", http_status=429), GatewayAway, "RateLimitError 429"),
        (library.IdempotencyError("other parameters", http_status=400), KeyUsedOtherwise, "idempotency key"),
        (library.AuthenticationError(f"Invalid API Key provided: {SECRET}", http_status=401), GatewayAway, "our key"),
        (library.PermissionError(f"The provided key '{SECRET}'", http_status=403), GatewayAway, "our key"),
        (library.InvalidRequestError(f"Bad key {SECRET}", "key", "bad"), GatewayRefused, "Bad key …"),
    ],
)
def test_errors_in_our_words_and_without_our_key(
    error: library.StripeError, expected: type[Exception], says: str
) -> None:
    told = in_our_words(error)
    assert type(told) is expected
    assert says in str(told)
    assert SECRET not in str(told)


def test_a_refusal_passes_stripes_codes_on() -> None:
    body = error_body(code="card_declined", decline_code="insufficient_funds", param="amount", message="Too little.")
    told = in_our_words(library.CardError("Too little.", "amount", "card_declined", http_status=402, **body))
    assert isinstance(told, GatewayRefused)
    assert (told.status, told.title) == (402, "Too little.")
    assert told.extra == {
        "error_code": "card_declined",
        "decline_code": "insufficient_funds",
        "param": "amount",
    }


def test_the_key_is_in_no_description_of_the_access() -> None:
    assert SECRET not in repr(StripeAccess(SECRET, 5.0))
