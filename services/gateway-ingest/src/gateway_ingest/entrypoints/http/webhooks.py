"""The webhooks' endpoints: plain ASGI before the framework, since every payment passes here and only the raw bytes
are needed. Reads the body within its limits, hands it on, answers; what a request is named and counted by is the
chassis's outermost layers. Decides nothing about the webhook.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.errors import DomainError, OperationalError
from chassis.http import problem, unavailable
from chassis.http.traced import outermost
from gateway_ingest.application.intake import Intake
from gateway_ingest.application.ports import GatewayPort
from gateway_ingest.entrypoints.http.body import BodyReader, BodyTooLarge, BodyTooSlow

BODY_MAX_BYTES = 256 * 1024
BODY_TIMEOUT_S = 5.0

_RECEIVED = b'{"success":true,"received":true}'
_HEADERS = ((b"content-type", b"application/json"), (b"content-length", str(len(_RECEIVED)).encode()))

# The rest of the body is not read, so the connection is of no more use.
_CLOSE = {"connection": "close"}


class Webhooks:
    """ASGI middleware that answers the paths of the gateways that are heard, and passes on all others."""

    def __init__(self, app: ASGIApp, *, intake: Intake, gateways: Mapping[str, GatewayPort]) -> None:
        self._app = app
        self._endpoints = {
            path: outermost(WebhookEndpoint(path, gateway, intake))
            for gateway in gateways.values()
            for path in gateway.paths
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        await (endpoint or self._app)(scope, receive, send)


class WebhookEndpoint:
    """One path of one gateway."""

    def __init__(self, path: str, gateway: GatewayPort, intake: Intake) -> None:
        self._path = path
        self._gateway = gateway
        self._intake = intake
        self._reader = BodyReader(max_bytes=BODY_MAX_BYTES, timeout_s=BODY_TIMEOUT_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route_template"] = self._path
        try:
            answer = await self._take(scope, receive)
        except ClientDisconnect:
            return
        if answer is not None:
            await answer(scope, receive, send)
            return
        # Layers around write into these, so they are made anew.
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
        await send({"type": "http.response.body", "body": _RECEIVED})

    async def _take(self, scope: Scope, receive: Receive) -> Response | None:
        """None when the webhook is durable, else the answer that says why it is not."""
        if scope["method"] != "POST":
            return problem(405, "method_not_allowed", "Method Not Allowed", headers={"allow": "POST"})
        try:
            body = await self._reader.read(receive)
        except BodyTooLarge:
            detail = f"the body must not be longer than {BODY_MAX_BYTES} bytes"
            return problem(413, "body_too_large", "Content Too Large", detail, headers=_CLOSE)
        except BodyTooSlow:
            return problem(408, "request_timeout", "The body did not arrive in time", headers=_CLOSE)
        try:
            await self._intake.take(self._gateway, scope["headers"], body)
        except DomainError as refused:
            return problem(refused.status, refused.code, refused.title)
        except OperationalError as away:
            return unavailable("Not stored; try again", retry_after_s=away.retry_after_s)
        return None
