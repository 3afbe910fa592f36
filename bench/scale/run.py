"""One, two and four replicas of ingest, ledger and deployments on partitioned topics of a real Kafka.

Says two things: whether throughput falls when there are more of one service (the ratio to one replica, measured in
the same run), and whether anything is lost or doubled while replicas come and go under load. Two cores cannot show a
gain from more processes than cores; they can show what replicas cost each other. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).parents[1] / "ingest"))
from churn import churn
from fleet import SESSION_TIMEOUT_S, Fleet, fleet
from stages import deployments_rate, ingest_rate, ledger_rate, make_topics, written_bytes

from embedded.kafka import KafkaProcesses, installed_kafka

HISTORY = Path(__file__).resolve().parents[1] / "history" / "scale.jsonl"
REPLICAS = (1, 2, 4)
Rates = dict[str, dict[int, list[float]]]


@asynccontextmanager
async def stack(bus: str) -> AsyncIterator[tuple[Fleet, Mapping[str, Any]]]:
    """Fresh databases and a fresh bus: no round finds what another left."""
    async with AsyncExitStack() as exits:
        name = exits.enter_context(tempfile.TemporaryDirectory(prefix="gridledger-bench-", ignore_cleanup_errors=True))
        folder = _walked_into(Path(name))
        bus_url = await exits.enter_async_context(_kafka(folder / "kafka")) if bus == "kafka" else None
        made, connections = await exits.enter_async_context(fleet(folder, bus_url))
        await make_topics(made.bus_url)
        yield made, connections


def _walked_into(folder: Path) -> Path:
    """As root, PostgreSQL runs as another user, who must be able to walk in; else its data would be kept elsewhere."""
    folder.chmod(0o755)
    return folder


@asynccontextmanager
async def _kafka(folder: Path) -> AsyncIterator[str]:
    broker = KafkaProcesses(installed_kafka(), folder)
    try:
        await asyncio.to_thread(broker.start_all)
        yield f"{broker.url}?session_timeout_s={SESSION_TIMEOUT_S}"
    finally:
        await asyncio.to_thread(broker.close)


@asynccontextmanager
async def growth(connection: Any, payments: int) -> AsyncIterator[dict[str, int]]:
    """Bytes that a payment costs the database and its write-ahead log, filled in at the end."""
    before = await written_bytes(connection)
    measured: dict[str, int] = {}
    yield measured
    after = await written_bytes(connection)
    names = ("database", "write_ahead_log")
    measured.update({name: round((after[at] - before[at]) / payments) for at, name in enumerate(names)})


async def measure(
    options: argparse.Namespace, progress: Progress
) -> tuple[Rates, dict[str, dict[str, int]], dict[str, object]]:
    """Rounds over all numbers of replicas, in turns, so that each meets the same machine; then the churn."""
    grown: dict[str, dict[str, int]] = {}
    rates: Rates = {service: defaultdict(list) for service in ("ingest", "ledger", "deployments")}
    bar = progress.add_task("replicas", total=options.rounds * len(REPLICAS) + 1)
    for _ in range(options.rounds):
        for replicas in REPLICAS:
            async with stack(options.bus) as (made, connections):
                connection = connections["gateway_ingest"]
                async with growth(connection, options.webhooks) as grown["gateway-ingest"]:
                    rates["ingest"][replicas].append(await ingest_rate(made, connection, replicas, options.webhooks))
            async with stack(options.bus) as (made, connections):
                async with growth(connections["ledger"], options.payments) as grown["ledger"]:
                    rates["ledger"][replicas].append(
                        await ledger_rate(made, connections["ledger"], replicas, options.payments)
                    )
                rates["deployments"][replicas].append(
                    await deployments_rate(made, connections["deployments"], replicas, options.deployments)
                )
            progress.advance(bar)
    async with stack(options.bus) as (made, connections):
        come_and_gone = await churn(made, connections, 2, options.churn_s)
    progress.advance(bar)
    return rates, grown, come_and_gone


def report(
    rates: Rates, grown: Mapping[str, object], come_and_gone: Mapping[str, object], options: argparse.Namespace
) -> dict[str, object]:
    """The line of the history. Ratios are medians of the rounds' ratios to one replica."""
    return {
        "benchmark": "scale",
        "per_s": {service: {n: round(statistics.median(of)) for n, of in by.items()} for service, by in rates.items()},
        "ratio_to_one": {service: _ratios(by) for service, by in rates.items()},
        "bytes_per_payment": grown,
        "churn": come_and_gone,
        "bus": options.bus,
        "rounds": options.rounds,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _ratios(by: Mapping[int, list[float]]) -> dict[int, float]:
    return {
        n: round(statistics.median(one / single for one, single in zip(of, by[1], strict=True)), 2)
        for n, of in by.items()
        if n != 1
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--webhooks", type=int, default=10_000, help="per round")
    parser.add_argument("--payments", type=int, default=40_000, help="per round")
    parser.add_argument("--deployments", type=int, default=1_200, help="per round")
    parser.add_argument("--bus", choices=("kafka", "postgresql"), default="kafka")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--churn-s", type=float, default=20.0, help="how long replicas come and go")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--record", action="store_true", help="append the result to the history")
    return parser.parse_args()


def main() -> int:
    """Measure, report; 1 when something was lost or doubled."""
    options = _options()
    with Progress(disable=options.quiet) as progress, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            rates, grown, come_and_gone = runner.run(measure(options, progress))
        except AssertionError as wrong:
            print(f"error: {wrong}", file=sys.stderr)
            return 1
    line = json.dumps(report(rates, grown, come_and_gone, options))
    if options.record:
        with HISTORY.open("a") as history:
            history.write(line + "\n")
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
