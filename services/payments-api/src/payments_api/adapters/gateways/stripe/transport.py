"""How the Stripe library reaches the network: httpx, as everywhere here. Repeats are the library's own.

The library's own httpx client takes no settings for proxies, and hands bodies over in a way that httpx is giving up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import stripe

from chassis.http.calling import HttpClient


class HttpxTransport(stripe.HTTPClient):
    """Asynchronous only. ``trust_env`` is whether proxies of the environment are used."""

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
