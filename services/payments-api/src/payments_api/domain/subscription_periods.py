"""When the periods of a subscription begin: calendar months or years, counted from its first day. No clock.

Counting from the first day and not from the last period, so that who began on the 31st comes back to it after February.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime
from typing import Literal

Cycle = Literal["monthly", "yearly"]
MONTHS = {"monthly": 1, "yearly": 12}


def period_of(anchor: datetime, cycle: Cycle, number: int) -> tuple[datetime, datetime]:
    """Begin and end of period ``number``, counted from one. Raises ValueError below that."""
    if number < 1:
        raise ValueError("periods are counted from one")
    months = MONTHS[cycle]
    return months_after(anchor, months * (number - 1)), months_after(anchor, months * number)


def months_after(anchor: datetime, months: int) -> datetime:
    """The same day and time so many months on; the month's last day where it has no such day."""
    year, month = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + year, month + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, monthrange(year, month)[1]))
