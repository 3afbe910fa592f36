"""The spans that the rest of the code speaks of, and the switch behind them.

While no tracing is installed each function is one comparison, and OpenTelemetry's SDK is not even imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import TracebackType
from typing import Protocol

Attributes = Mapping[str, str | int]
NOTHING: Attributes = {}


class Kind(Enum):
    """On which side of which line a span stands."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    """Something that takes its time. ``with`` makes it the current one, and ends it; an error that passes through is
    noted by its type alone."""

    def __enter__(self) -> Span: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def note(self, name: str, value: str | int) -> None:
        """Add an attribute; nothing after the end."""
        ...

    def rename(self, name: str) -> None:
        """What it turned out to be; nothing after the end."""
        ...

    def failed(self, why: str) -> None:
        """It did not do what it should; ``why`` is a type or a code, never an error's text."""
        ...

    def answered(self, status: int) -> None:
        """An HTTP exchange ended with that status. Only 5xx counts as failed: a refusal is an answer."""
        ...

    def end(self) -> None:
        """For a span that is not used by ``with``. A second time does nothing."""
        ...


class Tracing(Protocol):
    """What makes spans while tracing is on."""

    def start(self, name: str, kind: Kind, attributes: Attributes) -> Span:
        """A child of the current span, if there is one."""
        ...

    def start_from(self, traceparent: str | None, name: str, kind: Kind, attributes: Attributes) -> Span:
        """A child of the span that a traceparent names; without a usable one, the first of a trace."""
        ...

    def traceparent(self) -> str | None:
        """How others go on from the current span."""
        ...

    def trace_id(self) -> str | None:
        """The current span's trace, in hexadecimal."""
        ...


class _NoSpan:
    """What there is while tracing is off."""

    __slots__ = ()

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def note(self, name: str, value: str | int) -> None:
        return None

    def rename(self, name: str) -> None:
        return None

    def failed(self, why: str) -> None:
        return None

    def answered(self, status: int) -> None:
        return None

    def end(self) -> None:
        return None


NO_SPAN: Span = _NoSpan()
_installed: Tracing | None = None


def install(tracing: Tracing | None) -> None:
    """Make spans from now on, or none any more."""
    global _installed
    _installed = tracing


def is_on() -> bool:
    """Whether spans are made."""
    return _installed is not None


def span(name: str, kind: Kind = Kind.INTERNAL, attributes: Attributes = NOTHING) -> Span:
    """A child of the current span; the first of a trace where there is none."""
    return NO_SPAN if _installed is None else _installed.start(name, kind, attributes)


def continued(traceparent: str | None, name: str, kind: Kind, attributes: Attributes = NOTHING) -> Span:
    """A child of the span that a traceparent names; without a usable one, the first of a trace."""
    return NO_SPAN if _installed is None else _installed.start_from(traceparent, name, kind, attributes)


def current_traceparent() -> str | None:
    """What to send along, so that others go on from the current span."""
    return None if _installed is None else _installed.traceparent()


def current_trace_id() -> str | None:
    """The trace that the current span belongs to."""
    return None if _installed is None else _installed.trace_id()
