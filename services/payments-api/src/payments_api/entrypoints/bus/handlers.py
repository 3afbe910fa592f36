"""Messages that this service hears, and what each leads to: ``handlers`` ends with the table of all of them.

A handler works in the consumer's transaction. A message about a deployment that nobody told of yet waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chassis.consumer import Handled, Handler, MessageConsumer
from chassis.dead_letters import storable
from chassis.errors import EarlyMessage
from contracts import messages
from contracts.envelope import Envelope
from contracts.messages.deployments import DeploymentMessage
from contracts.messages.ledger import WalletMessage
from contracts.topics import DEPLOYMENTS, LEDGER, PAYMENTS
from payments_api.adapters import wallet_news
from payments_api.adapters.deployment_rows import DeploymentRows, NewDeployment, StatusNews
from payments_api.application.notifying import Notifying
from payments_api.application.ports import PaymentStore
from payments_api.bootstrap import Parts
from payments_api.entrypoints.bus.back_office import with_back_office
from payments_api.entrypoints.bus.payment_news import payment_handlers
from payments_api.entrypoints.bus.subscription_news import with_subscriptions

GROUP = "payments-api"
REASON_MAX_CHARS = 500


def make_consumer(parts: Parts) -> MessageConsumer:
    """Hears all three topics."""
    topics = [PAYMENTS, LEDGER, DEPLOYMENTS]
    heard = with_subscriptions(handlers(parts.payments, parts.mail.notifying), parts.subscriptions.hearing)
    return MessageConsumer(parts.pool, parts.bus, GROUP, topics, heard)


def handlers(payments: PaymentStore, notifying: Notifying) -> Mapping[str, Handler]:
    """Message type → handler."""
    wallets: dict[str, Handler] = {message.TYPE: _wallet_handler(message) for message in _WALLET_MESSAGES}
    return {
        **wallets,
        **with_back_office(payment_handlers(payments, notifying), payments),
        messages.DeploymentRequested.TYPE: _on_requested,
        messages.DeploymentQueued.TYPE: _on_queued,
        messages.DeploymentProvisioning.TYPE: _on_provisioning,
        messages.DeploymentActive.TYPE: _on_active,
        messages.DeploymentFailed.TYPE: _on_failed,
        messages.DeploymentUnknown.TYPE: _on_unknown,
    }


_WALLET_MESSAGES: tuple[type[WalletMessage], ...] = (
    messages.CreditsHeld,
    messages.HoldCaptured,
    messages.HoldReleased,
    messages.CreditsRefunded,
    messages.CreditsSent,
    messages.CreditsReceived,
    messages.CreditsAdjusted,
)


def _wallet_handler(kind: type[WalletMessage]) -> Handler:
    async def on_wallet(conn: Any, envelope: Envelope) -> None:
        message = kind.from_envelope(envelope)
        if await wallet_news.is_news(conn, message.wallet):
            await wallet_news.tell(conn, message.wallet, message.transaction)

    return on_wallet


async def _on_requested(conn: Any, envelope: Envelope) -> Handled:
    message = messages.DeploymentRequested.from_envelope(envelope)
    rows = DeploymentRows(conn, message.deployment_id)
    await rows.ensure(
        NewDeployment(
            message.deployment_id,
            message.user_id,
            message.service_id,
            message.service_name,
            message.amount.asset,
            message.amount.units,
            message.requested_at,
        )
    )
    await rows.tell()
    return _exists(message)


async def _on_queued(conn: Any, envelope: Envelope) -> Handled:
    message = messages.DeploymentQueued.from_envelope(envelope)
    rows = DeploymentRows(conn, message.deployment_id)
    # The message has no name; the request's message, if it is still to come, finds the row made.
    about = (message.user_id, message.service_id, message.service_id, message.amount.asset, message.amount.units)
    await rows.ensure(NewDeployment(message.deployment_id, *about, envelope.time))
    await rows.split(message.commission.units, message.grid_payment.units)
    await rows.status(StatusNews("queued", envelope.time))
    await rows.tell()
    return _exists(message)


async def _on_provisioning(conn: Any, envelope: Envelope) -> None:
    message = messages.DeploymentProvisioning.from_envelope(envelope)
    await _show(conn, message, StatusNews("provisioning", envelope.time))


async def _on_active(conn: Any, envelope: Envelope) -> None:
    message = messages.DeploymentActive.from_envelope(envelope)
    details = message.connection_details.model_dump(exclude_none=True)
    await _show(conn, message, StatusNews("active", envelope.time, message.grid_deployment_id, details))


async def _on_failed(conn: Any, envelope: Envelope) -> None:
    message = messages.DeploymentFailed.from_envelope(envelope)
    await _show(conn, message, StatusNews("failed", envelope.time, error_message=_text(message.error_message)))


async def _on_unknown(conn: Any, envelope: Envelope) -> None:
    message = messages.DeploymentUnknown.from_envelope(envelope)
    await _show(conn, message, StatusNews("unknown", envelope.time, error_message=_text(message.error_message)))


async def _show(conn: Any, message: DeploymentMessage, news: StatusNews) -> None:
    rows = DeploymentRows(conn, message.deployment_id)
    if not await rows.exists():
        raise EarlyMessage(_reference(message))
    await rows.status(news)
    await rows.tell()


def _text(words: str) -> str:
    """Somebody else's words, as a row can hold them."""
    return storable(words, REASON_MAX_CHARS)


def _exists(message: DeploymentMessage) -> Handled:
    return Handled((_reference(message),))


def _reference(message: DeploymentMessage) -> str:
    return f"deployment:{message.deployment_id}"
