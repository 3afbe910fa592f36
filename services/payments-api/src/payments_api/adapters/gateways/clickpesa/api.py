"""Calls to ClickPesa's API: its token, checkout links, a payment, its rate of the shilling.

Every call is bounded in time, its token included. No error of ours holds a key or a token.

answer of ClickPesa
├── 409 to a link                    ReferenceTaken: there is one, and ClickPesa does not say which
├── 400, 404 to a link               GatewayRefused, in its own words
├── 400 Invalid checksum, 401, 403   GatewayAway: only an operator can help; logged
└── any other, none, no JSON         GatewayAway: it may pass
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import structlog

from chassis.clock import Clock
from chassis.http.calling import HttpClient
from chassis.settings import is_loopback
from payments_api.application.gateways import GatewayAway, GatewayRefused, ReferenceTaken

NAME = "clickpesa"
PRODUCTION_URL = "https://api.clickpesa.com/third-parties"
TOKEN_LIFETIME = timedelta(minutes=55)
"""It is valid for an hour."""
MESSAGE_MAX_CHARS = 300
BEARER = "Bearer "
OF_THE_KEYS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class ClickPesaAccess:
    """How to reach ClickPesa. ``timeout_s`` bounds one call, its token included."""

    client_id: str
    api_key: str
    timeout_s: float
    base_url: str = PRODUCTION_URL


class ClickPesaApi:
    """The calls that we make. ``close`` it at the end."""

    def __init__(
        self, access: ClickPesaAccess, clock: Clock, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._access = access
        self._clock = clock
        self._base = access.base_url.rstrip("/")
        is_local = is_loopback(urlsplit(access.base_url).hostname or "")
        # A proxy of the environment is no way to this very machine.
        self._http = HttpClient(timeout=access.timeout_s, trust_env=not is_local, transport=transport)
        self._token: tuple[str, datetime] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def create_link(self, body: Mapping[str, str]) -> str:
        """The address of a checkout page. Raises GatewayRefused, ReferenceTaken, GatewayAway."""
        async with self._bounded():
            answer = await self._call("POST", "/checkout-link/generate-checkout-url", body=body)
        told = _json(answer) if answer.is_success else None
        if told is None:
            raise _refusal(answer)
        link = told.get("checkoutLink") if isinstance(told, dict) else None
        if not isinstance(link, str) or urlsplit(link).scheme not in ("https", "http"):
            raise GatewayAway(NAME, "an answer without a link")
        return link

    async def payment(self, reference: str) -> list[Any]:
        """The rows of our ``reference``; none when ClickPesa knows none. Raises GatewayAway."""
        async with self._bounded():
            answer = await self._call("GET", f"/payments/{quote(reference, safe='')}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []
        return _rows(answer)

    async def shilling_rates(self) -> list[Any]:
        """The rows of its rates from dollars to shillings. Raises GatewayAway."""
        async with self._bounded():
            answer = await self._call("GET", "/exchange-rates/all", query={"source": "USD", "target": "TZS"})
        return _rows(answer)

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._access.timeout_s):
                yield
        except TimeoutError:
            raise GatewayAway(NAME, f"not within {self._access.timeout_s} s") from None
        except httpx.HTTPError as error:
            # Without the cause: its request holds the token.
            raise GatewayAway(NAME, type(error).__name__) from None

    async def _call(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """With one new token, should the one that is kept be refused: switching the checksum feature ends tokens."""
        token = await self._valid_token(refused=None)
        answer = await self._send(method, path, token, body, query)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            token = await self._valid_token(refused=token)
            answer = await self._send(method, path, token, body, query)
        if answer.status_code in OF_THE_KEYS:
            log.error("clickpesa_refuses_our_key", status=answer.status_code, path=path)
            raise GatewayAway(NAME, "it refuses our key")
        return answer

    async def _send(
        self, method: str, path: str, token: str, body: Any, query: Mapping[str, str] | None
    ) -> httpx.Response:
        return await self._http.request(
            method, self._base + path, json=body, params=query, headers={"authorization": token}
        )

    async def _valid_token(self, *, refused: str | None) -> str:
        """The kept one; a new one where it is over or is the one that was ``refused``. One asks for all who wait."""
        async with self._one_at_a_time:
            now = self._clock.now()
            if self._token is not None and now < self._token[1] and self._token[0] != refused:
                return self._token[0]
            token = await self._new_token()
            self._token = token, now + TOKEN_LIFETIME
            return token

    async def _new_token(self) -> str:
        headers = {"client-id": self._access.client_id, "api-key": self._access.api_key}
        answer = await self._http.post(f"{self._base}/generate-token", headers=headers)
        if answer.status_code in OF_THE_KEYS:
            log.error("clickpesa_refuses_our_key", status=answer.status_code, path="/generate-token")
            raise GatewayAway(NAME, "it refuses our key")
        told = _json(answer)
        token = told.get("token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not token:
            raise GatewayAway(NAME, "an answer without a token")
        return token if token.startswith(BEARER) else BEARER + token


def _refusal(answer: httpx.Response) -> Exception:
    message = _message(answer)
    if answer.status_code == httpx.codes.CONFLICT:
        title = "This payment was begun before and its link is lost; begin a new one"
        return ReferenceTaken("reference_taken", title, extra={"gateway_message": message})
    if message == "Invalid checksum":
        log.error("clickpesa_refuses_our_checksum")
        return GatewayAway(NAME, "it refuses our checksum")
    if answer.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND):
        return GatewayRefused("gateway_refused", message or "ClickPesa refused", extra={"gateway_message": message})
    return GatewayAway(NAME, f"status {answer.status_code}")


def _message(answer: httpx.Response) -> str:
    """It may be a list of several."""
    try:
        told = json.loads(answer.content)
    except (ValueError, RecursionError):
        return ""
    message = told.get("message") if isinstance(told, dict) else None
    several = message if isinstance(message, list) else [message]
    return "; ".join(one for one in several if isinstance(one, str))[:MESSAGE_MAX_CHARS]


def _rows(answer: httpx.Response) -> list[Any]:
    told = _json(answer)
    return told if isinstance(told, list) else [told]


def _json(answer: httpx.Response) -> Any:
    """Numbers with a fraction as Decimal. Raises GatewayAway for any answer but a good one."""
    if not answer.is_success:
        raise GatewayAway(NAME, f"status {answer.status_code}")
    try:
        return json.loads(answer.content, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise GatewayAway(NAME, "an answer that is no JSON") from None
