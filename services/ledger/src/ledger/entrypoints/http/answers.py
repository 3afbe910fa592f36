"""What the ledger answers: bodies of success, and refusals as problem documents, kept as they are under their keys."""

from __future__ import annotations

from typing import Any

from chassis.http import encode_exact, problem
from contracts.amounts import format_units
from ledger.application.history import snapshot_after
from ledger.application.settlement import KeyReused
from ledger.application.work import Answer, Settled
from ledger.domain import events, refusals
from ledger.domain.states import Payment, Wallet

PROBLEM_STATUS = 400
"""From here on a kept answer is a problem document."""


def settled_answer(settled: Settled, asset: str) -> Answer:
    """201 with the wallets as the effect left them, and a position by which reads see it; 404 where nothing was left
    to do: only an allocation may come to that."""
    made = [event for event in settled.events if isinstance(event, events.WalletEvent)]
    if not made:
        return refusal_answer(refusals.NothingToAllocate(settled.no_effect or "nothing"), asset)
    body = {
        "reference": made[0].reference,
        "wallet": snapshot_after(made[0], asset).model_dump(mode="json"),
        "wallets": [snapshot_after(event, asset).model_dump(mode="json") for event in made],
        "position": settled.position,
    }
    if isinstance(made[0], events.CreditsHeld):
        body |= {"deployment_id": made[0].deployment_id, "amount": format_units(made[0].amount, asset)}
    return Answer(201, encode_exact(body))


def refusal_answer(refusal: refusals.Refusal, asset: str) -> Answer:
    """The refusal as a problem document."""
    status, title, field, extra = _explain(refusal, asset)
    response = problem(status, refusal.code, title, None, field, **extra)
    return Answer(status, bytes(response.body))


def _explain(refusal: refusals.Refusal, asset: str) -> tuple[int, str, str | None, dict[str, Any]]:
    if isinstance(refusal, refusals.InsufficientFunds):
        amounts = {
            "required": format_units(refusal.required, asset),
            "available": format_units(refusal.available, asset),
            "wallet_version": refusal.version,
        }
        return 402, "There is not enough to spend", None, amounts
    if isinstance(refusal, KeyReused):
        return 422, "The idempotency key was used with another body", "Idempotency-Key", {}
    if isinstance(refusal, refusals.SameWallet):
        return 422, "A transfer needs two wallets", "to_user_id", {}
    if isinstance(refusal, refusals.WalletLimit):
        return 422, "The wallet would hold more than a wallet may", "amount", {}
    if isinstance(refusal, refusals.NothingToAllocate):
        return 404, "No unallocated money is kept under that payment", None, {}
    return 409, "The effect exists with another content", None, {}


def wallet_body(wallet: Wallet, position: int, asset: str) -> dict[str, Any]:
    """A wallet for readers; amounts are decimal strings."""
    amounts = {
        "available": wallet.available,
        "held": wallet.held,
        "debt": wallet.debt,
        "total_purchased": wallet.total_purchased,
        "total_spent": wallet.total_spent,
        "total_refunded": wallet.total_refunded,
    }
    written = {name: format_units(units, asset) for name, units in amounts.items()}
    return {"user_id": wallet.user_id, "asset": asset, **written, "version": wallet.version, "position": position}


def payment_body(payment: Payment, asset: str) -> dict[str, Any]:
    """A payment for readers: money in its own asset, credits in ours. ``returned`` and ``disputed`` are of
    ``received``; ``credits_taken`` are gone from the wallet, without those that a dispute only sets aside."""
    return {
        "gateway": payment.gateway,
        "gateway_payment_id": payment.payment_id,
        "payment_reference": payment.payment_reference,
        "user_id": payment.user_id,
        "asset": payment.asset,
        "received": format_units(payment.received, payment.asset),
        "returned": format_units(payment.refunded, payment.asset),
        "disputed": format_units(payment.disputed_total, payment.asset),
        "credits": format_units(payment.credits, asset),
        "credits_taken": format_units(payment.credits_taken, asset),
    }
