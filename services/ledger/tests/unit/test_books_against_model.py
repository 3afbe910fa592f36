"""The books against a plain model: a few dictionaries that know the rules and nothing of events, postings or streams.

Hypothesis invents the commands. After each, effect or refusal must be what the model says, and every balance too.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.domain import commands
from ledger.domain.conversion import CreditTerms
from ledger.domain.deciding import apply, decide
from ledger.domain.events import LedgerEvent
from ledger.domain.refusals import Refusal
from ledger.domain.states import Books

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMS = CreditTerms("TFC/2", {"USD/2": Fraction(1), "KES/2": Fraction(1, 130)})
USERS = st.sampled_from(["alice", "bob"])
PAYMENTS = st.sampled_from(["pi_1", "pi_2"])
OURS = st.sampled_from(["Q1", "Q2"])
DEPLOYMENTS = st.sampled_from(["d-1", "d-2"])
AMOUNTS = st.sampled_from([1, 100, 1000, 1001, 2500])


@dataclass
class Paid:
    """A payment, as the model sees it."""

    told: tuple[int, str]
    named: str | None
    ours: str | None
    late: bool
    owner: str | None = None
    allocated_to: str | None = None
    given: int = 0
    bonus: int = 0
    back: int = 0
    back_before: int = 0
    taken: int = 0
    bonus_taken: int = 0
    targets: set[int] = field(default_factory=set)


class Model:
    """Balances in dictionaries. Every method answers "done", "nothing" or "refused"."""

    def __init__(self) -> None:
        self.can_spend: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()
        self.paid: dict[str, Paid] = {}
        self.quotes: dict[str, dict[str, Any]] = {}
        self.deployments: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[Any, ...]] = {}

    def quote(self, ours: str, user: str, price: int, bonus: int) -> str:
        content = {"user": user, "price": price, "credits": 2 * price, "bonus": bonus}
        if ours in self.quotes:
            return "nothing" if {**self.quotes[ours], "used": 0} == {**content, "used": 0} else "refused"
        self.quotes[ours] = {**content, "used": False}
        return "done"

    def pay(self, pid: str, amount: int, asset: str, named: str | None, ours: str | None, late: bool) -> str:
        if pid in self.paid:
            return self.pay_again(self.paid[pid], amount, asset, named, ours)
        paid = self.paid[pid] = Paid((amount, asset), named, ours, late)
        self.elsewhere[f"gateway {asset}"] -= amount
        self.elsewhere[f"unallocated {asset}"] += amount
        owner = named if ours is None else self.quotes.get(ours, {}).get("user")
        if owner is not None:
            self.give(paid, owner, ours)
        return "done"

    def pay_again(self, paid: Paid, amount: int, asset: str, named: str | None, ours: str | None) -> str:
        if paid.told != (amount, asset):
            return "refused"
        if paid.owner is not None:
            conflict = named not in (None, paid.owner) and ours is None and paid.ours is None
            return "refused" if conflict else "nothing"
        brought, ours = ours, paid.ours or ours
        owner = named if ours is None else self.quotes.get(ours, {}).get("user")
        if owner is None or not self.give(paid, owner, ours):
            is_news = paid.ours is None and brought is not None
            paid.ours = ours
            return "done" if is_news else "nothing"
        paid.allocated_to = "by a message"
        return "done"

    def give(self, paid: Paid, owner: str, ours: str | None) -> bool:
        amount, asset = paid.told
        left = amount - paid.back
        rate = {"USD/2": 1.0, "KES/2": 1 / 130}.get(asset)
        if rate is None or left == 0:
            return False
        quote = self.quotes.get(ours or "", {"user": None})
        good = quote["user"] == owner and asset == "USD/2" and not paid.late and not quote["used"]
        if good and left >= quote["price"]:
            paid.bonus, quote["used"] = quote["bonus"], True
            paid.given = quote["credits"] + quote["bonus"] + left - quote["price"]
        else:
            paid.given = left if asset == "USD/2" else left // 130
        paid.owner, paid.back_before, paid.ours = owner, paid.back, ours
        self.can_spend[owner] += paid.given
        self.elsewhere[f"unallocated {asset}"] -= left
        self.elsewhere[f"exchange {asset}"] += left
        self.elsewhere["exchange TFC/2"] -= paid.given - paid.bonus
        self.elsewhere["promotions TFC/2"] -= paid.bonus
        return True

    def allocate(self, pid: str, user: str | None) -> str:
        paid = self.paid.get(pid)
        if paid is None:
            return "refused"
        if paid.allocated_to is not None:
            return "nothing" if paid.allocated_to == (user or "-") else "refused"
        if paid.owner is not None:
            return "nothing"
        owner = user or self.quotes.get(paid.ours or "", {}).get("user")
        if owner is None or not self.give(paid, owner, paid.ours):
            return "refused"
        paid.allocated_to = user or "-"
        return "done"

    def refund(self, pid: str, total: int, asset: str) -> str:
        paid = self.paid.get(pid)
        if paid is None or paid.told[1] != asset:
            return "refused"
        amount = paid.told[0]
        to = min(total, amount)
        if total in paid.targets or to <= paid.back:
            return "nothing"
        paid.targets.add(total)
        back, paid.back = to - paid.back, to
        self.elsewhere[f"gateway {asset}"] += back
        self.elsewhere[f"{'exchange' if paid.owner else 'unallocated'} {asset}"] -= back
        if paid.owner is not None:
            share = Fraction(to - paid.back_before, amount - paid.back_before)
            take, bonus = int(paid.given * share) - paid.taken, int(paid.bonus * share) - paid.bonus_taken
            paid.taken, paid.bonus_taken = paid.taken + take, paid.bonus_taken + bonus
            self.can_spend[paid.owner] -= take
            self.elsewhere["exchange TFC/2"] += take - bonus
            self.elsewhere["promotions TFC/2"] += bonus
        return "done"

    def hold(self, did: str, user: str, amount: int) -> str:
        if did in self.deployments:
            same = (self.deployments[did]["user"], self.deployments[did]["amount"]) == (user, amount)
            return "nothing" if same else "refused"
        if amount > self.can_spend[user]:
            return "refused"
        self.can_spend[user] -= amount
        self.held[user] += amount
        self.deployments[did] = {"user": user, "amount": amount, "state": "held", "split": None}
        return "done"

    def capture(self, did: str, commission: int, grid: int) -> str:
        deployment = self.deployments.get(did)
        if deployment is None or commission + grid != deployment["amount"]:
            return "refused"
        if deployment["split"] is not None:
            return "nothing" if deployment["split"] == (commission, grid) else "refused"
        if deployment["state"] != "held":
            return "nothing"
        deployment.update(state="captured", split=(commission, grid))
        self.held[deployment["user"]] -= deployment["amount"]
        self.elsewhere["commission TFC/2"] += commission
        self.elsewhere["grid TFC/2"] += grid
        return "done"

    def fail(self, did: str) -> str:
        deployment = self.deployments.get(did)
        if deployment is None:
            return "refused"
        was, amount = deployment["state"], deployment["amount"]
        if was not in ("held", "captured"):
            return "nothing"
        deployment["state"] = "over"
        self.can_spend[deployment["user"]] += amount
        if was == "held":
            self.held[deployment["user"]] -= amount
            return "done"
        commission, grid = deployment["split"]
        self.elsewhere["commission TFC/2"] -= commission
        self.elsewhere["grid TFC/2"] -= grid
        return "done"

    def move(self, key: str, sender: str, receiver: str, amount: int) -> str:
        content = (sender, receiver, amount)
        if key in self.keys:
            return "nothing" if self.keys[key] == content else "refused"
        if sender == receiver or amount > self.can_spend[sender]:
            return "refused"
        self.keys[key] = content
        self.can_spend[sender] -= amount
        self.can_spend[receiver] += amount
        return "done"

    def adjust(self, key: str, user: str, amount: int) -> str:
        content = (user, amount)
        if key in self.keys:
            return "nothing" if self.keys[key] == content else "refused"
        if amount < 0 and -amount > self.can_spend[user]:
            return "refused"
        self.keys[key] = content
        self.can_spend[user] += amount
        self.elsewhere["adjustments TFC/2"] -= amount
        return "done"


ACCOUNTS = {"grid": "grid:payable", "gateway": "gateway:stripe"}


class BooksAgainstModel(RuleBasedStateMachine):
    """Both get every command."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.books = Books()
        self.log: list[LedgerEvent] = []

    def both(self, command: Any, expected: str) -> None:
        before = self.bytes_of_books()
        answer, made = self.ask(command)
        assert answer == expected, command
        self.log.extend(made)
        assert made or self.bytes_of_books() == before

    def ask(self, command: Any) -> tuple[str, Sequence[LedgerEvent]]:
        try:
            decision = decide(self.books, TERMS, command)
        except Refusal:
            return "refused", ()
        apply(self.books, command, decision)
        return ("done" if decision.events else "nothing"), decision.events

    def bytes_of_books(self) -> bytes:
        for reference in [reference for reference in self.books.references if reference.endswith(":credit")]:
            self.books.payment(reference.removesuffix(":credit"))
        books = self.books
        parts = (books.wallets, books.charges, books.payments, books.quotes, books.references, books.stored)
        return pickle.dumps([sorted(part.items()) for part in parts])

    @rule(ours=OURS, user=USERS, price=AMOUNTS, bonus=st.sampled_from([0, 30]))
    def quote(self, ours: str, user: str, price: int, bonus: int) -> None:
        command = commands.KeepQuote(ours, user, "stripe", price, "USD/2", 2 * price, bonus, NOON)
        self.both(command, self.model.quote(ours, user, price, bonus))

    @rule(
        pid=PAYMENTS,
        amount=AMOUNTS,
        asset=st.sampled_from(["USD/2", "USD/2", "USD/2", "KES/2", "XAU/4"]),
        named=st.none() | USERS,
        ours=st.none() | OURS,
        late=st.booleans(),
    )
    def pay(self, pid: str, amount: int, asset: str, named: str | None, ours: str | None, late: bool) -> None:
        paid_at = NOON + timedelta(seconds=1 if late else 0)
        command = commands.CreditPayment("stripe", pid, amount, asset, paid_at, named, ours)
        self.both(command, self.model.pay(pid, amount, asset, named, ours, late))

    @rule(pid=PAYMENTS, named=st.none() | USERS, ours=st.none() | OURS)
    def pay_again(self, pid: str, named: str | None, ours: str | None) -> None:
        if pid in self.model.paid:
            amount, asset = self.model.paid[pid].told
            self.pay(pid=pid, amount=amount, asset=asset, named=named, ours=ours, late=False)

    @rule(pid=PAYMENTS, user=st.none() | USERS)
    def allocate(self, pid: str, user: str | None) -> None:
        self.both(commands.AllocatePayment(f"stripe:{pid}", user), self.model.allocate(pid, user))

    @rule(pid=PAYMENTS, total=st.integers(1, 3000), odd=st.booleans())
    def refund(self, pid: str, total: int, odd: bool) -> None:
        asset = "KES/2" if odd or pid not in self.model.paid else self.model.paid[pid].told[1]
        self.both(commands.ReversePayment("stripe", pid, total, asset), self.model.refund(pid, total, asset))

    @rule(did=DEPLOYMENTS, user=USERS, amount=st.sampled_from([100, 1000]))
    def hold(self, did: str, user: str, amount: int) -> None:
        self.both(commands.HoldCredits(user, did, "web", "Web", amount), self.model.hold(did, user, amount))

    @rule(did=DEPLOYMENTS, amount=st.sampled_from([100, 1000]), share=st.sampled_from([5, 10]))
    def capture(self, did: str, amount: int, share: int) -> None:
        commission = amount // share
        command = commands.CaptureHold(did, commission, amount - commission)
        self.both(command, self.model.capture(did, commission, amount - commission))

    @rule(did=DEPLOYMENTS)
    def fail(self, did: str) -> None:
        self.both(commands.ReturnHold(did), self.model.fail(did))

    @rule(key=st.integers(1, 9).map("t-{}".format), sender=USERS, receiver=USERS, amount=AMOUNTS)
    def transfer(self, key: str, sender: str, receiver: str, amount: int) -> None:
        expected = self.model.move(key, sender, receiver, amount)
        self.both(commands.Transfer(key, sender, receiver, amount), expected)

    @rule(key=st.integers(1, 9).map("a-{}".format), user=USERS, amount=AMOUNTS, take=st.booleans())
    def adjust(self, key: str, user: str, amount: int, take: bool) -> None:
        change = -amount if take else amount
        self.both(commands.AdjustWallet(key, user, change, "test"), self.model.adjust(key, user, change))

    @invariant()
    def wallets_are_the_models(self) -> None:
        for user in ("alice", "bob"):
            wallet = self.books.wallet(user)
            assert (wallet.spendable, wallet.held) == (self.model.can_spend[user], self.model.held[user])

    @invariant()
    def accounts_are_the_models(self) -> None:
        posted: Counter[str] = Counter()
        for event in self.log:
            for account, asset, amount in event.postings:
                posted[f"{account} {asset}"] += amount
        expected: Counter[str] = Counter()
        for name, amount in self.model.elsewhere.items():
            account, asset = name.split()
            expected[f"{ACCOUNTS.get(account, f'platform:{account}')} {asset}"] += amount
        for user in ("alice", "bob"):
            expected[f"wallet:{user} TFC/2"] += self.model.can_spend[user]
            expected[f"wallet:{user}:held TFC/2"] += self.model.held[user]
        assert {name: amount for name, amount in posted.items() if amount} == {
            name: amount for name, amount in expected.items() if amount
        }


BooksAgainstModel.TestCase.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)
TestBooksAgainstModel = BooksAgainstModel.TestCase
