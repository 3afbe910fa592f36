"""How payments, deployments and wallets look to people: the seeds' field names, amounts as exact decimal numbers.

Answers and live events show the same thing in the same way, because both come from here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.amounts import Asset, Money, to_decimal
from contracts.messages import TransactionRow
from payments_api.application.ports import Wallet


def payment(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``payments``. ``credited`` is what the ledger gave, null until it did."""
    credited = row["credited"]
    return {
        "payment_id": row["id"],
        "reference": row["reference"],
        "gateway": row["gateway"],
        "status": row["status"],
        "payment_url": row["payment_url"],
        "amount": to_decimal(row["price"], row["price_asset"]),
        "currency": Asset.parse(row["price_asset"]).code,
        "credits": to_decimal(row["credits"], row["credit_asset"]),
        "bonus": to_decimal(row["bonus"], row["credit_asset"]),
        "credited": None if credited is None else to_decimal(credited, row["credit_asset"]),
        "failure_reason": row["failure_reason"],
        "expires_at": row["expires_at"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def deployment(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``deployments``. The parts of the price are zero until it was split: nothing was taken yet."""
    details = row["connection_details"]
    return {
        "id": row["id"],
        "user_id": row["user_id"],
        "service_id": row["service_id"],
        "service_name": row["service_name"],
        "tfc_amount": to_decimal(row["amount"], row["asset"]),
        "commission_amount": to_decimal(row["commission"] or 0, row["asset"]),
        "grid_payment_amount": to_decimal(row["grid_payment"] or 0, row["asset"]),
        "tft_amount": None,
        "grid_deployment_id": row["grid_deployment_id"],
        "status": row["status"],
        "error_message": row["error_message"],
        "connection_details": None if details is None else json.loads(details),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def balance(asset: str, wallet: Wallet) -> dict[str, Any]:
    """A wallet; ``balance`` is what can be spent. Who shows it drops what has an older ``wallet_version``."""
    return {
        "balance": to_decimal(wallet.available, asset),
        "held": to_decimal(wallet.held, asset),
        "debt": to_decimal(wallet.debt, asset),
        "currency": Asset.parse(asset).code,
        "wallet_version": wallet.version,
    }


def transaction(row: TransactionRow) -> dict[str, Any]:
    """A line of history; the amount is signed."""
    return {
        "id": row.id,
        "user_id": row.user_id,
        "transaction_type": row.transaction_type,
        "amount": _number(row.amount),
        "balance_before": _number(row.balance_before),
        "balance_after": _number(row.balance_after),
        "description": row.description,
        "metadata": row.metadata,
        "created_at": row.created_at,
    }


def _number(money: Money) -> Decimal:
    return to_decimal(money.units, money.asset)
