"""How this project talks to PostgreSQL: pools with limits, and which errors pass.

Every statement has a time limit, every wait for a lock too; a transaction that sits idle is ended by the server.
Holds no SQL of any table.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import structlog
from asyncpg import exceptions

log = structlog.get_logger(__name__)
STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 2_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 30.0
REACHABLE_TIMEOUT_S = 1.5
"""Within the time that ``/readyz`` has for all that it asks."""
IDLE_CONNECTION_MAX_S = 300.0

# Classes and codes of errors that the same statement may not meet again.
_TRANSIENT_CLASSES = ("08", "53", "57P")
_TRANSIENT_CODES = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # lock not available: lock_timeout
        "57014",  # query canceled: statement_timeout
        "25P03",  # idle in transaction: the server ended the session
        "55006",  # object in use
    }
)
_DATA_CLASSES = ("22", "23")
_SIGNS_OF_LOSS = ("connection is closed", "connection has been closed", "released back to the pool", "pool is clos")


async def open_pool(
    dsn: str,
    *,
    min_size: int = 1,
    max_size: int = 10,
    application_name: str,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
) -> asyncpg.Pool[Any]:
    """A pool whose sessions carry the project's time limits; ``application_name`` shows in pg_stat_activity.

    Raises what connecting raises; ``is_transient`` tells whether to try again. With ``min_size=0`` it connects only
    when it is used.
    """
    pool: asyncpg.Pool[Any] = await asyncpg.create_pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        max_inactive_connection_lifetime=IDLE_CONNECTION_MAX_S,
        server_settings={
            "application_name": application_name,
            "statement_timeout": str(statement_timeout_ms),
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
            "timezone": "UTC",
        },
    )
    return pool


async def is_reachable(pool: asyncpg.Pool[Any]) -> bool:
    """Whether the database answers in time: what readiness asks. Never raises what connecting raises."""
    try:
        async with asyncio.timeout(REACHABLE_TIMEOUT_S):
            return bool(await pool.fetchval("SELECT true"))
    except (OSError, exceptions.PostgresError, exceptions.InterfaceError) as error:
        # Only the kind of the error: its text may hold the address with the password.
        log.warning("database_not_reachable", error=type(error).__name__)
        return False


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed when tried again: connection lost, deadlock, no room, a limit of time."""
    if isinstance(error, exceptions.PostgresError):
        state = error.sqlstate or ""
        return state in _TRANSIENT_CODES or state.startswith(_TRANSIENT_CLASSES)
    if isinstance(error, exceptions.InterfaceError):
        return _connection_is_gone(error)
    # The driver lost its place: it does when the server ends a session at the moment at which we speak. Only a new
    # connection helps.
    return isinstance(error, exceptions.InternalClientError | OSError | TimeoutError | asyncio.IncompleteReadError)


def is_data_error(error: BaseException) -> bool:
    """Whether the values themselves are refused, so that no retry helps: out of range, \\u0000, a constraint."""
    # What asyncpg cannot encode never reaches the server, but carries class 22 all the same.
    return isinstance(error, exceptions.PostgresError) and (error.sqlstate or "").startswith(_DATA_CLASSES)


def _connection_is_gone(error: exceptions.InterfaceError) -> bool:
    """asyncpg has one class for misuse and for a lost connection; only its text tells them apart.

    A pooled connection that is lost between two statements is "released back to the pool" under its user's hands.
    """
    text = str(error)
    return any(sign in text for sign in _SIGNS_OF_LOSS)
