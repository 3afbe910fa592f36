"""The three families of errors that every service shares.

Exception
├── DomainError            the caller's fault or the books' refusal; coded; becomes problem+json
│   ├── InvalidField  422   one field is wrong; names it
│   ├── NotFound      404
│   ├── Conflict      409
│   ├── Unauthorized  401
│   └── Forbidden     403
├── OperationalError       passes by itself; retried and counted; 503 over HTTP
├── PoisonMessage          a message that never will pass; goes to the dead letters with its reason
├── EarlyMessage           a message that came before what it needs; waits under a key
└── anything else          a bug; crashes its task loudly
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DomainError(Exception):
    """A refusal that the caller can understand.

    ``code`` is stable and becomes the problem's ``type``; ``title`` is one sentence for people; ``extra`` holds
    further members of the problem document (JSON-ready values).
    """

    status: int = 422

    def __init__(
        self,
        code: str,
        title: str,
        *,
        field: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {title}")
        self.code = code
        self.title = title
        self.field = field
        self.extra = dict(extra or {})


class InvalidField(DomainError):
    """One field of the request is wrong; nothing was changed."""

    def __init__(self, field: str, code: str, title: str) -> None:
        super().__init__(code, title, field=field)


class NotFound(DomainError):
    """What was asked for does not exist, or is not the caller's to see."""

    status = 404


class Conflict(DomainError):
    """The request contradicts what is already there."""

    status = 409


class Unauthorized(DomainError):
    """The caller did not say who they are, or could not prove it."""

    status = 401


class Forbidden(DomainError):
    """The caller is known and may not do this."""

    status = 403


class OperationalError(Exception):
    """Something outside is away or slow; the same call may pass later.

    ``retry_after_s`` tells a client when to try again.
    """

    def __init__(self, reason: str, *, retry_after_s: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class PoisonMessage(Exception):
    """A message that no retry will make good. ``reason`` is a stable code, ``detail`` is for the operator."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class EarlyMessage(Exception):
    """A message whose precondition has not happened yet. ``waits_for`` names the reference that will end the wait."""

    def __init__(self, waits_for: str) -> None:
        super().__init__(f"waits for {waits_for}")
        self.waits_for = waits_for
