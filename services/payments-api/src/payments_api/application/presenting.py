"""How payments, deployments and wallets look to people: the seeds' field names, amounts as exact decimal numbers.

Answers and live events show the same thing in the same way, because both come from here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contracts.amounts import Asset, to_decimal


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


def balance(asset: str, *, available: int, held: int, debt: int, version: int) -> dict[str, Any]:
    """A wallet; ``balance`` is what can be spent. Who shows it drops what has an older ``wallet_version``."""
    return {
        "balance": to_decimal(available, asset),
        "held": to_decimal(held, asset),
        "debt": to_decimal(debt, asset),
        "currency": Asset.parse(asset).code,
        "wallet_version": version,
    }


def transaction(row: Mapping[str, Any], asset: str) -> dict[str, Any]:
    """A line of history whose amounts are in units."""
    amounts = {name: to_decimal(row[name], asset) for name in ("amount", "balance_before", "balance_after")}
    return {
        "id": row["id"],
        "user_id": row["user_id"],
        "transaction_type": row["transaction_type"],
        **amounts,
        "description": row["description"],
        "metadata": row["metadata"],
        "created_at": row["created_at"],
    }
