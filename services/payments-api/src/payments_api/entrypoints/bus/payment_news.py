"""What becomes of payments: messages of gateways and of the ledger, applied to the payments that began here.

A payment is found by our reference, else by the gateway's own id of it. Payments that began elsewhere have no row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chassis.consumer import Handler
from chassis.dead_letters import storable
from contracts import messages
from contracts.envelope import Envelope
from contracts.messages.ledger import DisputeMessage, WalletMessage
from payments_api.adapters import card_purchases, wallet_news
from payments_api.adapters.refund_desk import failed_late
from payments_api.application.notifying import Notifying
from payments_api.application.ports import PaymentStore
from payments_api.domain.deciding import (
    Command,
    ReportCredited,
    ReportDisputed,
    ReportFailedAttempt,
    ReportReversed,
    ReportSeen,
)
from payments_api.domain.payment import Payment

REASON_MAX_CHARS = 500
REFUND_FAILED = "failed at the gateway"


def payment_handlers(payments: PaymentStore, notifying: Notifying) -> Mapping[str, Handler]:
    """Message type → handler."""
    news = _PaymentNews(payments, notifying)
    return {
        messages.PaymentPending.TYPE: news.on_pending,
        messages.PaymentFailed.TYPE: news.on_failed,
        messages.CreditsPurchased.TYPE: news.on_purchased,
        messages.RefundReported.TYPE: on_refund_reported,
        messages.PaymentReversed.TYPE: news.on_reversed,
        messages.PaymentRestored.TYPE: news.on_restored,
        messages.CreditsDisputed.TYPE: news.on_dispute_of(messages.CreditsDisputed, "opened"),
        messages.DisputeWon.TYPE: news.on_dispute_of(messages.DisputeWon, "won"),
        messages.DisputeLost.TYPE: news.on_dispute_of(messages.DisputeLost, "lost"),
    }


async def on_refund_reported(conn: Any, envelope: Envelope) -> None:
    """A refund that began here and failed late can be asked for again; what became of the money the ledger tells."""
    message = messages.RefundReported.from_envelope(envelope)
    if message.state == "failed":
        reason = _text(message.reason) or REFUND_FAILED
        await failed_late(conn, message.gateway, message.gateway_payment_id, message.refund_id, reason)


class _PaymentNews:
    """The handlers; each works in the consumer's transaction."""

    def __init__(self, payments: PaymentStore, notifying: Notifying) -> None:
        self._payments = payments
        self._notifying = notifying

    async def on_pending(self, conn: Any, envelope: Envelope) -> None:
        message = messages.PaymentPending.from_envelope(envelope)
        seen = ReportSeen(
            message.gateway_payment_id, message.state, message.confirmations, message.confirmations_required
        )
        await self._apply(conn, message.gateway, message.gateway_payment_id, message.reference, seen)

    async def on_failed(self, conn: Any, envelope: Envelope) -> None:
        message = messages.PaymentFailed.from_envelope(envelope)
        words = (_text(message.reason_code), _text(message.reason))
        failed = ReportFailedAttempt(*words, message.is_over, message.attempt_id)
        await self._apply(conn, message.gateway, message.gateway_payment_id, message.reference, failed)

    async def on_purchased(self, conn: Any, envelope: Envelope) -> None:
        message = messages.CreditsPurchased.from_envelope(envelope)
        credited = ReportCredited(
            received_asset=message.received.asset,
            received=message.received.units,
            credit_asset=message.credits.asset,
            credits=message.credits.units,
            rule=message.rule,
            gateway_payment_id=message.gateway_payment_id,
        )
        payment_id = await self._apply_with_wallet(conn, message, credited)
        if payment_id is not None:
            await card_purchases.release(conn, payment_id)

    async def on_reversed(self, conn: Any, envelope: Envelope) -> None:
        message = messages.PaymentReversed.from_envelope(envelope)
        total = message.refunded_total
        await self._apply_with_wallet(
            conn, message, ReportReversed(total.asset, total.units, message.gateway_payment_id)
        )

    async def on_restored(self, conn: Any, envelope: Envelope) -> None:
        message = messages.PaymentRestored.from_envelope(envelope)
        total = message.refunded_total
        restored = ReportReversed(total.asset, total.units, message.gateway_payment_id, came_back=True)
        await self._apply_with_wallet(conn, message, restored)

    def on_dispute_of(self, kind: type[DisputeMessage], state: str) -> Handler:
        async def on_dispute(conn: Any, envelope: Envelope) -> None:
            message = kind.from_envelope(envelope)
            disputed = ReportDisputed(message.dispute_id, state, message.disputed.asset, message.disputed.units)
            await self._apply_with_wallet(conn, message, disputed)

        return on_dispute

    async def _apply_with_wallet(self, conn: Any, message: Any, command: Command) -> str | None:
        assert isinstance(message, WalletMessage)
        is_news = await wallet_news.is_news(conn, message.wallet)
        about = (message.gateway, message.gateway_payment_id, message.payment_reference)  # type: ignore[attr-defined]
        payment_id = await self._apply(conn, *about, command, owner=message.wallet.user_id)
        if is_news:
            await wallet_news.tell(conn, message.wallet, message.transaction)
        return payment_id

    async def _apply(
        self,
        conn: Any,
        gateway: str,
        gateway_payment_id: str,
        reference: str | None,
        command: Command,
        *,
        owner: str | None = None,
    ) -> str | None:
        """The payment, if it began here. One whose money an operator gave to another ``owner`` is not touched by it:
        it was never credited to who began it, nor may it start what they wanted to buy."""
        payment_id = await self._payments.find_by_reference(conn, reference) if reference else None
        if payment_id is None:
            payment_id = await self._payments.find_by_gateway(conn, gateway, gateway_payment_id)
        if payment_id is None:
            return None
        state = await self._payments.load(conn, payment_id)
        if owner not in (None, state.user_id):
            return None
        after = await self._payments.save(conn, state, [command])
        await self._notify(conn, state, after, command)
        return payment_id

    async def _notify(self, conn: Any, before: Payment, after: Payment, command: Command) -> None:
        if isinstance(command, ReportFailedAttempt):
            await self._notifying.on_failed(conn, before, after)
        elif isinstance(command, ReportCredited):
            await self._notifying.on_credited(conn, before, after, command)


def _text(words: str) -> str:
    """Somebody else's words, as a row can hold them."""
    return storable(words, REASON_MAX_CHARS)
