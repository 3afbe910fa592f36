"""Holds a gateway's own list against the books, both ways, and tells the books what they were not told.

Reads the ledger and never writes it: a repair is kept as an event of the gateway and goes the usual way, under the
gateway's own id of the payment, so nothing is credited twice. Repairs only what ``is_repairable``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import msgspec
import structlog

from gateway_ingest.application.ports import Outcome
from gateway_ingest.application.reconciling_ports import Books, Credit, GatewayList, Keeper, Progress
from gateway_ingest.domain import reconciling
from gateway_ingest.domain.reconciling import Coming, Difference, ListedPayment, Window

READS_MAX = 8
"""How many payments are looked up at once: the ledger has people to answer, too."""

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Done(StrEnum):
    """What became of a finding. TOLD_BEFORE: an earlier repair told it, and the books still do not have it."""

    LEFT = "left"
    REPAIRED = "repaired"
    TOLD_BEFORE = "told_before"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference, and what was done about it."""

    difference: Difference
    done: Done

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to look at it."""
        return self.done in (Done.LEFT, Done.TOLD_BEFORE)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run saw. ``listed_count`` payments were paid in the window, ``credited_count`` were booked in it."""

    gateway: str
    window: Window
    listed_count: int
    credited_count: int
    findings: Sequence[Finding]


@dataclass(slots=True)
class _Run:
    """What is known so far. ``seen`` are all ids that the gateway listed, those around the window too."""

    window: Window
    seen: set[str] = field(default_factory=set)
    listed_count: int = 0
    credited_count: int = 0
    differences: list[Difference] = field(default_factory=list)

    def note(self, difference: Difference | None) -> None:
        if difference is not None:
            self.differences.append(difference)


class Reconciliation:
    """The use case, for one gateway. Needs memory for the ids of the window."""

    def __init__(self, gateway: str, listing: GatewayList, books: Books, keeper: Keeper, progress: Progress) -> None:
        self._gateway = gateway
        self._listing = listing
        self._books = books
        self._keeper = keeper
        self._progress = progress

    async def run(self, window: Window, *, repair: bool) -> Report:
        """Compare, and with ``repair`` make good what can be. Raises OperationalError: nothing is half done, and a
        repeat finds what is left."""
        run = _Run(window)
        await self._from_gateway(run)
        await self._from_books(run)
        findings = await self._repaired(run.differences) if repair else _left(run.differences)
        return Report(self._gateway, window, run.listed_count, run.credited_count, findings)

    async def _from_gateway(self, run: _Run) -> None:
        """What was paid, and whether it is booked."""
        self._progress.begin(f"paid at {self._gateway}", None)
        async for some in _in_groups(self._listing.listed(run.window.widened())):
            run.seen.update(listed.payment_id for listed in some)
            asked = [listed for listed in some if listed.paid_at in run.window]
            run.listed_count += len(asked)
            for difference in await asyncio.gather(*map(self._compared, asked)):
                run.note(difference)
            self._progress.step(len(some))

    async def _from_books(self, run: _Run) -> None:
        """What is booked, and whether the gateway has it; it is asked for each that it did not list."""
        booked = [credit async for credit in self._books.credited(self._gateway, run.window.widened())]
        self._progress.begin("on the books", len(booked))
        for credit in booked:
            is_asked_for = credit.recorded_at in run.window
            run.credited_count += is_asked_for
            if credit.payment_id not in run.seen:
                run.note(await self._asked_for(credit, run))
            self._progress.step()

    async def _compared(self, listed: ListedPayment) -> Difference | None:
        return reconciling.compare(listed, await self._books.payment(self._gateway, listed.payment_id))

    async def _asked_for(self, credit: Credit, run: _Run) -> Difference | None:
        """A payment begun long before it was paid is not listed; one that nobody paid is known by when it was booked,
        so that runs over days that follow each other find it once."""
        run.seen.add(credit.payment_id)
        booked = await self._books.payment(self._gateway, credit.payment_id)
        assert booked is not None, "what is posted is booked"
        listed = await self._listing.one(credit.payment_id, booked.reference)
        if listed is None:
            return reconciling.unpaid(booked) if credit.recorded_at in run.window else None
        if listed.paid_at not in run.window:
            return None
        run.listed_count += 1
        return reconciling.compare(listed, booked)

    async def _repaired(self, differences: Sequence[Difference]) -> Sequence[Finding]:
        self._progress.begin("repairing", len(differences))
        findings = []
        for difference in differences:
            findings.append(Finding(difference, await self._repair(difference)))
            self._progress.step()
        return findings

    async def _repair(self, found: Difference) -> Done:
        """By what both sides say now: the comparison may have taken long."""
        if not reconciling.is_repairable(found):
            return Done.LEFT
        listed = await self._listing.one(found.payment_id, found.reference)
        if listed is None:
            return Done.LEFT
        difference = await self._compared(listed)
        if difference is None:
            return Done.SETTLED
        if not reconciling.is_repairable(difference):
            return Done.LEFT
        outcomes = await self._tell(listed, is_booked=difference.booked is not None)
        log.info("payment_reconciled", gateway=self._gateway, payment=listed.payment_id, kind=difference.kind.value)
        return Done.REPAIRED if Outcome.NEW in outcomes else Done.TOLD_BEFORE

    async def _tell(self, listed: ListedPayment, *, is_booked: bool) -> Sequence[Outcome]:
        outcomes = []
        for fact in await self._listing.news(listed):
            if is_booked and isinstance(fact, Coming):
                continue
            event = reconciling.event_of(fact, listed.paid_at)
            outcomes.append(await self._keeper.keep(self._gateway, event, msgspec.json.encode(fact)))
        return outcomes


def _left(differences: Sequence[Difference]) -> Sequence[Finding]:
    return [Finding(difference, Done.LEFT) for difference in differences]


async def _in_groups(items: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    """READS_MAX at a time, the last ones fewer."""
    group: list[T] = []
    async for item in items:
        group.append(item)
        if len(group) == READS_MAX:
            yield group
            group = []
    if group:
        yield group
