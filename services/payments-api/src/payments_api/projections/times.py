"""Times that people and cursors name, as the database can take them: in UTC, and within the calendar.

Knows no table and no filter.
"""

from __future__ import annotations

from datetime import UTC, datetime

from chassis.errors import InvalidField


def in_utc(field: str, time: datetime | None) -> datetime | None:
    """The same moment in UTC. Raises InvalidField for one that UTC's calendar does not have: 0001-01-01T00:00:00+14."""
    if time is None:
        return None
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise InvalidField(field, "out_of_range", "is beyond the calendar") from None


def cursor_time(text: str) -> datetime:
    """The time in a cursor. Raises InvalidField (``cursor``)."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        told = None
    at = None if told is None or told.tzinfo is None else in_utc("cursor", told)
    if at is None:
        raise bad_cursor()
    return at


def bad_cursor() -> InvalidField:
    """What is raised for a cursor that we never gave."""
    return InvalidField("cursor", "bad_cursor", "This is not a cursor that we gave")
