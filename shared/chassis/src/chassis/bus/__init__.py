"""The bus: one port in Kafka's shape, and the adapter that a URL chooses.

``postgresql://`` is the log in PostgreSQL, ``memory://`` lives in this process (tests); Kafka's adapter is not
here yet.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from chassis.bus.memory import MemoryBus
from chassis.bus.port import Bus
from chassis.bus.postgres_log import PostgresLogBus
from chassis.bus.postgres_log.bus import SESSION_TIMEOUT_S
from chassis.settings import SettingsError

__all__ = ["Bus", "open_bus"]

_SESSION_TIMEOUT = "session_timeout_s"


async def open_bus(url: str) -> Bus:
    """Connect to the bus that ``url`` names; ``?session_timeout_s=`` is how long a dead consumer keeps its partitions.

    Raises SettingsError for a URL that names no adapter, OperationalError when the bus is away.
    """
    address, session_timeout_s = _without_session_timeout(url)
    scheme = urlsplit(url).scheme
    if scheme in ("postgresql", "postgres"):
        return await PostgresLogBus.connect(address, session_timeout_s=session_timeout_s)
    if scheme == "memory":
        return MemoryBus(session_timeout_s=session_timeout_s)
    if scheme == "kafka":
        raise SettingsError("BUS_URL names Kafka, whose adapter arrives with issue F; use postgresql://")
    raise SettingsError(f"BUS_URL must begin with postgresql:// (or memory:// in tests), not {scheme or 'nothing'}://")


def _without_session_timeout(url: str) -> tuple[str, float]:
    """The URL without our own parameter, which PostgreSQL would not know, and that parameter's value."""
    parts = urlsplit(url)
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
