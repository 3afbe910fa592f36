"""``/api/admin``: the bank's back office. Confirm what arrived, reject, import statements and settle their lines.

By the admin token until people have roles. Reads and shapes only: what it means is ``application.bank_*``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from chassis.errors import InvalidField
from chassis.http import DecimalInput, ExactRouter
from contracts.amounts import AmountError, Asset, parse_positive_units, to_decimal
from payments_api.adapters.statements.fields import DayOrder
from payments_api.adapters.statements.reading import read_statement
from payments_api.application.bank_currencies import bank_asset
from payments_api.application.bank_receipts import Arrival, Receipt
from payments_api.application.bank_returns import Return, SentBack
from payments_api.application.bank_statements import EntryState, Proposed, StatementRefused
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.payments import LIMIT_DEFAULT, LIMIT_MAX, Id
from payments_api.entrypoints.http.people import require_admin
from payments_api.entrypoints.http.shapes import Number

EntryId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,64}$")]
Reason = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Za-z]{3}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConfirmTransfer(_Body):
    """``amount`` arrived, whatever was asked for. ``bank_reference`` is the bank's own of this transfer: the same one
    again changes nothing. ``is_another``: it only looks like one that was confirmed before."""

    amount: DecimalInput
    currency: CurrencyCode = "USD"
    bank_reference: Annotated[str, Field(min_length=3, max_length=140, pattern=r"^[^\x00-\x1f]+$")]
    value_date: date | None = None
    is_another: bool = False


class RecordReturn(_Body):
    """``amount`` was sent back at the bank, which knows that transfer as ``bank_reference``. ``returned_reference`` is
    that of the transfer which had come, where there were several."""

    amount: DecimalInput
    currency: CurrencyCode = "USD"
    bank_reference: Annotated[str, Field(min_length=3, max_length=140, pattern=r"^[^\x00-\x1f]+$")]
    returned_reference: Annotated[str, Field(min_length=3, max_length=140, pattern=r"^[^\x00-\x1f]+$")] | None = None
    reason: Reason


class RejectPayment(_Body):
    """Why it is over; the person is shown this."""

    reason: Reason


class AcceptEntry(_Body):
    """``payment_id`` may be left out where a reference of ours stands in the line."""

    payment_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")] | None = None
    is_another: bool = False


class DismissEntry(_Body):
    """Why it is for no payment of ours."""

    reason: Reason


class ReceiptShown(BaseModel):
    """What is kept of an arrival. ``already_known``: this repeats an earlier confirmation."""

    gateway_payment_id: str
    payment_id: str
    reference: str
    amount: Number
    currency: str
    bank_reference: str
    value_date: date | None
    already_known: bool


class ReturnShown(BaseModel):
    """What is kept of money that went back."""

    refund_id: str
    gateway_payment_id: str
    payment_id: str
    amount: Number
    currency: str
    bank_reference: str
    reason: str
    already_known: bool


class RejectionShown(BaseModel):
    """A payment that is over, as soon as the news have come round."""

    payment_id: str
    reference: str
    reason: str


class ProposalShown(BaseModel):
    """``low`` goes by the amount alone."""

    payment_id: str
    confidence: Literal["high", "medium", "low"]
    reason: str


class EntryShown(BaseModel):
    """An incoming line of a statement."""

    id: str
    account: str
    bank_reference: str
    booked_on: date
    value_date: date | None
    amount: Number
    currency: str
    remittance: str
    payer: str
    state: EntryState
    payment_id: str | None
    note: str | None
    proposal: ProposalShown | None


class ImportShown(BaseModel):
    """``new`` of the entries were not known; ``skipped`` lines of the file brought no money."""

    new: int
    known: int
    skipped: int
    entries: list[EntryShown]


class EntryList(BaseModel):
    """A page, newest first; ``next_cursor`` leads to the next one."""

    entries: list[EntryShown]
    next_cursor: str | None


def routes(parts: Parts) -> ExactRouter:
    """The router, guarded."""
    guarded = [Depends(require_admin(parts.settings.admin_token))]
    router = ExactRouter(prefix="/api/admin", tags=["bank"], dependencies=guarded)
    _add_payments(router, parts)
    _add_statements(router, parts)
    _add_settling(router, parts)
    return router


def _add_payments(router: ExactRouter, parts: Parts) -> None:
    @router.post("/payments/{payment_id}/confirm", response_model=ReceiptShown, summary="A bank transfer arrived")
    async def confirm(payment_id: Id, body: ConfirmTransfer) -> Mapping[str, Any]:
        asset, units = _amount(body.amount, body.currency)
        arrival = Arrival(payment_id, asset, units, body.bank_reference, body.value_date, body.is_another)
        return _receipt(await parts.bank_receipts.confirm(arrival))

    @router.post("/payments/{payment_id}/reject", response_model=RejectionShown, summary="It will not be paid")
    async def reject(payment_id: Id, body: RejectPayment) -> Mapping[str, Any]:
        payment = await parts.bank_receipts.reject(payment_id, body.reason)
        return {"payment_id": payment.payment_id, "reference": payment.reference, "reason": body.reason}

    @router.post("/payments/{payment_id}/returned", response_model=ReturnShown, summary="It was sent back at the bank")
    async def returned(payment_id: Id, body: RecordReturn) -> Mapping[str, Any]:
        asset, units = _amount(body.amount, body.currency)
        sent_back = SentBack(payment_id, asset, units, body.bank_reference, body.reason, body.returned_reference)
        return _return(await parts.bank_returns.record(sent_back))


def _add_statements(router: ExactRouter, parts: Parts) -> None:
    @router.post("/statements", response_model=ImportShown, summary="Import a statement (CSV or camt.053, as the body)")
    async def take(
        request: Request,
        currency: Annotated[CurrencyCode | None, Query(description="of a CSV without such a column")] = None,
        dates: Annotated[DayOrder | None, Query(description="how 01/02/2026 is meant")] = None,
    ) -> Mapping[str, Any]:
        body = await request.body()
        if not body.strip():
            raise StatementRefused("empty", "The body must be a statement")
        imported = await parts.bank_statements.take(read_statement(body, currency=currency, order=dates))
        return {
            "new": imported.new,
            "known": len(imported.entries) - imported.new,
            "skipped": imported.skipped,
            "entries": [_entry(proposed) for proposed in imported.entries],
        }

    @router.get("/statements/entries", response_model=EntryList, summary="Lines of statements, newest first")
    async def entries(
        state: EntryState | None = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
    ) -> Mapping[str, Any]:
        page, following = await parts.bank_statements.page(state, limit=limit, cursor=cursor)
        return {"entries": [_entry(proposed) for proposed in page], "next_cursor": following}


def _add_settling(router: ExactRouter, parts: Parts) -> None:
    @router.post("/statements/entries/{entry_id}/accept", response_model=ReceiptShown, summary="It is for a payment")
    async def accept(entry_id: EntryId, body: AcceptEntry) -> Mapping[str, Any]:
        receipt = await parts.bank_statements.accept(entry_id, body.payment_id, is_another=body.is_another)
        return _receipt(receipt)

    @router.post("/statements/entries/{entry_id}/dismiss", response_model=EntryShown, summary="It is for no payment")
    async def dismiss(entry_id: EntryId, body: DismissEntry) -> Mapping[str, Any]:
        return _entry(Proposed(await parts.bank_statements.dismiss(entry_id, body.reason), None))


def _amount(amount: DecimalInput, currency: str) -> tuple[str, int]:
    asset = bank_asset(currency)
    if asset is None:
        raise InvalidField("currency", "unknown_currency", "is none that a bank transfers")
    try:
        return asset, parse_positive_units(amount, asset)
    except AmountError as error:
        raise InvalidField("amount", error.code, error.detail) from error


def _receipt(receipt: Receipt) -> Mapping[str, Any]:
    return {
        "gateway_payment_id": receipt.id,
        "payment_id": receipt.payment_id,
        "reference": receipt.reference,
        "amount": to_decimal(receipt.units, receipt.asset),
        "currency": Asset.parse(receipt.asset).code,
        "bank_reference": receipt.bank_reference,
        "value_date": receipt.value_date,
        "already_known": receipt.is_repeat,
    }


def _return(kept: Return) -> Mapping[str, Any]:
    return {
        "refund_id": kept.id,
        "gateway_payment_id": kept.receipt_id,
        "payment_id": kept.payment_id,
        "amount": to_decimal(kept.units, kept.asset),
        "currency": Asset.parse(kept.asset).code,
        "bank_reference": kept.bank_reference,
        "reason": kept.reason,
        "already_known": kept.is_repeat,
    }


def _entry(proposed: Proposed) -> Mapping[str, Any]:
    entry, proposal = proposed
    return {
        "id": entry.id,
        "account": entry.account,
        "bank_reference": entry.bank_reference,
        "booked_on": entry.booked_on,
        "value_date": entry.value_date,
        "amount": to_decimal(entry.units, entry.asset),
        "currency": Asset.parse(entry.asset).code,
        "remittance": entry.remittance,
        "payer": entry.payer,
        "state": entry.state,
        "payment_id": entry.payment_id,
        "note": entry.note,
        "proposal": None
        if proposal is None
        else {"payment_id": proposal.payment_id, "confidence": proposal.confidence, "reason": proposal.reason},
    }
