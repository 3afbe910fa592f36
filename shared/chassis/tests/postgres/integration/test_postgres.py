"""Pools carry their limits, and errors are told apart: what passes, what is the data's fault, what is a bug."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.postgres import is_data_error, is_transient, open_pool
from embedded.provisioning import DatabaseAccess
from testkit.postgres import TestPostgres

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def pool(database: DatabaseAccess) -> AsyncIterator["asyncpg.Pool[Any]"]:
    pool = await open_pool(database.owner_dsn, application_name="sample", statement_timeout_ms=200)
    await pool.execute("CREATE TABLE thing (id int PRIMARY KEY, name text, doc jsonb)")
    yield pool
    pool.terminate()


async def failure(pool: "asyncpg.Pool[Any]", sql: str, *arguments: Any) -> Exception:
    with pytest.raises(Exception) as raised:
        await pool.execute(sql, *arguments)
    return raised.value


async def test_sessions_carry_limits_and_a_name(database: DatabaseAccess) -> None:
    async with await open_pool(database.app_dsn, application_name="sample") as pool:
        shown = {name: await pool.fetchval(f"SHOW {name}") for name in LIMITS}
    assert shown == LIMITS


LIMITS = {
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "30s",
    "application_name": "sample",
    "TimeZone": "UTC",
}


@pytest.mark.parametrize(
    ("sql", "arguments"),
    [
        ("INSERT INTO thing VALUES ($1, $2)", [1, "nul \0"]),
        ("INSERT INTO thing VALUES ($1, $2)", [1, "\ud800"]),
        ("INSERT INTO thing VALUES ($1)", [2**40]),
        ("INSERT INTO thing VALUES ($1)", ["x"]),
        ("INSERT INTO thing VALUES ($1, '', $2)", [1, '{"a": "\\u0000"}']),
        ("INSERT INTO thing VALUES ($1, '', $2)", [1, "{"]),
        ("INSERT INTO thing VALUES (7), (7)", []),
        ("INSERT INTO thing VALUES (NULL)", []),
        ("SELECT 1 / 0", []),
    ],
)
async def test_refused_values_are_data_errors_and_no_retry_helps(
    pool: "asyncpg.Pool[Any]", sql: str, arguments: list[Any]
) -> None:
    error = await failure(pool, sql, *arguments)
    assert is_data_error(error)
    assert not is_transient(error)


@pytest.mark.parametrize("sql", ["SELECT * FROM nowhere", "SELEC 1", "DROP DATABASE postgres"])
async def test_our_mistakes_are_neither(pool: "asyncpg.Pool[Any]", sql: str) -> None:
    error = await failure(pool, sql)
    assert not is_data_error(error)
    assert not is_transient(error)


async def test_a_statement_that_takes_too_long_passes(pool: "asyncpg.Pool[Any]") -> None:
    assert is_transient(await failure(pool, "SELECT pg_sleep(60)"))


async def test_a_lock_that_is_not_given_passes(pool: "asyncpg.Pool[Any]") -> None:
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE thing")
        assert is_transient(await failure(pool, "SET lock_timeout = 1; LOCK TABLE thing"))


async def test_a_deadlock_passes(pool: "asyncpg.Pool[Any]") -> None:
    await pool.execute("INSERT INTO thing VALUES (1), (2)")
    both_hold = asyncio.Barrier(2)

    async def cross(first: int, second: int) -> None:
        async with pool.acquire() as connection, connection.transaction():
            # Above deadlock_timeout (1 s), so that the deadlock is found and not the wait cut short.
            await connection.execute("SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '10s'")
            await connection.execute("UPDATE thing SET name = 'x' WHERE id = $1", first)
            await both_hold.wait()
            await connection.execute("UPDATE thing SET name = 'x' WHERE id = $1", second)

    outcomes = await asyncio.gather(cross(1, 2), cross(2, 1), return_exceptions=True)
    errors = [outcome for outcome in outcomes if outcome is not None]
    assert [type(error) for error in errors] == [asyncpg.DeadlockDetectedError]
    assert is_transient(errors[0])


async def test_a_connection_that_is_cut_passes(
    pool: "asyncpg.Pool[Any]", postgres_server: TestPostgres, database: DatabaseAccess
) -> None:
    async with pool.acquire() as connection:
        admin = await asyncpg.connect(postgres_server.superuser_dsn)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        await admin.execute(cut, database.name)
        await admin.close()
        with pytest.raises(Exception) as first:
            await connection.execute("SELECT 1")
        with pytest.raises(Exception) as second:
            await connection.execute("SELECT 1")
    assert is_transient(first.value)
    assert is_transient(second.value)


async def test_a_closed_pool_and_a_server_that_is_away_pass(pool: "asyncpg.Pool[Any]") -> None:
    await pool.close()
    assert is_transient(await failure(pool, "SELECT 1"))
    with pytest.raises(OSError) as away:
        await open_pool("postgresql://x:x@127.0.0.1:1/x", application_name="sample")
    assert is_transient(away.value)


async def test_misuse_of_the_driver_is_a_bug(pool: "asyncpg.Pool[Any]") -> None:
    async with pool.acquire() as connection:
        running = asyncio.create_task(connection.execute("SELECT pg_sleep(0.1)"))
        await asyncio.sleep(0)
        with pytest.raises(asyncpg.InterfaceError, match="another operation") as misuse:
            await connection.execute("SELECT 1")
        await running
    assert not is_transient(misuse.value)
