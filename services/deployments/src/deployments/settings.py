"""What the deployments service is configured by; see chassis.settings for the shared part and the sources."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, HttpUrl

from chassis.settings import ServiceSettings

PORT = 8003


class DeploymentsSettings(ServiceSettings):
    """Times are in seconds."""

    service: ClassVar[str] = "deployments"

    port: Annotated[int, Field(ge=1, le=65535, description="Port to listen on")] = PORT
    grid_url: Annotated[HttpUrl, Field(description="The grid's HTTP interface")]
    grid_timeout_s: Annotated[float, Field(gt=0, le=300, description="How long one call to the grid may take")] = 10.0
    deployment_deadline_s: Annotated[
        float, Field(gt=0, description="After this, what is not ready is destroyed and given back")
    ] = 1800.0
    unknown_after_attempts: Annotated[
        int, Field(ge=1, description="Calls in a row without an answer until a deployment is called unknown")
    ] = 3
    lease_s: Annotated[float, Field(ge=1, le=3600, description="How long a silent worker keeps a job")] = 30.0
    worker_concurrency: Annotated[int, Field(ge=1, le=64, description="Jobs that one worker works on at once")] = 8
