"""Migrations run once, in order, one migrator at a time; history that was rewritten stops them."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from chassis.migrate import MigrationError, migrate
from embedded.provisioning import DatabaseAccess
from testkit.postgres import DatabaseFactory
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio

TIMEOUT = "SET LOCAL lock_timeout = '5s';\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "0001_first.sql", "CREATE TABLE thing (id int PRIMARY KEY);")
    write(tmp_path, "0002_second.sql", "-- why\n", "INSERT INTO thing VALUES (2);")
    return tmp_path


def write(folder: Path, name: str, *sql: str) -> None:
    (folder / name).write_text("-- What this is for.\n" + TIMEOUT + "".join(sql))


async def fetch(database: DatabaseAccess, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def test_every_file_is_applied_once(database: DatabaseAccess, folder: Path) -> None:
    assert await migrate(database.owner_dsn, folder) == ["0001_first", "0002_second"]
    assert await migrate(database.owner_dsn, folder) == []
    write(folder, "0003_third.sql", "INSERT INTO thing VALUES (3);")
    assert await migrate(database.owner_dsn, folder) == ["0003_third"]
    assert [row["id"] for row in await fetch(database, "SELECT id FROM thing ORDER BY id")] == [2, 3]


async def test_two_migrators_at_once_apply_each_file_once(database: DatabaseAccess, folder: Path) -> None:
    results = await asyncio.gather(*(migrate(database.owner_dsn, folder) for _ in range(4)))
    assert sorted(results, key=len) == [[], [], [], ["0001_first", "0002_second"]]


async def test_a_failing_file_leaves_nothing_of_itself(database: DatabaseAccess, folder: Path) -> None:
    write(folder, "0003_bad.sql", "CREATE TABLE half (id int); SELECT 1 / 0;")
    with pytest.raises(MigrationError, match="0003_bad failed: division by zero"):
        await migrate(database.owner_dsn, folder)
    assert await fetch(database, "SELECT 1 FROM pg_tables WHERE tablename = 'half'") == []
    assert [row["version"] for row in await fetch(database, "SELECT version FROM schema_migrations")] == [1, 2]


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(database: DatabaseAccess, folder: Path) -> None:
    await migrate(database.owner_dsn, folder)
    write(folder, "0001_first.sql", "CREATE TABLE thing (id bigint PRIMARY KEY);")
    with pytest.raises(MigrationError, match="0001_first was changed"):
        await migrate(database.owner_dsn, folder)


async def test_a_file_that_is_missing_is_refused(database: DatabaseAccess, folder: Path) -> None:
    await migrate(database.owner_dsn, folder)
    (folder / "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match="0002_second was applied, but its file is missing"):
        await migrate(database.owner_dsn, folder)


async def test_a_file_that_was_overtaken_is_refused(database: DatabaseAccess, folder: Path) -> None:
    await migrate(database.owner_dsn, folder)
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("DELETE FROM schema_migrations WHERE version = 1")
    await owner.close()
    with pytest.raises(MigrationError, match="0001_first is out of order"):
        await migrate(database.owner_dsn, folder)


@pytest.mark.parametrize(
    ("name", "sql", "reason"),
    [
        ("0004_gap.sql", TIMEOUT, "without gap"),
        ("0002_twice.sql", TIMEOUT, "without gap"),
        ("third.sql", TIMEOUT, "not named"),
        ("0003_blunt.sql", "CREATE TABLE x (id int);", "must begin with SET LOCAL lock_timeout"),
    ],
)
async def test_files_out_of_form_are_refused_before_anything_runs(
    database: DatabaseAccess, folder: Path, name: str, sql: str, reason: str
) -> None:
    (folder / name).write_text(sql)
    with pytest.raises(MigrationError, match=reason):
        await migrate(database.owner_dsn, folder)
    assert await fetch(database, "SELECT 1 FROM pg_tables WHERE tablename = 'schema_migrations'") == []


async def test_a_folder_that_is_not_there_is_refused(database: DatabaseAccess, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="no folder"):
        await migrate(database.owner_dsn, tmp_path / "nowhere")


async def test_a_lock_held_by_the_running_service_ends_the_wait(database: DatabaseAccess, folder: Path) -> None:
    await migrate(database.owner_dsn, folder)
    (folder / "0003_alter.sql").write_text("SET LOCAL lock_timeout = '50ms';\nALTER TABLE thing ADD COLUMN x int;")
    service = await asyncpg.connect(database.owner_dsn)
    transaction = service.transaction()
    await transaction.start()
    await service.fetch("SELECT * FROM thing")
    with pytest.raises(MigrationError, match="lock timeout"):
        await migrate(database.owner_dsn, folder)
    await transaction.rollback()
    await service.close()
    assert await migrate(database.owner_dsn, folder) == ["0003_alter"]


async def test_the_second_migrator_waits_for_the_first(database: DatabaseAccess, folder: Path) -> None:
    first = await asyncpg.connect(database.owner_dsn)
    await first.execute("SELECT pg_advisory_lock($1)", 0x6D696772)
    second = asyncio.create_task(migrate(database.owner_dsn, folder))
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    await eventually(lambda: first.fetchval(waiting))
    assert await first.fetchval("SELECT to_regclass('schema_migrations')") is None
    await first.close()
    assert await second == ["0001_first", "0002_second"]


async def test_a_template_gives_each_test_its_own_migrated_database(
    make_database: DatabaseFactory, folder: Path
) -> None:
    one = make_database("sample", migrations=folder)
    other = make_database("sample", migrations=folder)
    owner = await asyncpg.connect(one.owner_dsn)
    await owner.execute("DELETE FROM thing")
    await owner.close()
    assert (one.owner_role, one.app_role) == ("sample_owner", "sample_app")
    assert await fetch(one, "SELECT id FROM thing") == []
    assert [row["id"] for row in await fetch(other, "SELECT id FROM thing")] == [2]
