"""Reading from Stripe's API by its official library, bounded in time; whatever goes wrong is OperationalError.

No text of ours holds a key, and none of Stripe's is passed on. Repeats are the library's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import stripe

from chassis.errors import OperationalError
from chassis.http.calling import HttpClient
from chassis.settings import is_loopback

PINNED_API_VERSION = "2026-10-28.endive"
RETRIES = 2
PAGE_ROWS = 100
PAGES_MAX = 10_000
UNKNOWN = "resource_missing"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class StripeAccess:
    """How to reach Stripe. ``timeout_s`` bounds one call with all its repeats."""

    secret_key: str
    timeout_s: float
    api_version: str | None = None
    api_base: str | None = None


class StripeReader:
    """Objects come as plain dicts. ``close`` it at the end."""

    def __init__(self, access: StripeAccess) -> None:
        base = access.api_base.rstrip("/") if access.api_base else None
        # A proxy of the environment is no way to this very machine.
        is_local = base is not None and is_loopback(urlsplit(base).hostname or "")
        self._http = _HttpxTransport(access.timeout_s, trust_env=not is_local)
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

    async def found(self, call: Awaitable[Any]) -> dict[str, Any] | None:
        """The object that the call asks for; None when Stripe knows none."""
        try:
            return _plain(await self._within(call))
        except stripe.StripeError as error:
            if error.code == UNKNOWN:
                return None
            raise _away(error) from None

    async def pages(
        self, list_: Callable[..., Awaitable[Any]], asked: Mapping[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """All objects of a list, page by page."""
        parameters = {**asked, "limit": PAGE_ROWS}
        for _ in range(PAGES_MAX):
            page = await self._page(list_(parameters))
            rows = [_plain(row) for row in page.data]
            for row in rows:
                yield row
            if not page.has_more or not rows:
                return
            parameters["starting_after"] = rows[-1]["id"]
        raise OperationalError(f"stripe lists more than {PAGES_MAX * PAGE_ROWS} objects; ask for fewer days")

    async def _page(self, call: Awaitable[T]) -> T:
        try:
            return await self._within(call)
        except stripe.StripeError as error:
            # Without the cause: the library's errors hold whole answers.
            raise _away(error) from None

    async def _within(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call
        except TimeoutError:
            raise OperationalError(f"stripe did not answer within {self._timeout_s} s") from None


class _HttpxTransport(stripe.HTTPClient):
    """Asynchronous only: the library's own httpx client takes no settings for proxies."""

    name = "httpx"

    def __init__(self, timeout_s: float, *, trust_env: bool) -> None:
        super().__init__()
        self._client = HttpClient(timeout=timeout_s, trust_env=trust_env)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | bytes | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Body, status and headers. Raises stripe.APIConnectionError, which the library repeats."""
        try:
            response = await self._client.request(method, url, headers=headers, content=post_data or None)
        except httpx.HTTPError as error:
            # The library leaves its errors untyped.
            told = stripe.APIConnectionError(type(error).__name__, should_retry=True)  # type: ignore[no-untyped-call]
            raise told from error
        return response.content, response.status_code, response.headers

    async def sleep_async(self, secs: float) -> None:
        """Between two tries."""
        await asyncio.sleep(secs)

    async def close_async(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def _away(error: stripe.StripeError) -> OperationalError:
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return OperationalError("stripe refuses our key (STRIPE_SECRET_KEY)")
    seen = error.http_status or (type(error.__cause__).__name__ if error.__cause__ else "")
    return OperationalError(f"stripe: {type(error).__name__} {seen}".strip())


def _plain(made: Any) -> dict[str, Any]:
    plain: dict[str, Any] = made.to_dict()
    return plain
