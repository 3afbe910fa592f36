"""Taking a request: split the price, queue the work; refuse what the catalogue does not have.

One transaction, the consumer's. Asks no grid.
"""

from __future__ import annotations

from typing import Any

from deployments.application.ports import Catalogue, Requests
from deployments.domain.deployment import Deployment, Request, RequestDeployment


class RequestTaker:
    """The use case behind a DeploymentRequested."""

    def __init__(self, requests: Requests, catalogue: Catalogue) -> None:
        self._requests = requests
        self._catalogue = catalogue

    async def take(self, conn: Any, deployment_id: str, request: Request) -> Deployment:
        """Begin the deployment, once. Raises ContradictsRequest when it was requested with another content."""
        spec = self._catalogue.spec_of(request.service_id)
        command = RequestDeployment(request, spec, self._catalogue.commission_rate)
        state = await self._requests.load(conn, deployment_id)
        job_for = None if spec is None else deployment_id
        return await self._requests.record(conn, state, command, job_for=job_for)
