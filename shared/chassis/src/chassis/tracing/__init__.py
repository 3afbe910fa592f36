"""Spans: what took how long, and because of what; sent by OTLP where an endpoint is set, nothing at all where none is.

A trace goes on over HTTP by the header ``traceparent``, and over the bus by that of the message's envelope. Attributes
hold names and numbers of ours: never a body, a path with its ids, a token or what an error says.
"""

from chassis.tracing.calls import call_to, carry_trace
from chassis.tracing.exporting import exported
from chassis.tracing.messages import handling, handling_batch, publishing
from chassis.tracing.spans import Kind, Span, continued, current_trace_id, current_traceparent, is_on, span

__all__ = [
    "Kind",
    "Span",
    "call_to",
    "carry_trace",
    "continued",
    "current_trace_id",
    "current_traceparent",
    "exported",
    "handling",
    "handling_batch",
    "is_on",
    "publishing",
    "span",
]
