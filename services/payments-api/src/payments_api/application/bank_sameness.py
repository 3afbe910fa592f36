"""Whether a transfer is one that was confirmed before, and which lines of statements tell of it.

Banks use their references again: running numbers start anew, files count their lines. So a reference names a transfer
only near its value date; what comes later under it is another. Pure; where only a person can tell, one is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from chassis.errors import Conflict
from payments_api.application.bank_matching import references_in
from payments_api.application.bank_receipts import Arrival

SAME_WITHIN_DAYS = 5
"""Value dates of one transfer, as an operator and a statement say them, are no further apart."""
AGAIN_HEX_CHARS = 24
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A receipt that is kept under the bank's reference in question. ``reference`` is ours, of its payment; ``kept_on``
    stands for the value date where nobody said one; ``booked_on`` are the days of the lines that it settled."""

    id: str
    payment_id: str
    reference: str
    asset: str
    units: int
    value_date: date | None
    kept_on: date
    booked_on: frozenset[date] = frozenset()

    def days_from(self, day: date) -> int:
        """How far its money's day is from ``day``."""
        return abs(((self.value_date or self.kept_on) - day).days)


@dataclass(frozen=True, slots=True)
class Line:
    """A statement's line under that reference, which nothing has settled yet."""

    id: str
    booked_on: date
    value_date: date | None
    asset: str
    units: int
    remittance: str


def repeated(confirmed: Sequence[Confirmed], arrival: Arrival) -> Confirmed | None:
    """The receipt that ``arrival`` says again; None when it is another transfer.

    Raises Conflict (``bank_reference_used``, ``looks_confirmed_already``) where it may be either, and nobody said.
    """
    alike = [one for one in confirmed if _says(one, arrival)]
    if arrival.is_another:
        return _in_the_same_words(confirmed, alike, arrival)
    near = [one for one in confirmed if one.value_date is None or _is_near(one, arrival.value_date)]
    found = _nearest([one for one in near if one in alike], arrival.value_date)
    if found is None:
        if near:
            raise reference_used(near[0])
        if alike:
            # The same again, far from its day: a day that was mistyped, or a payer who sends the same sum once more.
            raise looks_confirmed(arrival.bank_reference)
        return None
    if not _is_near(found, arrival.value_date) or _is_booked_elsewhere(found, arrival):
        raise looks_confirmed(arrival.bank_reference)
    return found


def id_of_another(first_id: str, arrival: Arrival) -> str:
    """The gateway's id of a transfer whose reference another one had: the same whenever the same is said of it."""
    assert arrival.value_date is not None, "without a day nothing is another transfer"
    day = arrival.value_date.isoformat()
    said = (first_id, day, arrival.asset, str(arrival.units), arrival.payment_id, arrival.entry_id or "")
    digest = hashlib.sha256(_SEPARATOR.join(said).encode()).hexdigest()
    return f"bd-{day.replace('-', '')}-{digest[:AGAIN_HEX_CHARS]}"


def lines_of(receipt: Confirmed, lines: Sequence[Line]) -> Sequence[str]:
    """The ids of those lines that tell of the transfer: near its day, of its amount, not for somebody else, and all of
    one booking date, since the same bank says the same in each of its files."""
    fitting = [line for line in lines if _fits(receipt, line)]
    if not fitting:
        return ()
    nearest = min(fitting, key=lambda line: (_days_between(receipt, line), line.booked_on))
    days = receipt.booked_on or {nearest.booked_on}
    return [line.id for line in fitting if line.booked_on in days]


def reference_used(by: Confirmed) -> Conflict:
    """The refusal of what says something else about a transfer."""
    return Conflict(
        "bank_reference_used",
        "This transfer was confirmed already, for another payment or amount. If the bank used its reference again, say "
        "is_another, and the value date",
        extra={"payment_id": by.payment_id},
    )


def looks_confirmed(bank_reference: str) -> Conflict:
    """The refusal of what may be the same transfer."""
    return Conflict(
        "looks_confirmed_already",
        "The same amount was confirmed for this payment under this reference; say is_another if it came twice",
        extra={"bank_reference": bank_reference},
    )


def _in_the_same_words(
    confirmed: Sequence[Confirmed], alike: Sequence[Confirmed], arrival: Arrival
) -> Confirmed | None:
    """A request that is sent again; of a line that is known before: it is accepted then."""
    if arrival.entry_id is not None or not confirmed:
        return None
    if arrival.value_date is None:
        if not alike:
            raise reference_used(confirmed[0])
        return alike[-1]
    return next((one for one in alike if one.value_date == arrival.value_date), None)


def _says(one: Confirmed, arrival: Arrival) -> bool:
    return (one.payment_id, one.asset, one.units) == (arrival.payment_id, arrival.asset, arrival.units)


def _is_near(one: Confirmed, day: date | None) -> bool:
    return day is None or one.days_from(day) <= SAME_WITHIN_DAYS


def _is_booked_elsewhere(one: Confirmed, arrival: Arrival) -> bool:
    return arrival.booked_on is not None and bool(one.booked_on) and arrival.booked_on not in one.booked_on


def _nearest(found: Sequence[Confirmed], day: date | None) -> Confirmed | None:
    if not found:
        return None
    return found[-1] if day is None else min(found, key=lambda one: one.days_from(day))


def _fits(receipt: Confirmed, line: Line) -> bool:
    if (line.asset, line.units) != (receipt.asset, receipt.units):
        return False
    named = references_in(line.remittance)
    is_for_another = bool(named) and receipt.reference not in named
    return not is_for_another and _days_between(receipt, line) <= SAME_WITHIN_DAYS


def _days_between(receipt: Confirmed, line: Line) -> int:
    return min(receipt.days_from(day) for day in (line.value_date, line.booked_on) if day is not None)
