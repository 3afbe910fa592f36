"""Signed webhooks as Stripe sends them, as whole HTTP requests: what the benchmarks post."""

from __future__ import annotations

import json
import time

from gateway_ingest.domain.signatures import sign

STRIPE_SECRET = "whsec_bench"  # noqa: S105 - signs nothing but the benchmarks' own events


def webhook(number: int) -> bytes:
    """A signed webhook as a whole HTTP request; its number says which event, which payment and whose."""
    body = payment_event(f"evt_bench{number:010}", f"pi_bench{number:010}", 2500, f"user-{number % 50_000}")
    signature = sign(body, STRIPE_SECRET.encode(), int(time.time()))
    head = (
        b"POST /api/webhooks/stripe HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json; charset=utf-8\r\n"
        b"user-agent: Stripe/1.0\r\nstripe-signature: " + signature + b"\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    return head + body


def payment_event(event_id: str, intent: str, cents: int, user_id: str) -> bytes:
    """A payment_intent.succeeded of Stripe's usual size."""
    subject = {
        "id": intent, "object": "payment_intent", "amount": cents, "amount_capturable": 0,
        "amount_details": {"tip": {}}, "amount_received": cents, "application": None, "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True}, "canceled_at": None,
        "cancellation_reason": None, "capture_method": "automatic_async", "client_secret": f"{intent}_secret_x",
        "confirmation_method": "automatic", "created": int(time.time()), "currency": "usd", "customer": None,
        "description": None, "last_payment_error": None, "latest_charge": f"ch_{intent}", "livemode": False,
        "metadata": {"user_id": user_id}, "next_action": None, "on_behalf_of": None,
        "payment_method": f"pm_{intent}", "payment_method_types": ["card", "link"], "processing": None,
        "receipt_email": None, "review": None, "setup_future_usage": None, "shipping": None, "source": None,
        "statement_descriptor": None, "status": "succeeded", "transfer_data": None, "transfer_group": None,
    }  # fmt: skip
    event = {
        "id": event_id, "object": "event", "api_version": "2026-10-28.endive", "created": int(time.time()),
        "data": {"object": subject}, "livemode": False, "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None}, "type": "payment_intent.succeeded",
    }  # fmt: skip
    return json.dumps(event, indent=2).encode()
