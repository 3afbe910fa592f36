"""Failed payments and disputes, kept for the back office: in the transaction of whatever else their messages lead to.

The rows come before the other handler's work, which ends with the log's lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chassis.consumer import Handled, Handler
from chassis.dead_letters import storable
from contracts import messages
from contracts.envelope import Envelope
from contracts.messages.ledger import DisputeMessage
from payments_api.application.ports import PaymentStore
from payments_api.projections.back_office import DisputeNews, DisputeStatus, Failure, keep_dispute, keep_failure

TEXT_MAX_CHARS = 500
STATUSES: Mapping[str, DisputeStatus] = {"opened": "needs_response", "won": "won", "lost": "lost"}


def with_back_office(handlers: Mapping[str, Handler], payments: PaymentStore) -> Mapping[str, Handler]:
    """The handlers, each after what the back office keeps of its message."""
    keeping = _Keeping(payments)
    kept: Mapping[str, Handler] = {
        messages.PaymentFailed.TYPE: keeping.on_failed,
        messages.PaymentDisputed.TYPE: keeping.on_told,
        messages.CreditsDisputed.TYPE: keeping.on_booked(messages.CreditsDisputed, "needs_response"),
        messages.DisputeWon.TYPE: keeping.on_booked(messages.DisputeWon, "won"),
        messages.DisputeLost.TYPE: keeping.on_booked(messages.DisputeLost, "lost"),
    }
    composed = {name: _both(keep, handlers[name]) if name in handlers else keep for name, keep in kept.items()}
    return {**handlers, **composed}


def _both(first: Handler, second: Handler) -> Handler:
    async def both(conn: Any, envelope: Envelope) -> Handled | None:
        await first(conn, envelope)
        return await second(conn, envelope)

    return both


class _Keeping:
    def __init__(self, payments: PaymentStore) -> None:
        self._payments = payments

    async def on_failed(self, conn: Any, envelope: Envelope) -> None:
        message = messages.PaymentFailed.from_envelope(envelope)
        reason_code = storable(message.reason_code, TEXT_MAX_CHARS)
        failure = Failure(
            message_id=envelope.id,
            gateway=message.gateway,
            gateway_payment_id=message.gateway_payment_id,
            payment_id=await self._ours(conn, message.gateway, message.gateway_payment_id, message.reference),
            reference=message.reference,
            user_id=message.user_id,
            reason_code=reason_code,
            reason=storable(message.reason, TEXT_MAX_CHARS) or reason_code,
            is_over=message.is_over,
            attempt_id=message.attempt_id,
            at=message.failed_at,
        )
        await keep_failure(conn, failure)

    async def on_told(self, conn: Any, envelope: Envelope) -> None:
        message = messages.PaymentDisputed.from_envelope(envelope)
        news = DisputeNews(
            gateway=message.gateway,
            dispute_id=message.dispute_id,
            gateway_payment_id=message.gateway_payment_id,
            payment_id=await self._ours(conn, message.gateway, message.gateway_payment_id, None),
            asset=message.amount.asset,
            amount=message.amount.units,
            status=STATUSES[message.state],
            at=message.reported_at,
            reason=storable(message.reason, TEXT_MAX_CHARS),
        )
        await keep_dispute(conn, news)

    def on_booked(self, kind: type[DisputeMessage], status: DisputeStatus) -> Handler:
        async def on_booked(conn: Any, envelope: Envelope) -> None:
            message = kind.from_envelope(envelope)
            about = (message.gateway, message.gateway_payment_id, message.payment_reference)
            news = DisputeNews(
                gateway=message.gateway,
                dispute_id=message.dispute_id,
                gateway_payment_id=message.gateway_payment_id,
                payment_id=await self._ours(conn, *about),
                asset=message.disputed.asset,
                amount=message.disputed.units,
                status=status,
                at=envelope.time,
                reference=message.payment_reference,
                user_id=message.wallet.user_id,
                credit_asset=message.credits.asset,
                credits=message.credits.units,
            )
            await keep_dispute(conn, news)

        return on_booked

    async def _ours(self, conn: Any, gateway: str, gateway_payment_id: str, reference: str | None) -> str | None:
        """The payment, if it began here."""
        found = await self._payments.find_by_reference(conn, reference) if reference else None
        return found or await self._payments.find_by_gateway(conn, gateway, gateway_payment_id)
