"""Settles one batch of works in one transaction: admit, read and lock, decide in order, write, answer.

Nothing is kept between batches, so that replicas never decide on stale state. Whatever a refused or parked work would
have changed stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from chassis.bus.port import Record, TopicPartition
from chassis.errors import PoisonMessage
from ledger.application.changed import written_batch
from ledger.application.naming import Named, known_payments, named_by, wallets_named
from ledger.application.ports import BooksTransaction
from ledger.application.work import Answer, Delivery, Outcome, Settled, Work
from ledger.domain.commands import AllocatePayment, Command, KeepQuote
from ledger.domain.conversion import CreditTerms
from ledger.domain.deciding import apply, decide
from ledger.domain.decision import Decision
from ledger.domain.events import LedgerEvent
from ledger.domain.refusals import NothingToAllocate, Refusal, TooEarly, WalletLimit
from ledger.domain.states import Books

IDEMPOTENCY_KEYS_KEPT = timedelta(days=30)


class KeyReused(Refusal):
    """The idempotency key was used for another body."""

    code = "idempotency_key_reused"


class Settlement:
    """One batch on one transaction. ``run`` answers each work's outcome; a work without one had no effect left."""

    def __init__(
        self,
        transaction: BooksTransaction,
        terms: CreditTerms,
        now: datetime,
        read: Callable[[Delivery], Work],
    ) -> None:
        self._tx = transaction
        self._terms = terms
        self._now = now
        self._read = read
        self._books = Books()
        self._made: list[LedgerEvent] = []
        self._early: list[tuple[Work, str]] = []
        self._defects: list[tuple[Delivery, PoisonMessage]] = []
        self._decided: dict[Work, Decision | Refusal] = {}
        self._outcomes: dict[Work, Outcome] = {}

    async def run(self, works: Sequence[Work], *, retry_waiting: bool = False) -> dict[Work, Outcome]:
        """Settle ``works`` in order; with ``retry_waiting`` also the early messages whose time has come."""
        admitted = await self._admit(works)
        if retry_waiting:
            admitted += [self._read(delivery) for delivery in await self._tx.release_due()]
        await self._load([work.command for work in admitted if work.command is not None])
        for work in admitted:
            self._decide(work)
        await self._decide_released()
        position = await self._write()
        await self._answer(position)
        return self._outcomes

    @property
    def parked(self) -> list[str]:
        """The reasons of the messages that this batch gave up on."""
        return [error.reason for _, error in self._defects]

    async def _admit(self, works: Sequence[Work]) -> list[Work]:
        owned = await self._advance([work.delivery for work in works if work.delivery is not None])
        arrived = [work for work in works if work.delivery is None or _is_owned(work.delivery, owned)]
        fresh = await self._claim_messages(arrived)
        return await self._claim_keys(fresh)

    async def _advance(self, deliveries: Sequence[Delivery]) -> set[TopicPartition]:
        epochs: dict[TopicPartition, int] = {}
        last_records: dict[TopicPartition, Record] = {}
        for delivery in deliveries:
            if delivery.epoch is not None:
                epochs[delivery.partition] = delivery.epoch
                last_records[delivery.partition] = delivery.record
        return await self._tx.advance_offsets(epochs, last_records) if epochs else set()

    async def _claim_messages(self, works: Sequence[Work]) -> list[Work]:
        ids = {
            work.delivery.message_id
            for work in works
            if work.delivery is not None and work.delivery.message_id is not None and work.command is not None
        }
        unseen = await self._tx.claim_messages(ids) if ids else set()
        fresh = []
        for work in works:
            message_id = work.delivery.message_id if work.delivery is not None else None
            if message_id is None or work.command is None:
                fresh.append(work)
            elif message_id in unseen:
                unseen.discard(message_id)
                fresh.append(work)
        return fresh

    async def _claim_keys(self, works: list[Work]) -> list[Work]:
        keys = {work.request.key: work.request.body_hash for work in works if work.request is not None}
        if not keys:
            return works
        kept = await self._tx.claim_keys(keys, self._now, self._now + IDEMPOTENCY_KEYS_KEPT)
        fresh = []
        for work in works:
            known = kept.get(work.request.key) if work.request is not None else None
            if known is None:
                fresh.append(work)
            elif work.request is not None and known.body_hash == work.request.body_hash:
                self._outcomes[work] = known.answer
            else:
                self._outcomes[work] = KeyReused("another body")
        return fresh

    async def _load(self, commands: Collection[Command]) -> None:
        books, named = self._books, named_by(commands)
        if named.references:
            books.references.update(await self._tx.read_references(named.references))
        if books.references:
            books.stored.update(await self._tx.read_events(books.references))
            known_payments(named, books, commands)
        if named.payments or named.payment_references:
            books.payments.update(await self._tx.lock_payments(named.payments, named.payment_references))
        named.quotes.update(p.payment_reference for p in books.payments.values() if p.payment_reference is not None)
        rowless = {key for key in named.payments if key not in books.payments and books.payment(key) is not None}
        if named.quotes:
            books.quotes.update(await self._tx.read_quotes(named.quotes))
        if named.charges:
            books.charges.update(await self._tx.lock_charges(named.charges))
        users = wallets_named(books, commands)
        if users:
            books.wallets.update(await self._tx.lock_wallets(users))
        if rowless:
            # Told by its purchase alone, such a payment had no row to lock: whoever reversed it first made one while
            # holding the wallet that is locked here now.
            books.payments.update(await self._tx.lock_payments(rowless, ()))
        await self._load_news(named)

    async def _load_news(self, named: Named) -> None:
        """What only news of money that goes back needs; payments and wallets are locked by now."""
        books = self._books
        if named.references_of_payments:
            books.references.update(await self._tx.read_references(named.references_of_payments))
        disputed = {key for key, p in books.payments.items() if p.user_id is None and p.disputed_total}
        if named.disputes or disputed:
            books.disputes.update(await self._tx.read_disputes(named.disputes, disputed))

    def _decide(self, work: Work) -> None:
        if work.defect is not None and work.delivery is not None:
            self._defects.append((work.delivery, work.defect))
        if work.command is None or work.defect is not None:
            return
        try:
            decision = decide(self._books, self._terms, work.command)
        except Refusal as refusal:
            self._refuse(work, refusal)
            return
        self._accept(work.command, decision)
        self._decided[work] = decision
        if isinstance(work.command, KeepQuote):
            self._allocate_what_waits_for(work.command)

    def _accept(self, command: Command, decision: Decision) -> None:
        apply(self._books, command, decision)
        self._made.extend(decision.events)

    def _refuse(self, work: Work, refusal: Refusal) -> None:
        if work.delivery is None:
            self._decided[work] = refusal
        elif isinstance(refusal, TooEarly):
            self._early.append((work, refusal.reference))
        else:
            self._defects.append((work.delivery, PoisonMessage(refusal.code, str(refusal))))

    def _allocate_what_waits_for(self, quote: KeepQuote) -> None:
        waiting = [
            payment.key
            for payment in self._books.payments.values()
            if payment.user_id is None and payment.payment_reference == quote.payment_reference
        ]
        for key in waiting:
            allocation = AllocatePayment(key)
            try:
                decision = decide(self._books, self._terms, allocation)
            except (NothingToAllocate, WalletLimit):
                continue
            self._accept(allocation, decision)

    async def _decide_released(self) -> None:
        """Early messages whose reference this batch made are settled with it; their states are in the books."""
        if not self._made:
            return
        early, self._early = self._early, []
        for work, reference in early:
            if reference in self._books.references:
                self._decide(work)
            else:
                self._early.append((work, reference))
        for delivery in await self._tx.release([event.reference for event in self._made]):
            self._decide(self._read(delivery))

    async def _write(self) -> int:
        position = 0
        if self._made:
            position = await self._tx.write(written_batch(self._books, self._made))
        elif self._decided:
            position = await self._tx.last_position()
        early = [(work.delivery, reference) for work, reference in self._early if work.delivery is not None]
        for delivery, reference in early:
            await self._tx.hold(delivery, reference)
        for delivery, error in self._defects:
            await self._tx.park(delivery, error)
        unhandled = [delivery for delivery, _ in (*early, *self._defects)]
        ids = [delivery.message_id for delivery in unhandled if delivery.message_id is not None]
        if ids:
            await self._tx.forget_messages(ids)
        return position

    async def _answer(self, position: int) -> None:
        answers: dict[str, Answer] = {}
        for work, decided in self._decided.items():
            outcome = decided if isinstance(decided, Refusal) else self._settled(work, decided, position)
            self._outcomes[work] = outcome
            if work.request is not None:
                answers[work.request.key] = work.request.render(outcome)
        if answers:
            await self._tx.keep_answers(answers)

    def _settled(self, work: Work, decision: Decision, position: int) -> Settled:
        """A repeated effect answers with the event that it made the first time."""
        events = decision.events
        if decision.no_effect == "repeated" and work.command is not None:
            stored = self._books.stored.get(work.command.reference)
            events = () if stored is None else (stored,)
        return Settled(events, position, decision.no_effect)


def _is_owned(delivery: Delivery, owned: set[TopicPartition]) -> bool:
    return delivery.epoch is None or delivery.partition in owned
