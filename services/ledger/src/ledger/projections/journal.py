"""The journal's postings per account, with a running balance. Can be thrown away and made anew from the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from eventstore.mapper import EventMapper
from eventstore.port import RecordedEvent
from ledger.domain.journal import Posting

INSERT_POSTINGS = """
INSERT INTO {postings} (account, position, line, asset, amount, reference, recorded_at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::text[], $5::numeric[], $6::text[], $7::timestamptz[])
"""
ADD_TO_BALANCES = """
INSERT INTO {balances} AS b (account, asset, posted)
SELECT account, asset, posted FROM unnest($1::text[], $2::text[], $3::numeric[]) AS n (account, asset, posted)
ORDER BY account, asset
ON CONFLICT (account, asset) DO UPDATE SET posted = b.posted + excluded.posted
"""


class JournalLine(NamedTuple):
    """One posting with where it stands in the log."""

    position: int
    line: int
    posting: Posting
    reference: str
    recorded_at: datetime


class JournalProjection:
    """See ``eventstore.projector.Projection``. Writes into the tables named, so that a rebuild can use shadows."""

    name = "journal"

    def __init__(
        self, mapper: EventMapper, *, postings: str = "journal_postings", balances: str = "account_balances"
    ) -> None:
        self._mapper = mapper
        self._insert = INSERT_POSTINGS.format(postings=postings)
        self._add = ADD_TO_BALANCES.format(balances=balances)

    async def apply(self, conn: Any, events: Sequence[RecordedEvent]) -> None:
        lines = [line for event in events for line in self._lines(event)]
        if not lines:
            return
        await conn.execute(
            self._insert,
            [line.posting.account for line in lines],
            [line.position for line in lines],
            [line.line for line in lines],
            [line.posting.asset for line in lines],
            [line.posting.amount for line in lines],
            [line.reference for line in lines],
            [line.recorded_at for line in lines],
        )
        sums: defaultdict[tuple[str, str], int] = defaultdict(int)
        for line in lines:
            sums[line.posting.account, line.posting.asset] += line.posting.amount
        await conn.execute(
            self._add, [account for account, _ in sums], [asset for _, asset in sums], list(sums.values())
        )

    def _lines(self, recorded: RecordedEvent) -> Iterator[JournalLine]:
        event = self._mapper.to_domain_event(recorded.stored())
        for number, posting in enumerate(event.postings):
            yield JournalLine(recorded.position, number, posting, event.reference, recorded.recorded_at)
