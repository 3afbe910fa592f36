"""What the use cases need from outside, and the records that pass between them and the adapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, Protocol

from gateway_ingest.domain.facts import Fact, Reading


class Verdict(StrEnum):
    """What became of an event. Stored; never renamed."""

    PUBLISHED = "published"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"


class Outcome(Enum):
    """What keeping an event came to."""

    NEW = "new"
    REPEAT = "repeat"
    CONTRADICTS = "contradicts"


Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, as ASGI has them."""


class Prove(Protocol):
    """Tells a genuine webhook from any other, by its raw bytes."""

    def __call__(self, headers: Headers, body: bytes, now_s: float, /) -> None:
        """Raises InvalidSignature."""
        ...


class ReadEvent(Protocol):
    """Understands parsed JSON; never raises."""

    def __call__(self, event: Any, /) -> Reading: ...


class AskGateway(Protocol):
    """Asks the gateway about what a webhook says, before it is believed."""

    async def __call__(self, reading: Reading, /) -> Reading:
        """What the gateway itself says. Raises OperationalError: the webhook is to come again."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayPort:
    """A gateway that may speak to us on ``paths``. While it is not ``configured`` nothing of it can be verified, and
    all is refused. ``ask`` is there for gateways whose webhooks are only believed when the gateway says the same."""

    name: str
    paths: tuple[str, ...]
    configured: bool
    prove: Prove
    read: ReadEvent
    ask: AskGateway | None = None


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """A verified event as it is to be kept: where it came from, its raw body, and what we made of it.

    ``fact`` is there exactly when the verdict is PUBLISHED. ``reason`` says why it is not. ``traceparent`` is the trace
    in which it came.
    """

    gateway: str
    event_id: str
    event_type: str
    verdict: Verdict
    reason: str | None
    fact: Fact | None
    occurred_at: datetime
    received_at: datetime
    content_hash: bytes
    body: bytes
    traceparent: str | None = None


class UnstorableEvent(Exception):
    """The database refuses a value of some event of the batch; nothing of the batch is stored."""


@dataclass(frozen=True, slots=True)
class SealedEvent:
    """An event with its row made ready: encrypted, translated. ``row`` is the store's own."""

    event: ReceivedEvent
    row: tuple[Any, ...]


class EventStore(Protocol):
    """Keeps events for ever, and what is to be published with them."""

    def seal(self, event: ReceivedEvent) -> SealedEvent:
        """Make the row ready: done per event while an earlier write runs, so that a write only has to send."""
        ...

    async def keep(self, sealed: Sequence[SealedEvent]) -> Sequence[Outcome]:
        """Each event with its message is durable when this returns; an outcome each, in order.

        Raises OperationalError when the database is away (some may be stored or not), UnstorableEvent.
        """
        ...
