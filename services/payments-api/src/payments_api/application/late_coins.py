"""Coins that came when their price no longer held, or beyond it: what they are worth is asked for, and told.

The ledger books such coins, but knows no rate of theirs, so they wait unallocated. Their worth goes the way of all
news, as an observation about the same payment, and the ledger credits them by it, once. Credits nobody itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

import structlog

from chassis.clock import Clock
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal
from payments_api.application.gateways import GatewayAway, Observation, Observing
from payments_api.application.ports import UnallocatedMoney, UnallocatedPage

NAME = "crypto"
WORTH_ASSET = "USD/2"
LOOK_EVERY_S = 15.0
PAGE_MAX_PAYMENTS = 200
PAGES_AT_ONCE_MAX = 20
CAME_AGO_MAX = timedelta(hours=6)
"""The rate is asked for now. Of what came longer ago it says nothing: that waits for a person."""

log = structlog.get_logger("late_coins")


class Unallocated(Protocol):
    """The part of ``ports.Ledger`` that is needed here."""

    async def unallocated(self, *, limit: int, cursor: str | None) -> UnallocatedPage:
        """See ports.Ledger."""
        ...


class CoinsValued(Protocol):
    """Who knows what coins are worth."""

    async def worth_cents(self, gateway_payment_id: str, asset: str, units: int) -> int | None:
        """What ``units`` of ``asset``, paid as that, buy now, in US cents, rounded down; None for coins that are not
        taken here. Raises GatewayAway."""
        ...


class LateCoins:
    """The process."""

    def __init__(self, ledger: Unallocated, valued: CoinsValued, observing: Observing, clock: Clock) -> None:
        self._ledger = ledger
        self._valued = valued
        self._observing = observing
        self._clock = clock
        self._cursor: str | None = None
        self._told: set[str] = set()

    async def run(self, stop: StopSignal) -> None:
        """Look until stopped; what is away is asked again later, bugs are raised."""
        await in_rounds(self.look_once, stop, every_s=LOOK_EVERY_S, failed="late_coins_not_valued")

    async def look_once(self) -> int:
        """Look through what is unallocated; answers of how many payments the worth was told."""
        told = 0
        for _ in range(PAGES_AT_ONCE_MAX):
            page = await self._ledger.unallocated(limit=PAGE_MAX_PAYMENTS, cursor=self._cursor)
            for money in page.money:
                told += await self._value(money)
            self._cursor = page.next_cursor
            if self._cursor is None:
                break
        return told

    async def _value(self, money: UnallocatedMoney) -> bool:
        now = self._clock.now()
        name = f"{money.gateway_payment_id}.worth.{now:%Y%m%d%H}"
        if not _is_late_coins(money, now) or name in self._told:
            return False
        try:
            cents = await self._valued.worth_cents(money.gateway_payment_id, money.asset, money.received)
        except GatewayAway as away:
            log.warning("worth_unknown", payment=money.gateway_payment_id, error=away.reason)
            return False
        if not cents:
            return False
        await self._observing.tell([worth_of(money, name, cents)])
        # Told is enough: the ledger may have reasons to keep it unallocated. In the next hour it is told once more.
        self._told = {told for told in self._told if told.endswith(f"{now:%Y%m%d%H}")} | {name}
        log.info("late_coins_valued", payment=money.gateway_payment_id, asset=money.asset, cents=cents)
        return True


def worth_of(money: UnallocatedMoney, name: str, cents: int) -> Observation:
    """What gateway-ingest is told: the same payment, received in the same coins, with what all of them are worth."""
    return Observation(
        gateway=NAME,
        name=name,
        kind="confirmed",
        payment_id=money.gateway_payment_id,
        at=datetime.fromisoformat(money.paid_at),
        reference=money.payment_reference,
        fields={
            "received": {"units": money.received, "asset": money.asset},
            "worth": {"units": cents, "asset": WORTH_ASSET},
        },
    )


def _is_late_coins(money: UnallocatedMoney, now: datetime) -> bool:
    """Coins for a payment of ours, not all sent back, that came a short time ago."""
    if money.gateway != NAME or money.payment_reference is None or money.refunded >= money.received:
        return False
    return now - datetime.fromisoformat(money.paid_at) <= CAME_AGO_MAX
