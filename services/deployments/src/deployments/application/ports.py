"""What the use cases need from outside: a grid, a catalogue, a queue of jobs, and a place to record what happened.

Protocols and the values that pass through them; no implementation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

from chassis.errors import OperationalError
from deployments.domain.deployment import Command, Deployment
from deployments.domain.events import GridSpec

GridStatus = Literal["provisioning", "ok", "error", "deleted"]


class GridUnavailable(OperationalError):
    """The grid did not answer, or not with sense: what was asked may have happened or not."""


class GridRefused(Exception):
    """The grid will never create this: asking again is no use. The text is its reason."""


class NameDestroyed(GridRefused):
    """The name was destroyed before and is refused for ever."""


class LeaseLost(Exception):
    """Another worker has the job now, or it is finished; nothing was written."""


@dataclass(frozen=True, slots=True)
class GridState:
    """What the grid says of a name. ``permanent``: the state will not change by itself; ``reason`` is for people."""

    state: GridStatus
    reason: str | None = None
    permanent: bool = False
    grid_deployment_id: str | None = None
    endpoints: Mapping[str, str] | None = None


class Grid(Protocol):
    """Runs workloads by name. Every call may be repeated; each raises GridUnavailable."""

    async def create(self, name: str, spec: GridSpec) -> GridState:
        """Make it, or answer what is there already. Raises GridRefused."""
        ...

    async def get(self, name: str) -> GridState | None:
        """Its state; None when the name was never used."""
        ...

    async def destroy(self, name: str) -> GridState:
        """End it, if it is there; from now on the name is refused for ever."""
        ...


class Catalogue(Protocol):
    """What is sold and at which share."""

    @property
    def commission_rate(self) -> Decimal:
        """The platform's share, 0 to 1."""
        ...

    def spec_of(self, service_id: str) -> GridSpec | None:
        """What a service needs on the grid; None when there is no such service."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """A job in a worker's hands. ``epoch`` is checked at every write: an older one writes nothing.

    ``attempts`` counts the tries since the grid last answered, this one included; ``overdue`` says that the hard
    deadline has passed, ``age_s`` how long ago it was first worked on; a job with a ``teardown_reason`` only destroys.
    """

    job_id: int
    deployment_id: str
    epoch: int
    attempts: int
    overdue: bool
    age_s: float
    teardown_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The job is done."""


@dataclass(frozen=True, slots=True)
class Again:
    """Give the job back, to be taken up in ``pause_s``. ``error`` is why, where the grid did not answer."""

    pause_s: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TearDown:
    """Go on with the job, and from now on only to destroy."""

    reason: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Go on with the job as it is."""


JobChange: TypeAlias = Finish | Again | TearDown | Keep


class Desk(Protocol):
    """Where a worker reads and writes, fenced by its lease."""

    async def read(self, lease: Lease) -> Deployment:
        """The deployment as it is now."""
        ...

    async def record(self, lease: Lease, command: Command | None, change: JobChange) -> Deployment:
        """What ``command`` leads to and the job's change, in one transaction. Raises LeaseLost."""
        ...


class JobQueue(Protocol):
    """Who works on what, by the database's clock."""

    async def claim(self, owner: str, *, limit: int, lease_s: float) -> Sequence[Lease]:
        """Take up to ``limit`` jobs that are due and in nobody's hands."""
        ...

    async def renew(self, lease: Lease, *, lease_s: float) -> bool:
        """Keep the job for another ``lease_s``; answers whether it is still this lease's."""
        ...


class Requests(Protocol):
    """Where a request is recorded, in a transaction that somebody else began (``conn``)."""

    async def load(self, conn: Any, deployment_id: str) -> Deployment:
        """The deployment as it is now; an empty one when there is none."""
        ...

    async def record(self, conn: Any, state: Deployment, command: Command, *, job_for: str | None) -> Deployment:
        """What ``command`` leads to; where that is something, also a job for the deployment ``job_for``."""
        ...
