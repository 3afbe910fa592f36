"""Webhooks that carry ``t=…,v1=…`` in a header of their own: Stripe's scheme, and our demo gateway's."""

from __future__ import annotations

from collections.abc import Sequence

from gateway_ingest.application.ports import Headers, Prove
from gateway_ingest.domain.signatures import verify


def header_of(headers: Headers, wanted: bytes) -> bytes | None:
    """The first header of that name."""
    for name, value in headers:
        if name == wanted:
            return bytes(value)
    return None


def signed_by(header: bytes, secrets: Sequence[bytes]) -> Prove:
    """Proves a webhook by the signature in ``header``, made with any of ``secrets``."""

    def prove(headers: Headers, body: bytes, now_s: float) -> None:
        verify(header_of(headers, header), body, secrets, now_s)

    return prove
