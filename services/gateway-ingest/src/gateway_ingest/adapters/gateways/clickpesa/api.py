"""Asking ClickPesa: its token, a payment, all payments of some days, its rate of the shilling. Reads only.

Whatever goes wrong is OperationalError, without a secret in its text: who asks comes again. Connections are not kept,
since webhooks are few and nobody has to close anything then; the token is, for most of its hour.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import structlog

from chassis.clock import Clock
from chassis.errors import OperationalError
from chassis.http.calling import HttpClient
from chassis.settings import is_loopback

PRODUCTION_URL = "https://api.clickpesa.com/third-parties"
TOKEN_LIFETIME = timedelta(minutes=55)
"""It is valid for an hour."""
PAGE_ROWS = 20
PAGES_MAX = 5000
BEARER = "Bearer "

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class ClickPesaAccess:
    """How to reach ClickPesa. ``timeout_s`` bounds one question, its token included."""

    client_id: str
    api_key: str
    timeout_s: float
    base_url: str = PRODUCTION_URL


class ClickPesaApi:
    """The questions that we ask."""

    def __init__(
        self, access: ClickPesaAccess, clock: Clock, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._access = access
        self._clock = clock
        self._transport = transport
        self._base_url = access.base_url.rstrip("/")
        # A proxy of the environment is no way to this very machine.
        self._trust_env = not is_loopback(urlsplit(access.base_url).hostname or "")
        self._tls = httpx.create_ssl_context()
        self._token: tuple[str, datetime] | None = None
        self._token_turn = asyncio.Lock()

    async def payment(self, reference: str) -> list[Any]:
        """The rows of our ``reference``; none when ClickPesa knows none. Raises OperationalError."""
        async with self._line() as line:
            answer = await self._get(line, f"/payments/{quote(reference, safe='')}", {})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []
        rows = _json(answer)
        return rows if isinstance(rows, list) else [rows]

    async def payments(self, first: date, last: date) -> AsyncIterator[Any]:
        """All rows of the days from ``first`` to ``last``, both included, oldest first. Raises OperationalError."""
        query = {"startDate": first.isoformat(), "endDate": last.isoformat(), "sortBy": "createdAt", "orderBy": "ASC"}
        skip = 0
        for _ in range(PAGES_MAX):
            async with self._line() as line:
                page = _json(
                    await self._get(line, "/payments/all", query | {"skip": str(skip), "limit": str(PAGE_ROWS)})
                )
            rows, total = _page(page)
            for row in rows:
                yield row
            skip += len(rows)
            if not rows or skip >= total:
                return
        raise OperationalError(f"clickpesa lists more than {PAGES_MAX * PAGE_ROWS} payments; ask for fewer days")

    async def shilling_rates(self) -> list[Any]:
        """The rows of its rates from dollars to shillings. Raises OperationalError."""
        async with self._line() as line:
            rows = _json(await self._get(line, "/exchange-rates/all", {"source": "USD", "target": "TZS"}))
        return rows if isinstance(rows, list) else []

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[httpx.AsyncClient]:
        try:
            async with (
                asyncio.timeout(self._access.timeout_s),
                HttpClient(
                    timeout=self._access.timeout_s,
                    trust_env=self._trust_env,
                    verify=self._tls,
                    transport=self._transport,
                ) as line,
            ):
                yield line
        except TimeoutError:
            raise OperationalError(f"clickpesa did not answer within {self._access.timeout_s} s") from None
        except httpx.HTTPError as error:
            raise OperationalError(f"clickpesa: {type(error).__name__}") from None

    async def _get(self, line: httpx.AsyncClient, path: str, query: Mapping[str, str]) -> httpx.Response:
        """With one new token, should the one that is kept be refused: switching the checksum feature ends tokens."""
        token = await self._valid_token(line, refused=None)
        answer = await line.get(self._base_url + path, params=dict(query), headers={"authorization": token})
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            token = await self._valid_token(line, refused=token)
            answer = await line.get(self._base_url + path, params=dict(query), headers={"authorization": token})
        return answer

    async def _valid_token(self, line: httpx.AsyncClient, *, refused: str | None) -> str:
        """The kept one; a new one where it is over or is the one that was ``refused``. One asks for all who wait."""
        async with self._token_turn:
            now = self._clock.now()
            if self._token is not None and now < self._token[1] and self._token[0] != refused:
                return self._token[0]
            token = await self._new_token(line)
            self._token = token, now + TOKEN_LIFETIME
            return token

    async def _new_token(self, line: httpx.AsyncClient) -> str:
        headers = {"client-id": self._access.client_id, "api-key": self._access.api_key}
        answer = await line.post(f"{self._base_url}/generate-token", headers=headers)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            log.error("clickpesa_refuses_our_key", status=answer.status_code)
            raise OperationalError("clickpesa refuses our key")
        told = _json(answer)
        token = told.get("token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not token:
            raise OperationalError("clickpesa answered without a token")
        return token if token.startswith(BEARER) else BEARER + token


def _page(page: Any) -> tuple[list[Any], int]:
    rows = page.get("data") if isinstance(page, dict) else None
    total = page.get("totalCount") if isinstance(page, dict) else None
    if not isinstance(rows, list) or not isinstance(total, int):
        raise OperationalError("clickpesa answered with another list than is documented")
    return rows, total


def _json(answer: httpx.Response) -> Any:
    """Numbers with a fraction as Decimal. Raises OperationalError for any answer but a good one."""
    if not answer.is_success:
        raise OperationalError(f"clickpesa answered {answer.status_code}")
    try:
        return json.loads(answer.content, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise OperationalError("clickpesa answered with what is no JSON") from None
