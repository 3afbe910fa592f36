"""How many signed webhooks a second become durable, beside what a bare FastAPI does on the same server.

Alternates rounds of both, so that both meet the same machine, and reports medians. The last line of the output is one
JSON object. ``--record`` appends it to bench/history/ingest.jsonl.
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
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import uvloop

sys.path.insert(0, str(Path(__file__).parent))
import stack
from load import Round, run_round
from webhooks import webhook

HISTORY = Path(__file__).resolve().parents[1] / "history" / "ingest.jsonl"
WARM_UP_REQUESTS = 500


HELLO = b"GET /hello HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n\r\n"


async def measure(ingest_port: int, hello_port: int, options: argparse.Namespace) -> tuple[list[Round], list[Round]]:
    """Rounds of both, in turns."""
    count, connections = options.requests, options.connections
    await run_round(hello_port, [HELLO] * WARM_UP_REQUESTS, connections)
    await run_round(ingest_port, [webhook(number) for number in range(WARM_UP_REQUESTS)], connections)
    ours: list[Round] = []
    limits: list[Round] = []
    for number in range(options.rounds):
        limits.append(await run_round(hello_port, [HELLO] * count, connections))
        first = WARM_UP_REQUESTS + number * count
        ours.append(await run_round(ingest_port, [webhook(first + place) for place in range(count)], connections))
        print(
            f"round {number + 1}: {ours[-1].requests_per_s:,.0f} webhooks/s durable, "
            f"{limits[-1].requests_per_s:,.0f} hellos/s",
            file=sys.stderr,
        )
    return ours, limits


async def verify_durable(dsn: str, expected: int) -> None:
    """Every webhook answered 200 is in the table, with its message. A benchmark of lost events would be worthless."""
    connection = await asyncpg.connect(dsn)
    try:
        kept = await connection.fetchval("SELECT count(*) FROM raw_events WHERE verdict = 'published'")
        outgoing = await connection.fetchval("SELECT count(*) FROM outbox")
    finally:
        await connection.close()
    if (kept, outgoing) != (expected, expected):
        raise AssertionError(f"{expected} webhooks were answered 200, but {kept} are kept and {outgoing} to be sent")


def report(ours: Sequence[Round], limits: Sequence[Round], options: argparse.Namespace) -> dict[str, object]:
    """The line of the history."""
    rate = statistics.median(measured.requests_per_s for measured in ours)
    limit = statistics.median(measured.requests_per_s for measured in limits)
    ratio = statistics.median(our.requests_per_s / its.requests_per_s for our, its in zip(ours, limits, strict=True))
    latencies_s = sorted(latency for measured in ours for latency in measured.latencies_s)
    return {
        "benchmark": "ingest",
        "requests_per_s": round(rate),
        "limit_requests_per_s": round(limit),
        # Of neighbouring rounds, which met the same machine; not of the medians, which may be minutes apart.
        "ratio": round(ratio, 3),
        "p50_ms": round(latencies_s[len(latencies_s) // 2] * 1000, 2),
        "p99_ms": round(latencies_s[len(latencies_s) * 99 // 100] * 1000, 2),
        "mode": options.mode,
        "requests": options.requests,
        "rounds": options.rounds,
        "connections": options.connections,
        "fsync": True,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000, help="per round and side")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--mode", choices=("api", "serve"), default="api", help="serve: the relay runs in it too")
    parser.add_argument("--record", action="store_true", help="append the result to the history")
    return parser.parse_args()


def main() -> None:
    """Start everything, measure, check, report."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="gridledger-bench-") as folder,
        stack.databases(Path(folder)) as access,
        stack.ingest(access, options.mode) as ingest_port,
        stack.hello() as hello_port,
    ):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ours, limits = runner.run(measure(ingest_port, hello_port, options))
        asyncio.run(
            verify_durable(access["gateway_ingest"].app_dsn, WARM_UP_REQUESTS + options.requests * options.rounds)
        )
    line = json.dumps(report(ours, limits, options))
    if options.record:
        HISTORY.parent.mkdir(exist_ok=True)
        with HISTORY.open("a") as history:
            history.write(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
