"""The bus as a log in PostgreSQL: the embedded default, no broker to install.

Its database is ``bus``, migrated from MIGRATIONS as ``bus_owner`` and used as ``bus_app``.
"""

from pathlib import Path

from chassis.bus.postgres_log.bus import PostgresLogBus

MIGRATIONS = Path(__file__).parent / "migrations"

__all__ = ["MIGRATIONS", "PostgresLogBus"]
