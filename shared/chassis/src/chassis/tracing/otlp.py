"""Spans to a collector: OTLP over HTTP, as JSON.

Runs in the batch processor's thread. A collector that is away costs spans and one line in the log, nothing else.
"""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.error import HTTPError

import msgspec
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client import Counter

PATH = "/v1/traces"
TIMEOUT_S = 2.0
SPANS = Counter("gridledger_trace_spans", "Spans that were to be sent", ["outcome"])

log = structlog.get_logger(__name__)


class OtlpExporter(SpanExporter):
    """Sends each batch once, to ``endpoint`` and the path that OTLP gives to traces."""

    def __init__(self, endpoint: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = endpoint.rstrip("/") + PATH
        self._timeout_s = timeout_s
        # Reached directly, like all that is ours: a proxy of the environment has no business between.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._is_away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Never raises: nobody waits for the answer."""
        try:
            self._post(encoded(spans))
        except (OSError, ValueError, http.client.HTTPException) as error:
            SPANS.labels("lost").inc(len(spans))
            self._note_away(error)
            return SpanExportResult.FAILURE
        SPANS.labels("sent").inc(len(spans))
        self._note_back()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is kept open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True

    def _post(self, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 - http(s) by settings
        with self._opener.open(request, timeout=self._timeout_s) as answer:
            answer.read()

    def _note_away(self, error: Exception) -> None:
        if not self._is_away:
            why = f"status {error.code}" if isinstance(error, HTTPError) else type(error).__name__
            log.warning("spans_are_lost", reason=why)
        self._is_away = True

    def _note_back(self) -> None:
        if self._is_away:
            log.info("spans_are_sent_again")
        self._is_away = False


def encoded(spans: Sequence[ReadableSpan]) -> bytes:
    """Spans of one provider as OTLP's ExportTraceServiceRequest in JSON. There, ids are hexadecimal, enumerations
    numbers, and 64-bit integers texts."""
    resource = spans[0].resource.attributes if spans else {}
    scope = {"name": "gridledger"}
    return msgspec.json.encode(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes(resource)},
                    "scopeSpans": [{"scope": scope, "spans": [_span(span) for span in spans]}],
                }
            ]
        }
    )


def _span(span: ReadableSpan) -> dict[str, Any]:
    known = span.get_span_context()
    assert known is not None
    told: dict[str, Any] = {
        "traceId": format_trace_id(known.trace_id),
        "spanId": format_span_id(known.span_id),
        "name": span.name,
        # OTLP counts from one: zero says that it is not known.
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _attributes(span.attributes or {}),
        "status": {"code": span.status.status_code.value},
        "flags": int(known.trace_flags),
    }
    if span.parent is not None:
        told["parentSpanId"] = format_span_id(span.parent.span_id)
    return told


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    """Ours are texts and whole numbers; the resource's others are told as texts."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": str(value)}
