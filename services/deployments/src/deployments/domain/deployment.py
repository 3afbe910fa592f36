"""One deployment: its state, the commands it takes, and what they lead to.

``decide`` and ``evolve`` are plain functions. A repeat of what is already so leads to nothing; what contradicts an end
is refused: ``active`` and ``failed`` are for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeAlias

from deployments.domain.commission import split_price
from deployments.domain.events import (
    DeploymentActivated,
    DeploymentBecameUnknown,
    DeploymentEvent,
    DeploymentFailed,
    DeploymentQueued,
    DeploymentRejected,
    GridSpec,
    ProvisioningStarted,
)

REQUESTED, QUEUED, PROVISIONING, UNKNOWN, ACTIVE, FAILED = (
    "requested",
    "queued",
    "provisioning",
    "unknown",
    "active",
    "failed",
)
ENDS = frozenset({ACTIVE, FAILED})
UNKNOWN_SERVICE = "this service is not in the catalogue"


class DeploymentError(Exception):
    """A command that this deployment does not take; it stays as it was."""


class ContradictsRequest(DeploymentError):
    """The same deployment was requested before with another content."""


class AlreadyEnded(DeploymentError):
    """The deployment is active or failed, and that contradicts the command."""


class NotRequested(DeploymentError):
    """There is no such deployment."""


@dataclass(frozen=True)
class Request:
    """What was asked for and paid."""

    user_id: str
    service_id: str
    service_name: str
    asset: str
    amount: int


@dataclass(frozen=True)
class Deployment:
    """The state. ``version`` counts its events; ``attempt`` is how often provisioning began."""

    stream: str
    version: int = 0
    status: str = REQUESTED
    request: Request | None = None
    commission: int | None = None
    grid_payment: int | None = None
    spec: GridSpec | None = None
    attempt: int = 0
    grid_deployment_id: str | None = None
    connection_details: Mapping[str, str] | None = None
    error_message: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ENDS


@dataclass(frozen=True)
class RequestDeployment:
    """Begin. ``spec`` is None when the catalogue does not have the service."""

    request: Request
    spec: GridSpec | None
    commission_rate: Decimal


@dataclass(frozen=True)
class StartProvisioning:
    """The grid is about to be asked, or answers again after a silence."""


@dataclass(frozen=True)
class ReportActive:
    """The grid says that it runs."""

    grid_deployment_id: str
    connection_details: Mapping[str, str]


@dataclass(frozen=True)
class ReportUnknown:
    """The grid was asked for it and does not answer any more."""

    error_message: str


@dataclass(frozen=True)
class ReportAbsent:
    """The grid confirmed that it does not run and never will."""

    error_message: str


Command: TypeAlias = RequestDeployment | StartProvisioning | ReportActive | ReportUnknown | ReportAbsent


def decide(state: Deployment, command: Command) -> tuple[DeploymentEvent, ...]:
    """What ``command`` leads to. Raises DeploymentError."""
    return _DECISIONS[type(command)](state, command)


def evolve(state: Deployment, event: DeploymentEvent) -> Deployment:
    """The state after ``event``."""
    return replace(state, version=event.originator_version, **_CHANGES[type(event)](event))


def _request(state: Deployment, command: RequestDeployment) -> tuple[DeploymentEvent, ...]:
    if state.request is not None:
        if state.request != command.request:
            raise ContradictsRequest(f"{state.stream} was requested before with another content")
        return ()
    request = command.request
    if request.amount <= 0:
        raise ValueError("the amount of a deployment is above zero")
    if command.spec is None:
        return (DeploymentRejected(state.stream, 1, **vars(request), error_message=UNKNOWN_SERVICE),)
    commission, grid_payment = split_price(request.amount, command.commission_rate)
    queued = DeploymentQueued(
        state.stream,
        1,
        **vars(request),
        commission_rate=str(command.commission_rate),
        commission=commission,
        grid_payment=grid_payment,
        spec=dict(command.spec),
    )
    return (queued,)


def _start(state: Deployment, _command: StartProvisioning) -> tuple[DeploymentEvent, ...]:
    _refuse_ended(state)
    if state.status == PROVISIONING:
        return ()
    return (ProvisioningStarted(**_next(state), attempt=state.attempt + 1),)


def _active(state: Deployment, command: ReportActive) -> tuple[DeploymentEvent, ...]:
    if state.status == ACTIVE and state.grid_deployment_id == command.grid_deployment_id:
        return ()
    _refuse_ended(state)
    activated = DeploymentActivated(
        **_next(state),
        grid_deployment_id=command.grid_deployment_id,
        connection_details=dict(command.connection_details),
    )
    return (activated,)


def _unknown(state: Deployment, command: ReportUnknown) -> tuple[DeploymentEvent, ...]:
    _refuse_ended(state)
    # Queued: the grid was never asked for it, so it is certain that it does not run.
    if state.status in (QUEUED, UNKNOWN):
        return ()
    return (DeploymentBecameUnknown(**_next(state), error_message=command.error_message),)


def _absent(state: Deployment, command: ReportAbsent) -> tuple[DeploymentEvent, ...]:
    if state.status == FAILED:
        return ()
    _refuse_ended(state)
    return (DeploymentFailed(**_next(state), error_message=command.error_message),)


def _next(state: Deployment) -> dict[str, Any]:
    """What every later event begins with."""
    if state.request is None:
        raise NotRequested(f"{state.stream} was never requested")
    return {
        "originator_id": state.stream,
        "originator_version": state.version + 1,
        "user_id": state.request.user_id,
    }


def _refuse_ended(state: Deployment) -> None:
    if state.ended:
        raise AlreadyEnded(f"{state.stream} is {state.status} already")


def _queued_change(event: DeploymentQueued) -> dict[str, Any]:
    return {
        "status": QUEUED,
        "request": _requested(event),
        "commission": event.commission,
        "grid_payment": event.grid_payment,
        "spec": event.spec,
    }


def _rejected_change(event: DeploymentRejected) -> dict[str, Any]:
    return {"status": FAILED, "request": _requested(event), "error_message": event.error_message}


def _requested(event: DeploymentQueued | DeploymentRejected) -> Request:
    return Request(event.user_id, event.service_id, event.service_name, event.asset, event.amount)


def _started_change(event: ProvisioningStarted) -> dict[str, Any]:
    return {"status": PROVISIONING, "attempt": event.attempt, "error_message": None}


def _activated_change(event: DeploymentActivated) -> dict[str, Any]:
    return {
        "status": ACTIVE,
        "grid_deployment_id": event.grid_deployment_id,
        "connection_details": event.connection_details,
        "error_message": None,
    }


def _unknown_change(event: DeploymentBecameUnknown) -> dict[str, Any]:
    return {"status": UNKNOWN, "error_message": event.error_message}


def _failed_change(event: DeploymentFailed) -> dict[str, Any]:
    return {"status": FAILED, "error_message": event.error_message}


_DECISIONS: Mapping[type[Any], Callable[[Deployment, Any], tuple[DeploymentEvent, ...]]] = {
    RequestDeployment: _request,
    StartProvisioning: _start,
    ReportActive: _active,
    ReportUnknown: _unknown,
    ReportAbsent: _absent,
}

_CHANGES: Mapping[type[Any], Callable[[Any], dict[str, Any]]] = {
    DeploymentQueued: _queued_change,
    DeploymentRejected: _rejected_change,
    ProvisioningStarted: _started_change,
    DeploymentActivated: _activated_change,
    DeploymentBecameUnknown: _unknown_change,
    DeploymentFailed: _failed_change,
}
