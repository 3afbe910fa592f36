"""What the simulated grid remembers: workloads, tombstones, faults and how often it was asked, in one SQLite file.

Every method is one short transaction; what was answered survives ``kill -9``. Decides nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST_CONTRACT_ID = 1_250_001
LIST_MAX = 500

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS workloads (
    name TEXT PRIMARY KEY, spec TEXT NOT NULL, node_id INTEGER, contract_id INTEGER, started_at REAL NOT NULL,
    failure TEXT, destroyed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name_pattern TEXT NOT NULL, operation TEXT NOT NULL,
    seconds REAL NOT NULL, remaining INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS calls (
    name TEXT NOT NULL, operation TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (name, operation)
);
CREATE TABLE IF NOT EXISTS contracts (last_id INTEGER NOT NULL);
INSERT INTO contracts SELECT {FIRST_CONTRACT_ID - 1} WHERE NOT EXISTS (SELECT 1 FROM contracts);
"""  # noqa: S608 - our own number
_FAULT = """
SELECT id, kind, seconds FROM faults
WHERE remaining > 0 AND ? GLOB name_pattern AND operation IN (?, 'any') ORDER BY id LIMIT 1
"""
_COUNT = """
INSERT INTO calls VALUES (?, ?, 1) ON CONFLICT (name, operation) DO UPDATE SET count = count + 1
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """One name. ``failure`` is what its provisioning ends with; ``started_at`` in seconds since 1970."""

    name: str
    spec: Mapping[str, Any]
    node_id: int | None
    contract_id: int | None
    started_at: float
    failure: str | None
    destroyed: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """What shall go wrong with one call."""

    kind: str
    seconds: float


class Storage:
    """The SQLite file. For one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def find(self, name: str) -> Workload | None:
        """The workload or tombstone of that name."""
        rows = self._connection.execute("SELECT * FROM workloads WHERE name = ?", (name,)).fetchall()
        return _workload(rows[0]) if rows else None

    def existing(self, *, after: str = "", limit: int | None = None) -> list[Workload]:
        """All that was not destroyed, by name."""
        query = "SELECT * FROM workloads WHERE NOT destroyed AND name > ? ORDER BY name LIMIT ?"
        return [_workload(row) for row in self._connection.execute(query, (after, -1 if limit is None else limit))]

    def add(self, workload: Workload) -> None:
        """Remember a workload or tombstone of a new name."""
        self._connection.execute(
            "INSERT INTO workloads VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                workload.name,
                json.dumps(workload.spec),
                workload.node_id,
                workload.contract_id,
                workload.started_at,
                workload.failure,
                workload.destroyed,
            ),
        )

    def bury(self, name: str) -> None:
        """Mark a workload as destroyed; its name is kept for ever."""
        self._connection.execute("UPDATE workloads SET destroyed = 1 WHERE name = ?", (name,))

    def next_contract_id(self) -> int:
        """A number that no contract had before."""
        rows = self._connection.execute("UPDATE contracts SET last_id = last_id + 1 RETURNING last_id").fetchall()
        return int(rows[0][0])

    def count_call(self, name: str, operation: str) -> None:
        """Remember that ``name`` was asked about."""
        self._connection.execute(_COUNT, (name, operation))

    def calls(self, name: str) -> dict[str, int]:
        """How often each operation was asked for with ``name``."""
        return dict(self._connection.execute("SELECT operation, count FROM calls WHERE name = ?", (name,)).fetchall())

    def add_fault(self, kind: str, name_pattern: str, operation: str, seconds: float, count: int) -> int:
        """Script a fault for the next ``count`` matching calls; answers its id."""
        cursor = self._connection.execute(
            "INSERT INTO faults (kind, name_pattern, operation, seconds, remaining) VALUES (?, ?, ?, ?, ?)",
            (kind, name_pattern, operation, seconds, count),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def take_fault(self, name: str, operation: str) -> Fault | None:
        """The oldest fault that is left for this call; it is used up by one."""
        with self._transaction():
            rows = self._connection.execute(_FAULT, (name, operation)).fetchall()
            if not rows:
                return None
            fault_id, kind, seconds = rows[0]
            self._connection.execute("UPDATE faults SET remaining = remaining - 1 WHERE id = ?", (fault_id,))
        return Fault(kind, seconds)

    def clear_faults(self) -> None:
        """Forget every fault."""
        self._connection.execute("DELETE FROM faults")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _workload(row: tuple[Any, ...]) -> Workload:
    name, spec, node_id, contract_id, started_at, failure, destroyed = row
    return Workload(name, json.loads(spec), node_id, contract_id, started_at, failure, bool(destroyed))
