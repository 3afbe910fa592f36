"""Spans by OpenTelemetry's SDK. Imported only where tracing is on.

Has a provider of its own and leaves the global one alone: libraries that make spans by themselves (FastAPI does) note
paths and queries, in which ids stand.
"""

from __future__ import annotations

import threading
from contextvars import Token
from types import TracebackType

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chassis.tracing.calls import HEADER
from chassis.tracing.otlp import OtlpExporter
from chassis.tracing.spans import Attributes, Kind, Span

QUEUE_MAX_SPANS = 4_096
"""Beyond, the oldest are lost: a collector that is away must not cost memory."""
BATCH_MAX_SPANS = 512
SEND_EVERY_S = 1.0
CLOSING = "tracing-close"

_PROPAGATOR = TraceContextTextMapPropagator()
_KINDS = {
    Kind.INTERNAL: trace.SpanKind.INTERNAL,
    Kind.SERVER: trace.SpanKind.SERVER,
    Kind.CLIENT: trace.SpanKind.CLIENT,
    Kind.PRODUCER: trace.SpanKind.PRODUCER,
    Kind.CONSUMER: trace.SpanKind.CONSUMER,
}


class LiveTracing:
    """See ``chassis.tracing.spans.Tracing``. ``share`` of the traces that begin here are kept; of those that began
    elsewhere, the ones that were kept there."""

    def __init__(self, processor: SpanProcessor, service: str, share: float) -> None:
        self._processor = processor
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)),
            resource=Resource.create({"service.name": service}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("gridledger")

    @classmethod
    def sending_to(cls, endpoint: str, service: str, share: float) -> LiveTracing:
        """Sends to a collector, in batches, from a thread of its own."""
        processor = BatchSpanProcessor(
            OtlpExporter(endpoint),
            max_queue_size=QUEUE_MAX_SPANS,
            max_export_batch_size=BATCH_MAX_SPANS,
            schedule_delay_millis=SEND_EVERY_S * 1000,
        )
        return cls(processor, service, share)

    def close(self, flush_s: float) -> None:
        """Send what is left; what is not sent within ``flush_s`` is lost."""
        # The processor itself would wait longer than anybody waits for a process to end.
        closing = threading.Thread(target=self._processor.shutdown, name=CLOSING, daemon=True)
        closing.start()
        closing.join(flush_s)

    def start(self, name: str, kind: Kind, attributes: Attributes) -> Span:
        return self._started(None, name, kind, attributes)

    def start_from(self, traceparent: str | None, name: str, kind: Kind, attributes: Attributes) -> Span:
        parent = Context() if traceparent is None else _PROPAGATOR.extract({HEADER: traceparent}, context=Context())
        return self._started(parent, name, kind, attributes)

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get(HEADER)

    def trace_id(self) -> str | None:
        current = trace.get_current_span().get_span_context()
        return trace.format_trace_id(current.trace_id) if current.is_valid else None

    def _started(self, parent: Context | None, name: str, kind: Kind, attributes: Attributes) -> Span:
        return _LiveSpan(self._tracer.start_span(name, parent, _KINDS[kind], attributes))


class _LiveSpan:
    """See ``chassis.tracing.spans.Span``."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        if self._token is not None:
            context.detach(self._token)
        if kind is not None:
            self.failed(kind.__name__)
        self.end()

    def note(self, name: str, value: str | int) -> None:
        if self._span.is_recording():
            self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        if self._span.is_recording():
            self._span.update_name(name)

    def failed(self, why: str) -> None:
        if self._span.is_recording():
            self._span.set_attribute("error.type", why)
            self._span.set_status(Status(StatusCode.ERROR))

    def answered(self, status: int) -> None:
        self.note("http.response.status_code", status)
        if status >= 500:
            self.failed(str(status))

    def end(self) -> None:
        if self._span.is_recording():
            self._span.end()
