"""How processes log: a fixed event name and fields, readable on a terminal or one JSON object a line.

``structlog.get_logger()`` is what modules use; this module only configures it, and takes the standard library's
loggers (uvicorn, asyncio) along. Secrets and personal data are kept out by never being passed, not by filtering.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from typing import TextIO

import structlog
from structlog.types import Processor

from chassis.tracing.spans import current_trace_id

FORMATS = ("console", "json")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The HTTP request that is being answered; stands in every log line of it."""


def configure_logging(service: str, format: str = "console", *, stream: TextIO | None = None) -> None:  # noqa: A002
    """Send every log line of the process to ``stream`` (standard output), each with the service's name.

    Raises ValueError for a format that is not one of FORMATS.
    """
    if format not in FORMATS:
        raise ValueError(f"log format must be one of {FORMATS}, not {format!r}")
    out = stream or sys.stdout
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _request_field,
        _trace_field,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _service_field(service),
    ]
    renderer = _renderer(format, out)
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(out),
        # Tests configure anew; looking up a cached logger is not what costs.
        cache_logger_on_first_use=False,
    )
    _take_over_standard_library(shared, renderer, out)


def _service_field(service: str) -> Processor:
    def add(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event.setdefault("service", service)
        return event

    return add


def _request_field(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    current = request_id.get()
    if current is not None:
        event.setdefault("request_id", current)
    return event


def _trace_field(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    current = current_trace_id()
    if current is not None:
        event.setdefault("trace_id", current)
    return event


def _renderer(format: str, out: TextIO) -> list[Processor]:  # noqa: A002
    if format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # structlog's own tracebacks print every frame's variables: passwords, tokens and raw webhooks among them.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=0, exception_formatter=plain)]


def _take_over_standard_library(shared: list[Processor], renderer: list[Processor], out: TextIO) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    # The client of Kafka tells of every attempt to reach a broker that is away, many times a second; what comes of
    # it the adapter says once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
