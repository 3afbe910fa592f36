"""Spans around messages: one for each that carries a trace, whether it is handled alone or among many.

A message goes on from the span that made it, so that publisher and consumer stand side by side in its trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Protocol

from chassis.bus.port import Headers, OutgoingRecord, Record
from chassis.tracing.calls import HEADER
from chassis.tracing.spans import NO_SPAN, Attributes, Kind, Span, continued, is_on
from contracts.envelope import Envelope

OUTCOME = "gridledger.outcome"
SETTLED = "settled"


class Heard(Protocol):
    """A record as a group sees it; see ``chassis.consumer.Delivery``."""

    @property
    def record(self) -> Record: ...

    @property
    def envelope(self) -> Envelope | None: ...


class _Together:
    """Spans that begin and end at once; none of them is the current one."""

    def __init__(self, spans: Sequence[Span], outcome: str) -> None:
        self._spans = spans
        self._outcome = outcome

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._spans:
            if kind is None:
                one.note(OUTCOME, self._outcome)
            else:
                one.failed(kind.__name__)
            one.end()


_NONE = _Together((), "")


def handling(group: str, heard: Heard) -> Span:
    """Around the handling of one message; what is skipped or unreadable is in nobody's trace."""
    envelope = heard.envelope
    if envelope is None or not is_on():
        return NO_SPAN
    return _handled(group, heard.record, envelope)


def handling_batch(group: str, batch: Iterable[Heard]) -> _Together:
    """Around the handling of many in one transaction; only those that carry a trace have a span."""
    if not is_on():
        return _NONE
    spans = [
        _handled(group, heard.record, heard.envelope)
        for heard in batch
        if heard.envelope is not None and heard.envelope.traceparent is not None
    ]
    return _Together(spans, SETTLED)


def publishing(source: str, records: Iterable[OutgoingRecord]) -> _Together:
    """Around the publishing of records; only those that carry a trace have a span."""
    if not is_on():
        return _NONE
    carrying = ((record, _traceparent(record.headers)) for record in records)
    spans = [
        continued(traceparent, f"publish {record.topic}", Kind.PRODUCER, _published(source, record))
        for record, traceparent in carrying
        if traceparent is not None
    ]
    return _Together(spans, "published")


def _handled(group: str, record: Record, envelope: Envelope) -> Span:
    attributes: Attributes = {
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": group,
        "messaging.destination.name": record.topic,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
        "messaging.message.id": envelope.id,
        "cloudevents.event_type": envelope.type,
    }
    return continued(envelope.traceparent, f"process {record.topic}", Kind.CONSUMER, attributes)


def _published(source: str, record: OutgoingRecord) -> Attributes:
    return {
        "messaging.operation.type": "send",
        "messaging.destination.name": record.topic,
        "gridledger.relay": source,
    }


def _traceparent(headers: Headers) -> str | None:
    return next((value.decode("ascii", "replace") for name, value in headers if name == HEADER), None)
