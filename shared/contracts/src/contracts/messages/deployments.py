"""Topic ``deployments``: the life of a deployment, from the hold that pays for it to its end."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from contracts.amounts import Money
from contracts.messages.message import Identifier, Message
from contracts.topics import DEPLOYMENTS


class ConnectionDetails(BaseModel):
    """How a person reaches what runs for them."""

    model_config = ConfigDict(frozen=True, extra="allow")

    mycelium_ip: str | None = None
    public_ip: str | None = None
    ssh_user: str | None = None
    url: str | None = None


class DeploymentMessage(Message):
    """Base of the messages about one deployment."""

    TOPIC: ClassVar[str] = DEPLOYMENTS

    deployment_id: Identifier
    user_id: Identifier


class DeploymentRequested(DeploymentMessage):
    """Credits are held; the deployment may begin. Published by the ledger."""

    TYPE: ClassVar[str] = "gridledger.deployments.DeploymentRequested.v1"

    service_id: Identifier
    service_name: str
    amount: Money
    requested_at: datetime


class DeploymentQueued(DeploymentMessage):
    """The work is queued and its price split; ``commission`` and ``grid_payment`` sum to ``amount``."""

    TYPE: ClassVar[str] = "gridledger.deployments.DeploymentQueued.v1"

    service_id: Identifier
    amount: Money
    commission: Money
    grid_payment: Money


class DeploymentProvisioning(DeploymentMessage):
    """A worker asked the grid for it."""

    TYPE: ClassVar[str] = "gridledger.deployments.DeploymentProvisioning.v1"

    attempt: int


class DeploymentActive(DeploymentMessage):
    """It runs."""

    TYPE: ClassVar[str] = "gridledger.deployments.DeploymentActive.v1"

    grid_deployment_id: Identifier
    connection_details: ConnectionDetails


class DeploymentFailed(DeploymentMessage):
    """It does not run and never will: its absence on the grid was confirmed. The ledger gives the credits back."""

    TYPE: ClassVar[str] = "gridledger.deployments.DeploymentFailed.v1"

    error_message: str


class DeploymentUnknown(DeploymentMessage):
    """The grid does not answer for it; it may still run. It is reconciled before anything is refunded."""

    TYPE: ClassVar[str] = "gridledger.deployments.DeploymentUnknown.v1"

    error_message: str
