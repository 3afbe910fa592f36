"""Builds the web application of a service: its layers, its error answers, its health routes.

Services add their routers; nothing of their business is here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from chassis.http import problem
from chassis.http.exact_json import ExactJSONResponse, ExactRoute
from chassis.http.health import Health, Readiness
from chassis.http.limits import Limits
from chassis.http.request_context import RequestContext
from chassis.http.traced import Traced
from chassis.tracing import is_on

BODY_MAX_BYTES = 64 * 1024
REQUEST_TIMEOUT_S = 10.0

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


def create_app(
    *,
    title: str,
    readiness: Readiness,
    metrics_registry: CollectorRegistry | None = None,
    body_max_bytes: int = BODY_MAX_BYTES,
    request_timeout_s: float = REQUEST_TIMEOUT_S,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """An application with exact JSON on every route, problem documents for every error, and the limits given.

    Routers that a service includes should be ExactRouters; ``app.get`` and its like are exact already. There are no
    documentation pages, which would load scripts from elsewhere; ``/openapi.json`` is served.
    """
    app = FastAPI(
        title=title,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        default_response_class=ExactJSONResponse,
        responses=problem.OPENAPI_RESPONSES,
    )
    app.router.route_class = ExactRoute
    problem.install(app)
    # Added last stands outermost.
    app.add_middleware(Limits, body_max_bytes=body_max_bytes, timeout_s=request_timeout_s)
    app.add_middleware(Health, readiness=readiness, registry=metrics_registry)
    app.add_middleware(RequestContext)
    if is_on():
        app.add_middleware(Traced)
    return app
