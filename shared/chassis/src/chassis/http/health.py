"""What an orchestrator asks: is the process alive, is it ready for traffic, what has it counted.

``/healthz`` says only that the process answers, so that a database that is away restarts nobody. ``/readyz`` asks the
service's own checks, within a time limit. A layer before the router, so that no request of the business pays for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.http.exact_json import ExactJSONResponse
from chassis.http.problem import problem

READINESS_TIMEOUT_S = 2.0

Readiness = Callable[[], Awaitable[Mapping[str, bool]]]

log = structlog.get_logger("health")


class Health:
    """ASGI middleware. ``readiness`` answers check name → fine; one that raises or hangs counts as not ready."""

    def __init__(self, app: ASGIApp, *, readiness: Readiness, registry: CollectorRegistry | None = None) -> None:
        self._app = app
        self._readiness = readiness
        self._registry = registry or REGISTRY
        self._answers = {"/healthz": self._alive, "/readyz": self._ready, "/metrics": self._metrics}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answers.get(scope["path"]) if scope["type"] == "http" else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        scope["route_template"] = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            refusal = problem(405, "method_not_allowed", "Method Not Allowed", headers={"allow": "GET, HEAD"})
            await refusal(scope, receive, send)
            return
        await (await answer())(scope, receive, send)

    async def _alive(self) -> Response:
        return ExactJSONResponse({"status": "ok"})

    async def _ready(self) -> Response:
        checks = await self._ask()
        if all(checks.values()):
            return ExactJSONResponse({"status": "ready", "checks": checks})
        return problem(503, "not_ready", "Not ready for traffic", headers={"retry-after": "1"}, checks=checks)

    async def _metrics(self) -> Response:
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    async def _ask(self) -> dict[str, bool]:
        try:
            async with asyncio.timeout(READINESS_TIMEOUT_S):
                return dict(await self._readiness())
        except Exception as error:  # noqa: BLE001 - whatever it is, it means not ready, and the log says what
            log.warning("readiness_check_failed", error=repr(error))
            return {"readiness": False}
