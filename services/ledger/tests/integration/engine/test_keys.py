"""Idempotency keys: one key is one answer for thirty days, whatever it was; effects stay unique for ever."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import pytest

from chassis.errors import DomainError
from ledger.application.settlement import KeyReused
from ledger.application.work import Answer, KeyedRequest, Settled, Work
from ledger.domain.commands import Command, Transfer
from ledger.domain.refusals import Refusal

pytestmark = pytest.mark.asyncio
DAY_S = 24 * 3600


def answer(outcome: Settled | Refusal) -> Answer:
    """Tells what happened and where, so that two answers about two happenings differ."""
    if isinstance(outcome, Refusal):
        return Answer(422, f"{outcome.code}: {outcome}".encode())
    return Answer(201, f"{len(outcome.events)} events, {outcome.no_effect}, by {outcome.position}".encode())


def asked(command: Command, key: str = "key-1", body: str | None = None) -> Work:
    content = sha256((body or command.content).encode()).digest()
    return Work(command=command, request=KeyedRequest(key, content, answer))


async def answered(ledger: Any, command: Command, key: str = "key-1", body: str | None = None) -> Any:
    return await ledger.engine.settle(asked(command, key, body))


async def test_the_same_key_and_body_answers_what_it_answered(ledger: Any, say: Any) -> None:
    await ledger.settle(say.paid(2500))
    sent = Transfer("t-1", "alice", "bob", 700)
    first = await answered(ledger, sent)
    assert isinstance(first, Settled)
    await ledger.settle(say.paid(1, payment_id="pi_2"))
    assert await answered(ledger, sent) == answer(first)
    assert (await ledger.wallet("bob")).spendable == 700


async def test_a_refusal_is_answered_again_although_there_is_cover_now(ledger: Any, say: Any) -> None:
    sent = Transfer("t-1", "alice", "bob", 700)
    refused = await answered(ledger, sent)
    assert isinstance(refused, Refusal)
    await ledger.settle(say.paid(2500))
    assert await answered(ledger, sent) == answer(refused)
    assert (await ledger.wallet("bob")).version == 0
    assert isinstance(await answered(ledger, sent, "key-2"), Settled)


async def test_another_body_under_the_same_key_is_refused(ledger: Any, say: Any) -> None:
    await ledger.settle(say.paid(2500))
    await answered(ledger, Transfer("t-1", "alice", "bob", 700))
    other = await answered(ledger, Transfer("t-2", "alice", "bob", 800))
    assert isinstance(other, KeyReused)
    assert (await ledger.wallet("bob")).spendable == 700


async def test_a_key_is_forgotten_after_thirty_days_but_not_its_effect(ledger: Any, say: Any) -> None:
    await ledger.settle(say.paid(2500))
    await answered(ledger, Transfer("t-1", "alice", "bob", 700))
    ledger.clock.advance(30 * DAY_S - 1)
    assert isinstance(await answered(ledger, Transfer("t-2", "alice", "bob", 800)), KeyReused)
    ledger.clock.advance(1)
    assert isinstance(await answered(ledger, Transfer("t-2", "alice", "bob", 800)), Settled)
    again = await answered(ledger, Transfer("t-1", "alice", "bob", 700), "key-2")
    assert again.no_effect == "repeated"
    assert [type(event).__name__ for event in again.events] == ["CreditsSent"]
    assert (await ledger.wallet("bob")).spendable == 1500


async def test_a_second_request_while_the_first_is_queued_gets_its_answer(ledger: Any, say: Any) -> None:
    await ledger.settle(say.paid(2500))
    works = [asked(Transfer("t-1", "alice", "bob", 700)) for _ in range(5)]
    await asyncio.gather(*(ledger.engine.submit([work]).wait() for work in works))
    first, *others = [work.outcome for work in works]
    assert isinstance(first, Settled)
    assert others == [answer(first)] * 4


async def test_one_key_in_two_replicas_at_once_is_one_effect(ledger: Any, say: Any) -> None:
    await ledger.settle(say.paid(100_000))
    engines = [ledger.engine, await ledger.another_engine()]
    for number in range(20):
        works = [asked(Transfer(f"t-{number}", "alice", "bob", 100), f"key-{number}") for _ in engines]
        await asyncio.gather(*(engine.settle(work) for engine, work in zip(engines, works, strict=True)))
        [settled] = [work.outcome for work in works if isinstance(work.outcome, Settled)]
        [replayed] = [work.outcome for work in works if isinstance(work.outcome, Answer)]
        assert replayed == answer(settled)
    assert (await ledger.wallet("bob")).spendable == 2000


async def test_a_request_that_could_not_be_stored_burns_no_key(ledger: Any, say: Any) -> None:
    with pytest.raises(DomainError, match="unstorable_value"):
        await answered(ledger, say.paid(2500, payment_id="pi_\0"))
    assert isinstance(await answered(ledger, say.paid(2500)), Settled)
