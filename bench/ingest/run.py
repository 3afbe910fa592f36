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
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import uvloop

from gateway_ingest.domain.signatures import sign

sys.path.insert(0, str(Path(__file__).parent))
import stack
from load import Round, run_round

HISTORY = Path(__file__).resolve().parents[1] / "history" / "ingest.jsonl"
WARM_UP_REQUESTS = 500


def webhook(number: int) -> bytes:
    """A signed payment_intent.succeeded of Stripe's usual size, as a whole HTTP request."""
    event_id, intent = f"evt_bench{number:010}", f"pi_bench{number:010}"
    subject = {
        "id": intent, "object": "payment_intent", "amount": 2500, "amount_capturable": 0,
        "amount_details": {"tip": {}}, "amount_received": 2500, "application": None, "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True}, "canceled_at": None,
        "cancellation_reason": None, "capture_method": "automatic_async", "client_secret": f"{intent}_secret_x",
        "confirmation_method": "automatic", "created": int(time.time()), "currency": "usd", "customer": None,
        "description": None, "last_payment_error": None, "latest_charge": f"ch_{number}", "livemode": False,
        "metadata": {"user_id": f"user-{number % 50_000}"}, "next_action": None, "on_behalf_of": None,
        "payment_method": f"pm_{number}", "payment_method_types": ["card", "link"], "processing": None,
        "receipt_email": None, "review": None, "setup_future_usage": None, "shipping": None, "source": None,
        "statement_descriptor": None, "status": "succeeded", "transfer_data": None, "transfer_group": None,
    }  # fmt: skip
    event = {
        "id": event_id, "object": "event", "api_version": "2026-10-28.endive", "created": int(time.time()),
        "data": {"object": subject}, "livemode": False, "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None}, "type": "payment_intent.succeeded",
    }  # fmt: skip
    body = json.dumps(event, indent=2).encode()
    signature = sign(body, stack.STRIPE_SECRET.encode(), int(time.time()))
    head = (
        b"POST /api/webhooks/stripe HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json; charset=utf-8\r\n"
        b"user-agent: Stripe/1.0\r\nstripe-signature: " + signature + b"\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    return head + body


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
