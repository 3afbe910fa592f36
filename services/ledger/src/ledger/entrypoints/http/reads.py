"""Reads: every answer states the position that it is true at; ``min_position`` waits for one's own write."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Path, Query

from chassis.errors import InvalidField, NotFound, OperationalError
from chassis.http import ExactRouter
from contracts.amounts import format_units
from eventstore.port import RecordedEvent
from ledger.application.history import transaction_of
from ledger.bootstrap import Parts
from ledger.domain.events import WalletEvent
from ledger.entrypoints.http.answers import payment_body, wallet_body
from ledger.projections import rows
from ledger.projections.balances import POSITION_MAX, AccountLine

WAIT_S = 2.0
"""How long a read waits for ``min_position``."""

UserPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
AccountPath = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9_.:-]+$")]
GatewayPath = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
PaymentPath = Annotated[str, Path(max_length=255, pattern=r"^[^\x00-\x1f]+$")]
Limit = Annotated[int, Query(ge=1, le=200)]
MinPosition = Annotated[int | None, Query(ge=0)]
Cursor = Annotated[str | None, Query(max_length=64)]
After = Annotated[int, Query(ge=0, le=POSITION_MAX)]


def make_router(parts: Parts) -> ExactRouter:
    """The routes that look at the books."""
    router = ExactRouter(prefix="/v1")
    _add_wallets(router, parts)
    _add_accounts(router, parts)
    _add_payments(router, parts)
    _add_log(router, parts)
    return router


def _add_wallets(router: ExactRouter, parts: Parts) -> None:
    @router.get("/wallets/{user_id}")
    async def wallet(user_id: UserPath, min_position: MinPosition = None) -> dict[str, Any]:
        """What a person has. One without events has zeros and version 0."""
        if min_position is not None and not await parts.reader.wait_for_log(min_position, WAIT_S):
            raise OperationalError("the log has not reached that position")
        found, position = await parts.reader.wallet(user_id)
        return wallet_body(found, position, parts.terms.asset)

    @router.get("/wallets/{user_id}/transactions")
    async def transactions(user_id: UserPath, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
        """A person's history, newest first."""
        return await _history(parts, f"wallet:{user_id}", _version(cursor), limit)


def _add_accounts(router: ExactRouter, parts: Parts) -> None:
    reader = parts.reader

    @router.get("/accounts/{path}")
    async def account(path: AccountPath, min_position: MinPosition = None) -> dict[str, Any]:
        """Posted balance of an account, per asset."""
        await _journal_reached(parts, min_position)
        balances, position = await reader.account(path)
        posted = [{"asset": name, "posted": format_units(units, name)} for name, units in balances.items()]
        return {"account": path, "balances": posted, "position": position}

    @router.get("/accounts/{path}/postings")
    async def postings(
        path: AccountPath, limit: Limit = 50, cursor: Cursor = None, min_position: MinPosition = None
    ) -> dict[str, Any]:
        """An account's postings, newest first."""
        await _journal_reached(parts, min_position)
        lines, position = await reader.postings(path, _place(cursor), limit)
        following = f"{lines[-1].position}.{lines[-1].line}" if len(lines) == limit else None
        return {"postings": [_line(line) for line in lines], "next_cursor": following, "position": position}

    @router.get("/trial-balance")
    async def trial_balance() -> dict[str, Any]:
        """The sum of all postings per asset, and whether every wallet agrees with its postings."""
        await reader.wait_for_journal(None, WAIT_S)
        balance = await reader.trial_balance()
        return {
            "position": balance.position,
            "balanced": balance.balanced,
            "assets": [{"asset": name, "sum": format_units(units, name)} for name, units in balance.sums.items()],
            "wallets_off": None if balance.wallets_off is None else list(balance.wallets_off),
        }


def _add_payments(router: ExactRouter, parts: Parts) -> None:
    @router.get("/payments/{gateway}/{payment_id:path}")
    async def payment(gateway: GatewayPath, payment_id: PaymentPath) -> dict[str, Any]:
        """What the books have of a payment at a gateway. 404 for one that is not booked."""
        found = await rows.payment(parts.pool, parts.mapper, f"{gateway}:{payment_id}")
        if found is None:
            raise NotFound("payment_unknown", "No payment of that gateway is booked under that id")
        return payment_body(found, parts.terms.asset)

    @router.get("/unallocated")
    async def unallocated(limit: Limit = 50, cursor: Annotated[str, Query(max_length=255)] = "") -> dict[str, Any]:
        """Money that belongs to nobody yet."""
        waiting = await parts.reader.unallocated(cursor, limit)
        following = waiting[-1]["payment_key"] if len(waiting) == limit else None
        return {"unallocated": [_payment(row) for row in waiting], "next_cursor": following}


def _add_log(router: ExactRouter, parts: Parts) -> None:
    @router.get("/events")
    async def events(after: After = 0, limit: Limit = 50) -> dict[str, Any]:
        """The log after a position, as it is stored."""
        recorded = await parts.store.read_log(after, limit=limit)
        following = recorded[-1].position if recorded else after
        return {"events": [_event(one) for one in recorded], "next_after": following}


async def _journal_reached(parts: Parts, min_position: int | None) -> None:
    if min_position is not None and not await parts.reader.wait_for_journal(min_position, WAIT_S):
        raise OperationalError("the journal has not reached that position")


async def _history(parts: Parts, stream: str, before: int, limit: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    position = await parts.store.last_position()
    while len(rows) < limit and before > 1:
        recorded = await parts.store.load(stream, upto=before - 1, newest_first=True, limit=limit)
        if not recorded:
            break
        for one in recorded:
            event = parts.mapper.to_domain_event(one.stored())
            assert isinstance(event, WalletEvent), "a wallet's stream holds its own events"
            row = transaction_of(event, one.recorded_at, parts.terms.asset)
            if row is not None:
                rows.append(row.model_dump(mode="json"))
            before = one.version
            if len(rows) == limit:
                break
    return {"transactions": rows, "next_cursor": str(before) if before > 1 and rows else None, "position": position}


def _version(cursor: str | None) -> int:
    if cursor is None:
        return POSITION_MAX
    if not cursor.isascii() or not cursor.isdigit() or int(cursor) > POSITION_MAX:
        raise InvalidField("cursor", "bad_cursor", "The cursor is not one of ours")
    return int(cursor)


def _place(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return POSITION_MAX, 0
    position, _, line = cursor.partition(".")
    if not line.isascii() or not line.isdigit() or len(line) > 4:
        raise InvalidField("cursor", "bad_cursor", "The cursor is not one of ours")
    return _version(position), int(line)


def _line(line: AccountLine) -> dict[str, Any]:
    return {
        "position": line.position,
        "asset": line.asset,
        "amount": format_units(line.amount, line.asset),
        "reference": line.reference,
        "recorded_at": line.recorded_at,
    }


def _payment(row: dict[str, Any]) -> dict[str, Any]:
    asset = row["asset"]
    return {
        "payment": row["payment_key"],
        "gateway": row["gateway"],
        "gateway_payment_id": row["payment_id"],
        "payment_reference": row["payment_reference"],
        "received": format_units(int(row["received"]), asset),
        "refunded": format_units(int(row["refunded"]), asset),
        "asset": asset,
        "paid_at": row["paid_at"],
    }


def _event(recorded: RecordedEvent) -> dict[str, Any]:
    return {
        "position": recorded.position,
        "stream": recorded.stream,
        "version": recorded.version,
        "type": recorded.topic,
        "recorded_at": recorded.recorded_at,
        "data": json.loads(recorded.state),
        "hash": recorded.hash.hex(),
    }
