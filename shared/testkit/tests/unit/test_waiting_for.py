"""Waiting ends when the condition holds, and says what it saw when it never does."""

import pytest

from testkit.drain import NeverDrained, drain
from testkit.waiting_for import NeverHappened, eventually

pytestmark = pytest.mark.asyncio


async def test_it_answers_what_the_condition_answered() -> None:
    answers = iter([0, None, "", "ready"])
    assert await eventually(lambda: next(answers), timeout_s=5) == "ready"


async def test_an_async_condition_is_awaited() -> None:
    answers = iter([False, True])

    async def ask() -> bool:
        return next(answers)

    assert await eventually(ask, timeout_s=5) is True


async def test_an_assertion_inside_counts_as_not_yet() -> None:
    seen: list[int] = []

    def third_time() -> bool:
        seen.append(len(seen))
        assert len(seen) >= 3
        return True

    assert await eventually(third_time, timeout_s=5)
    assert len(seen) == 3


async def test_it_gives_up_with_the_last_thing_seen() -> None:
    with pytest.raises(NeverHappened, match=r"not within 0\.01 s; last seen: 0"):
        await eventually(lambda: 0, timeout_s=0.01)


async def test_an_error_of_the_condition_is_not_swallowed() -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await eventually(broken, timeout_s=5)


async def test_drain_goes_round_until_nobody_finds_work() -> None:
    first, second = [1, 0, 2, 0, 0], [3, 0, 0, 0]

    async def one() -> int:
        return first.pop(0)

    async def two() -> int:
        return second.pop(0) if second else 0

    # The second round does nothing, so what would come in the third is not this drain's.
    assert await drain(one, two, timeout_s=5) == 4
    assert first == [2, 0, 0]


async def test_drain_goes_on_while_any_step_works() -> None:
    left = [5]

    async def feeds() -> int:
        return 0

    async def works() -> int:
        left[0] -= 1
        return max(left[0], 0)

    assert await drain(feeds, works, timeout_s=5) == 4 + 3 + 2 + 1


async def test_drain_gives_up_on_steps_that_feed_each_other() -> None:
    async def endless() -> int:
        return 1

    with pytest.raises(NeverDrained, match="still at work"):
        await drain(endless, timeout_s=0.01)
