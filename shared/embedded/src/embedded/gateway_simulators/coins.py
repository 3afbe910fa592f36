"""The demo's chains: a page on which a person sends coins, told to gateway-ingest as its watchers tell of deposits.

Only addresses that payments-api signed are served. A transfer is seen, gets block after block, is believed, and may be
lost again by a fork. No chain and no coin is anywhere; what was not told when the process ends is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import httpx
import structlog
from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from chassis.clock import Clock
from chassis.errors import InvalidField, OperationalError
from chassis.http import ExactJSONResponse
from chassis.ids import IdFactory
from contracts.amounts import Asset, format_units
from embedded.demo_gateway import page
from embedded.demo_gateway.pay_page import create_pay_page

PARAMETERS = ("reference", "amount", "asset", "network", "address", "confirmations")
"""What an address is signed over; ``amount`` counts the smallest unit of ``asset``."""
OUTCOMES = ("sent", "less", "more", "lost")
"""All of it; four or six fifths of it; or all of it, whose block a fork takes back after it was believed."""
FIFTHS = {"less": 4, "more": 6}
PATH = "/v1/observations"
BLOCK_S = 1.0
BLOCKS_MAX = 200
TIMEOUT_S = 5.0
ATTEMPTS = 4
FIRST_PAUSE_S = 0.2

log = structlog.get_logger("demo_coins")


@dataclass(frozen=True, slots=True)
class Transfer:
    """``units`` of ``asset`` on their way to ``address``, believed after ``confirmations`` blocks."""

    network: str
    tx: str
    address: str
    reference: str
    units: int
    asset: str
    confirmations: int

    @property
    def payment_id(self) -> str:
        """As the watchers of gateway-ingest name a deposit."""
        return f"{self.network}.{self.tx}.0"


class DemoChains:
    """Mines a block every ``block_s`` seconds for each transfer. ``close`` forgets what was not told yet."""

    def __init__(
        self,
        url: str,
        token: str,
        clock: Clock,
        *,
        block_s: float = BLOCK_S,
        pause_s: float = FIRST_PAUSE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT_S, transport=transport, trust_env=False
        )
        self._clock = clock
        self._block_s = block_s
        self._pause_s = pause_s
        self._mining: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End the mining, and let go of the connections."""
        for task in self._mining:
            task.cancel()
        await asyncio.gather(*self._mining, return_exceptions=True)
        await self._client.aclose()

    async def mined(self) -> None:
        """Return once nothing is on its way any more."""
        await asyncio.gather(*self._mining)

    async def send(self, transfer: Transfer, *, is_lost: bool = False) -> None:
        """Tell that it was seen; its blocks follow by themselves. Raises OperationalError: nobody knows of it."""
        if not await self._tell(seen(transfer, 0)):
            raise OperationalError("the transfer was not taken")
        task = asyncio.create_task(self._mine(transfer, self._clock.now().isoformat(), is_lost=is_lost))
        self._mining.add(task)
        task.add_done_callback(self._mining.discard)

    async def _mine(self, transfer: Transfer, at: str, *, is_lost: bool) -> None:
        for block in range(1, transfer.confirmations):
            await asyncio.sleep(self._block_s)
            await self._tell(seen(transfer, block))
        await asyncio.sleep(self._block_s)
        await self._tell(believed(transfer, at))
        if is_lost:
            await asyncio.sleep(self._block_s)
            await self._tell(forked(transfer))

    async def _tell(self, observation: Mapping[str, Any]) -> bool:
        """Whether it was kept in the end."""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(self._pause_s * 2.0 ** (attempt - 1))
            if await self._post(observation):
                return True
        return False

    async def _post(self, observation: Mapping[str, Any]) -> bool:
        try:
            answer = await self._client.post(PATH, json={"observations": [observation]})
        except httpx.HTTPError as error:
            log.warning("observation_not_told", name=observation["name"], error=type(error).__name__)
            return False
        if not answer.is_success:
            log.warning("observation_refused", name=observation["name"], status=answer.status_code)
        return answer.is_success


def seen(transfer: Transfer, blocks: int) -> dict[str, Any]:
    """It has so many blocks, which are not enough."""
    about = {
        "kind": "pending",
        "state": "unconfirmed",
        "amount": _amount(transfer),
        "reference": transfer.reference,
        "confirmations": blocks,
        "confirmations_required": transfer.confirmations,
    }
    return _observation(transfer, f"{blocks + 1}.unconfirmed.{blocks}", about)


def believed(transfer: Transfer, at: str) -> dict[str, Any]:
    """It has enough of them; paid ``at`` when it was first seen."""
    about = {"kind": "confirmed", "received": _amount(transfer), "reference": transfer.reference}
    return {**_observation(transfer, "confirmed", about), "at": at}


def forked(transfer: Transfer) -> dict[str, Any]:
    """Its block is gone."""
    refund_id = f"fork.{transfer.tx}"
    about = {
        "kind": "refund",
        "refund_id": refund_id,
        "amount": _amount(transfer),
        "state": "succeeded",
        "reason": "chain fork",
    }
    return _observation(transfer, f"{refund_id}.succeeded", about)


def create_demo_chains(secret: bytes, chains: DemoChains, ids: IdFactory) -> FastAPI:
    """The application. ``chains`` end with it, where its own lifespan is run (a parent that mounts it closes them)."""

    async def pay(parameters: Mapping[str, str], is_page: bool) -> Response:
        outcome = parameters.get("outcome", "")
        if outcome not in OUTCOMES:
            raise InvalidField("outcome", "unknown_outcome", f"must be one of {', '.join(OUTCOMES)}")
        transfer = _transfer(parameters, outcome, f"{ids.new().hex}{ids.new().hex}")
        await chains.send(transfer, is_lost=outcome == "lost")
        return _sent_page(transfer) if is_page else ExactJSONResponse({"outcome": outcome, "tx": transfer.tx})

    return create_pay_page("Demo chains", secret, PARAMETERS, show=_wallet_page, pay=pay, close=chains.close)


def _transfer(parameters: Mapping[str, str], outcome: str, tx: str) -> Transfer:
    asked_for = int(parameters["amount"])
    return Transfer(
        network=parameters["network"],
        tx=tx,
        address=parameters["address"],
        reference=parameters["reference"],
        units=max(1, asked_for * FIFTHS.get(outcome, 5) // 5),
        asset=parameters["asset"],
        confirmations=min(int(parameters["confirmations"]), BLOCKS_MAX),
    )


def _amount(transfer: Transfer) -> dict[str, Any]:
    return {"units": transfer.units, "asset": transfer.asset}


def _observation(transfer: Transfer, event: str, about: Mapping[str, Any]) -> dict[str, Any]:
    payment_id = transfer.payment_id
    return {
        "gateway": "crypto",
        "name": f"{payment_id}.{event}",
        "observed": {**about, "payment_id": payment_id},
    }


def _wallet_page(parameters: Mapping[str, str]) -> HTMLResponse:
    amount, asset = int(parameters["amount"]), parameters["asset"]
    return page.framed(
        "Demo wallet",
        f'<p class="sum">{escape(_readable(amount, asset))}</p><small>to {escape(parameters["address"])}<br>on '
        f"{escape(parameters['network'])}, reference {escape(parameters['reference'])}. No coin is sent anywhere."
        f'</small><form method="post"><button class="go" name="outcome" value="sent">Send</button>'
        f'<button name="outcome" value="less">Send less</button><button name="outcome" value="more">Send more</button>'
        f'<button name="outcome" value="lost">Send, and lose it by a fork</button></form>',
    )


def _sent_page(transfer: Transfer) -> HTMLResponse:
    told = f"{_readable(transfer.units, transfer.asset)} are on their way: {transfer.confirmations} blocks to go."
    return page.framed("Sent", f"<p>{escape(told)} You can close this page.</p>")


def _readable(units: int, asset: str) -> str:
    return f"{format_units(units, asset)} {Asset.parse(asset).code}"
