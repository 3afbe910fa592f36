"""Each database belongs to its owner's role, serves its app's role, and is closed to everybody else's."""

import asyncio
import secrets

import asyncpg
import pytest

from embedded.provisioning import DatabaseAccess, dsn_for, provision
from testkit.postgres import TestPostgres

pytestmark = pytest.mark.asyncio


async def connected(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval("SELECT current_user"))
    finally:
        await connection.close()


@pytest.fixture
def names() -> tuple[str, str]:
    session = secrets.token_hex(4)
    return f"one_{session}", f"two_{session}"


async def remove(server: TestPostgres, *names: str) -> None:
    admin = await asyncpg.connect(server.superuser_dsn)
    for name in names:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.execute(f'DROP ROLE IF EXISTS "{name}_owner", "{name}_app"')
    await admin.close()


async def test_two_databases_are_closed_to_each_other(postgres_server: TestPostgres, names: tuple[str, str]) -> None:
    made = await provision(postgres_server.superuser_dsn, names)
    one, two = (made[name] for name in names)
    assert [await connected(dsn) for dsn in (one.owner_dsn, one.app_dsn)] == [one.owner_role, one.app_role]
    for dsn in (one.owner_dsn, one.app_dsn):
        for foreign in (two.name, "postgres", "template1"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connected(dsn_for(dsn, database=foreign))
    await remove(postgres_server, *names)


async def test_the_app_makes_nothing_and_sees_only_what_is_granted(
    postgres_server: TestPostgres, names: tuple[str, str]
) -> None:
    access = (await provision(postgres_server.superuser_dsn, names[:1]))[names[0]]
    owner, app = await asyncpg.connect(access.owner_dsn), await asyncpg.connect(access.app_dsn)
    await owner.execute("CREATE TABLE thing (id int)")
    for refused in ("CREATE TABLE mine (id int)", "CREATE TEMP TABLE mine (id int)", "SELECT * FROM thing"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(refused)
    await owner.execute(f'GRANT INSERT ON thing TO "{access.app_role}"')
    await app.execute("INSERT INTO thing VALUES (1)")
    await owner.close()
    await app.close()
    await remove(postgres_server, *names)


async def test_provisioning_again_keeps_the_data_and_sets_new_passwords(
    postgres_server: TestPostgres, names: tuple[str, str]
) -> None:
    first = (await provision(postgres_server.superuser_dsn, names[:1]))[names[0]]
    owner = await asyncpg.connect(first.owner_dsn)
    await owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    await owner.close()
    odd = "it's @ /odd? #%"
    again = (await provision(postgres_server.superuser_dsn, names[:1], {first.owner_role: odd}))[names[0]]
    owner = await asyncpg.connect(again.owner_dsn)
    assert await owner.fetchval("SELECT answer FROM kept") == 42
    await owner.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connected(first.app_dsn)
    await remove(postgres_server, *names)


async def test_two_launchers_at_once_do_not_trip_over_each_other(
    postgres_server: TestPostgres, names: tuple[str, str]
) -> None:
    passwords = {f"{names[0]}_owner": "same", f"{names[0]}_app": "same"}
    results: list[dict[str, DatabaseAccess]] = await asyncio.gather(
        *(provision(postgres_server.superuser_dsn, names[:1], passwords) for _ in range(4))
    )
    assert {await connected(made[names[0]].app_dsn) for made in results} == {f"{names[0]}_app"}
    await remove(postgres_server, *names)
