"""JSON-RPC over HTTP, as nodes speak it: bounded in time and size, and silent about the address, which may hold a key.

Knows no method of any chain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import httpx

from chassis.errors import OperationalError
from chassis.http.calling import HttpClient
from chassis.settings import is_loopback

ANSWER_MAX_BYTES = 64 * 1024 * 1024
"""A full block with all its transactions has some ten million bytes."""
MESSAGE_MAX_CHARS = 200


class NodeAway(OperationalError):
    """The node did not answer, or not with sense."""


class NodeRefused(OperationalError):
    """The node answered with an error. ``code`` is its own."""

    def __init__(self, network: str, method: str, code: Any, message: Any) -> None:
        super().__init__(f"{network}: {method} refused: {code} {str(message)[:MESSAGE_MAX_CHARS]}")
        self.code = code


@contextmanager
def reading(network: str) -> Iterator[None]:
    """What is done with answers inside: one that is not shaped as it should be is a NodeAway, no bug of ours."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as wrong:
        raise NodeAway(f"{network}: an answer that cannot be read ({type(wrong).__name__})") from wrong


class JsonRpc:
    """One node. ``url`` may hold a user and a password, or a key in its path."""

    def __init__(self, network: str, url: str, *, timeout_s: float, transport: httpx.AsyncBaseTransport | None = None):
        self._network = network
        self._url = url
        self._ids = count(1)
        on_this_machine = is_loopback(urlsplit(url).hostname or "")
        self._http = HttpClient(timeout=timeout_s, trust_env=not on_this_machine, transport=transport)

    async def call(self, method: str, *params: Any) -> Any:
        """The result; numbers with a point are Decimal. Raises NodeAway, NodeRefused."""
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            body = await self._post(json.dumps(request).encode())
            answer = json.loads(body, parse_float=Decimal)
        except httpx.HTTPError as error:
            raise NodeAway(f"{self._network}: {method}: {type(error).__name__}") from None
        except (ValueError, RecursionError):
            raise NodeAway(f"{self._network}: {method}: the answer is not JSON") from None
        # Bitcoin's nodes answer an error with status 500, and a body that explains it.
        if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
            raise NodeAway(f"{self._network}: {method}: the answer is no JSON-RPC")
        if (fault := answer.get("error")) is not None:
            found = fault if isinstance(fault, dict) else {"message": fault}
            raise NodeRefused(self._network, method, found.get("code"), found.get("message"))
        return answer["result"]

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    async def _post(self, content: bytes) -> bytes:
        headers = {"content-type": "application/json"}
        async with self._http.stream("POST", self._url, content=content, headers=headers) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_MAX_BYTES:
                    raise NodeAway(f"{self._network}: an answer of more than {ANSWER_MAX_BYTES} bytes")
        return bytes(body)
