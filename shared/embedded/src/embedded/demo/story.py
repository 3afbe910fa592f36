"""The story that the demo tells: pay, buy what works, buy what fails, ask for too much. Each step is checked.

A person of its own each time, and only postings of this story's references: it can be told on books that are in use.
Shows nothing; hands every finished step to ``tell``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

from embedded.demo.clients import TIMEOUT_S, Books, Person, StackAddress, Stripe, UnexpectedAnswer

PAID_CENTS = 2500
PAID = Decimal("25.00")
WORKS, FAILS, TOO_DEAR = "web-server", "demo-fails", "database"
WAIT_S = 30.0
POLL_S = 0.05
REPEATS = 3
EFFECTS = ("credit", "charge", "capture", "charge", "capture", "refund")
"""What one telling leaves in the journal."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must be so."""

    what: str
    expected: str
    seen: str

    @property
    def holds(self) -> bool:
        """Whether it is."""
        return self.expected == self.seen


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done, the balance after it, and what must be so now."""

    title: str
    available: Decimal
    held: Decimal
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of a journal entry; ``position`` is the entry's place in the log."""

    position: int
    reference: str
    account: str
    asset: str
    amount: Decimal


@dataclass(slots=True)
class Telling:
    """What was told."""

    user_id: str
    steps: list[Step] = field(default_factory=list)
    postings: list[Posting] = field(default_factory=list)
    trial_balance: dict[str, Any] = field(default_factory=dict)
    closing: tuple[Check, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether everything is as it must be."""
        checks = [*(check for step in self.steps for check in step.checks), *self.closing]
        return bool(checks) and all(check.holds for check in checks)


Tell = Callable[[Step], None]


async def tell_story(address: StackAddress, tell: Tell) -> Telling:
    """Tell it. Raises UnexpectedAnswer and httpx.TransportError when the stack does not play along."""
    token = secrets.token_hex(4)
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        person = Person(http, address, f"demo-{token}")
        await person.sign_in()
        return await Story(person, Stripe(http, address), Books(http, address), token, tell).run()


class Story:
    """One telling of the story."""

    def __init__(self, person: Person, stripe: Stripe, books: Books, token: str, tell: Tell) -> None:
        self._person = person
        self._stripe = stripe
        self._books = books
        self._token = token
        self._tell = tell
        self._told = Telling(person.user_id)

    async def run(self) -> Telling:
        """All steps, then the journal and the trial balance."""
        prices = {service["id"]: service["price_tfc"] for service in (await self._person.services()).values()}
        await self._pay()
        works = await self._buy(WORKS, prices[WORKS], PAID)
        await self._becomes_active(works, prices[WORKS])
        fails = await self._buy(FAILS, prices[FAILS], PAID - prices[WORKS])
        await self._is_given_back(fails, PAID - prices[WORKS])
        await self._is_refused(TOO_DEAR, prices[TOO_DEAR], PAID - prices[WORKS])
        await self._close_the_books(works, fails)
        return self._told

    async def _pay(self) -> None:
        intent = f"pi_demo_{self._token}"
        await self._stripe.payment_succeeded(f"evt_demo_{self._token}", intent, PAID_CENTS, self._person.user_id)
        await self._until(lambda: self._has(PAID), "the credits")
        for _ in range(REPEATS):
            await self._stripe.payment_succeeded(f"evt_demo_{self._token}", intent, PAID_CENTS, self._person.user_id)
        await self._stripe.payment_succeeded(f"evt_demo_{self._token}_b", intent, PAID_CENTS, self._person.user_id)
        title = f"Stripe says that {PAID} USD were paid: once, {REPEATS} times more, and under another event id"
        await self._step(title, PAID)

    async def _buy(self, service_id: str, price: Decimal, before: Decimal) -> str:
        action = await self._person.buy(service_id)
        kind = Check("the answer", "DeploymentStarted", str(action["type"]))
        deployment_id = str(action.get("deployment_id", ""))
        await self._step(f"Buy now: {service_id} for {price}", None, kind, while_held=before - price)
        return deployment_id

    async def _becomes_active(self, deployment_id: str, price: Decimal) -> None:
        shown = await self._until(lambda: self._deployment(deployment_id, "active"), f"{deployment_id} to be active")
        parts = shown["commission_amount"] + shown["grid_payment_amount"]
        await self._until(lambda: self._holds_nothing(), "the hold to be captured")
        await self._step(
            "The grid did its work: the hold is captured, the commission taken",
            PAID - price,
            Check("status", "active", shown["status"]),
            Check("commission and grid payment together", str(price), str(parts)),
        )

    async def _is_given_back(self, deployment_id: str, before: Decimal) -> None:
        shown = await self._until(lambda: self._deployment(deployment_id, "failed"), f"{deployment_id} to fail")
        await self._until(lambda: self._has(before), "the refund")
        title = f"The grid could not: “{shown['error_message']}”. Everything is given back"
        await self._step(title, before, Check("status", "failed", shown["status"]))

    async def _is_refused(self, service_id: str, price: Decimal, before: Decimal) -> None:
        action = await self._person.buy(service_id)
        await self._step(
            f"Buy now: {service_id} for {price}, which there is no cover for",
            before,
            Check("the answer", "InsufficientFunds", str(action["type"])),
            Check("required, available", f"{price}, {before}", f"{action.get('required')}, {action.get('available')}"),
        )

    async def _close_the_books(self, works: str, fails: str) -> None:
        references = (f"stripe:pi_demo_{self._token}:", f"deployment:{works}:", f"deployment:{fails}:")
        wallet = f"wallet:{self._person.user_id}"
        accounts = ("gateway:stripe", "platform:exchange", wallet, f"{wallet}:held", "platform:commission")
        position = await self._books.position(self._person.user_id)
        for account in (*accounts, "grid:payable"):
            for line in await self._books.postings(account, position):
                if line["reference"].startswith(references):
                    self._told.postings.append(_posting(account, line))
        shown = await self._person.deployment(works)
        self._told.trial_balance = await self._books.trial_balance()
        self._told.closing = (
            *_sums(self._told.postings),
            Check("the commission's account", str(shown["commission_amount"]), self._earned("platform:commission")),
            Check("the grid's account", str(shown["grid_payment_amount"]), self._earned("grid:payable")),
            Check("the trial balance is zero", "True", str(self._told.trial_balance["balanced"])),
        )

    def _earned(self, account: str) -> str:
        return str(sum((line.amount for line in self._told.postings if line.account == account), Decimal("0.00")))

    async def _step(
        self, title: str, exactly: Decimal | None, *checks: Check, while_held: Decimal | None = None
    ) -> None:
        balance = await self._person.balance()
        available, held = balance["balance"], balance["held"]
        if exactly is not None:
            checks = (Check("the balance", str(exactly), str(available)), *checks)
        if while_held is not None and held != 0:
            # A quick grid may have been done before we looked; then there is nothing held to look at.
            checks = (Check("the balance while it is held", str(while_held), str(available)), *checks)
        step = Step(title, available, held, checks)
        self._told.steps.append(step)
        self._tell(step)

    async def _has(self, available: Decimal) -> bool:
        return bool((await self._person.balance())["balance"] == available)

    async def _holds_nothing(self) -> bool:
        return bool((await self._person.balance())["held"] == 0)

    async def _deployment(self, deployment_id: str, status: str) -> dict[str, Any] | None:
        shown = await self._person.deployment(deployment_id)
        return shown if shown["status"] == status else None

    async def _until(self, condition: Callable[[], Awaitable[Any]], what: str) -> Any:
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while True:
            found = await condition()
            if found:
                return found
            if asyncio.get_running_loop().time() >= deadline:
                raise UnexpectedAnswer(f"waited {WAIT_S:.0f} s for {what}")
            await asyncio.sleep(POLL_S)


def _posting(account: str, line: Mapping[str, Any]) -> Posting:
    return Posting(line["position"], line["reference"], account, line["asset"], Decimal(line["amount"]))


def _sums(postings: Sequence[Posting]) -> list[Check]:
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in postings:
        sums[line.reference, line.asset] += line.amount
    unbalanced = sorted({reference for (reference, _), amount in sums.items() if amount != 0})
    return [
        Check("journal entries", str(len(EFFECTS)), str(len({line.reference for line in postings}))),
        Check("those that do not sum to zero", "none", ", ".join(unbalanced) or "none"),
    ]
