"""How subscriptions look to people: the seeds' field names, amounts as exact decimal numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.amounts import Asset, to_decimal


def subscription(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``subscriptions``, with ``bill_url`` where the newest period's payment can be paid. Until the first
    period, ``payment_url`` is where the person agrees."""
    period = None
    if row["period"]:
        period = {
            "number": row["period"],
            "begins_at": row["period_begins_at"],
            "ends_at": row["period_ends_at"],
            "payment_id": row["payment_id"],
            "payment_status": row["bill_status"],
        }
    return {
        "subscription_id": row["id"],
        "status": row["status"],
        "package_id": row["package_id"],
        "billing_cycle": row["cycle"],
        "payment_method": row["gateway"],
        "price": to_decimal(int(row["price"]), row["price_asset"]),
        "currency": Asset.parse(row["price_asset"]).code,
        "credits": to_decimal(row["credits"], row["credit_asset"]),
        "bonus": to_decimal(row["bonus"], row["credit_asset"]),
        "period": period,
        "next_period_at": row["next_period_at"],
        "payment_url": row["bill_url"] if row["period"] else row["payment_url"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }
