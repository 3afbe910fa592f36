"""One, two and four replicas of ingest, ledger and deployments on partitioned topics of a real Kafka.

Says two things: whether throughput falls when there are more of one service (the ratio to one replica, measured in
the same run), and whether anything is lost or doubled while replicas come and go under load; on the way, what a relay
does alone. Two cores cannot show a gain from more processes than cores; they can show what replicas cost each other.
The last line is JSON.
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
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).parents[1] / "ingest"))
from churn import Shape, churn
from fleet import SESSION_TIMEOUT_S, Fleet, fleet
from relays import INTAKE, LOG, relay_rate
from stages import deployments_rate, ingest_rate, ledger_rate, make_topics, written_bytes

from embedded.kafka import SMALL_JVM, KafkaProcesses, installed_kafka
from embedded.kafka.node import JVM

HISTORY = Path(__file__).resolve().parents[1] / "history" / "scale.jsonl"
REPLICAS = (1, 2, 4)


@asynccontextmanager
async def stack(bus: str, jvm: Sequence[str] = JVM) -> AsyncIterator[tuple[Fleet, Mapping[str, Any]]]:
    """Fresh databases and a fresh bus: no round finds what another left."""
    async with AsyncExitStack() as exits:
        name = exits.enter_context(tempfile.TemporaryDirectory(prefix="gridledger-bench-", ignore_cleanup_errors=True))
        folder = _walked_into(Path(name))
        bus_url = await exits.enter_async_context(_kafka(folder / "kafka", jvm)) if bus == "kafka" else None
        made, connections = await exits.enter_async_context(fleet(folder, bus_url))
        await make_topics(made.bus_url)
        yield made, connections


def _walked_into(folder: Path) -> Path:
    """As root, PostgreSQL runs as another user, who must be able to walk in; else its data would be kept elsewhere."""
    folder.chmod(0o755)
    return folder


@asynccontextmanager
async def _kafka(folder: Path, jvm: Sequence[str]) -> AsyncIterator[str]:
    broker = KafkaProcesses(installed_kafka(), folder, jvm=jvm)
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


@dataclass
class Measured:
    """What the rounds brought, each figure of each round."""

    rates: dict[str, dict[int, list[float]]] = field(
        default_factory=lambda: {service: defaultdict(list) for service in ("ingest", "ledger", "deployments")}
    )
    relays: dict[str, list[float]] = field(default_factory=lambda: {INTAKE.service: [], LOG.service: []})
    grown: dict[str, dict[str, int]] = field(default_factory=dict)


async def measure(options: argparse.Namespace, progress: Progress) -> Measured:
    """Rounds over all numbers of replicas, in turns, so that each meets the same machine."""
    measured = Measured()
    bar = progress.add_task("replicas", total=options.rounds * len(REPLICAS))
    for _ in range(options.rounds):
        for replicas in REPLICAS:
            await _round(options, replicas, measured)
            progress.advance(bar)
    return measured


async def _round(options: argparse.Namespace, replicas: int, measured: Measured) -> None:
    """Each service with that many replicas; with one, its relay alone, too."""
    rates, grown = measured.rates, measured.grown
    async with stack(options.bus) as (made, connections):
        connection = connections["gateway_ingest"]
        async with growth(connection, options.webhooks) as grown["gateway-ingest"]:
            rates["ingest"][replicas].append(await ingest_rate(made, connection, replicas, options.webhooks))
        if replicas == 1:
            measured.relays[INTAKE.service].append(await relay_rate(made, connection, INTAKE))
    async with stack(options.bus) as (made, connections):
        connection = connections["ledger"]
        async with growth(connection, options.payments) as grown["ledger"]:
            rates["ledger"][replicas].append(await ledger_rate(made, connection, replicas, options.payments))
        if replicas == 1:
            measured.relays[LOG.service].append(await relay_rate(made, connection, LOG))
        rates["deployments"][replicas].append(
            await deployments_rate(made, connections["deployments"], replicas, options.deployments)
        )


async def come_and_go(options: argparse.Namespace) -> dict[str, object]:
    """The churn; as a rehearsal under a light load on a small Kafka, and judged as strictly."""
    shape = Shape(seconds=options.churn_s)
    if options.rehearsal:
        shape = Shape(seconds=0, payers=2, buyers=2, rest_s=0.05)
    async with stack(options.bus, SMALL_JVM if options.rehearsal else JVM) as (made, connections):
        return await churn(made, connections, shape)


def report(measured: Measured, come_and_gone: Mapping[str, object], options: argparse.Namespace) -> dict[str, object]:
    """The line of the history. Ratios are medians of the rounds' ratios to one replica."""
    rates = measured.rates
    return {
        "benchmark": "scale",
        "per_s": {service: {n: round(statistics.median(of)) for n, of in by.items()} for service, by in rates.items()},
        "ratio_to_one": {service: _ratios(by) for service, by in rates.items()},
        "relay_alone_per_s": {service: round(statistics.median(of)) for service, of in measured.relays.items()},
        "bytes_per_payment": measured.grown,
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
    parser.add_argument("--rehearsal", action="store_true", help="only replicas that come and go, as tests run it")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--record", action="store_true", help="append the result to the history")
    return parser.parse_args()


def _line(options: argparse.Namespace, progress: Progress) -> dict[str, object]:
    if options.rehearsal:
        return {"benchmark": "scale", "churn": asyncio.run(come_and_go(options)), "bus": options.bus}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(measure(options, progress))
    # Not on uvloop: there a connection that ends while it is made is an AttributeError out of httpx, not a lost answer.
    return report(measured, asyncio.run(come_and_go(options)), options)


def main() -> int:
    """Measure, report; 1 when something was lost or doubled."""
    options = _options()
    with Progress(disable=options.quiet) as progress:
        try:
            line = json.dumps(_line(options, progress))
        except AssertionError as wrong:
            print(f"error: {wrong}", file=sys.stderr)
            return 1
    if options.record and not options.rehearsal:
        with HISTORY.open("a") as history:
            history.write(line + "\n")
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
