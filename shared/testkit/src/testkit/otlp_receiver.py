"""A collector for tests: takes OTLP over HTTP as JSON on loopback, and keeps the spans in memory.

Reads what arrives as any collector would, and refuses what is none of it. Serves from a thread of its own, for
processes that are watched from outside.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
ERROR = 2


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as it arrived; ids in hexadecimal, times in nanoseconds."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    begun_ns: int
    ended_ns: int
    has_failed: bool
    attributes: dict[str, str | int]


class OtlpReceiver:
    """What has arrived. ``status`` is what it answers from now on; only 200 keeps anything."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.requests = 0
        self.bodies: list[bytes] = []
        self._spans: list[ReceivedSpan] = []
        self._lock = threading.Lock()

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All so far, in the order in which they ended at their process."""
        with self._lock:
            return list(self._spans)

    def traces(self, *, holding: Callable[[ReceivedSpan], bool]) -> list[list[ReceivedSpan]]:
        """The traces in which there is a span that ``holding`` finds, each in the order of beginnings."""
        spans = self.spans
        wanted = dict.fromkeys(span.trace_id for span in spans if holding(span))
        return [
            sorted((span for span in spans if span.trace_id == trace_id), key=lambda span: span.begun_ns)
            for trace_id in wanted
        ]

    def take(self, path: str, content_type: str | None, body: bytes) -> int:
        """Keep what a process sent; answers the status. Raises KeyError or ValueError for what is no OTLP."""
        with self._lock:
            self.requests += 1
            if (path, content_type) != ("/v1/traces", "application/json"):
                return 404
            if self.status == 200:
                self._spans.extend(_read(json.loads(body)))
                self.bodies.append(body)
            return self.status


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """One that listens on a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
    server.daemon_threads = True
    receiver = OtlpReceiver(f"http://127.0.0.1:{server.server_port}")
    server.receiver = receiver  # type: ignore[attr-defined]
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


class _Door(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        receiver: OtlpReceiver = self.server.receiver  # type: ignore[attr-defined]
        try:
            status = receiver.take(self.path, self.headers["content-type"], body)
        except (KeyError, ValueError):
            status = 400
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def _read(request: Any) -> Iterator[ReceivedSpan]:
    for resource_spans in request["resourceSpans"]:
        service = _attributes(resource_spans["resource"]["attributes"])["service.name"]
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                yield _span(str(service), span)


def _span(service: str, span: Any) -> ReceivedSpan:
    parent = span.get("parentSpanId")
    return ReceivedSpan(
        service=service,
        name=span["name"],
        kind=KINDS[span["kind"]],
        trace_id=_hexadecimal(span["traceId"], 16),
        span_id=_hexadecimal(span["spanId"], 8),
        parent_id=None if parent is None else _hexadecimal(parent, 8),
        begun_ns=_long(span["startTimeUnixNano"]),
        ended_ns=_long(span["endTimeUnixNano"]),
        has_failed=span["status"]["code"] == ERROR,
        attributes=_attributes(span["attributes"]),
    )


def _attributes(pairs: Any) -> dict[str, str | int]:
    return {pair["key"]: _value(pair["value"]) for pair in pairs}


def _value(value: Any) -> str | int:
    ((kind, content),) = value.items()
    if kind == "intValue":
        return _long(content)
    if kind != "stringValue" or not isinstance(content, str):
        raise ValueError(f"an attribute of kind {kind}")
    return content


def _hexadecimal(text: str, size_bytes: int) -> str:
    if len(bytes.fromhex(text)) != size_bytes:
        raise ValueError(f"{text} is no id of {size_bytes} bytes")
    return text


def _long(text: Any) -> int:
    """OTLP's JSON writes 64-bit integers as texts."""
    if not isinstance(text, str):
        raise ValueError("a 64-bit integer is a text")
    return int(text)
