"""The connection to Stripe's API by its official library, with a bound on time and errors in the words of our port.

StripeError
├── CardError, InvalidRequestError          GatewayRefused, with Stripe's own codes
├── RateLimitError, APIConnectionError,
│   APIError, IdempotencyError              GatewayAway: it may pass
└── AuthenticationError, PermissionError    GatewayAway: only an operator can help; logged

No message of ours holds a key, and none of Stripe's is passed on unread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import stripe
import structlog

from payments_api.adapters.gateways.stripe.transport import HttpxTransport
from payments_api.application.gateways import GatewayAway, GatewayRefused

NAME = "stripe"
PINNED_API_VERSION = "2026-10-28.endive"
RETRIES = 2
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_KEY = re.compile(r"\b(?:sk|rk|whsec)_[A-Za-z0-9_*]+")

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StripeAccess:
    """How to reach Stripe. ``api_base`` is a local server that stands in for it; ``timeout_s`` bounds one call with all
    its repeats."""

    secret_key: str
    timeout_s: float
    api_version: str | None = None
    api_base: str | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"StripeAccess(api_base={self.api_base!r}, api_version={self.api_version!r})"


class StripeConnection:
    """What the calls of each part of Stripe go through; objects come as plain dicts. ``close`` it at the end."""

    def __init__(self, access: StripeAccess) -> None:
        base = access.api_base.rstrip("/") if access.api_base else None
        is_local = base is not None and urlsplit(base).hostname in LOOPBACK
        # A proxy of the environment is no way to this very machine.
        self._http = HttpxTransport(access.timeout_s, trust_env=not is_local)
        self._timeout_s = access.timeout_s
        client = stripe.StripeClient(
            access.secret_key,
            http_client=self._http,
            max_network_retries=RETRIES,
            stripe_version=access.api_version or PINNED_API_VERSION,
            base_addresses={"api": base} if base else {},
        )
        self.v1 = client.v1

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close_async()

    async def write(
        self, create: Callable[..., Awaitable[Any]], parameters: Mapping[str, Any], key: str
    ) -> dict[str, Any]:
        """Make something, once per ``key``. Raises GatewayRefused, GatewayAway, KeyUsedOtherwise."""
        return plain(await self.called(create(dict(parameters), {"idempotency_key": key})))

    async def known(self, call: Awaitable[Any]) -> dict[str, Any] | None:
        """What the call finds; None when Stripe knows none. Raises GatewayAway."""
        try:
            return plain(await self.called(call))
        except GatewayRefused as refused:
            if refused.extra.get("error_code") == "resource_missing":
                return None
            raise GatewayAway(NAME, refused.code) from refused

    async def called(self, call: Awaitable[T]) -> T:
        """The answer in time. Raises GatewayRefused, GatewayAway, KeyUsedOtherwise."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call
        except TimeoutError:
            raise GatewayAway(NAME, f"not within {self._timeout_s} s") from None
        except stripe.StripeError as error:
            # Without the cause: the library's errors hold whole answers.
            raise in_our_words(error) from None


class KeyUsedOtherwise(GatewayAway):
    """The idempotency key stands for a request with other parameters."""


def in_our_words(error: stripe.StripeError) -> Exception:
    """The error of our port that stands for one of the library's."""
    if isinstance(error, stripe.CardError | stripe.InvalidRequestError):
        return _refused(error)
    if isinstance(error, stripe.IdempotencyError):
        return KeyUsedOtherwise(NAME, "the idempotency key was used for another request")
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        log.error("stripe_refuses_our_key", status=error.http_status, request_id=error.request_id)
        return GatewayAway(NAME, "it refuses our key")
    seen = error.http_status or (type(error.__cause__).__name__ if error.__cause__ else "")
    return GatewayAway(NAME, f"{type(error).__name__} {seen}".strip())


def _refused(error: stripe.CardError | stripe.InvalidRequestError) -> GatewayRefused:
    decline = getattr(error.error, "decline_code", None)
    said = {"error_code": error.code, "decline_code": decline, "param": error.param}
    title = _KEY.sub("…", error.user_message or "Stripe refused")
    return GatewayRefused("gateway_refused", title, extra={key: value for key, value in said.items() if value})


def rows(page: stripe.ListObject[Any]) -> Sequence[dict[str, Any]]:
    """A page's objects."""
    return [plain(row) for row in page.data]


def plain(made: Any) -> dict[str, Any]:
    """An object of the library, without it."""
    plain: dict[str, Any] = made.to_dict()
    return plain
