"""What commands of operators on a service's own database have in common: the way to it, who types, and tables.

Standard output is the answer; what went wrong stands on standard error. Knows no command.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from chassis.logging import configure_logging
from chassis.settings import ServiceSettings, SettingsError, load
from chassis.starting import connect_database

OPERATOR_MAX_CHARS = 100


async def answer_on_database(
    settings_cls: type[ServiceSettings], what: str, answer: Callable[[asyncpg.Pool[Any]], Awaitable[int]]
) -> int:
    """What ``answer`` makes of the service's database: an exit code.

    Raises SettingsError when the service is not configured, or its database, or ``what`` in it, cannot be used.
    """
    settings = load(settings_cls)
    # Log lines would be in between what programs read.
    configure_logging(settings.service, settings.log_format, stream=sys.stderr)
    async with await connect_database(settings, max_size=1) as pool:
        try:
            return await answer(pool)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Only the kind: the text may hold rows.
            raise SettingsError(f"DATABASE_URL: {what} cannot be used ({type(error).__name__})") from error


def name_of_user(otherwise: str) -> str:
    """Who types, by the environment."""
    return (os.environ.get("USER") or otherwise)[:OPERATOR_MAX_CHARS]


def operator_name(text: str) -> str:
    """An argument's type: who does it. Raises ArgumentTypeError."""
    if not text.strip() or len(text) > OPERATOR_MAX_CHARS or not text.isprintable():
        raise argparse.ArgumentTypeError(f"a name of 1 to {OPERATOR_MAX_CHARS} characters")
    return text


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Its lines, in columns as wide as they must be."""
    listed = [headings, *rows]
    widths = [max(len(row[column]) for row in listed) for column in range(len(headings))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in listed]
