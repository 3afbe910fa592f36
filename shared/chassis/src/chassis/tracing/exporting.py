"""Turns tracing on for as long as a process runs, by its settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chassis.settings import ServiceSettings
from chassis.tracing.spans import install

FLUSH_S = 3.0
"""What is left to be sent at the end may take that long; a process that drains for 25 s stays below 30."""


@contextmanager
def exported(settings: ServiceSettings) -> Iterator[None]:
    """Make spans and send them while this lasts, if an endpoint is set; send what is left in the end."""
    if settings.otel_exporter_otlp_endpoint is None:
        yield
        return
    # Nobody who does not trace pays for the SDK.
    from chassis.tracing.live import LiveTracing

    tracing = LiveTracing.sending_to(
        str(settings.otel_exporter_otlp_endpoint), settings.service, settings.otel_traces_sampler_arg
    )
    install(tracing)
    try:
        yield
    finally:
        install(None)
        tracing.close(FLUSH_S)
