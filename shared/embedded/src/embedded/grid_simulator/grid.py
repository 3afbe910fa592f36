"""What the simulated grid does: create, look up, destroy; state is derived from what is stored and the clock.

A workload becomes ready, or fails, ``provision_s`` after its creation, also when nobody looks. No HTTP here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chassis.clock import Clock
from chassis.errors import Conflict, DomainError
from embedded.grid_simulator.addresses import endpoints
from embedded.grid_simulator.nodes import Placed, Resources, choose_node
from embedded.grid_simulator.storage import Storage, Workload

NO_CAPACITY = "no node has the capacity"
FAILS_BEFORE_CONTRACT = "the node refused the workload before a contract was made"
FAILS_AFTER_CONTRACT = "the workload crashed on the node after its contract was made"


class NameDestroyed(DomainError):
    """The name was destroyed once and is refused for ever."""

    status = 410

    def __init__(self) -> None:
        super().__init__("name_destroyed", "This name was destroyed and is never used again")


@dataclass(frozen=True, slots=True)
class View:
    """A workload as the grid shows it. ``state`` is provisioning, ok, error or deleted."""

    name: str
    state: str
    reason: str | None
    permanent: bool
    grid_deployment_id: str | None
    endpoints: Mapping[str, str]
    contract_ids: tuple[int, ...]


class SimulatedGrid:
    """The grid behind the HTTP interface."""

    def __init__(self, storage: Storage, clock: Clock, *, provision_s: float) -> None:
        self._storage = storage
        self._clock = clock
        self._provision_s = provision_s

    def create(self, name: str, spec: Mapping[str, Any], *, failure: str | None = None) -> tuple[View, bool]:
        """The workload, and whether it is new. A repeat answers what is there.

        ``failure`` is what its provisioning shall end with. Raises NameDestroyed, or Conflict for another spec.
        """
        known = self._storage.find(name)
        if known is None:
            return self._view(self._add(name, spec, failure)), True
        if known.destroyed:
            raise NameDestroyed
        if known.spec != spec:
            raise Conflict("other_spec", "A workload of this name exists with another spec")
        return self._view(known), False

    def get(self, name: str) -> View | None:
        """The workload as it is now; None when the name was never used."""
        known = self._storage.find(name)
        return None if known is None else self._view(known)

    def destroy(self, name: str) -> View:
        """End the workload. A name that was never used is refused from now on, too: a late create must not slip in."""
        if self._storage.find(name) is None:
            self._storage.add(Workload(name, {}, None, None, self._now(), None, destroyed=True))
        self._storage.bury(name)
        buried = self._storage.find(name)
        assert buried is not None
        return self._view(buried)

    def existing(self, *, after: str, limit: int) -> list[View]:
        """What was not destroyed, by name."""
        return [self._view(workload) for workload in self._storage.existing(after=after, limit=limit)]

    def _add(self, name: str, spec: Mapping[str, Any], failure: str | None) -> Workload:
        node_id = choose_node(_resources(spec), self._placed()) if failure is None else None
        if failure is None and node_id is None:
            failure = NO_CAPACITY
        has_contract = failure in (None, FAILS_AFTER_CONTRACT)
        contract_id = self._storage.next_contract_id() if has_contract else None
        workload = Workload(name, spec, node_id, contract_id, self._now(), failure, destroyed=False)
        self._storage.add(workload)
        return workload

    def _placed(self) -> list[Placed]:
        return [
            Placed(workload.node_id, _resources(workload.spec))
            for workload in self._storage.existing()
            if workload.node_id is not None
        ]

    def _view(self, workload: Workload) -> View:
        state, reason = self._state(workload)
        ready = state == "ok"
        contract_ids = () if workload.contract_id is None else (workload.contract_id,)
        return View(
            name=workload.name,
            state=state,
            reason=reason,
            permanent=state in ("error", "deleted"),
            grid_deployment_id=str(workload.contract_id) if ready else None,
            endpoints=endpoints(workload.name, public_ip=bool(workload.spec.get("public_ip"))) if ready else {},
            contract_ids=contract_ids,
        )

    def _state(self, workload: Workload) -> tuple[str, str | None]:
        if workload.destroyed:
            return "deleted", None
        if self._now() < workload.started_at + self._provision_s:
            return "provisioning", None
        return ("ok", None) if workload.failure is None else ("error", workload.failure)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _resources(spec: Mapping[str, Any]) -> Resources:
    return Resources(spec["cpu"], spec["memory_mb"], spec["disk_gb"])
