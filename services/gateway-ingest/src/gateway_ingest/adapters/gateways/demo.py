"""The demo gateway's events, read into facts: money that nobody paid, for trying things out.

Its webhooks are signed as Stripe's are. Whether it may be heard at all is decided where the service is put together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway_ingest.adapters.gateways.reading import read_event
from gateway_ingest.adapters.gateways.signed import signed_by
from gateway_ingest.application.ports import GatewayPort
from gateway_ingest.domain import judging
from gateway_ingest.domain.facts import Confirmed, Failed, Finding, Ignored, Reading
from gateway_ingest.domain.judging import OddEvent

NAME = "demo"
SIGNATURE_HEADER = b"demo-signature"
PATHS = ("/api/webhooks/demo",)


def gateway(secrets: Sequence[bytes]) -> GatewayPort:
    """The demo gateway, whose webhooks are signed with one of ``secrets``."""
    return GatewayPort(NAME, PATHS, bool(secrets), signed_by(SIGNATURE_HEADER, secrets), read)


def read(event: Any) -> Reading:
    """What the event says."""
    return read_event(event, _find)


def _find(kind: str, event: dict[str, Any]) -> Finding:
    find = HANDLED.get(kind)
    if find is None:
        return Ignored("type_not_handled")
    payment = event.get("data")
    if not isinstance(payment, dict):
        raise OddEvent("no_object")
    return find(payment)


def _confirmed(payment: dict[str, Any]) -> Finding:
    user_id, oddities = judging.user_id(payment.get("user_id"))
    return Confirmed(
        payment_id=judging.payment_identifier(payment.get("payment_id")),
        received=judging.amount(payment.get("amount"), payment.get("currency")),
        reference=judging.short_text(payment.get("reference")) or None,
        user_id=user_id,
        metadata={},
        oddities=oddities,
    )


def _failed(payment: dict[str, Any]) -> Finding:
    user_id, _ = judging.user_id(payment.get("user_id"))
    return Failed(
        payment_id=judging.payment_identifier(payment.get("payment_id")),
        reason_code="declined",
        reason=judging.short_text(payment.get("reason")),
        reference=judging.short_text(payment.get("reference")) or None,
        user_id=user_id,
    )


HANDLED: Mapping[str, Callable[[dict[str, Any]], Finding]] = {
    "payment.confirmed": _confirmed,
    "payment.failed": _failed,
}
