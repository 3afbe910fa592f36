"""Whether a session's servers are containers, and of which image: decided once, and said in the session's summary.

In CI an engine must answer and images must be there. Elsewhere they may be missing, and something else is used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

CI_VARIABLE = "CI"


class CannotBeHad(Exception):
    """In CI something is missing that CI must not do without."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The image to run, or None and the reason."""

    image: str | None
    reason: str = ""


_refusals: list[str] = []


@cache
def choose_image(variable: str, default: str) -> Choice:
    """The image named by ``variable``, if it can be run here. Raises CannotBeHad in CI when it cannot."""
    from testkit.engine import EngineMissing, require_image  # only now: unit tests need no client of an engine

    image = os.environ.get(variable) or default
    try:
        require_image(image)
    except EngineMissing as missing:
        if os.environ.get(CI_VARIABLE):
            raise CannotBeHad(f"{missing}; in CI tests run in containers ({variable}={image})") from missing
        _refusals.append(str(missing))
        return Choice(None, str(missing))
    return Choice(image)


def refusals() -> Sequence[str]:
    """Why servers of this session are no containers, each reason once."""
    return tuple(dict.fromkeys(_refusals))
