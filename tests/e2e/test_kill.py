"""kill -9 in the middle of payments and of purchases: the launcher starts it again, and the end is the same."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from testkit.waiting_for import eventually

VICTIMS = {
    "postgres": ("gateway-ingest", "ledger", "deployments", "payments-api", "grid-simulator", "postgres"),
    "kafka": ("gateway-ingest", "ledger", "payments-api", "kafka"),
}
"""Bus → who is killed on a stack with that bus; what never speaks to it need not be killed on both."""
BACK_TIMEOUT_S = 60.0


@pytest.mark.parametrize(
    ("stack", "victim"), [(bus, victim) for bus, victims in VICTIMS.items() for victim in victims], indirect=["stack"]
)
@pytest.mark.asyncio
async def test_a_kill_in_the_middle_changes_nothing(
    victim: str, visitor: Any, webhook_body: Any, until_answered: Callable[..., Any]
) -> None:
    bodies = [webhook_body(visitor.user_id, cents) for cents in (1000, 1000, 500)]
    paid = await in_the_middle(
        victim, visitor, [partial(until_answered, partial(visitor.webhook, body), BACK_TIMEOUT_S) for body in bodies]
    )
    assert [answer.status_code for answer in paid] == [200, 200, 200]
    await until_answered(lambda: visitor.http.get(f"{visitor.stack.url('payments-api')}/readyz"), BACK_TIMEOUT_S)
    await comes_to(visitor, "25.00")

    wishes = [partial(visitor.buy, service, f"key-{secrets.token_hex(8)}") for service in ("web-server", "demo-fails")]
    bought = await in_the_middle(victim, visitor, [partial(until_answered, wish, BACK_TIMEOUT_S) for wish in wishes])
    answers = [answer.json() for answer in bought]
    assert [answer["action"]["type"] for answer in answers] == ["DeploymentStarted"] * 2
    active, failed = (answer["action"]["deployment_id"] for answer in answers)
    await ends_as(visitor, active, "active")
    await ends_as(visitor, failed, "failed")
    await comes_to(visitor, "15.00")
    await the_books_say(visitor, active, failed)
    # The stack is everybody's: the next test finds it as this one did.
    await visitor.everything_is_up()


async def in_the_middle(victim: str, visitor: Any, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make all calls at once, kill the victim as soon as one is answered, and wait until it is back."""
    tasks = [asyncio.create_task(call()) for call in calls]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    old = visitor.stack.kill(victim)

    def is_back() -> bool:
        return visitor.stack.note().pids.get(victim, old) not in (old, 0)

    await eventually(is_back, BACK_TIMEOUT_S)
    return list(await asyncio.gather(*tasks))


async def comes_to(visitor: Any, amount: str) -> None:
    await eventually(lambda: answered(visitor, visitor.balance, amount), BACK_TIMEOUT_S)


async def ends_as(visitor: Any, deployment_id: str, status: str) -> None:
    async def shown() -> str:
        return str((await visitor.get(f"/api/deployments/{deployment_id}"))["status"])

    await eventually(lambda: answered(visitor, shown, status), BACK_TIMEOUT_S)


async def the_books_say(visitor: Any, active: str, failed: str) -> None:
    async def earned() -> tuple[Decimal, Decimal]:
        return (
            await visitor.earned("platform:commission", active, failed),
            await visitor.earned("grid:payable", active, failed),
        )

    await eventually(lambda: answered(visitor, earned, (Decimal("1.00"), Decimal("9.00"))), BACK_TIMEOUT_S)
    wallet = await visitor.ledger(f"/wallets/{visitor.user_id}")
    assert (wallet["available"], wallet["held"], wallet["debt"]) == ("15.00", "0.00", "0.00")
    trial_balance = await visitor.ledger("/trial-balance")
    assert trial_balance["balanced"] is True
    assert not trial_balance["wallets_off"]


async def answered(visitor: Any, ask: Callable[[], Any], expected: Any) -> bool:
    """Whether the answer is the expected one; while something restarts, there may be none."""
    try:
        seen = await ask()
    except visitor.silence:
        return False
    assert seen == expected
    return True
