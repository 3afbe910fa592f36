"""Rounds of work: again and again, past what passes, not past bugs."""

from __future__ import annotations

import pytest

from chassis.errors import OperationalError
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal

SOON_S = 0.001


class Rounds:
    """Counts its rounds and stops after ``last``; each of ``errors`` is raised in turn."""

    def __init__(self, stop: StopSignal, last: int, *errors: Exception) -> None:
        self.done = 0
        self._stop = stop
        self._last = last
        self._errors = list(errors)

    async def once(self) -> None:
        self.done += 1
        if self.done == self._last:
            self._stop.set()
        if self._errors:
            raise self._errors.pop(0)


@pytest.mark.asyncio
async def test_a_round_that_may_pass_is_followed_by_the_next() -> None:
    stop = StopSignal()
    rounds = Rounds(stop, 3, OperationalError("the database is away"))
    await in_rounds(rounds.once, stop, every_s=SOON_S, failed="nothing_done")
    assert rounds.done == 3


@pytest.mark.asyncio
async def test_a_bug_ends_them() -> None:
    stop = StopSignal()
    rounds = Rounds(stop, 3, KeyError("bug"))
    with pytest.raises(KeyError):
        await in_rounds(rounds.once, stop, every_s=SOON_S, failed="nothing_done")
    assert rounds.done == 1


@pytest.mark.asyncio
async def test_who_was_stopped_begins_none() -> None:
    stop = StopSignal()
    stop.set()
    rounds = Rounds(stop, 1)
    await in_rounds(rounds.once, stop, every_s=SOON_S, failed="nothing_done")
    assert rounds.done == 0
