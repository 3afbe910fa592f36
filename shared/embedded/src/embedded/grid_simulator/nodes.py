"""The nodes of the simulated grid and who fits where.

Capacity is finite and counted over what exists; placement is deterministic. Holds no state of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NODE_COUNT = 8


@dataclass(frozen=True, slots=True)
class Resources:
    """What a workload needs or a node offers."""

    cpu: int
    memory_mb: int
    disk_gb: int

    def __sub__(self, other: Resources) -> Resources:
        return Resources(self.cpu - other.cpu, self.memory_mb - other.memory_mb, self.disk_gb - other.disk_gb)

    def covers(self, other: Resources) -> bool:
        """Whether ``other`` fits into this."""
        return self.cpu >= other.cpu and self.memory_mb >= other.memory_mb and self.disk_gb >= other.disk_gb


@dataclass(frozen=True, slots=True)
class Placed:
    """A workload on a node."""

    node_id: int
    resources: Resources


NODES = {11 + 7 * number: Resources(cpu=256, memory_mb=1024 * 1024, disk_gb=16 * 1024) for number in range(NODE_COUNT)}
"""Node id → what it offers."""


def choose_node(wanted: Resources, placed: Iterable[Placed]) -> int | None:
    """The node with the most free processors that can take ``wanted``; None when none can."""
    free = dict(NODES)
    for workload in placed:
        free[workload.node_id] = free[workload.node_id] - workload.resources
    fitting = [(-room.cpu, node_id) for node_id, room in free.items() if room.covers(wanted)]
    return min(fitting)[1] if fitting else None
