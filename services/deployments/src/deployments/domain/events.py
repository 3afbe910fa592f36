"""The stored events of a deployment, private to this service.

Each has a stable TOPIC; its fields are JSON's own types. A changed shape is a new ``class_version`` with an upcaster,
and a file in ``tests/golden`` for ever. Amounts are integers of the asset's smallest unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

GridSpec: TypeAlias = Mapping[str, str | int | bool]
"""What shall run, as the grid takes it. Frozen with the request: a later catalogue changes nothing."""


@dataclass(frozen=True)
class DeploymentEvent:
    """What all have in common. ``originator_id`` is the stream, ``user_id`` whose deployment it is."""

    TOPIC: ClassVar[str]

    originator_id: str
    originator_version: int
    user_id: str


@dataclass(frozen=True)
class DeploymentQueued(DeploymentEvent):
    """It will be made; its price is split. ``commission`` and ``grid_payment`` sum to ``amount``."""

    TOPIC: ClassVar[str] = "deployments.DeploymentQueued"

    service_id: str
    service_name: str
    asset: str
    amount: int
    commission_rate: str
    commission: int
    grid_payment: int
    spec: GridSpec


@dataclass(frozen=True)
class DeploymentRejected(DeploymentEvent):
    """It was refused at once: nothing was taken, the grid was never asked."""

    TOPIC: ClassVar[str] = "deployments.DeploymentRejected"

    service_id: str
    service_name: str
    asset: str
    amount: int
    error_message: str


@dataclass(frozen=True)
class ProvisioningStarted(DeploymentEvent):
    """From here on the grid may have it. ``attempt`` counts from 1."""

    TOPIC: ClassVar[str] = "deployments.ProvisioningStarted"

    attempt: int


@dataclass(frozen=True)
class DeploymentActivated(DeploymentEvent):
    """It runs, under the grid's own id, and is reached by ``connection_details``."""

    TOPIC: ClassVar[str] = "deployments.DeploymentActivated"

    grid_deployment_id: str
    connection_details: Mapping[str, str]


@dataclass(frozen=True)
class DeploymentBecameUnknown(DeploymentEvent):
    """The grid does not answer for it: it may run or not."""

    TOPIC: ClassVar[str] = "deployments.DeploymentBecameUnknown"

    error_message: str


@dataclass(frozen=True)
class DeploymentFailed(DeploymentEvent):
    """It does not run and never will: the grid confirmed its absence."""

    TOPIC: ClassVar[str] = "deployments.DeploymentFailed"

    error_message: str


EVENT_TYPES: tuple[type[DeploymentEvent], ...] = (
    DeploymentQueued,
    DeploymentRejected,
    ProvisioningStarted,
    DeploymentActivated,
    DeploymentBecameUnknown,
    DeploymentFailed,
)
