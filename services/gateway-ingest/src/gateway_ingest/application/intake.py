"""Takes a webhook in: verify, read, judge, keep; it returns only when the event is durable.

The order matters: nothing of the body is looked at before its signature is proven, and nothing genuine is refused for
being odd, since a gateway that is answered 4xx switches us off.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from chassis.clock import Clock
from chassis.errors import DomainError
from chassis.tracing import current_traceparent, span
from gateway_ingest.application import counting
from gateway_ingest.application.group_commit import QUEUE_MAX_ITEMS, GroupCommit
from gateway_ingest.application.ports import (
    EventStore,
    GatewayPort,
    Headers,
    Outcome,
    ReceivedEvent,
    SealedEvent,
    Verdict,
)
from gateway_ingest.domain.facts import Confirmed, Ignored, Odd, Reading, content_hash
from gateway_ingest.domain.signatures import InvalidSignature

log = structlog.get_logger(__name__)
_decoder = msgspec.json.Decoder()


class WebhookRefused(DomainError):
    """Not proven genuine, or not JSON. Says no more than that: whoever tries learns nothing."""

    status = 400


class GatewayNotConfigured(DomainError):
    """We have no secret to verify this gateway's signatures with."""

    status = 503


class Intake:
    """The use case. Events that come at the same time are written together."""

    def __init__(self, store: EventStore, clock: Clock, *, queue_max_items: int = QUEUE_MAX_ITEMS) -> None:
        self._store = store
        self._commit: GroupCommit[SealedEvent, Outcome] = GroupCommit(store.keep, queue_max_items=queue_max_items)
        self._clock = clock

    async def take(self, gateway: GatewayPort, headers: Headers, body: bytes) -> Outcome:
        """Keep the webhook. Raises WebhookRefused, GatewayNotConfigured, OperationalError."""
        self._prove_genuine(gateway, headers, body)
        reading = gateway.read(_parse(gateway, body))
        if gateway.ask is not None:
            reading = await gateway.ask(reading)
        return await self.keep(gateway.name, reading, body)

    async def keep(self, gateway: str, reading: Reading, body: bytes) -> Outcome:
        """Keep what was read of ``body``, and publish it; the facts beside its finding under names of their own.

        Answers what became of the finding. Raises OperationalError: all of it is to come again.
        """
        with span("keep webhook", attributes={"gridledger.gateway": gateway}) as keeping:
            received = self._received(gateway, reading, body)
            outcome = await self._commit.submit(self._store.seal(received))
            keeping.note("gridledger.outcome", outcome.value)
        _tell(received, outcome)
        for number, fact in enumerate(reading.besides, start=1):
            beside = replace(reading, event_id=f"{received.event_id}.{number}", finding=fact, besides=())
            await self.keep(gateway, beside, b"")
        return outcome

    def _prove_genuine(self, gateway: GatewayPort, headers: Headers, body: bytes) -> None:
        if not gateway.configured:
            counting.REFUSED.labels(gateway.name, "not_configured").inc()
            raise GatewayNotConfigured("gateway_not_configured", "No signing secret is configured for this gateway")
        try:
            gateway.prove(headers, body, self._clock.now().timestamp())
        except InvalidSignature as invalid:
            counting.REFUSED.labels(gateway.name, f"signature_{invalid.reason}").inc()
            log.warning("webhook_refused", gateway=gateway.name, reason=f"signature_{invalid.reason}")
            raise WebhookRefused("invalid_signature", "The signature is missing, wrong or too old") from None

    def _received(self, gateway: str, reading: Reading, body: bytes) -> ReceivedEvent:
        received_at = self._clock.now()
        verdict, reason = _judge(reading)
        finding = reading.finding
        return ReceivedEvent(
            gateway=gateway,
            # An event without a usable id is known by its bytes.
            event_id=reading.event_id or f"sha256.{hashlib.sha256(body).hexdigest()}",
            event_type=reading.event_type,
            verdict=verdict,
            reason=reason,
            fact=None if isinstance(finding, Ignored | Odd) else finding,
            occurred_at=reading.occurred_at or received_at,
            received_at=received_at,
            content_hash=content_hash(reading),
            body=body,
            traceparent=current_traceparent(),
        )


def _parse(gateway: GatewayPort, body: bytes) -> Any:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        counting.REFUSED.labels(gateway.name, "malformed_json").inc()
        log.warning("webhook_refused", gateway=gateway.name, reason="malformed_json")
        raise WebhookRefused("malformed_json", "The body is not JSON") from None


def _judge(reading: Reading) -> tuple[Verdict, str | None]:
    finding = reading.finding
    if isinstance(finding, Ignored):
        return Verdict.IGNORED, finding.reason
    if isinstance(finding, Odd):
        return Verdict.QUARANTINED, finding.reason
    return Verdict.PUBLISHED, None


def _tell(event: ReceivedEvent, outcome: Outcome) -> None:
    """Count and log what is worth a look; an ordinary payment makes no line here."""
    if outcome is not Outcome.NEW:
        counting.REPEATS.labels(event.gateway, outcome.value).inc()
        if outcome is Outcome.CONTRADICTS:
            log.warning("event_contradicts_itself", gateway=event.gateway, event_id=event.event_id)
        return
    counting.kept(event.gateway, event.verdict.value).inc()
    if event.verdict is Verdict.QUARANTINED:
        log.warning("event_quarantined", gateway=event.gateway, event_id=event.event_id, reason=event.reason)
    if isinstance(event.fact, Confirmed):
        for oddity in event.fact.oddities:
            counting.ODDITIES.labels(oddity).inc()
            log.warning("payment_oddity", gateway=event.gateway, event_id=event.event_id, oddity=oddity)
