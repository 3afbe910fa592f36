"""What the tests of bank transfers speak in: a shop with a bank account, its operator, and what was told onwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from chassis.errors import OperationalError
from contracts.amounts import Money
from contracts.messages import CreditsPurchased
from payments_api.application.gateways import Observation
from testkit.waiting_for import eventually

from .conftest import OpenShop, Shop, exact
from .payment_story import initiate, purchased, wallet

ADMIN = {"authorization": "Bearer an-admin-token-of-tests"}
ACCOUNT = {
    "bank_name": "Bank of Tests",
    "bank_account_name": "Gridledger Ltd",
    "bank_account_number": "DE02120300000000202051",
    "bank_swift_code": "BYLADEM1001",
}
ARRIVED = {"amount": "1500.00", "currency": "USD", "bank_reference": "TX/1", "value_date": "2026-05-01"}


class Told:
    """Stands for gateway-ingest: keeps what it is told once, by name."""

    def __init__(self) -> None:
        self.told: list[Observation] = []
        self.is_away = False

    async def tell(self, observations: Sequence[Observation]) -> None:
        if self.is_away:
            raise OperationalError("gateway-ingest: ConnectError")
        self.told += [one for one in observations if one not in self.told]

    @property
    def units(self) -> dict[str, int]:
        """What arrived, by the gateway's id."""
        return {one.payment_id: one.fields["received"]["units"] for one in self.told if one.kind == "confirmed"}


class Bank:
    """The shop, as a payer and as an operator use it."""

    def __init__(self, shop: Shop, told: Any) -> None:
        self.shop = shop
        self.told = told

    async def begin(self, amount: str = "1500", user_id: str = "alice") -> Any:
        """A new bank payment."""
        answer = await initiate(self.shop, await self.shop.sign_in(user_id), gateway="bank", amount=amount)
        assert answer.status_code == 200, answer.text
        return exact(answer)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.shop.http.post(f"/api/admin{path}", **{"headers": ADMIN} | options)

    async def confirm(self, payment: Any, **changed: Any) -> httpx.Response:
        return await self.post(f"/payments/{payment['payment_id']}/confirm", json=ARRIVED | changed)

    async def upload(self, text: str, **params: str) -> httpx.Response:
        return await self.post("/statements", content=text.encode(), params=params)

    async def entries(self, **params: Any) -> Any:
        return await self.shop.get("/api/admin/statements/entries", ADMIN, params=params)

    async def count(self, table: str) -> int:
        return int(await self.shop.pool.fetchval(f"SELECT count(*) FROM {table}"))


@asynccontextmanager
async def opened_bank(open_shop: OpenShop, **settings: Any) -> AsyncIterator[Bank]:
    """A shop whose news go to ``Told``."""
    given = {"admin_token": "an-admin-token-of-tests", **ACCOUNT, **settings}
    async with open_shop(**given) as shop:
        told = Told()
        shop.parts.bank_receipts._observing = told
        shop.parts.bank_returns._observing = told
        yield Bank(shop, told)


async def all_waiting(bank: Bank, payment: Any, *asks: Callable[[], Awaitable[Any]]) -> list[Any]:
    """The answers of ``asks`` that all began while somebody else held the payment's row, so that none was over before
    the others had begun."""
    # Weaker than FOR UPDATE, so that what only refers to the payment does not wait by itself.
    held = "SELECT FROM payments WHERE id = $1 FOR NO KEY UPDATE"
    return await all_waiting_for(held, (payment["payment_id"],), bank, *asks)


async def all_waiting_for(
    held: str, named: Sequence[Any], bank: Bank, *asks: Callable[[], Awaitable[Any]]
) -> list[Any]:
    """The answers of ``asks`` that all began while somebody else held what ``held`` locks."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with bank.shop.pool.acquire() as holder:
        async with holder.transaction():
            await holder.execute(held, *named)
            under_way = [asyncio.ensure_future(ask()) for ask in asks]

            async def all_wait() -> bool:
                return bool(await bank.shop.pool.fetchval(waiting) == len(asks))

            await eventually(all_wait)
        return list(await asyncio.gather(*under_way))


def statement(*rows: str) -> str:
    """A CSV of rows ``date,amount,bank reference,text``."""
    return "\n".join(["Date,Amount,Bank Reference,Description,Currency", *(f"{row},USD" for row in rows)]) + "\n"


def bank_credited(payment: Any, gateway_payment_id: str, units: int, version: int = 1) -> CreditsPurchased:
    """What the ledger tells of a piece."""
    given = purchased(payment["reference"], version=version)
    money = Money.of(units, "USD/2")
    return given.model_copy(
        update={
            "gateway": "bank",
            "gateway_payment_id": gateway_payment_id,
            "received": money,
            "credits": Money.of(units, "TFC/2"),
            "wallet": wallet(version, units),
        }
    )
