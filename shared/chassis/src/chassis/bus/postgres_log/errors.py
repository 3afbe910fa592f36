"""Turns what PostgreSQL's client raises when it is away into the bus port's OperationalError. Nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chassis.errors import OperationalError
from chassis.postgres import is_transient


@contextmanager
def operational_errors(doing: str) -> Iterator[None]:
    """Raise OperationalError for transient failures inside; everything else passes as it is."""
    try:
        yield
    except Exception as error:
        if is_transient(error):
            raise OperationalError(f"bus: {doing}: {error or type(error).__name__}") from error
        raise
