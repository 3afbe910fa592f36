"""What the engine needs of the database: one transaction that reads states, locks them and writes them back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from chassis.bus.port import Record, TopicPartition
from chassis.errors import PoisonMessage
from ledger.application.work import Answer, Delivery
from ledger.domain.events import LedgerEvent
from ledger.domain.states import Charge, Dispute, KnownReference, Payment, Quote, Wallet


class RaceLost(Exception):
    """Another replica was faster; the same batch may pass when it is read again."""


class DataRefused(Exception):
    """The database refuses a value of the batch; it must not take its neighbours down."""


class KeptAnswer(NamedTuple):
    """An idempotency key that is known: the hash of its body and the answer that was given."""

    body_hash: bytes
    answer: Answer


class WrittenBatch(NamedTuple):
    """Everything that one batch changed, to be written at once."""

    events: Sequence[LedgerEvent]
    references: Mapping[str, KnownReference]
    wallets: Collection[Wallet]
    charges: Collection[Charge]
    payments: Collection[Payment]
    quotes: Collection[Quote]
    disputes: Collection[Dispute]


class BooksTransaction(Protocol):
    """One database transaction. Locks are taken in id order: payments, charges, wallets, then the append lane."""

    async def advance_offsets(
        self, epochs: Mapping[TopicPartition, int], last_records: Mapping[TopicPartition, Record]
    ) -> set[TopicPartition]: ...

    async def claim_messages(self, message_ids: Collection[str]) -> set[str]: ...

    async def forget_messages(self, message_ids: Collection[str]) -> None: ...

    async def claim_keys(
        self, keys: Mapping[str, bytes], now: datetime, expires_at: datetime
    ) -> Mapping[str, KeptAnswer]: ...

    async def read_references(self, references: Collection[str]) -> Mapping[str, KnownReference]: ...

    async def read_events(self, known: Mapping[str, KnownReference]) -> Mapping[str, LedgerEvent]: ...

    async def lock_payments(self, keys: Collection[str], unallocated_for: Collection[str]) -> Mapping[str, Payment]: ...

    async def read_quotes(self, payment_references: Collection[str]) -> Mapping[str, Quote]: ...

    async def read_disputes(self, keys: Collection[str], payments: Collection[str]) -> Mapping[str, Dispute]: ...

    async def lock_charges(self, deployment_ids: Collection[str]) -> Mapping[str, Charge]: ...

    async def lock_wallets(self, user_ids: Collection[str]) -> Mapping[str, Wallet]: ...

    async def write(self, batch: WrittenBatch) -> int: ...

    async def last_position(self) -> int: ...

    async def keep_answers(self, answers: Mapping[str, Answer]) -> None: ...

    async def park(self, delivery: Delivery, error: PoisonMessage) -> None: ...

    async def hold(self, delivery: Delivery, waits_for: str) -> None: ...

    async def release(self, references: Collection[str]) -> Sequence[Delivery]: ...

    async def release_due(self) -> Sequence[Delivery]: ...


class BooksStore(Protocol):
    """Where the books are kept."""

    def transaction(self) -> AbstractAsyncContextManager[BooksTransaction]:
        """Raises RaceLost, DataRefused, or OperationalError when the database is away."""
        ...

    async def allocatable(self, after: str, limit: int) -> Sequence[str]:
        """Unallocated payments whose quote is known meanwhile, in the order of their keys, those behind ``after``.
        Raises OperationalError."""
        ...
