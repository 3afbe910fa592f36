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
from payments_api.domain import crypto_showing


def payment(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``payments``. ``credited`` is what the ledger gave, null until it did; what a gateway adds of its own
    (an address, bank details) stands beside under the seeds' names."""
    credited = row["credited"]
    asset, taken = row["asked_asset"], row["price_asset"]
    details = json.loads(row["details"], parse_float=Decimal)
    if row["gateway"] == "crypto":
        details = crypto_showing.shown(details, row["status"], row["confirmations"])
    return {
        **details,
        "payment_id": row["id"],
        "reference": row["reference"],
        "gateway": row["gateway"],
        "gateway_payment_id": row["gateway_payment_id"],
        "status": row["status"],
        "payment_url": row["payment_url"],
        "amount": to_decimal(row["asked"], asset),
        "currency": Asset.parse(asset).code,
        "price": to_decimal(int(row["price"]), taken),
        "price_currency": Asset.parse(taken).code,
        "received": to_decimal(int(row["received"]), taken),
        "refunded": to_decimal(int(row["refunded"]), taken),
        "credits": to_decimal(row["credits"], row["credit_asset"]),
        "bonus": to_decimal(row["bonus"], row["credit_asset"]),
        "credited": None if credited is None else to_decimal(credited, row["credit_asset"]),
        "package_id": row["package_id"],
        "confirmations_seen": row["confirmations"],
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


def refused_purchase(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``purchases`` that the ledger refused: nothing was taken, and what was paid for it stays as credits."""
    return {
        "deployment_id": row["deployment_id"],
        "service_id": row["service_id"],
        "service_name": row["service_name"],
        "required": to_decimal(row["required"], row["asset"]),
        "available": to_decimal(row["available"], row["asset"]),
        "wallet_version": row["wallet_version"],
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


def transaction(row: TransactionRow, said: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A line of history; the amount is signed. ``said`` is what the person gave along with the payment behind it."""
    given = {} if said is None else said
    return {
        "id": row.id,
        "user_id": row.user_id,
        "transaction_type": row.transaction_type,
        "amount": _number(row.amount),
        "balance_before": _number(row.balance_before),
        "balance_after": _number(row.balance_after),
        "description": given.get("description") or row.description,
        "metadata": {**given.get("metadata", {}), **row.metadata},
        "created_at": row.created_at,
    }


def _number(money: Money) -> Decimal:
    return to_decimal(money.units, money.asset)
