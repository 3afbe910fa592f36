"""What ClickPesa's rows say about a payment, as observations. No I/O.

Reads them as gateway-ingest does after a webhook: the same ids, the same amounts, the same rule which of several
attempts counts. A name repeats with the news that it stands for, so asking again tells nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Literal

import structlog

from contracts.amounts import Asset
from payments_api.adapters.gateways.clickpesa.wire import ASSETS, DOLLARS, SHILLINGS
from payments_api.adapters.gateways.stripe.wire import asset_of
from payments_api.application.gateways import AskedPayment, Observation, ObservationKind

NAME = "clickpesa"
FAILED_CODE = "payment_failed"
REASON_MAX_CHARS = 500
NUMBER_MAX_CHARS = 40

Standing = Literal["paid", "returned", "waiting", "failed"]
STANDINGS: Mapping[str, Standing] = {
    "SUCCESS": "paid",
    "SETTLED": "paid",
    "REFUNDED": "returned",
    "REVERSED": "returned",
    "PROCESSING": "waiting",
    "PENDING": "waiting",
    "ON-HOLD": "waiting",
    "FAILED": "failed",
}
WITH_MONEY = ("paid", "returned")
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.-]{1,160}", re.ASCII)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row that can be read. ``units`` is zero while no money came."""

    payment_id: str
    standing: Standing
    units: int
    asset: str
    message: str
    made_at: datetime | None


def observations(
    rows: Sequence[Any], payment: AskedPayment, usd_per_shilling: Fraction | None
) -> Sequence[Observation]:
    """What the rows of ``payment`` come to; a row that cannot be read is logged and left to its webhook, which is
    quarantined. ``usd_per_shilling`` makes the worth of shillings, where it is known."""
    attempts = [attempt for row in rows if (attempt := _readable(row, payment)) is not None]
    with_money = [attempt for attempt in attempts if attempt.units]
    if with_money:
        paid = [_confirmed(attempt, payment, usd_per_shilling) for attempt in with_money]
        return paid + [_refunded(attempt) for attempt in with_money if attempt.standing == "returned"]
    waiting = [attempt for attempt in attempts if attempt.standing == "waiting"]
    latest = max(waiting or attempts, key=_recency, default=None)
    if latest is None:
        return ()
    if latest.standing == "waiting":
        return [_news("pending", latest, {"state": "processing"}, payment.reference)]
    fields = {"reason_code": FAILED_CODE, "reason": latest.message, "is_over": False, "attempt_id": latest.payment_id}
    return [_news("failed", latest, fields, payment.reference, payment.user_id)]


def needs_a_rate(rows: Sequence[Any]) -> bool:
    """Whether a row holds shillings that came."""
    told = [row for row in rows if isinstance(row, dict) and _currency(row) == "TZS"]
    return any(_standing(row) in WITH_MONEY for row in told)


def plain_decimal(value: Any) -> Decimal | None:
    """A number or a text that is one, exact; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal) or len(str(value)) > NUMBER_MAX_CHARS:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= NUMBER_MAX_CHARS else None


def moment(value: Any) -> datetime | None:
    """A time in ISO 8601, in UTC where it names no zone; None when it is none."""
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return told.replace(tzinfo=UTC) if told is not None and told.tzinfo is None else told


def _readable(row: Any, payment: AskedPayment) -> Attempt | None:
    try:
        return _attempt(row, payment)
    except ValueError as odd:
        log.warning("payment_unreadable", gateway=NAME, payment=payment.payment_id, reason=str(odd))
        return None


def _attempt(row: Any, payment: AskedPayment) -> Attempt:
    if not isinstance(row, dict) or row.get("orderReference") != payment.reference:
        raise ValueError("another_payment")
    payment_id = row.get("id")
    if not isinstance(payment_id, str) or _IDENTIFIER.fullmatch(payment_id) is None:
        raise ValueError("bad_payment_id")
    standing = _standing(row)
    if standing is None:
        raise ValueError("bad_status")
    units, asset = _collected(row) if standing in WITH_MONEY else (0, payment.asset)
    message = row.get("message")
    text = message[:REASON_MAX_CHARS] if isinstance(message, str) else ""
    # The last change may be days later, when it was settled.
    return Attempt(
        payment_id, standing, units, asset, text, moment(row.get("createdAt")) or moment(row.get("updatedAt"))
    )


def _standing(row: Mapping[str, Any]) -> Standing | None:
    return STANDINGS.get(str(row.get("status")).upper())


def _collected(row: Mapping[str, Any]) -> tuple[int, str]:
    """A fraction of the smallest unit is left out. Another currency than was asked for is told, too: whatever came is
    booked."""
    code = _currency(row)
    if _CURRENCY.fullmatch(code) is None:
        raise ValueError("unknown_currency")
    asset = ASSETS.get(code) or asset_of(code)
    exponent = Asset.parse(asset).exponent
    amount = plain_decimal(row.get("collectedAmount"))
    if amount is None or amount.scaleb(exponent) < 1:
        raise ValueError("bad_amount")
    return int(amount.scaleb(exponent)), asset


def _currency(row: Mapping[str, Any]) -> str:
    return str(row.get("collectedCurrency")).upper()


def _confirmed(attempt: Attempt, payment: AskedPayment, usd_per_shilling: Fraction | None) -> Observation:
    fields: dict[str, Any] = {"received": _money(attempt)}
    cents = 0
    if attempt.asset == SHILLINGS and usd_per_shilling is not None:
        worth = attempt.units * usd_per_shilling * 100
        cents = worth.numerator // worth.denominator
    told = _news("confirmed", attempt, fields, payment.reference, payment.user_id)
    if cents <= 0:
        return told
    # A name of its own: without a rate it may have been told before, and under that name this would be a repeat.
    return replace(told, name=f"{told.name}.worth", fields=fields | {"worth": {"units": cents, "asset": DOLLARS}})


def _refunded(attempt: Attempt) -> Observation:
    return _news("refunded", attempt, {"refunded_total": _money(attempt)}, None)


def _news(
    kind: ObservationKind,
    attempt: Attempt,
    fields: Mapping[str, Any],
    reference: str | None,
    user_id: str | None = None,
) -> Observation:
    name = f"{attempt.payment_id}.{kind}"
    return Observation(
        NAME, name, kind, attempt.payment_id, at=attempt.made_at, reference=reference, user_id=user_id, fields=fields
    )


def _money(attempt: Attempt) -> dict[str, Any]:
    return {"units": attempt.units, "asset": attempt.asset}


def _recency(attempt: Attempt) -> tuple[datetime, str]:
    return attempt.made_at or _LONG_AGO, attempt.payment_id
