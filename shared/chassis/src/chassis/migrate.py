"""Applies a service's numbered SQL files, once each, in order.

One migrator at a time (advisory lock); a file is one transaction together with its row in ``schema_migrations``.
History is immutable: a file that was applied and then changed, vanished or was overtaken stops everything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

MIGRATE_LOCK = 0x6D696772
LOCK_WAIT_MAX_MS = 60_000
FILE_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.sql")
FIRST_STATEMENT = re.compile(r"SET\s+LOCAL\s+lock_timeout\s*=", re.IGNORECASE)
COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*\n)*")

_HISTORY_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


class MigrationError(Exception):
    """The files and the database's history contradict each other, or a file failed; nothing of that file stays."""


@dataclass(frozen=True, slots=True)
class _Migration:
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def label(self) -> str:
        return f"{self.version:04d}_{self.name}"


async def migrate(dsn: str, directory: Path) -> list[str]:
    """Apply what is missing; answers the labels applied now (``0001_events`` …), empty when up to date.

    Raises MigrationError; files before the failing one stay applied.
    """
    migrations = _read(directory)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"SET statement_timeout = {LOCK_WAIT_MAX_MS}")
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATE_LOCK)
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(_HISTORY_TABLE)
        applied = await _applied(connection)
        _refuse_rewritten_history(migrations, applied)
        missing = [migration for migration in migrations if migration.version not in applied]
        for migration in missing:
            await _apply(connection, migration)
        return [migration.label for migration in missing]
    finally:
        await connection.close()


def _read(directory: Path) -> Sequence[_Migration]:
    if not directory.is_dir():
        raise MigrationError(f"no folder of migrations at {directory}")
    migrations = [_parse(path) for path in sorted(directory.glob("*.sql"))]
    versions = [migration.version for migration in migrations]
    if versions != list(range(1, len(versions) + 1)):
        raise MigrationError(f"migrations must be numbered 0001, 0002 … without gap or repeat, found {versions}")
    return migrations


def _parse(path: Path) -> _Migration:
    match = FILE_NAME.fullmatch(path.name)
    if match is None:
        raise MigrationError(f"{path.name} is not named NNNN_name.sql")
    sql = path.read_text(encoding="utf-8")
    if not FIRST_STATEMENT.match(COMMENTS.sub("", sql, count=1)):
        raise MigrationError(f"{path.name} must begin with SET LOCAL lock_timeout, lest it block the running service")
    return _Migration(int(match["version"]), match["name"], sql)


async def _applied(connection: asyncpg.Connection[Any]) -> dict[int, tuple[str, str]]:
    rows = await connection.fetch("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
    return {row["version"]: (row["name"], row["checksum"]) for row in rows}


def _refuse_rewritten_history(migrations: Sequence[_Migration], applied: dict[int, tuple[str, str]]) -> None:
    ours = {migration.version: migration for migration in migrations}
    newest = max(applied, default=0)
    for version, (name, checksum) in applied.items():
        if version not in ours:
            raise MigrationError(f"migration {version:04d}_{name} was applied, but its file is missing")
        if ours[version].checksum != checksum:
            raise MigrationError(f"migration {ours[version].label} was changed after it was applied")
    for version in ours.keys() - applied.keys():
        if version < newest:
            raise MigrationError(f"migration {ours[version].label} is out of order: {newest:04d} is applied already")


async def _apply(connection: asyncpg.Connection[Any], migration: _Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.checksum,
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(f"migration {migration.label} failed: {error}") from error
