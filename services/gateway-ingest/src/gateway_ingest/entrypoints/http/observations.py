"""``POST /v1/observations``: what our own services learnt by asking, on its way to the books. Service token only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from chassis.http import ExactRouter, require_service_token
from gateway_ingest.adapters.gateways.observed import Observation
from gateway_ingest.application.intake import Intake

OBSERVATIONS_MAX = 50


class Observations(BaseModel):
    """Kept one after the other; a repeat of all of them changes nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    observations: Annotated[list[Observation], Field(min_length=1, max_length=OBSERVATIONS_MAX)]


def router(intake: Intake, token: SecretStr) -> ExactRouter:
    """The route, guarded."""
    routes = ExactRouter(prefix="/v1", dependencies=[Depends(require_service_token(token))])

    @routes.post("/observations")
    async def observe(body: Observations) -> dict[str, Any]:
        """All are durable when this answers; ``outcomes`` says of each whether it was new."""
        outcomes = []
        for observation in body.observations:
            raw = observation.model_dump_json().encode()
            outcomes.append(await intake.keep(observation.gateway, observation.reading(), raw))
        return {"outcomes": [outcome.value for outcome in outcomes]}

    return routes
