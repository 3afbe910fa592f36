"""Tracing that keeps its spans in memory."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.tracing.live import LiveTracing
from chassis.tracing.spans import install


def _keeping(share: float) -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    tracing = LiveTracing(SimpleSpanProcessor(kept), "sample", share)
    install(tracing)
    yield kept
    install(None)
    tracing.close(1)


@pytest.fixture
def kept() -> Iterator[InMemorySpanExporter]:
    """On, and every trace is kept; the spans that ended, in that order."""
    yield from _keeping(1.0)


@pytest.fixture
def kept_of_others() -> Iterator[InMemorySpanExporter]:
    """On, but no trace that begins here is kept."""
    yield from _keeping(0.0)
