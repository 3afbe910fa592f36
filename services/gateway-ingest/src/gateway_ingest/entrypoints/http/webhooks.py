"""The webhooks' endpoint: plain ASGI, since every payment passes here and the raw bytes are all that is needed.

Reads the body, hands it on, answers. Limits and error documents are the application's layers around it.
"""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway_ingest.application.intake import Intake
from gateway_ingest.application.ports import GatewayPort

_RECEIVED = b'{"success":true,"received":true}'
_HEADERS = ((b"content-type", b"application/json"), (b"content-length", str(len(_RECEIVED)).encode()))

PATHS = {
    "/api/webhooks/stripe": "stripe",
    "/api/credits/webhook": "stripe",
    "/stripe/webhook": "stripe",
    "/api/webhooks/demo": "demo",
}
"""Path → gateway. Where a gateway is not heard, its paths do not exist."""


class WebhookEndpoint:
    """One path of one gateway, as an ASGI application."""

    def __init__(self, path: str, gateway: GatewayPort, intake: Intake) -> None:
        self._path = path
        self._gateway = gateway
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route_template"] = self._path
        body = await _read_body(receive)
        if body is None:
            return
        await self._intake.take(self._gateway, _header(scope, self._gateway.signature_header), body)
        # Layers around write into these, so they are made anew.
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
        await send({"type": "http.response.body", "body": _RECEIVED})


def routes(intake: Intake, gateways: dict[str, GatewayPort]) -> list[Route]:
    """The routes of all gateways that are heard."""
    return [
        Route(path, WebhookEndpoint(path, gateways[name], intake), methods=["POST"])
        for path, name in PATHS.items()
        if name in gateways
    ]


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body; None when the client left before its end."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return None
