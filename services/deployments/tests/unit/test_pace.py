"""How soon a job is taken up again."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from deployments.application.provisioning import Pace

PACE = Pace(poll_first_s=0.2, poll_longest_s=5, backoff_first_s=0.5, backoff_longest_s=60)


def test_polling_slows_down_with_age() -> None:
    assert [PACE.poll_s(age_s) for age_s in (0, 0.5, 4, 16, 1000)] == [0.2, 0.2, 1, 4, 5]


@given(attempts=st.integers(min_value=1, max_value=10_000), seed=st.integers())
def test_backoff_doubles_within_its_bounds(attempts: int, seed: int) -> None:
    longest = min(60, 0.5 * 2 ** min(attempts - 1, 30))
    assert longest / 2 <= PACE.backoff_s(attempts, Random(seed)) <= longest


def test_backoff_differs_from_worker_to_worker() -> None:
    assert len({PACE.backoff_s(5, Random(seed)) for seed in range(20)}) == 20
