"""Domain tests in commands and events: given these events, when this command, then these events.

    Scenario(decide, evolve, Wallet()).given(Credited(…)).when(Charge(…)).then(Charged(…))
    Scenario(decide, evolve, Wallet()).when(Charge(…)).then_refused(InsufficientFunds, available=0)

Knows nothing of storage: the functions under test are plain ``decide(state, command)`` and ``evolve(state, event)``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")

_NOTHING: Any = object()


class Scenario(Generic[State, Command, Event]):
    """One story. ``given`` may come several times; each ``when`` is answered by one ``then…``, and then the story
    goes on from the events that came out."""

    def __init__(
        self,
        decide: Callable[[State, Command], Iterable[Event] | Event | None],
        evolve: Callable[[State, Event], State],
        initial: State,
    ) -> None:
        self._decide = decide
        self._evolve = evolve
        self._state = initial
        self._command: Any = _NOTHING

    @property
    def state(self) -> State:
        """The state after all events so far."""
        return self._state

    def given(self, *events: Event) -> Scenario[State, Command, Event]:
        """These events have happened."""
        self._refuse_unanswered()
        self._apply(events)
        return self

    def when(self, command: Command) -> Scenario[State, Command, Event]:
        """This command comes; it is decided by the ``then…`` that follows."""
        self._refuse_unanswered()
        self._command = command
        return self

    def then(self, *expected: Event) -> Scenario[State, Command, Event]:
        """Exactly these events come out, in this order; none means that nothing happens."""
        produced = self._decided()
        assert produced == expected, f"expected {_listing(expected)}\nbut came {_listing(produced)}"
        self._apply(produced)
        return self

    def then_refused(self, error: type[Exception], **attributes: Any) -> Scenario[State, Command, Event]:
        """The command is refused by an ``error`` with these attributes, and the state stays as it was."""
        before = copy.deepcopy(self._state)
        try:
            produced = self._decided()
        except error as refusal:
            found = {name: getattr(refusal, name, "<absent>") for name in attributes}
            assert found == attributes, f"refused, but with {found} instead of {attributes}"
            assert self._state == before, "a refused command changed the state in place"
            return self
        raise AssertionError(f"expected a refusal by {error.__name__}, but came {_listing(produced)}")

    def then_state(self, check: Callable[[State], bool]) -> Scenario[State, Command, Event]:
        """The state after all events so far satisfies ``check``."""
        assert check(self._state), f"the state does not hold: {self._state!r}"
        return self

    def _decided(self) -> tuple[Event, ...]:
        assert self._command is not _NOTHING, "there is no command to answer: call when() first"
        command, self._command = self._command, _NOTHING
        answer = self._decide(self._state, command)
        if answer is None:
            return ()
        return tuple(answer) if isinstance(answer, list | tuple) else _collected(answer)

    def _apply(self, events: Iterable[Event]) -> None:
        for event in events:
            self._state = self._evolve(self._state, event)

    def _refuse_unanswered(self) -> None:
        assert self._command is _NOTHING, f"no then() answered {self._command!r}"


def _collected(answer: Any) -> tuple[Any, ...]:
    """A generator's events, or the single event itself (events are not iterable)."""
    return tuple(answer) if isinstance(answer, Iterable) else (answer,)


def _listing(events: Iterable[Any]) -> str:
    return "".join(f"\n  {event!r}" for event in events) or "nothing"
