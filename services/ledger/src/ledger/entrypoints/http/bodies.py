"""Bodies of requests: what is validated before a command exists. Amounts are exact and positive where they must be."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from chassis.errors import InvalidField
from chassis.http import DecimalInput
from contracts.amounts import AmountError, parse_positive_units

UserId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
ReasonCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Body(BaseModel):
    """Unknown fields are refused: a misspelt field must not be a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ChargeBody(Body):
    """Hold credits for a deployment."""

    user_id: UserId
    deployment_id: Id
    service_id: Id
    service_name: Name
    amount: DecimalInput


class TransferBody(Body):
    """Move credits between two people."""

    from_user_id: UserId
    to_user_id: UserId
    amount: DecimalInput


class AdjustmentBody(Body):
    """Give (positive) or take (negative) credits; ``reason`` is a short code, never free text."""

    user_id: UserId
    amount: DecimalInput
    reason: ReasonCode


class AllocationBody(Body):
    """Give unallocated money to a person. ``worth_usd`` is what all of it was worth when it came, for money of an asset
    that has no rate; where the money said so itself, that counts."""

    user_id: UserId
    worth_usd: DecimalInput | None = None


def positive_units(amount: Decimal, asset: str, field: str = "amount") -> int:
    """Smallest units of a positive amount. Raises InvalidField."""
    try:
        return parse_positive_units(amount, asset)
    except AmountError as error:
        raise InvalidField(field, error.code, error.detail) from None


def signed_units(amount: Decimal, asset: str) -> int:
    """Smallest units of an amount that may be below zero, but not zero. Raises InvalidField."""
    units = positive_units(abs(amount), asset)
    return -units if amount < 0 else units
