"""A small ledger of its own for tests: the HTTP of the real one, wallets in memory, and faults on demand.

It charges a key once for ever, as the real one does, and counts what it was asked. Never used by the product.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, SecretStr

from chassis.errors import InvalidField, OperationalError
from chassis.http import ExactJSONResponse, ExactRouter, create_app, problem, require_service_token
from contracts.amounts import Money, format_units, parse_positive_units
from contracts.messages import TransactionRow, WalletSnapshot

ASSET = "TFC/2"
FaultKind = Literal["away", "hangs", "charges_then_hangs", "nonsense"]
Key = Annotated[str, Header(alias="Idempotency-Key")]


class Charge(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    user_id: str
    deployment_id: str
    service_id: str
    service_name: str
    amount: str


@dataclass
class Wallet:
    available: int = 0
    held: int = 0
    version: int = 0
    rows: list[TransactionRow] = field(default_factory=list)


class StandInLedger:
    """``faults`` are suffered by the next charges, in turn; ``asked`` counts the charges by key."""

    def __init__(self) -> None:
        self.wallets: dict[str, Wallet] = {}
        self.faults: list[FaultKind] = []
        self.always: FaultKind | None = None
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, tuple[Charge, int, Mapping[str, Any]]] = {}
        self.release = asyncio.Event()

    def give(self, user_id: str, units: int) -> None:
        wallet = self.wallets.setdefault(user_id, Wallet())
        self._record(user_id, wallet, "Purchase", units, "TFC purchase via Demo (p1)", {"payment_intent_id": "p1"})

    def charges(self) -> int:
        """How many charges took something."""
        return sum(status == 201 for _, status, _ in self.answers.values())

    async def charge(self, key: str, body: Charge) -> Response:
        self.asked[key] += 1
        fault = self.faults.pop(0) if self.faults else self.always
        if fault == "away":
            raise OperationalError("scripted")
        if fault == "hangs":
            await self.release.wait()
        answer = self._answer(key, body)
        if fault == "charges_then_hangs":
            await self.release.wait()
        if fault == "nonsense":
            return ExactJSONResponse({"wallet": {"version": "many"}}, 201)
        return answer

    def _answer(self, key: str, body: Charge) -> Response:
        repeated = key in self.answers
        if not repeated:
            self.answers[key] = (body, *self._decide(body))
        known, status, content = self.answers[key]
        if known != body:
            return problem(422, "idempotency_key_reused", "Another body", field="Idempotency-Key")
        headers = {"Idempotency-Replayed": "true"} if repeated else {}
        if status == 402:
            return problem(402, "insufficient_funds", "There is not enough to spend", headers=headers, **content)
        return ExactJSONResponse(content, status, headers)

    def _decide(self, body: Charge) -> tuple[int, Mapping[str, Any]]:
        wallet = self.wallets.setdefault(body.user_id, Wallet())
        units = parse_positive_units(body.amount, ASSET)
        if wallet.available < units:
            required, available = format_units(units, ASSET), format_units(wallet.available, ASSET)
            return 402, {"required": required, "available": available, "wallet_version": wallet.version}
        wallet.held += units
        about = {"deployment_id": body.deployment_id, "service_name": body.service_name}
        description = f"Deployment: {body.service_name} ({body.deployment_id})"
        row = self._record(body.user_id, wallet, "Deployment", -units, description, about)
        snapshot = WalletSnapshot(
            user_id=body.user_id,
            version=wallet.version,
            available=Money.of(wallet.available, ASSET),
            held=Money.of(wallet.held, ASSET),
            debt=Money.of(0, ASSET),
        )
        return 201, {
            "deployment_id": body.deployment_id,
            "amount": body.amount,
            "wallet": snapshot.model_dump(mode="json"),
            "transaction": row.model_dump(mode="json"),
            "position": 1,
        }

    def _record(
        self, user_id: str, wallet: Wallet, kind: Any, units: int, description: str, metadata: dict[str, Any]
    ) -> TransactionRow:
        row = TransactionRow(
            id=f"{user_id}-{wallet.version + 1}",
            user_id=user_id,
            transaction_type=kind,
            amount=Money.of(units, ASSET),
            balance_before=Money.of(wallet.available, ASSET),
            balance_after=Money.of(wallet.available + units, ASSET),
            description=description,
            metadata=metadata,
            created_at=datetime(2026, 5, 1, tzinfo=UTC),
        )
        wallet.available += units
        wallet.version += 1
        wallet.rows.insert(0, row)
        return row


def make_ledger_app(ledger: StandInLedger, token: str) -> FastAPI:
    async def readiness() -> Mapping[str, bool]:
        return {}

    app = create_app(title="Stand-in ledger", readiness=readiness, request_timeout_s=60)
    router = ExactRouter(prefix="/v1", dependencies=[Depends(require_service_token(SecretStr(token)))])

    @router.post("/charges", status_code=201)
    async def charge(body: Charge, key: Key) -> Response:
        return await ledger.charge(key, body)

    @router.get("/wallets/{user_id}")
    async def wallet(user_id: str) -> dict[str, Any]:
        if ledger.always == "away":
            raise OperationalError("scripted")
        found = ledger.wallets.get(user_id, Wallet())
        amounts = {"available": found.available, "held": found.held, "debt": 0}
        written = {name: format_units(units, ASSET) for name, units in amounts.items()}
        return {"user_id": user_id, "asset": ASSET, **written, "version": found.version, "position": 1}

    @router.get("/wallets/{user_id}/transactions")
    async def transactions(
        user_id: str, limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: str = "0"
    ) -> dict[str, Any]:
        if not cursor.isdigit():
            raise InvalidField("cursor", "bad_cursor", "The cursor is not one of ours")
        rows = ledger.wallets.get(user_id, Wallet()).rows
        end = int(cursor) + limit
        page = [row.model_dump(mode="json") for row in rows[int(cursor) : end]]
        return {"transactions": page, "next_cursor": str(end) if end < len(rows) else None, "position": 1}

    app.include_router(router)
    return app
