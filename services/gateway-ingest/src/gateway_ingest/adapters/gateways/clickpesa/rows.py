"""ClickPesa's own answer about a payment, read into facts. The only thing that money follows from: no I/O here.

A reference of ours may have several rows there, one for each attempt; each has ClickPesa's own id, and is a payment of
its own in our books. Nothing that a webhook says is used but the reference to ask about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal

from gateway_ingest.domain import judging
from gateway_ingest.domain.currencies import STRIPE_EXPONENTS
from gateway_ingest.domain.facts import Amount, Confirmed, Fact, Failed, Odd, Pending, Reading, Refunded
from gateway_ingest.domain.judging import OddEvent

Standing = Literal["paid", "returned", "waiting", "failed"]

STANDINGS: Mapping[str, Standing] = MappingProxyType(
    {
        "SUCCESS": "paid",
        "SETTLED": "paid",
        "REFUNDED": "returned",
        "REVERSED": "returned",
        "PROCESSING": "waiting",
        "PENDING": "waiting",
        "ON-HOLD": "waiting",
        "FAILED": "failed",
    }
)
EXPONENTS: Mapping[str, int] = MappingProxyType({**STRIPE_EXPONENTS, "TZS": 0})
"""Shillings are whole at ClickPesa, which takes only them and dollars. Should it tell of another currency, that waits
on the books for somebody to look at it."""
WITH_MONEY = ("paid", "returned")
TYPES: Mapping[type[Fact], str] = MappingProxyType(
    {Confirmed: "payment.confirmed", Pending: "payment.pending", Failed: "payment.failed"}
)
UNREADABLE = "payment.unreadable"
FAILED_CODE = "payment_failed"
DIGEST_CHARS = 24
AMOUNT_MAX_CHARS = 40


@dataclass(frozen=True, slots=True)
class Row:
    """A payment as ClickPesa has it. ``amount`` is what was collected, None while nothing was; ``is_cut`` says that it
    had a fraction of the smallest unit, which is left out. ``made_at`` is the payment's beginning: its last change may
    be days later, when it was settled."""

    payment_id: str
    reference: str
    standing: Standing
    amount: Amount | None
    is_cut: bool
    message: str
    made_at: datetime | None


def read_row(row: Any) -> Row:
    """Raises OddEvent for what cannot be read."""
    if not isinstance(row, dict):
        raise OddEvent("no_object")
    status = row.get("status")
    standing = STANDINGS.get(status.upper()) if isinstance(status, str) else None
    if standing is None:
        raise OddEvent("bad_status")
    amount, is_cut = _collected(row) if standing in WITH_MONEY else (None, False)
    return Row(
        payment_id=judging.payment_identifier(row.get("id")),
        reference=_reference(row.get("orderReference")),
        standing=standing,
        amount=amount,
        is_cut=is_cut,
        message=judging.short_text(row.get("message")),
        made_at=moment(row.get("createdAt")) or moment(row.get("updatedAt")),
    )


def reading_of(reference: str, answer: Sequence[Any]) -> Reading:
    """What the rows of ``reference`` come to, under an id that is the same for the same news."""
    try:
        rows = [read_row(row) for row in answer]
        if any(row.reference != reference for row in rows):
            raise OddEvent("another_reference")
        facts = facts_of(rows)
    except OddEvent as odd:
        return Reading(None, UNREADABLE, None, Odd(odd.reason))
    if not facts:
        return Reading(None, UNREADABLE, None, Odd("unknown_at_gateway"))
    newest = max((row.made_at for row in rows if row.made_at is not None), default=None)
    return Reading(_event_id(reference, rows), TYPES[type(facts[0])], newest, facts[0], tuple(facts[1:]))


def facts_of(rows: Sequence[Row]) -> Sequence[Fact]:
    """Of rows with money all facts, a payment before its return; else how the latest attempt stands."""
    with_money = sorted((row for row in rows if row.standing in WITH_MONEY), key=lambda row: row.payment_id)
    if with_money:
        confirmed: list[Fact] = [_confirmed(row) for row in with_money]
        returned = [row for row in with_money if row.standing == "returned"]
        return confirmed + [Refunded(row.payment_id, _amount(row)) for row in returned]
    waiting = [row for row in rows if row.standing == "waiting"]
    latest = max(waiting or rows, key=_recency, default=None)
    if latest is None:
        return ()
    if latest.standing == "waiting":
        return [Pending(latest.payment_id, "processing", reference=latest.reference)]
    return [Failed(latest.payment_id, FAILED_CODE, latest.message, latest.reference, attempt_id=latest.payment_id)]


def with_worth(reading: Reading, usd_per_shilling: Decimal) -> Reading:
    """The same, with what shillings are worth in cents, rounded down."""
    return replace(
        reading,
        finding=_worth_told(reading.finding, usd_per_shilling),
        besides=tuple(_worth_told(fact, usd_per_shilling) for fact in reading.besides),
    )


def is_about_shillings(reading: Reading) -> bool:
    """Whether shillings came."""
    facts = (reading.finding, *reading.besides)
    return any(isinstance(fact, Confirmed) and fact.received.currency == "TZS" for fact in facts)


def moment(value: Any) -> datetime | None:
    """A time in ISO 8601, in UTC where it names no zone; None when it is none, or beyond UTC's calendar."""
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
        if told is None:
            return None
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _confirmed(row: Row) -> Confirmed:
    oddities = ("fraction_left_out",) if row.is_cut else ()
    return Confirmed(row.payment_id, _amount(row), row.reference, oddities=oddities)


def _worth_told(fact: Any, usd_per_shilling: Decimal) -> Any:
    if not isinstance(fact, Confirmed) or fact.received.currency != "TZS":
        return fact
    worth = fact.received.units * Fraction(usd_per_shilling) * 100
    cents = worth.numerator // worth.denominator
    return replace(fact, worth=Amount(cents, "USD", 2)) if cents > 0 else fact


def _collected(row: Mapping[str, Any]) -> tuple[Amount, bool]:
    """``collectedAmount`` is a number here and a text elsewhere; both are exact."""
    currency = row.get("collectedCurrency")
    code = currency.upper() if isinstance(currency, str) else ""
    if code not in EXPONENTS:
        raise OddEvent("unknown_currency")
    exponent = EXPONENTS[code]
    amount = plain_decimal(row.get("collectedAmount"))
    if amount is None:
        raise OddEvent("bad_amount")
    units = amount.scaleb(exponent)
    if units < 1:
        raise OddEvent("amount_not_positive")
    if units > judging.AMOUNT_MAX.scaleb(exponent):
        raise OddEvent("amount_too_large")
    whole = int(units)
    return Amount(whole, code, exponent), whole != units


def plain_decimal(value: Any) -> Decimal | None:
    """A number or a text that is one, exact; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal) or len(str(value)) > AMOUNT_MAX_CHARS:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    # Looked at before anything is made of it: 1E+999999 would be a megabyte of zeros.
    return number if number.is_finite() and abs(number.adjusted()) <= AMOUNT_MAX_CHARS else None


def _reference(value: Any) -> str:
    found = judging.identifier(value)
    if found is None:
        raise OddEvent("bad_reference")
    return found


def _amount(row: Row) -> Amount:
    assert row.amount is not None, "a row with money has an amount"
    return row.amount


def _recency(row: Row) -> tuple[datetime, str]:
    return row.made_at or datetime.min.replace(tzinfo=UTC), row.payment_id


def _event_id(reference: str, rows: Sequence[Row]) -> str:
    """ClickPesa's webhooks have no id. Settling changes nothing for us, so it makes no other one. Stored for ever: the
    text below must never change."""
    told = sorted(f"{row.payment_id} {row.standing} {_sum(row)}" for row in rows)
    return f"{reference}.{hashlib.sha256(chr(10).join(told).encode()).hexdigest()[:DIGEST_CHARS]}"


def _sum(row: Row) -> str:
    return "" if row.amount is None else f"{row.amount.units} {row.amount.asset}"
