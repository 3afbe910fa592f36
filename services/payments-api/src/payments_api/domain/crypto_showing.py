"""How a payment in coins looks to people: the seed's words for its state, its amounts as exact numbers.

What the gateway said when it opened the payment is stored as text; blocks and state are of the moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from payments_api.domain import payment

CONFIRMATION_STATUS: Mapping[str, str] = {
    payment.INITIATED: "Pending",
    payment.PENDING: "Pending",
    payment.CONFIRMED: "Confirmed",
    payment.OVERPAID: "Confirmed",
    payment.UNDERPAID: "Underpaid",
    payment.FAILED: "Failed",
    payment.EXPIRED: "Failed",
    # Coins are not sent back through us: what was confirmed is gone because its block is.
    payment.PARTIALLY_REFUNDED: "Reorganized",
    payment.REFUNDED: "Reorganized",
    payment.DISPUTED: "Disputed",
    payment.WON: "Confirmed",
    payment.LOST: "Disputed",
}
"""State of a payment → what the seed calls ``ConfirmationStatus``."""

BELIEVED = frozenset({"Confirmed", "Underpaid"})
NUMBERS = ("amount_crypto", "exchange_rate", "network_fee", "processing_fee")
OF_THE_SEED = ("currency", "network", "wallet_address", "amount_crypto", "exchange_rate", "expires_at")


def confirmation_status(status: str) -> str:
    """The seed's word for a state of ours. Raises KeyError for what is none."""
    return CONFIRMATION_STATUS[status]


def shown(details: Mapping[str, Any], status: str, confirmations: int | None) -> dict[str, Any]:
    """Stored ``details`` as they are now. ``crypto`` holds the seed's own object once more, since a payment's
    ``currency`` is what was asked for in dollars."""
    numbers = {name: Decimal(details[name]) for name in NUMBERS if name in details}
    word = confirmation_status(status)
    now = {
        **details,
        **numbers,
        "confirmation_status": word,
        "confirmations": _confirmations(details, word, confirmations),
    }
    return {**now, "crypto": {name: now[name] for name in OF_THE_SEED if name in now}}


def _confirmations(details: Mapping[str, Any], word: str, told: int | None) -> int:
    """Blocks are told of only until there are enough: what was believed has those that were required, and what lost
    its block has none."""
    if word == "Reorganized":
        return 0
    seen = int(details.get("confirmations", 0)) if told is None else told
    return max(seen, int(details.get("confirmations_required", 0))) if word in BELIEVED else seen
