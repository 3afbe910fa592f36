"""Whether to try again, and how long to wait before: exponential with full jitter.

Full jitter (a random point between zero and the bound) keeps many clients of one lost server from coming back in step.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from chassis.errors import OperationalError
from chassis.postgres import is_transient

FIRST_S = 0.05
LONGEST_S = 5.0


class Backoff:
    """The waits of one series of attempts. Not shared between tasks."""

    def __init__(
        self,
        first_s: float = FIRST_S,
        longest_s: float = LONGEST_S,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not 0 < first_s <= longest_s:
            raise ValueError("0 < first_s <= longest_s")
        self._first_s = first_s
        self._longest_s = longest_s
        self._chance = chance
        self.attempts = 0

    def next_s(self) -> float:
        """Seconds to wait now; the bound doubles with each call up to the longest."""
        bound = min(self._longest_s, self._first_s * 2.0 ** min(self.attempts, 30))
        self.attempts += 1
        return bound * self._chance()

    def reset(self) -> None:
        """Success: the next series starts small again."""
        self.attempts = 0


def passes(error: BaseException) -> bool:
    """Whether the same work may succeed later: our own operational errors and PostgreSQL's transient ones."""
    return isinstance(error, OperationalError) or is_transient(error)
