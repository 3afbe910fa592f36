"""Passes webhooks on to gateway-ingest as they came: the same bytes, the same headers, and its answer back.

Signatures cover the raw body, so nothing is parsed here. Headers that belong to one connection stay behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

import httpx

from chassis.errors import OperationalError
from chassis.http.calling import HttpClient
from chassis.tracing import call_to, carry_trace

TIMEOUT_S = 8.0
CONNECTIONS_MAX = 100
ANSWER_MAX_BYTES = 256 * 1024

RawHeaders = Sequence[tuple[bytes, bytes]]

_OF_THE_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"host",
        b"content-length",
        b"expect",
    }
)
# Ours are made anew for the answer.
_OF_THE_ANSWER = _OF_THE_CONNECTION | {b"date", b"server", b"x-request-id"}


class Answer(NamedTuple):
    """What gateway-ingest said."""

    status: int
    headers: RawHeaders
    body: bytes


class WebhookForwarding:
    """Use it as an async context manager."""

    def __init__(
        self, url: str, *, timeout_s: float = TIMEOUT_S, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url = httpx.URL(url)
        self._client = HttpClient(
            timeout=timeout_s,
            transport=transport,
            trust_env=False,
            event_hooks={"request": [carry_trace]},
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        )

    async def __aenter__(self) -> WebhookForwarding:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def forward(self, path: str, query: bytes, headers: RawHeaders, body: bytes) -> Answer:
        """POST it there. Raises OperationalError when gateway-ingest is away: the gateway will try again."""
        target = self._url.copy_with(raw_path=path.encode() + (b"?" + query if query else b""))
        # A Request made by hand: the client would add headers of its own.
        timeout = self._client.timeout.as_dict()
        request = httpx.Request(
            "POST", target, headers=_kept(headers, _OF_THE_CONNECTION), content=body, extensions={"timeout": timeout}
        )
        try:
            with call_to("gateway-ingest", "POST") as call:
                response = await self._client.send(request, stream=True)
                call.answered(response.status_code)
                try:
                    content = await _raw(response)
                finally:
                    await response.aclose()
        except httpx.HTTPError as error:
            raise OperationalError(f"gateway-ingest cannot be reached: {type(error).__name__}") from error
        return Answer(response.status_code, _kept(response.headers.raw, _OF_THE_ANSWER), content)


async def _raw(response: httpx.Response) -> bytes:
    """The body as it came: still compressed, if it was."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > ANSWER_MAX_BYTES:
            raise OperationalError("gateway-ingest answered without end")
    return bytes(content)


def _kept(headers: RawHeaders, left: frozenset[bytes]) -> RawHeaders:
    named = {
        token.strip().lower() for name, value in headers if name.lower() == b"connection" for token in value.split(b",")
    }
    return [(name, value) for name, value in headers if name.lower() not in left | named]
