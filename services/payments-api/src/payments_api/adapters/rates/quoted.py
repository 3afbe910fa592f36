"""One source's answer, the port that every source has, and how it is fetched. What is trusted is decided in ``median``.

Connections are not kept: answers are cached, so there are few of them, and nobody has to close anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from chassis.http.calling import HttpClient
from chassis.settings import is_loopback
from payments_api.application.gateways import GatewayAway

BODY_MAX_BYTES = 64 * 1024
NUMBER_MAX_CHARS = 60


@dataclass(frozen=True, slots=True)
class Quoted:
    """US dollars per whole unit, above zero, and since when."""

    usd: Decimal
    at: datetime


class Quoting(Protocol):
    """One source of rates."""

    name: str

    def knows(self, code: str) -> bool:
        """Whether it is worth asking."""
        ...

    async def quoted(self, code: str) -> Quoted:
        """The rate now. Raises GatewayAway. It need not bound its time: who asks does."""
        ...


class JsonSource:
    """GET requests to one server, answers as exact JSON."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._name = name
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._headers = dict(headers or {})
        self._transport = transport
        # A proxy of the environment is no way to this very machine.
        self._trust_env = not is_loopback(urlsplit(base_url).hostname or "")
        self._tls = httpx.create_ssl_context()

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        """The answer, numbers as Decimal. Raises GatewayAway."""
        try:
            async with self._line() as line:
                answer = await line.get(path, params=dict(query))
        except httpx.HTTPError as error:
            # Without the cause: its request may hold a key.
            raise GatewayAway(self._name, type(error).__name__) from None
        if not answer.is_success:
            raise GatewayAway(self._name, f"status {answer.status_code}")
        if len(answer.content) > BODY_MAX_BYTES:
            raise GatewayAway(self._name, f"an answer of more than {BODY_MAX_BYTES} bytes")
        try:
            return json.loads(answer.content, parse_float=Decimal, parse_int=Decimal)
        except (ValueError, RecursionError):
            raise GatewayAway(self._name, "an answer that is no JSON") from None

    def _line(self) -> httpx.AsyncClient:
        return HttpClient(
            base_url=self._base_url,
            timeout=self._timeout_s,
            headers=self._headers,
            trust_env=self._trust_env,
            verify=self._tls,
            transport=self._transport,
        )


def positive(source: str, value: Any) -> Decimal:
    """A number above zero, or a text that is one. Raises GatewayAway."""
    try:
        number = Decimal(value) if isinstance(value, str | Decimal) and len(str(value)) <= NUMBER_MAX_CHARS else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number <= 0 or abs(number.adjusted()) > NUMBER_MAX_CHARS:
        raise GatewayAway(source, "an answer without a price")
    return number
