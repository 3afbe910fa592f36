"""The client for calls over HTTP: httpx's, whose failures are all httpx's own.

On uvloop a peer that lets go while a connection is being made comes out of httpx as an AttributeError (anyio asks a
socket that is gone for its peer). Whoever calls expects httpx.TransportError and tries again; anything else is a bug.
"""

from __future__ import annotations

from typing import Any

import httpx


class HttpClient(httpx.AsyncClient):
    """As httpx.AsyncClient, with httpx.ConnectError for a connection that was reset before it was one."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Raises httpx.HTTPError alone."""
        try:
            return await super().send(request, **options)
        except AttributeError as error:
            if error.name != "getpeername":
                raise
            raise httpx.ConnectError("the peer let go while the connection was made", request=request) from error
