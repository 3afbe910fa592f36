"""``/v1``: deployments and the queue, for whoever shows the service token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query
from pydantic import SecretStr

from chassis.errors import NotFound
from chassis.http import ExactRouter, create_app, require_service_token
from chassis.postgres import is_reachable
from deployments import bootstrap
from deployments.projections.views import JOBS_MAX, JobStatus, Views

DeploymentId = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


def make_app(parts: bootstrap.Parts) -> FastAPI:
    """The HTTP interface. Ready as long as the database answers: it also serves while the grid is away."""
    views = bootstrap.make_views(parts)

    async def readiness() -> Mapping[str, bool]:
        return {"database": await is_reachable(parts.pool)}

    app = create_app(title="Gridledger deployments", readiness=readiness)
    app.include_router(routes(views, parts.settings.service_token))
    return app


def routes(views: Views, token: SecretStr) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/v1", dependencies=[Depends(require_service_token(token))])

    @router.get("/deployments/{deployment_id}")
    async def deployment(deployment_id: DeploymentId) -> Mapping[str, Any]:
        found = await views.deployment(deployment_id)
        if found is None:
            raise NotFound("unknown_deployment", "There is no such deployment")
        return found

    @router.get("/jobs")
    async def jobs(
        status: JobStatus = "open",
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        limit: Annotated[int, Query(ge=1, le=JOBS_MAX)] = 50,
    ) -> Mapping[str, Any]:
        return await views.jobs(status, after=after, limit=limit)

    return router
