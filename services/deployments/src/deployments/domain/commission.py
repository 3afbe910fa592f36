"""The split of a price between the platform and the grid.

Integers of the asset's smallest unit; the one place of this service that rounds.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

_HALF = Fraction(1, 2)


class Split(NamedTuple):
    """The two parts of an amount; they sum to it."""

    commission: int
    grid_payment: int


def split_price(amount: int, rate: Decimal) -> Split:
    """The platform's share at ``rate``, rounded half up once; the rest is the grid's, by subtraction.

    Raises ValueError for a negative amount or a rate outside of 0 to 1.
    """
    if amount < 0:
        raise ValueError("an amount to split is not negative")
    if not (rate.is_finite() and 0 <= rate <= 1):
        raise ValueError("a commission rate lies between 0 and 1")
    commission = int(Fraction(rate) * amount + _HALF)
    return Split(commission, amount - commission)
