"""Who may call an interface that only our own services use: whoever shows the shared token.

Compared in constant time; never logged. People's sign-in is not here: that is payments-api's.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from fastapi import Request
from pydantic import SecretStr

from chassis.errors import Unauthorized

SCHEME = "bearer"


def require_service_token(token: SecretStr) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets pass ``Authorization: Bearer <token>`` only, else raises Unauthorized (401)."""
    expected = token.get_secret_value().encode()
    if not expected:
        raise ValueError("an empty service token would let everybody in")

    async def check(request: Request) -> None:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        # Headers are latin-1 on the wire; the comparison takes bytes, so that no character can make it raise.
        same = hmac.compare_digest(shown.strip().encode("latin-1"), expected)
        if scheme.lower() != SCHEME or not same:
            raise Unauthorized("unauthorized", "A valid service token is needed")

    return check
