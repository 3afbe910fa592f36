"""Addresses of ours that hold more of a network's own coin than was seen to come: a contract sent it, from within.

Only shown to people, in the log and as a figure. A balance does not name the transaction, and without that name coins
could be credited twice; once somebody names it, ``watch look`` tells of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from prometheus_client import Gauge

from chassis.clock import Clock
from gateway_ingest.application.watching_ports import Chain, DepositStore, Place
from gateway_ingest.domain.deposits import Watched
from gateway_ingest.domain.networks import NETWORKS

LOOK_EVERY = timedelta(seconds=60)
AT_ONCE_MAX_ADDRESSES = 20
"""A question to the node for each: they take turns."""

UNEXPLAINED = Gauge(
    "gridledger_chain_unexplained_addresses", "Addresses that hold more than was seen to come", ["network"]
)
log = structlog.get_logger(__name__)


class Unexplained:
    """Of one network."""

    def __init__(self, chain: Chain, store: DepositStore, clock: Clock) -> None:
        self._chain = chain
        self._network = NETWORKS[chain.network]
        self._store = store
        self._clock = clock
        self._next_at: datetime | None = None
        self._last_key = ""
        self._known: dict[str, int] = {}

    async def look(self, place: Place, watched: Mapping[str, Watched]) -> None:
        """At the next few of ``watched``, when it is time. Raises OperationalError."""
        now = self._clock.now()
        if self._network.family != "evm" or (self._next_at is not None and now < self._next_at):
            return
        self._next_at = now + LOOK_EVERY
        keys = self._next_keys(watched)
        seen = await self._store.own_coins_seen(self._network.key, self._network.coin, keys, place.number)
        for key in keys:
            balance = await self._chain.balance(key, place.number)
            self._note(key, 0 if balance is None else max(0, balance - seen.get(key, 0)))
        self._known = {key: units for key, units in self._known.items() if key in watched}
        UNEXPLAINED.labels(self._network.key).set(len(self._known))

    def _next_keys(self, watched: Mapping[str, Watched]) -> list[str]:
        """Those after the last that were looked at; from the first again after the last of all."""
        keys = sorted(watched)
        later = [key for key in keys if key > self._last_key][:AT_ONCE_MAX_ADDRESSES]
        self._last_key = later[-1] if len(later) == AT_ONCE_MAX_ADDRESSES else ""
        return later

    def _note(self, key: str, units: int) -> None:
        if units == 0:
            self._known.pop(key, None)
        elif self._known.get(key) != units:
            self._known[key] = units
            log.warning("coins_unexplained", network=self._network.key, address=key, units=str(units))
