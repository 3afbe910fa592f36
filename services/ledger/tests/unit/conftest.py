"""The books in stories: given these commands, when this one comes, then these events, this money moved.

Every step also holds what is always true: entries balance, streams count without gaps, a refusal changes nothing, and
the wallets are what their events say.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from ledger.domain.commands import Command, CreditPayment, KeepQuote, Worth
from ledger.domain.conversion import CreditTerms
from ledger.domain.deciding import apply, decide
from ledger.domain.decision import Decision
from ledger.domain.events import LedgerEvent, WalletEvent
from ledger.domain.refusals import Refusal
from ledger.domain.states import Books, Wallet, evolve_wallet

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMS = CreditTerms("TFC/2", {"USD/2": Fraction(1), "KES/2": Fraction(1, 130), "JPY/0": Fraction(2, 3)})


class Story:
    """One ledger in memory. Each ``when`` is answered by one ``then…``."""

    def __init__(self, terms: CreditTerms = TERMS) -> None:
        self.terms = terms
        self.books = Books()
        self.log: list[LedgerEvent] = []
        self._command: Command | None = None
        self._last: Decision = Decision()

    def given(self, *commands: Command) -> Story:
        """These commands were accepted, each with an effect."""
        for command in commands:
            decision = decide(self.books, self.terms, command)
            assert decision.events, f"{command} had no effect: {decision.no_effect}"
            self._take(command, decision)
        return self

    def when(self, command: Command) -> Story:
        assert self._command is None, f"no then answered {self._command}"
        self._command = command
        return self

    def then(self, kind: type[LedgerEvent], **expected: Any) -> Story:
        """One event of this kind comes out, with these fields."""
        command, decision = self._decided()
        assert [type(event) for event in decision.events] == [kind]
        return self._with_fields(decision.events[0], expected)._take(command, decision)

    def then_all(self, *kinds: type[LedgerEvent]) -> Story:
        """Just these events come out, in this order."""
        command, decision = self._decided()
        assert tuple(type(event) for event in decision.events) == kinds
        return self._take(command, decision)

    def then_nothing(self, reason: str) -> Story:
        """The command has no effect, for this reason."""
        command, decision = self._decided()
        assert (list(decision.events), decision.no_effect) == ([], reason)
        return self._take(command, decision)

    def settle(self, command: Command) -> Story:
        """The command is accepted, with whatever effect or none."""
        return self.when(command)._take(*self._decided())

    def then_refused(self, error: type[Refusal], **attributes: Any) -> Story:
        """The command is refused, and everything stays as it was."""
        before = self.picture()
        with pytest.raises(error) as refused:
            self._decided()
        assert {name: getattr(refused.value, name) for name in attributes} == attributes
        assert self.picture() == before
        return self

    def unanswered(self) -> Story:
        """Whatever the command met is the test's business."""
        self._command = None
        return self

    @property
    def made_something(self) -> bool:
        """Whether the last command had an effect."""
        return bool(self._last.events)

    def saying(self, **expected: Any) -> Story:
        """The first event of the last step has these fields."""
        return self._with_fields(self._last.events[0], expected)

    def moving(self, expected: Mapping[str, int]) -> Story:
        """The last step moved just this, by ``<account> <asset>``."""
        moved: Counter[str] = Counter()
        for event in self._last.events:
            for account, asset, amount in event.postings:
                moved[f"{account} {asset}"] += amount
        assert {name: amount for name, amount in moved.items() if amount} == expected
        return self

    def wallet(self, user_id: str, **expected: int) -> Story:
        """The wallet has these values now."""
        wallet = self.books.wallet(user_id)
        assert {name: getattr(wallet, name) for name in expected} == expected
        return self

    def account(self, name: str) -> dict[str, int]:
        """The balance of an account by asset, from all events so far."""
        sums: Counter[str] = Counter()
        for event in self.log:
            for account, asset, amount in event.postings:
                if account == name:
                    sums[asset] += amount
        return {asset: amount for asset, amount in sums.items() if amount}

    def picture(self) -> Any:
        """Everything that the books know, comparable."""
        for reference in self.books.references:
            self.books.payment(reference.removesuffix(":credit"))
        return copy.deepcopy(self.books)

    def _decided(self) -> tuple[Command, Decision]:
        assert self._command is not None, "there is no command to answer"
        command, self._command = self._command, None
        before = self.picture()
        decision = decide(self.books, self.terms, command)
        assert self.picture() == before, "deciding changed the books"
        return command, decision

    def _with_fields(self, event: LedgerEvent, expected: Mapping[str, Any]) -> Story:
        assert {name: getattr(event, name) for name in expected} == expected
        return self

    def _take(self, command: Command, decision: Decision) -> Story:
        apply(self.books, command, decision)
        self._last = decision
        self.log.extend(decision.events)
        for event in decision.events:
            assert set(vars(event)) == {field.name for field in fields(event)}
        self._proves_itself()
        return self

    def _proves_itself(self) -> None:
        versions: Counter[str] = Counter()
        wallets: dict[str, Wallet] = {}
        sums: Counter[tuple[str, str]] = Counter()
        for event in self.log:
            versions[event.originator_id] += 1
            assert event.originator_version == versions[event.originator_id]
            entry: Counter[str] = Counter()
            for account, asset, amount in event.postings:
                entry[asset] += amount
                sums[account, asset] += amount
            assert not any(entry.values()), f"{event} does not balance"
            if isinstance(event, WalletEvent):
                wallets[event.user_id] = evolve_wallet(wallets.get(event.user_id) or Wallet(event.user_id), event)
        assert {user: wallet for user, wallet in self.books.wallets.items() if wallet.version} == wallets
        for user, wallet in wallets.items():
            posted = sums[f"wallet:{user}", TERMS.asset], sums[f"wallet:{user}:held", TERMS.asset]
            assert posted == (wallet.spendable, wallet.held)


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture(scope="session")
def new_story() -> type[Story]:
    """For tests that tell many stories."""
    return Story


@pytest.fixture(scope="session")
def terms() -> CreditTerms:
    """1 USD cent buys one; 130 Kenyan cents one; 3 yen two."""
    return TERMS


class Speaker:
    """Short ways to say the commands that most stories begin with."""

    @staticmethod
    def paid(
        received: int = 2500,
        *,
        by: str | None = "alice",
        payment_id: str = "pi_1",
        ours: str | None = None,
        asset: str = "USD/2",
        hours: float = 0,
        worth: Worth | None = None,
    ) -> CreditPayment:
        return CreditPayment("stripe", payment_id, received, asset, NOON + timedelta(hours=hours), by, ours, worth)

    @staticmethod
    def quote(
        *,
        price: int = 2500,
        promised: int = 2500,
        bonus: int = 250,
        ours: str = "QREF1",
        to: str = "alice",
        asset: str = "USD/2",
    ) -> KeepQuote:
        """Good for an hour after noon."""
        return KeepQuote(ours, to, "stripe", price, asset, promised, bonus, NOON + timedelta(hours=1))


@pytest.fixture(scope="session")
def say() -> Speaker:
    return Speaker()
