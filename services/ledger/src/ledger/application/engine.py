"""The writer loop: one bounded queue, one loop, one transaction per batch.

The loop takes all that waits, up to a limit, so that a lone command is fast and batches grow by themselves under load.
What the database refuses is found by halving the batch until it stands alone. After a lost connection the same batch
is settled again: references and keys that were committed answer what they answered.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

import structlog

from chassis.bus.retry import Backoff
from chassis.clock import Clock
from chassis.errors import DomainError, OperationalError, PoisonMessage
from chassis.runtime import StopSignal
from ledger.application.measures import BATCH_SIZE, NO_EFFECT, PARKED
from ledger.application.ports import BooksStore, DataRefused, RaceLost
from ledger.application.reading_messages import MessageReader
from ledger.application.settlement import Settlement
from ledger.application.work import Outcome, Settled, Ticket, Work
from ledger.domain.commands import AllocatePayment
from ledger.domain.conversion import CreditTerms

log = structlog.get_logger(__name__)

BATCH_MAX = 1_000
"""Works per transaction: larger ones gain little and hold their locks longer."""
QUEUE_MAX = 20_000
"""Works that may wait. Beyond, callers are told to come back."""
RACES_MAX = 10
DATABASE_PATIENCE_S = 4.0
"""How long a batch waits for a database that is away before its callers are told so."""
RETRY_WAITING_S = 2.0
ALLOCATE_EVERY_S = 10.0
ALLOCATE_MAX_PAYMENTS = 500

Batch = list[tuple[Ticket, Work]]


class Engine:
    """The only writer of the books in this process."""

    def __init__(
        self,
        store: BooksStore,
        terms: CreditTerms,
        clock: Clock,
        *,
        committed: Callable[[], None] = lambda: None,
        batch_max: int = BATCH_MAX,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._store = store
        self._terms = terms
        self._clock = clock
        self._committed = committed
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._queue: deque[tuple[Ticket, Work]] = deque()
        self._arrived = asyncio.Event()
        self._ended = False
        self._tried_upto = ""
        self.reader = MessageReader(terms.asset)

    def submit(self, works: Sequence[Work]) -> Ticket:
        """Queue works in order. Raises OperationalError when the queue is full."""
        if self._ended:
            raise OperationalError("the ledger is stopping")
        if len(self._queue) + len(works) > self._queue_max:
            raise OperationalError("the ledger has more to do than it can queue")
        ticket = Ticket(works)
        self._queue.extend((ticket, work) for work in works)
        self._arrived.set()
        return ticket

    async def settle(self, work: Work) -> Outcome:
        """Queue one work and wait for its outcome. Raises OperationalError when that is not known."""
        await self.submit([work]).wait()
        return work.outcome

    async def run(self, stop: StopSignal) -> None:
        """Settle until stopped, then what is still queued."""
        while not stop.is_set() or self._queue:
            if not self._queue:
                await self._wait(stop)
                continue
            batch = self._next_batch()
            BATCH_SIZE.observe(len(batch))
            await self._settle(batch)
        self._ended = True

    async def run_waiting(self, stop: StopSignal) -> None:
        """Try early messages again when their time has come, also those that just missed their reference."""
        while not await stop.wait_for(RETRY_WAITING_S):
            try:
                await self._once([], retry_waiting=True)
            except (RaceLost, DataRefused, OperationalError) as error:
                log.warning("waiting_retry_failed", error=str(error))

    async def run_allocating(self, stop: StopSignal) -> None:
        """Give unallocated money to its quote where the two came at the same moment and missed each other."""
        while not await stop.wait_for(ALLOCATE_EVERY_S):
            try:
                await self.allocate_once()
            except OperationalError as error:
                log.warning("allocation_failed", error=str(error))

    async def allocate_once(self) -> int:
        """One round; answers how many payments were tried. Those that cannot be allocated (no rate) stay, so that each
        round goes on behind the last one's."""
        keys = await self._store.allocatable(self._tried_upto, ALLOCATE_MAX_PAYMENTS)
        self._tried_upto = keys[-1] if len(keys) == ALLOCATE_MAX_PAYMENTS else ""
        if keys:
            await self.submit([Work(command=AllocatePayment(key)) for key in keys]).wait()
        return len(keys)

    async def _wait(self, stop: StopSignal) -> None:
        self._arrived.clear()
        arrived = asyncio.ensure_future(self._arrived.wait())
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait([arrived, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in (arrived, stopped):
            task.cancel()

    def _next_batch(self) -> Batch:
        """The works that wait, up to the limit and up to a second use of one idempotency key."""
        batch: Batch = []
        keys: set[str] = set()
        while self._queue and len(batch) < self._batch_max:
            request = self._queue[0][1].request
            if request is not None:
                if request.key in keys:
                    break
                keys.add(request.key)
            batch.append(self._queue.popleft())
        return batch

    async def _settle(self, batch: Batch) -> None:
        batch = [(ticket, work) for ticket, work in batch if not ticket.has_failed]
        try:
            outcomes = await self._until_settled([work for _, work in batch])
        except DataRefused as refused:
            await self._settle_halves(batch, refused)
            return
        except OperationalError as error:
            for ticket in {ticket for ticket, _ in batch}:
                ticket.failed(error)
            return
        for work, outcome in outcomes.items():
            work.outcome = outcome
        for ticket, count in Counter(ticket for ticket, _ in batch).items():
            ticket.settled(count)
        self._committed()

    async def _until_settled(self, batch: Sequence[Work]) -> dict[Work, Outcome]:
        backoff, races = Backoff(), 0
        deadline = asyncio.get_running_loop().time() + DATABASE_PATIENCE_S
        while True:
            try:
                return await self._once(batch)
            except RaceLost as race:
                races += 1
                if races > RACES_MAX:
                    raise DataRefused(str(race)) from race
            except OperationalError:
                pause_s = backoff.next_s()
                if asyncio.get_running_loop().time() + pause_s > deadline:
                    raise
                await asyncio.sleep(pause_s)

    async def _once(self, batch: Sequence[Work], *, retry_waiting: bool = False) -> dict[Work, Outcome]:
        async with self._store.transaction() as transaction:
            settlement = Settlement(transaction, self._terms, self._clock.now(), self.reader.work)
            outcomes = await settlement.run(batch, retry_waiting=retry_waiting)
        _count(settlement, outcomes)
        return outcomes

    async def _settle_halves(self, batch: Batch, refused: DataRefused) -> None:
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._settle(batch[:middle])
            await self._settle(batch[middle:])
            return
        ticket, work = batch[0]
        log.warning("value_refused_by_database", detail=str(refused))
        if work.delivery is None or work.defect is not None:
            ticket.failed(DomainError("unstorable_value", "a value of the request cannot be stored"))
            return
        # Without its command the work names nothing any more that the database would refuse again.
        work.command, work.defect = None, PoisonMessage("data-refused", str(refused))
        await self._settle(batch)


def _count(settlement: Settlement, outcomes: dict[Work, Outcome]) -> None:
    """What an operator should see of a batch that is committed: what was parked, and what came without effect."""
    for reason in settlement.parked:
        PARKED.labels(reason).inc()
        log.warning("message_parked", reason=reason)
    for work, outcome in outcomes.items():
        if isinstance(outcome, Settled) and outcome.no_effect is not None and work.command is not None:
            NO_EFFECT.labels(outcome.no_effect).inc()
            log.info("command_without_effect", reason=outcome.no_effect, reference=work.command.reference)
