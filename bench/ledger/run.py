"""Purchases through the whole engine on a real PostgreSQL, against the plainest way of writing as many rows.

The limit is one row of an event row's width per transaction, by batched ``INSERT … unnest`` of 1,000 into a table with
one primary key. Both are measured in this run, turn by turn; the figure is the median of the turns' ratios. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any

import asyncpg
import uvloop
from rich.progress import track

from chassis.bus.port import Record, TopicPartition
from chassis.clock import SystemClock
from chassis.ids import Uuid7Factory
from chassis.inbox import claim_partitions
from chassis.migrate import migrate
from chassis.postgres import open_pool
from chassis.runtime import StopSignal, collect_garbage_seldom
from embedded.postgres_server import PostgresServer
from embedded.provisioning import provision
from eventstore.mapper import EventMapper
from eventstore.postgres import PostgresEventStore
from ledger.adapters.books import GROUP, PostgresBooks
from ledger.application.engine import BATCH_MAX, Batch, Engine
from ledger.application.work import Delivery, Ticket, Work
from ledger.domain.commands import CreditPayment
from ledger.domain.conversion import CreditTerms
from ledger.domain.events import EVENT_TYPES

WALLETS = 50_000
TURNS = 9
PER_TURN = 20_000
SINGLES = 500
LIMIT_BATCH = 1_000
AHEAD = 4
ROOT = Path(__file__).resolve().parents[2]
TERMS = CreditTerms("TFC/2", {"USD/2": Fraction(1)})
PARTITION = TopicPartition("payments", 0)


class Bench:
    """One database, one engine, and what was measured on them."""

    def __init__(self, pool: asyncpg.Pool[Any], engine: Engine, store: PostgresEventStore, epoch: int) -> None:
        self.pool, self.engine, self.store, self.epoch = pool, engine, store, epoch
        self.ids = Uuid7Factory(SystemClock())
        self.made = 0

    def works(self, count: int, wallets: int) -> list[Work]:
        """``count`` confirmed payments of 25.00 USD for users of ``wallets`` wallets, as the bus delivers them."""
        now = datetime.now(UTC)
        works = []
        for _ in range(count):
            self.made += 1
            record = Record("payments", b"k", b"", (), partition=0, offset=self.made, timestamp_ms=0)
            works.append(
                Work(
                    command=CreditPayment(
                        "stripe", f"pi_{self.made:024d}", 2500, "USD/2", now, f"user-{self.made % wallets}"
                    ),
                    delivery=Delivery(record, self.epoch, str(self.ids.new())),
                )
            )
        return works

    async def settle_all(self, works: list[Work]) -> float:
        """Seconds until every work is settled, with the queue always full."""
        tickets: list[Ticket] = []
        started = perf_counter()
        for first in range(0, len(works), BATCH_MAX):
            if len(tickets) >= AHEAD:
                await tickets[-AHEAD].wait()
            tickets.append(self.engine.submit(works[first : first + BATCH_MAX]))
        for ticket in tickets:
            await ticket.wait()
        return perf_counter() - started

    async def plain_rows(self, width: int) -> float:
        """Seconds to write PER_TURN rows of an event row's width, the plainest way."""
        state = b"x" * width
        async with self.pool.acquire() as conn:
            start = await conn.fetchval("SELECT coalesce(max(version), 0) FROM plain_rows")
            started = perf_counter()
            for first in range(start, start + PER_TURN, LIMIT_BATCH):
                versions = list(range(first + 1, first + 1 + LIMIT_BATCH))
                await conn.execute(
                    "INSERT INTO plain_rows SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[])",
                    [f"wallet:user-{version % WALLETS}" for version in versions],
                    versions,
                    ["ledger.CreditsPurchased"] * LIMIT_BATCH,
                    [state] * LIMIT_BATCH,
                )
            return perf_counter() - started


async def measure(superuser_dsn: str, quiet: bool) -> dict[str, object]:
    access = await provision(superuser_dsn, ["ledger"], {})
    dsns = access["ledger"]
    await migrate(dsns.owner_dsn, ROOT / "services/ledger/migrations")
    owner = await asyncpg.connect(dsns.owner_dsn)
    await owner.execute(
        "CREATE TABLE plain_rows (stream text, version bigint, topic text, state bytea, PRIMARY KEY (stream, version));"
        "GRANT ALL ON plain_rows TO ledger_app"
    )
    await owner.close()
    pool = await open_pool(dsns.app_dsn, min_size=2, max_size=4, application_name="bench-ledger")
    store = PostgresEventStore(pool)
    sizes: Counter[int] = Counter()
    engine = CountingEngine(sizes, PostgresBooks(pool, store, EventMapper(EVENT_TYPES)), TERMS, SystemClock())
    async with pool.acquire() as conn:
        claim = await claim_partitions(conn, GROUP, "bench", [PARTITION])
    bench = Bench(pool, engine, store, claim[PARTITION].epoch)
    stop = StopSignal()
    loop = asyncio.create_task(engine.run(stop))
    try:
        return await figures(bench, sizes, quiet)
    finally:
        stop.set()
        await loop
        await pool.close()


class CountingEngine(Engine):
    """The engine, counting the sizes of its batches."""

    def __init__(self, sizes: Counter[int], *args: Any) -> None:
        super().__init__(*args)
        self._sizes = sizes

    def _next_batch(self) -> Batch:
        batch = super()._next_batch()
        self._sizes[len(batch)] += 1
        return batch


async def figures(bench: Bench, sizes: Counter[int], quiet: bool) -> dict[str, object]:
    await bench.settle_all(bench.works(WALLETS, WALLETS))
    async with bench.pool.acquire() as conn:
        width = await conn.fetchval(
            "SELECT avg(octet_length(state) + octet_length(hash) + octet_length(prev_hash))::int FROM stored_events"
        )
    sizes.clear()
    limits, spread, hot = [], [], []
    for _ in track(range(TURNS), "measuring", disable=quiet):
        limits.append(PER_TURN / await bench.plain_rows(width))
        spread.append(await rate(bench, WALLETS))
        hot.append(await rate(bench, 1))
    batch_sizes = {str(size): count for size, count in sorted(sizes.items())}
    singles = await single_commands(bench)
    limit = statistics.median(limits)
    # The machine's speed drifts: each turn is compared with the limit that was measured just before it.
    ratio = statistics.median(one / its for one, its in zip(spread, limits, strict=True))
    hot_ratio = statistics.median(one / its for one, its in zip(hot, limits, strict=True))
    return {
        "benchmark": "ledger",
        "transactions_per_s": round(statistics.median(spread)),
        "hot_wallet_transactions_per_s": round(statistics.median(hot)),
        "limit_rows_per_s": round(limit),
        "ratio": round(ratio, 3),
        "hot_wallet_ratio": round(hot_ratio, 3),
        "row_width_bytes": width,
        "batch_sizes": batch_sizes,
        "single_p50_ms": round(statistics.quantiles(singles, n=100)[49] * 1000, 2),
        "single_p99_ms": round(statistics.quantiles(singles, n=100)[98] * 1000, 2),
        "wallets": WALLETS,
    }


async def rate(bench: Bench, wallets: int) -> float:
    works = bench.works(PER_TURN, wallets)
    gc.collect()
    return PER_TURN / await bench.settle_all(works)


async def single_commands(bench: Bench) -> list[float]:
    seconds = []
    for work in bench.works(SINGLES, WALLETS):
        started = perf_counter()
        await bench.engine.settle(work)
        seconds.append(perf_counter() - started)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="append the result to the benchmarks' history")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridledger-bench-") as folder:
        # As root, PostgreSQL runs as another user, who must be able to walk in; else its data would be kept elsewhere.
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder) / "postgres")
        info = server.start()
        try:
            collect_garbage_seldom()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                result = runner.run(measure(info.superuser_dsn, options.quiet))
        finally:
            server.stop()
    line = json.dumps(result)
    if options.record:
        dated = json.dumps({"measured_at": datetime.now(UTC).date().isoformat(), **result})
        with (ROOT / "bench/history/ledger.jsonl").open("a") as history:
            history.write(dated + "\n")
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
