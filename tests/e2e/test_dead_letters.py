"""The operators' command for dead letters, as README says to type it, beside the running stack."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chassis.bus import open_bus
from chassis.bus.port import OutgoingRecord
from contracts.envelope import Envelope
from contracts.messages import PaymentConfirmed
from contracts.topics import PAYMENTS
from testkit.waiting_for import eventually

ROOT = Path(__file__).resolve().parents[2]
TYPED_TIMEOUT_S = 180


async def typed(stack: Any, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "embedded", "exec", service, "dead-letters", *arguments]
    return await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=TYPED_TIMEOUT_S,
        check=False,
    )


async def listed(stack: Any, message_id: str) -> list[dict[str, Any]]:
    answer = await typed(stack, "ledger", "list", "--json", "--status", "all", "--limit", "500")
    assert answer.returncode == 0, answer.stderr
    letters = [json.loads(line) for line in answer.stdout.splitlines()]
    return [letter for letter in letters if letter["message_id"] == message_id]


async def poison(stack: Any) -> str:
    """Publish a payment of no amount; answers its message id."""
    message_id = f"poison-{secrets.token_hex(8)}"
    headers = Envelope(
        id=message_id,
        type=PaymentConfirmed.TYPE,
        source="gateway-ingest",
        time=datetime.now(UTC),
        subject=message_id,
        data=b"",
        traceparent=None,
    ).to_headers()
    bus = await open_bus(stack.note().environments["ledger"]["BUS_URL"])
    try:
        producer = bus.producer("poisoner")
        await producer.start()
        await producer.publish([OutgoingRecord(PAYMENTS, message_id.encode(), b'{"received": "a lot"}', headers)])
        await producer.close()
    finally:
        await bus.close()
    return message_id


@pytest.mark.parametrize("service", ["payments-api", "gateway-ingest", "ledger", "deployments"])
@pytest.mark.asyncio
async def test_every_service_lists_its_dead_letters(stack: Any, service: str) -> None:
    answer = await typed(stack, service, "list", "--json")
    assert answer.returncode == 0, answer.stderr
    assert all(json.loads(line)["status"] == "parked" for line in answer.stdout.splitlines())


@pytest.mark.asyncio
async def test_a_dead_letter_is_found_sent_again_and_given_up(stack: Any) -> None:
    message_id = await poison(stack)

    async def statuses() -> list[str]:
        return [letter["status"] for letter in await listed(stack, message_id)]

    async def is_parked() -> bool:
        return await statuses() == ["parked"]

    async def is_parked_anew() -> bool:
        return await statuses() == ["redriven", "parked"]

    assert (await typed(stack, "ledger", "redrive")).returncode == 2
    assert (await typed(stack, "ledger", "show", "999999999")).returncode == 1
    await eventually(is_parked, 30.0)
    (letter,) = await listed(stack, message_id)
    shown = await typed(stack, "ledger", "show", str(letter["id"]))
    assert json.loads(shown.stdout)["value"] == '{"received": "a lot"}'

    again = await typed(stack, "ledger", "redrive", str(letter["id"]), "--by", "olga")
    assert (again.returncode, again.stdout) == (0, f"redrive: 1 done {letter['id']}\n")

    await eventually(is_parked_anew, 30.0)
    first, second = await listed(stack, message_id)
    assert (first["settled_by"], second["reason"]) == ("olga", letter["reason"])
    assert (await typed(stack, "ledger", "discard", str(second["id"]))).returncode == 0
    assert await statuses() == ["redriven", "discarded"]
