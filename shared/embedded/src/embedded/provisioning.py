"""Databases and roles: one database per service, owned by ``<db>_owner`` and used by ``<db>_app``.

Idempotent: run at every start. Sets who may connect and who owns what; tables and their grants are the business
of each service's migrations, which run as the owner.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

# Two launchers may provision one server at the same time; roles are shared by all its databases.
PROVISION_LOCK = 0x67726964


@dataclass(frozen=True, slots=True)
class DatabaseAccess:
    """One database and how its two roles reach it. The DSNs hold passwords, so they are kept out of the repr."""

    name: str
    owner_role: str
    app_role: str
    owner_dsn: str = field(repr=False)
    app_dsn: str = field(repr=False)


async def provision(
    superuser_dsn: str, databases: Sequence[str], passwords: Mapping[str, str] | None = None
) -> dict[str, DatabaseAccess]:
    """Make every database of ``databases`` with its two roles, and answer how to reach each.

    ``passwords`` maps role names to passwords; a role without one gets a fresh random password each time.
    What exists is brought to the same state: the roles' passwords are set anew.
    """
    connection = await asyncpg.connect(superuser_dsn)
    try:
        # CREATE DATABASE takes no transaction, so the lock is the session's; it ends with the connection.
        await connection.execute("SELECT pg_advisory_lock($1)", PROVISION_LOCK)
        for shared in ("postgres", "template1"):
            await connection.execute(f"REVOKE ALL ON DATABASE {shared} FROM PUBLIC")
        chosen = dict(passwords or {})
        return {
            name: await ensure_database(connection, superuser_dsn, name, await ensure_roles(connection, name, chosen))
            for name in databases
        }
    finally:
        await connection.close()


async def ensure_roles(connection: asyncpg.Connection, service: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """Make ``<service>_owner`` and ``<service>_app`` with their passwords; answers role → password, owner first."""
    roles = {role: passwords.get(role) or secrets.token_urlsafe(24) for role in (f"{service}_owner", f"{service}_app")}
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", PROVISION_LOCK)
        for role, password in roles.items():
            known = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if known else "CREATE"
            await connection.execute(
                f"{verb} ROLE {identifier(role)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION "
                f"PASSWORD {_literal(password)}"
            )
    return roles


async def ensure_database(
    connection: asyncpg.Connection, superuser_dsn: str, name: str, roles: Mapping[str, str]
) -> DatabaseAccess:
    """Make the database ``name`` for the two ``roles`` (role → password, owner first) and close it to all others."""
    owner, app = roles
    if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
        # template0: nothing that was left in template1 comes along.
        await connection.execute(
            f"CREATE DATABASE {identifier(name)} OWNER {identifier(owner)} TEMPLATE template0 ENCODING 'UTF8'"
        )
    await restrict_connections(connection, name, owner, app)
    inside = await asyncpg.connect(dsn_for(superuser_dsn, database=name))
    try:
        await inside.execute(
            f"REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {identifier(app)};"
        )
    finally:
        await inside.close()
    return access(superuser_dsn, name, roles)


async def restrict_connections(connection: asyncpg.Connection, name: str, owner: str, app: str) -> None:
    """Only the database's own two roles (and superusers) may connect to it."""
    await connection.execute(
        f"ALTER DATABASE {identifier(name)} OWNER TO {identifier(owner)};"
        f"REVOKE ALL ON DATABASE {identifier(name)} FROM PUBLIC;"
        f"GRANT CONNECT ON DATABASE {identifier(name)} TO {identifier(owner)}, {identifier(app)};"
    )


def access(superuser_dsn: str, name: str, roles: Mapping[str, str]) -> DatabaseAccess:
    """How the two ``roles`` (role → password, owner first) reach the database ``name`` on that server."""
    owner, app = roles
    return DatabaseAccess(
        name=name,
        owner_role=owner,
        app_role=app,
        owner_dsn=dsn_for(superuser_dsn, database=name, user=owner, password=roles[owner]),
        app_dsn=dsn_for(superuser_dsn, database=name, user=app, password=roles[app]),
    )


def dsn_for(dsn: str, *, database: str, user: str | None = None, password: str | None = None) -> str:
    """The same server under another database, and another user where one is given."""
    parts = urlsplit(dsn)
    address = parts.netloc.rpartition("@")[2]
    credentials = parts.netloc.rpartition("@")[0]
    if user is not None:
        credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    netloc = f"{credentials}@{address}" if credentials else address
    return urlunsplit((parts.scheme, netloc, f"/{quote(database, safe='')}", parts.query, ""))


def identifier(name: str) -> str:
    """``name`` quoted for SQL, where no parameter can stand."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    if "\\" in text or "\0" in text:
        raise ValueError("a password must hold no backslash and no NUL")
    return "'" + text.replace("'", "''") + "'"
