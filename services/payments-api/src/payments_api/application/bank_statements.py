"""Imported bank statements: their incoming lines, what each is proposed for, and what an operator makes of it.

Lines are kept once, however often a statement comes. Accepting one goes the way of every confirmation
(``bank_receipts``); nothing is credited from a statement without a person.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple, Protocol

from chassis.errors import Conflict, DomainError, NotFound
from payments_api.application.bank_matching import Candidate, Matching, Proposal, references_in
from payments_api.application.bank_receipts import Arrival, BankReceipts, Receipt, receipt_id

EntryState = Literal["open", "accepted", "dismissed"]
ID_HEX_CHARS = 32
_SEPARATOR = "\x1f"


class StatementRefused(DomainError):
    """The file cannot be taken, and nothing of it was kept. ``line`` is the first line at fault, counted from 1."""

    def __init__(self, code: str, title: str, line: int | None = None) -> None:
        where = {} if line is None else {"line": line}
        super().__init__(code, title if line is None else f"Line {line}: {title}", extra=where)
        self.line = line


@dataclass(frozen=True, slots=True)
class Booking:
    """An incoming line as its bank wrote it. ``bank_reference`` is None where the bank gave none; ``remittance`` is
    everything in which our reference may stand."""

    account: str
    bank_reference: str | None
    booked_on: date
    value_date: date | None
    asset: str
    units: int
    remittance: str
    payer: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A file that was read whole. ``skipped`` lines are none that brought money: outgoing, reversed, not yet booked."""

    bookings: Sequence[Booking]
    skipped: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A line that is kept. ``bank_reference`` is made by us where the bank gave none; ``receipt_id`` is what that
    makes, whichever receipt settles the line."""

    id: str
    receipt_id: str
    account: str
    bank_reference: str
    booked_on: date
    value_date: date | None
    asset: str
    units: int
    remittance: str
    payer: str
    state: EntryState = "open"
    payment_id: str | None = None
    note: str | None = None


class Proposed(NamedTuple):
    """A line and what it seems to be for, as things stand now. Only an open one has a proposal."""

    entry: Entry
    proposal: Proposal | None


class Imported(NamedTuple):
    """``entries`` are all of the statement's, in its order; ``new`` of them were not known."""

    entries: Sequence[Proposed]
    new: int
    skipped: int


class EntryDesk(Protocol):
    """Where lines are kept."""

    async def keep(self, entries: Sequence[Entry]) -> int:
        """Keep those that are not known, all or none; answers how many were new. A line whose transfer was confirmed
        before, by its reference and near its day, counts as accepted."""
        ...

    async def read(self, entry_ids: Sequence[str]) -> Sequence[Entry]:
        """Those that are there, in the order of the ids."""
        ...

    async def page(
        self, state: EntryState | None, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Entry], str | None]:
        """A page, newest first, and the cursor of the next. Raises InvalidField for a cursor that is none."""
        ...

    async def candidates(self, references: Sequence[str]) -> Sequence[Candidate]:
        """Bank payments that are open, and those of the references whatever their state."""
        ...

    async def dismiss(self, entry_id: str, note: str) -> bool:
        """It is for no payment; whether it was open."""
        ...


class BankStatements:
    """The use cases."""

    def __init__(self, desk: EntryDesk, receipts: BankReceipts) -> None:
        self._desk = desk
        self._receipts = receipts

    async def take(self, statement: Statement) -> Imported:
        """Keep its lines and propose what they are for. Once more, it changes nothing."""
        entries = identified(statement.bookings)
        new = await self._desk.keep(entries)
        kept = await self._desk.read([entry.id for entry in entries])
        return Imported(await self._proposed(kept), new, statement.skipped)

    async def page(
        self, state: EntryState | None, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Proposed], str | None]:
        """As ``EntryDesk.page``, with proposals."""
        entries, following = await self._desk.page(state, limit=limit, cursor=cursor)
        return await self._proposed(entries), following

    async def one(self, entry_id: str) -> Proposed:
        """A line. Raises NotFound."""
        entries = await self._desk.read([entry_id])
        if not entries:
            raise NotFound("unknown_entry", "There is no such entry")
        return (await self._proposed(entries))[0]

    async def accept(self, entry_id: str, payment_id: str | None, *, is_another: bool) -> Receipt:
        """Its money is for ``payment_id``, or for the one that is proposed by a reference. Raises NotFound, Conflict
        (``no_proposal``, ``name_the_payment``), and as ``BankReceipts.confirm``."""
        found = await self.one(entry_id)
        entry = found.entry
        return await self._receipts.confirm(
            Arrival(
                payment_id=payment_id or _chosen(found),
                asset=entry.asset,
                units=entry.units,
                bank_reference=entry.bank_reference,
                value_date=entry.value_date or entry.booked_on,
                is_another=is_another,
                entry_id=entry.id,
                booked_on=entry.booked_on,
            )
        )

    async def dismiss(self, entry_id: str, note: str) -> Entry:
        """It is for no payment of ours; it can be accepted later all the same. Raises NotFound, Conflict."""
        dismissed = await self._desk.dismiss(entry_id, note)
        entry = (await self.one(entry_id)).entry
        if not dismissed and entry.state == "accepted":
            raise Conflict("already_accepted", "The entry was accepted; its money is credited")
        return entry

    async def _proposed(self, entries: Sequence[Entry]) -> Sequence[Proposed]:
        references = {found for entry in entries for found in references_in(entry.remittance)}
        matching = Matching(await self._desk.candidates(sorted(references)) if entries else ())
        return [
            Proposed(
                entry,
                matching.propose(entry.remittance, entry.asset, entry.units) if entry.state == "open" else None,
            )
            for entry in entries
        ]


def _chosen(found: Proposed) -> str:
    if found.entry.payment_id is not None:
        return found.entry.payment_id
    if found.proposal is None:
        raise Conflict("no_proposal", "Nothing tells whom this is from; name the payment")
    if found.proposal.confidence == "low":
        raise Conflict("name_the_payment", "Only the amount fits; name the payment that it is for")
    return found.proposal.payment_id


def identified(bookings: Sequence[Booking]) -> Sequence[Entry]:
    """Each line by what makes it itself, the same in every file that holds it.

    One with a reference of its bank's stands once, even if the file repeats it. Without one, lines that say exactly
    the same are counted: statements hold whole days, so the second of a day is the second in each file.
    """
    entries: dict[str, Entry] = {}
    seen: Counter[str] = Counter()
    for booking in bookings:
        identity = _identity(booking)
        nth = 0 if booking.bank_reference is not None else seen[identity]
        seen[identity] += 1
        entry = _entry(booking, identity, nth)
        entries.setdefault(entry.id, entry)
    return list(entries.values())


def _identity(booking: Booking) -> str:
    what = (booking.account, booking.booked_on.isoformat(), booking.asset, str(booking.units))
    if booking.bank_reference is not None:
        return _SEPARATOR.join((*what, "reference", booking.bank_reference))
    value_date = "" if booking.value_date is None else booking.value_date.isoformat()
    text = " ".join(booking.remittance.split())
    return _SEPARATOR.join((*what, "text", value_date, text, " ".join(booking.payer.split())))


def _entry(booking: Booking, identity: str, nth: int) -> Entry:
    entry_id = hashlib.sha256(f"{identity}{_SEPARATOR}{nth}".encode()).hexdigest()[:ID_HEX_CHARS]
    bank_reference = booking.bank_reference or f"LINE-{entry_id.upper()}"
    return Entry(
        id=entry_id,
        receipt_id=receipt_id(bank_reference),
        account=booking.account,
        bank_reference=bank_reference,
        booked_on=booking.booked_on,
        value_date=booking.value_date,
        asset=booking.asset,
        units=booking.units,
        remittance=booking.remittance,
        payer=booking.payer,
    )
