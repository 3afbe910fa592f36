"""The scenario passes what is right, and fails what is not: every way in which a domain can be wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from testkit.scenario import Scenario


@dataclass(frozen=True)
class Added:
    originator_id: str
    originator_version: int
    amount: int


@dataclass(frozen=True)
class Counter:
    version: int = 0
    total: int = 0


class TooMuch(Exception):
    def __init__(self, limit: int) -> None:
        super().__init__(f"limit {limit}")
        self.limit = limit


def decide(state: Counter, amount: int) -> list[Added]:
    if state.total + amount > 10:
        raise TooMuch(10)
    return [Added("counter", state.version + 1, amount)] if amount else []


def evolve(state: Counter, event: Added) -> Counter:
    return replace(state, version=event.originator_version, total=state.total + event.amount)


def story() -> "Scenario[Counter, int, Added]":
    return Scenario(decide, evolve, Counter())


def test_a_story_goes_on_from_what_came_out() -> None:
    (
        story()
        .given(Added("counter", 1, 3))
        .when(4)
        .then(Added("counter", 2, 4))
        .when(0)
        .then()
        .when(5)
        .then_refused(TooMuch, limit=10)
        .then_state(lambda state: state == Counter(2, 7))
    )


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda: story().when(1).then(), "expected nothing"),
        (lambda: story().when(1).then(Added("counter", 2, 1)), "but came"),
        (lambda: story().when(0).then(Added("counter", 1, 0)), "but came nothing"),
        (lambda: story().when(1).then_refused(TooMuch), "expected a refusal by TooMuch"),
        (lambda: story().when(11).then_refused(TooMuch, limit=9), "instead of {'limit': 9}"),
        (lambda: story().when(11).then_refused(TooMuch, other=9), "<absent>"),
        (lambda: story().then(), "call when"),
        (lambda: story().when(1).when(2), "no then"),
        (lambda: story().when(1).given(), "no then"),
        (lambda: story().then_state(lambda state: state.total == 1), "does not hold"),
    ],
)
def test_a_story_that_is_not_so_fails(wrong: Callable[[], object], reason: str) -> None:
    with pytest.raises(AssertionError) as failed:
        wrong()
    assert reason in str(failed.value)


def test_another_error_than_the_expected_is_not_hidden() -> None:
    with pytest.raises(TooMuch):
        story().when(11).then_refused(ValueError)


def test_a_refusal_that_changed_the_state_in_place_is_found() -> None:
    @dataclass
    class Mutable:
        seen: list[int] = field(default_factory=list)

    def greedy(state: Mutable, amount: int) -> list[Added]:
        state.seen.append(amount)
        raise TooMuch(10)

    scenario: Scenario[Mutable, int, Added] = Scenario(greedy, lambda state, _: state, Mutable())
    with pytest.raises(AssertionError, match="in place"):
        scenario.when(1).then_refused(TooMuch)


def test_one_event_none_and_a_generator_are_answers_too() -> None:
    def one(state: Counter, amount: int) -> Added | None:
        return Added("counter", state.version + 1, amount) if amount else None

    Scenario(one, evolve, Counter()).when(1).then(Added("counter", 1, 1)).when(0).then()
