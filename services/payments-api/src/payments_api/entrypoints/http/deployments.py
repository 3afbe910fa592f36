"""``/api/deployments``: what a person bought and how it is doing. Somebody else's is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Query

from chassis.errors import NotFound
from chassis.http import ExactRouter
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.people import Person
from payments_api.entrypoints.http.shapes import Deployments, DeploymentShown
from payments_api.projections.views import DEPLOYMENTS_MAX

DEPLOYMENTS_DEFAULT = 50
Id = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


def routes(parts: Parts) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api/deployments", tags=["deployments"])

    @router.get("", response_model=Deployments, summary="Your deployments, newest first")
    async def deployments(
        person: Person, limit: Annotated[int, Query(ge=1, le=DEPLOYMENTS_MAX)] = DEPLOYMENTS_DEFAULT
    ) -> Mapping[str, Any]:
        return {"deployments": await parts.views.deployments(person, limit=limit)}

    @router.get("/{deployment_id}", response_model=DeploymentShown, summary="A deployment of yours")
    async def deployment(deployment_id: Id, person: Person) -> Mapping[str, Any]:
        found = await parts.views.deployment(person, deployment_id)
        if found is None:
            raise NotFound("unknown_deployment", "There is no such deployment")
        return found

    return router
