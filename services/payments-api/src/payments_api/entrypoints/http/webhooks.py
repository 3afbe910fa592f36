"""Webhook addresses that belong to gateway-ingest, so that an address on this port works too.

Passed on byte for byte; nothing is read, decided or stored here.
"""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from chassis.errors import OperationalError
from chassis.http import ExactRouter, unavailable
from payments_api.adapters.webhook_forwarding import WebhookForwarding

PATHS = ("/api/webhooks/{gateway}", "/api/credits/webhook", "/stripe/webhook")
RETRY_AFTER_S = 5


def routes(forwarding: WebhookForwarding) -> ExactRouter:
    """The router."""
    router = ExactRouter(tags=["webhooks"])

    async def forward(request: Request) -> Response:
        scope = request.scope
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        try:
            answer = await forwarding.forward(path, scope["query_string"], request.headers.raw, await request.body())
        except OperationalError:
            return unavailable("Webhooks cannot be taken at the moment; try again", retry_after_s=RETRY_AFTER_S)
        response = Response(answer.body, answer.status)
        response.raw_headers = [*response.raw_headers, *answer.headers]
        return response

    for path in PATHS:
        router.add_api_route(path, forward, methods=["POST"], summary="Passed on to gateway-ingest")
    return router
