"""States to columns of arrays and rows to states, for ``ledger.adapters.books``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from eventstore.port import StreamHead
from ledger.domain.states import Charge, Dispute, Payment, Quote, Wallet

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
        told_total=int(row["told_total"]),
        failed_total=int(row["failed_total"]),
        single_total=int(row["single_total"]),
        lost_total=int(row["lost_total"]),
        disputed_total=int(row["disputed_total"]),
        credits_forgiven=row["credits_forgiven"],
        credits_disputed=row["credits_disputed"],
        worth=None if row["worth"] is None else int(row["worth"]),
        worth_asset=row["worth_asset"],
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
        [payment.told_total for payment in payments],
        [payment.failed_total for payment in payments],
        [payment.single_total for payment in payments],
        [payment.lost_total for payment in payments],
        [payment.disputed_total for payment in payments],
        [payment.credits_forgiven for payment in payments],
        [payment.credits_disputed for payment in payments],
        [payment.worth for payment in payments],
        [payment.worth_asset for payment in payments],
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
        int(row["received"]),
        row["given"],
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
        [quote.received for quote in quotes],
        [quote.given for quote in quotes],
    ]


def dispute_of(row: Any) -> Dispute:
    return Dispute(row["gateway"], row["payment_id"], row["dispute_id"], int(row["amount"]), row["state"])


def dispute_columns(disputes: Collection[Dispute]) -> Columns:
    return [
        [dispute.key for dispute in disputes],
        [dispute.payment_key for dispute in disputes],
        [dispute.gateway for dispute in disputes],
        [dispute.payment_id for dispute in disputes],
        [dispute.dispute_id for dispute in disputes],
        [dispute.amount for dispute in disputes],
        [dispute.state for dispute in disputes],
    ]
