"""The bus: one port in Kafka's shape, and the adapter that a URL chooses.

``postgresql://`` is the log in PostgreSQL, ``kafka://`` Apache Kafka, ``memory://`` lives in this process (tests).
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from chassis.bus.memory import MemoryBus
from chassis.bus.port import Bus
from chassis.bus.postgres_log import PostgresLogBus
from chassis.bus.postgres_log.bus import SESSION_TIMEOUT_S
from chassis.settings import SettingsError

__all__ = ["Bus", "bus_at", "open_bus"]

_SESSION_TIMEOUT = "session_timeout_s"


async def open_bus(url: str) -> Bus:
    """The bus that ``url`` names, once it answered. Raises SettingsError, and OperationalError when it is away."""
    bus = await bus_at(url)
    try:
        await bus.reach()
    except BaseException:
        await bus.close()
        raise
    return bus


async def bus_at(url: str) -> Bus:
    """The bus that ``url`` names, which may be away: nothing is asked of it yet.

    ``?session_timeout_s=`` is how long a dead consumer keeps its partitions. Raises SettingsError for a URL that is
    wrong.
    """
    scheme = url.partition(":")[0].lower()
    if scheme == "kafka":
        # Its client takes a while to import, and who has no Kafka never needs it.
        from chassis.bus.kafka import KafkaBus

        return KafkaBus.at(url)
    if scheme in ("postgresql", "postgres"):
        address, session_timeout_s = _without_session_timeout(url)
        return await PostgresLogBus.at(address, session_timeout_s=session_timeout_s)
    if scheme == "memory":
        return MemoryBus(session_timeout_s=_without_session_timeout(url)[1])
    raise SettingsError(
        f"BUS_URL must begin with postgresql:// or kafka:// (or memory:// in tests), not {scheme or 'nothing'}://"
    )


def _without_session_timeout(url: str) -> tuple[str, float]:
    """The URL without our own parameter, which PostgreSQL would not know, and that parameter's value."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError("BUS_URL is malformed") from None
    parameters = parse_qsl(parts.query)
    given = dict(parameters).get(_SESSION_TIMEOUT, str(SESSION_TIMEOUT_S))
    try:
        session_timeout_s = float(given)
    except ValueError:
        session_timeout_s = 0.0
    if not 0.1 <= session_timeout_s <= 300:
        raise SettingsError(f"BUS_URL has {_SESSION_TIMEOUT}={given}; it must be a number from 0.1 to 300")
    rest = urlencode([(name, value) for name, value in parameters if name != _SESSION_TIMEOUT])
    return urlunsplit(parts._replace(query=rest)), session_timeout_s
