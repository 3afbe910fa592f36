import asyncpg
import pytest

from embedded.provisioning import DatabaseAccess


@pytest.mark.asyncio
async def test_the_owner_makes_tables_and_the_app_needs_a_grant(database: DatabaseAccess) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    app = await asyncpg.connect(database.app_dsn)
    try:
        await owner.execute("CREATE TABLE thing (id int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetch("SELECT * FROM thing")
        await owner.execute(f"GRANT SELECT ON thing TO {database.app_role}")
        assert await app.fetch("SELECT * FROM thing") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("CREATE TABLE mine (id int)")
    finally:
        await owner.close()
        await app.close()
