"""States to columns of arrays and rows to states, for ``ledger.adapters.books``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from eventstore.port import StreamHead
from ledger.domain.states import Charge, Payment, Quote, Wallet

Columns = list[list[Any]]


def wallet_of(row: Any) -> Wallet:
    """``row`` begins with the wallet's fields, in their order: by far the most rows that are read."""
    return Wallet(*row[: len(Wallet._fields)])


def wallet_columns(wallets: Collection[Wallet], heads: Mapping[str, StreamHead]) -> Columns:
    columns = [list(column) for column in zip(*wallets, strict=True)] or [[] for _ in Wallet._fields]
    return [*columns, [heads[wallet.stream].hash for wallet in wallets]]


def charge_of(row: Any) -> Charge:
    return Charge(
        row["deployment_id"],
        row["user_id"],
        row["service_name"],
        row["amount"],
        row["state"],
        row["commission"],
        row["grid_payment"],
    )


def charge_columns(charges: Collection[Charge]) -> Columns:
    return [
        [charge.deployment_id for charge in charges],
        [charge.user_id for charge in charges],
        [charge.service_name for charge in charges],
        [charge.amount for charge in charges],
        [charge.state for charge in charges],
        [charge.commission for charge in charges],
        [charge.grid_payment for charge in charges],
    ]


def payment_of(row: Any) -> Payment:
    return Payment(
        gateway=row["gateway"],
        payment_id=row["payment_id"],
        payment_reference=row["payment_reference"],
        received=int(row["received"]),
        asset=row["asset"],
        paid_at=row["paid_at"],
        user_id=row["user_id"],
        credits=row["credits"],
        bonus=row["bonus"],
        refunded=int(row["refunded"]),
        refunded_before=int(row["refunded_before"]),
        credits_taken=row["credits_taken"],
        bonus_taken=row["bonus_taken"],
        version=row["version"],
    )


def payment_columns(payments: Collection[Payment]) -> Columns:
    return [
        [payment.key for payment in payments],
        [payment.gateway for payment in payments],
        [payment.payment_id for payment in payments],
        [payment.payment_reference for payment in payments],
        [payment.received for payment in payments],
        [payment.asset for payment in payments],
        [payment.paid_at for payment in payments],
        [payment.user_id for payment in payments],
        [payment.credits for payment in payments],
        [payment.bonus for payment in payments],
        [payment.refunded for payment in payments],
        [payment.refunded_before for payment in payments],
        [payment.credits_taken for payment in payments],
        [payment.bonus_taken for payment in payments],
        [payment.version for payment in payments],
    ]


def quote_of(row: Any) -> Quote:
    return Quote(
        row["payment_reference"],
        row["user_id"],
        int(row["price"]),
        row["asset"],
        row["credits"],
        row["bonus"],
        row["expires_at"],
        row["used"],
    )


def quote_columns(quotes: Collection[Quote]) -> Columns:
    return [
        [quote.payment_reference for quote in quotes],
        [quote.user_id for quote in quotes],
        [quote.price for quote in quotes],
        [quote.asset for quote in quotes],
        [quote.credits for quote in quotes],
        [quote.bonus for quote in quotes],
        [quote.expires_at for quote in quotes],
        [quote.used for quote in quotes],
    ]
