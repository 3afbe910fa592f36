"""Statements as ISO 20022 camt.053 (bank-to-customer statement), versions 001.02 to 001.13.

An entry that holds several transfers is taken apart where each has an amount of its own and they add up; else it stands
as one, with the texts of all. Only what is booked and brought money is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from payments_api.adapters.statements import fields
from payments_api.adapters.statements.csv_rows import ENTRIES_MAX
from payments_api.adapters.statements.fields import NAME_MAX_CHARS
from payments_api.adapters.statements.xml_tree import Node, read_tree
from payments_api.application.bank_statements import Booking, Statement, StatementRefused

BOOKED, CREDIT, DEBIT = "BOOK", "CRDT", "DBIT"
TEXTS = (
    "RmtInf/Ustrd",
    "RmtInf/Strd/CdtrRefInf/Ref",
    "RmtInf/Strd/RfrdDocInf/Nb",
    "RmtInf/Strd/AddtlRmtInf",
    "Refs/EndToEndId",
    "AddtlTxInf",
)
PAYERS = ("RltdPties/Dbtr/Nm", "RltdPties/Dbtr/Pty/Nm", "RltdPties/UltmtDbtr/Nm", "RltdPties/UltmtDbtr/Pty/Nm")


def read_camt053(body: bytes) -> Statement:
    """The statement, or all statements of the file. Raises StatementRefused."""
    root = read_tree(body)
    statements = root.all("BkToCstmrStmt/Stmt")
    if root.name != "Document" or not statements:
        raise StatementRefused("not_camt053", "The root must be a Document with a BkToCstmrStmt", root.line)
    bookings: list[Booking] = []
    skipped = 0
    for account, entry in _entries(statements):
        found = _bookings(account, entry)
        bookings += found
        skipped += not found
        if len(bookings) + skipped > ENTRIES_MAX:
            raise StatementRefused("too_many_entries", f"a file may have {ENTRIES_MAX} entries", entry.line)
    return Statement(bookings, skipped)


def _entries(statements: Sequence[Node]) -> Iterator[tuple[str, Node]]:
    for statement in statements:
        account = statement.text_at("Acct/Id/IBAN", "Acct/Id/Othr/Id") or ""
        for entry in statement.all("Ntry"):
            yield "".join(account.split()), entry


def _bookings(account: str, entry: Node) -> Sequence[Booking]:
    """What an entry brought. It is read whole before it is skipped, so that a broken one is never missed."""
    asset, units = _amount(_needed(entry, "Amt"))
    booked_on, value_date = _day(entry, "BookgDt"), _day(entry, "ValDt")
    direction = entry.text_at("CdtDbtInd")
    if direction not in (CREDIT, DEBIT):
        raise StatementRefused("bad_entry", "CdtDbtInd must be CRDT or DBIT", entry.line)
    status = entry.text_at("Sts/Cd", "Sts")
    is_reversal = entry.text_at("RvslInd") in ("true", "1")
    if status != BOOKED or direction != CREDIT or is_reversal or units == 0:
        return ()
    dated = booked_on or value_date
    if dated is None:
        raise StatementRefused("bad_date", "an entry that is booked has a BookgDt or a ValDt", entry.line)
    transfers = entry.all("NtryDtls/TxDtls")
    apart = _taken_apart(transfers, asset, units)
    if apart is None:
        return [_booking(account, entry, transfers, dated, value_date, asset, units)]
    return [
        _booking(account, entry, [transfer], dated, value_date, asset, part)
        for transfer, part in zip(transfers, apart, strict=True)
    ]


def _taken_apart(transfers: Sequence[Node], asset: str, units: int) -> Sequence[int] | None:
    """What each of several transfers brought; None where the entry is to be taken as one."""
    if len(transfers) < 2:
        return None
    parts = []
    for transfer in transfers:
        amount = transfer.first("Amt", "AmtDtls/TxAmt/Amt")
        known = None if amount is None else _amount(amount)
        if known is None or known[0] != asset or known[1] <= 0 or transfer.text_at("CdtDbtInd") == DEBIT:
            return None
        parts.append(known[1])
    return parts if sum(parts) == units else None


def _booking(
    account: str,
    entry: Node,
    transfers: Sequence[Node],
    booked_on: date,
    value_date: date | None,
    asset: str,
    units: int,
) -> Booking:
    texts = [node.text for transfer in transfers for path in TEXTS for node in transfer.all(path)]
    payers = [transfer.text_at(*PAYERS) for transfer in transfers]
    return Booking(
        account=account,
        bank_reference=_bank_reference(entry, transfers),
        booked_on=booked_on,
        value_date=value_date,
        asset=asset,
        units=units,
        remittance=fields.words(*texts, entry.text_at("AddtlNtryInf")),
        payer=fields.words(*dict.fromkeys(payers), limit=NAME_MAX_CHARS),
    )


def _bank_reference(entry: Node, transfers: Sequence[Node]) -> str | None:
    """The servicer's reference of the transfer; that of the entry, where it holds one transfer only."""
    own = transfers[0].text_at("Refs/AcctSvcrRef") if len(transfers) == 1 else None
    is_part = len(transfers) == 1 and len(entry.all("NtryDtls/TxDtls")) > 1
    of_entry = None if is_part else entry.text_at("AcctSvcrRef")
    if is_part and own == entry.text_at("AcctSvcrRef"):
        # The entry's, repeated in each of its parts: it names none of them.
        return None
    line = entry.line
    return fields.whole_reference(own, line) or fields.whole_reference(of_entry, line)


def _amount(node: Node) -> tuple[str, int]:
    """Asset and units; XML writes decimals with a point, so there is nothing to guess."""
    asset = fields.asset_of(node.attributes.get("Ccy", ""), node.line)
    return asset, fields.xml_units(node.text, asset, node.line)


def _day(entry: Node, name: str) -> date | None:
    node = entry.first(f"{name}/Dt", f"{name}/DtTm")
    # What follows the tenth character is a time or a zone: the bank's own day counts.
    return None if node is None else fields.day(node.text.strip()[:10], node.line)


def _needed(entry: Node, name: str) -> Node:
    found = entry.first(name)
    if found is None:
        raise StatementRefused("bad_entry", f"an entry has no {name}", entry.line)
    return found
