"""The envelope of every message: a CloudEvents 1.0 event in Kafka's binary mode.

The attributes travel as headers (``ce_id``, ``ce_type`` …), the value is JSON. The id is derived from the stored event
that the message tells of, so that publishing again repeats it and a consumer can see that it did.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
_ID_NAMESPACE = UUID("6f6e1e0a-4b0f-5c7d-9a55-3d1d6f5a7c11")


class EnvelopeError(ValueError):
    """The headers are no CloudEvents envelope; the message says what is missing or wrong."""


@dataclass(frozen=True)
class Envelope:
    """One message with its attributes.

    ``id`` repeats when the same message is published again; ``type`` names message and major version;
    ``source`` is the service; ``time`` is when what it tells of was recorded (UTC); ``subject`` is the stream.
    """

    id: str
    type: str
    source: str
    time: datetime
    subject: str
    data: bytes
    traceparent: str | None = None

    def to_headers(self) -> tuple[tuple[str, bytes], ...]:
        """The attributes as Kafka headers."""
        headers = [
            ("ce_specversion", SPEC_VERSION),
            ("ce_id", self.id),
            ("ce_type", self.type),
            ("ce_source", self.source),
            ("ce_time", self.time.astimezone(UTC).isoformat().replace("+00:00", "Z")),
            ("ce_subject", self.subject),
            ("content-type", CONTENT_TYPE),
        ]
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent))
        return tuple((name, value.encode()) for name, value in headers)

    @staticmethod
    def from_record(headers: Iterable[tuple[str, bytes]], value: bytes) -> Envelope:
        """Read headers and value. Raises EnvelopeError when an attribute is missing or malformed."""
        try:
            attributes = {name: content.decode() for name, content in headers}
            if attributes["ce_specversion"] != SPEC_VERSION:
                raise EnvelopeError(f"CloudEvents {SPEC_VERSION} expected")
            return Envelope(
                id=str(UUID(attributes["ce_id"])),
                type=attributes["ce_type"],
                source=attributes["ce_source"],
                time=_aware(datetime.fromisoformat(attributes["ce_time"])),
                subject=attributes["ce_subject"],
                data=value,
                traceparent=attributes.get("traceparent"),
            )
        except KeyError as missing:
            raise EnvelopeError(f"header {missing.args[0]} is missing") from None
        except UnicodeDecodeError:
            raise EnvelopeError("a header is not UTF-8") from None
        except ValueError as wrong:
            raise EnvelopeError(str(wrong)) from None


def _aware(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise EnvelopeError("ce_time has no time zone")
    return time


def derived_id(source: str, stream: str, version: int, message_type: str) -> str:
    """The id of the message of ``message_type`` about one stored event: the same at every publishing."""
    return str(uuid5(_ID_NAMESPACE, f"{source}\x1f{stream}\x1f{version}\x1f{message_type}"))
