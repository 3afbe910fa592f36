"""What becomes of subscriptions: messages of gateways that take payments by themselves, and of the periods' payments.

Works in the consumer's transaction, around whatever else a message leads to: a period's subscription is locked before
its payment changes, and changes after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chassis.consumer import Handled, Handler
from chassis.dead_letters import storable
from contracts import messages
from contracts.envelope import Envelope
from payments_api.application.subscription_hearing import PeriodNews, SubscriptionHearing
from payments_api.domain.deciding import ReportFailedAttempt
from payments_api.domain.subscription_deciding import HearGateway

TEXT_MAX_CHARS = 500


def with_subscriptions(handlers: Mapping[str, Handler], hearing: SubscriptionHearing) -> Mapping[str, Handler]:
    """The handlers, and what subscriptions hear beside."""
    news = _SubscriptionNews(hearing)
    around = {
        kind.TYPE: news.around(kind, handlers[kind.TYPE])
        for kind in (messages.CreditsPurchased, messages.PaymentFailed)
    }
    return {
        **handlers,
        **around,
        messages.SubscriptionPeriodReported.TYPE: news.on_period,
        messages.SubscriptionReported.TYPE: news.on_reported,
    }


class _SubscriptionNews:
    def __init__(self, hearing: SubscriptionHearing) -> None:
        self._hearing = hearing

    async def on_period(self, conn: Any, envelope: Envelope) -> None:
        message = messages.SubscriptionPeriodReported.from_envelope(envelope)
        failed = None
        if message.state == "failed":
            code, reason = _text(message.reason_code), _text(message.reason)
            failed = ReportFailedAttempt(code or "unknown", reason)
        await self._hearing.hear_period(
            conn,
            PeriodNews(
                gateway=message.gateway,
                subscription_id=message.subscription_id,
                gateway_subscription_id=message.gateway_subscription_id,
                invoice_id=message.gateway_invoice_id,
                reference=message.payment_reference,
                begins_at=message.begins_at,
                ends_at=message.ends_at,
                told_at=message.reported_at,
                payment_url=message.payment_url,
                failed=failed,
            ),
        )

    async def on_reported(self, conn: Any, envelope: Envelope) -> None:
        message = messages.SubscriptionReported.from_envelope(envelope)
        told = HearGateway(message.gateway_subscription_id, message.state, message.reported_at)
        await self._hearing.hear_state(conn, message.gateway, message.subscription_id, told)

    def around(self, kind: type[messages.CreditsPurchased] | type[messages.PaymentFailed], inner: Handler) -> Handler:
        """``inner``, and then what it means for the payment's period."""

        async def heard(conn: Any, envelope: Envelope) -> Handled | None:
            period = await self._hearing.lock_of_payment(conn, _reference(kind.from_envelope(envelope)))
            handled = await inner(conn, envelope)
            if period is not None:
                await self._hearing.hear_payment(conn, period)
            return handled

        return heard


def _reference(message: messages.CreditsPurchased | messages.PaymentFailed) -> str | None:
    return message.payment_reference if isinstance(message, messages.CreditsPurchased) else message.reference


def _text(words: str) -> str:
    """Somebody else's words, as a row can hold them."""
    return storable(words, TEXT_MAX_CHARS)
