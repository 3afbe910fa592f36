"""What all messages have in common: a stable type name, frozen fields, a tolerant reader.

Unknown fields are ignored, so that a producer may add some within a major version.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

from contracts.envelope import Envelope, derived_id

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""An id that somebody else chose. Opaque to us; not parsed."""


class Message(BaseModel):
    """A public fact. ``TYPE`` is ``gridledger.<topic>.<Name>.v<major>``, ``TOPIC`` where it is published."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]

    def in_envelope(
        self, *, source: str, stream: str, version: int, time: datetime, traceparent: str | None = None
    ) -> Envelope:
        """This message about the event at ``version`` of ``stream``, as ``source`` publishes it."""
        return Envelope(
            id=derived_id(source, stream, version, self.TYPE),
            type=self.TYPE,
            source=source,
            time=time,
            subject=stream,
            data=self.model_dump_json().encode(),
            traceparent=traceparent,
        )

    @classmethod
    def from_envelope(cls, envelope: Envelope) -> Self:
        """Read the value. Raises pydantic's ValidationError when it is not this message."""
        return cls.model_validate_json(envelope.data)
