"""Watches one network: follows its blocks, finds what came to our addresses, and tells it as facts of gateway crypto.

A step is written first, deposits and place together, and told after: whoever dies in between finds the news untold and
tells them before anything else changes. Knows no node and no table; what becomes of a deposit is ``domain.deposits``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from chassis.bus.retry import Backoff, passes
from chassis.clock import Clock
from chassis.runtime import StopSignal
from gateway_ingest.application.deposit_news import DepositNews, Keep
from gateway_ingest.application.unexplained import Unexplained
from gateway_ingest.application.watching_ports import (
    Chain,
    ChainMoved,
    Change,
    DepositStore,
    NotOurTurn,
    Place,
    Pool,
    Scanned,
)
from gateway_ingest.domain import deposits as rules
from gateway_ingest.domain.deposits import Block, Deposit, State, Watched

SPAN_MAX_BLOCKS = 20
"""Scanned with one request for logs."""
START_BACK_BLOCKS = 20
"""The first start looks back so far: people may have been told of an address just before."""
REMEMBERED_MAX_BLOCKS = 20_000
"""So far back a fork's beginning is looked for."""

BEHIND = Gauge("gridledger_chain_behind_blocks", "Blocks not yet scanned", ["network"])
FORKS = Counter("gridledger_chain_forks", "Forks that took blocks back that were scanned", ["network"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a chain is asked for its last block, and how many blocks are scanned in one go."""

    poll_s: float
    span_max_blocks: int = SPAN_MAX_BLOCKS


class Watcher:
    """One network's watcher. Several processes may run one: they take turns."""

    def __init__(self, chain: Chain, store: DepositStore, keep: Keep, clock: Clock, pace: Pace) -> None:
        self._chain = chain
        self._network = chain.network
        self._store = store
        self._news = DepositNews(chain.network, store, keep)
        self._clock = clock
        self._pace = pace
        self._unexplained = Unexplained(chain, store, clock)

    async def run(self, stop: StopSignal) -> None:
        """Watch until stopped. Raises SettingsError when the node is none of this network, and bugs."""
        backoff = Backoff(longest_s=30.0)
        checked = False
        while not stop.is_set():
            try:
                if not checked:
                    await self._chain.check()
                    checked = True
                is_behind = await self.round()
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("chain_round_failed", network=self._network, error=str(error))
                await stop.wait_for(backoff.next_s())
                continue
            backoff.reset()
            if not is_behind:
                await stop.wait_for(self._pace.poll_s)

    async def round(self) -> bool:
        """One look at the chain; answers whether there is more to scan at once. Raises OperationalError."""
        if not await self._store.take_turn(self._network):
            return False
        await self._tell_untold()
        tip = await self._chain.tip()
        place = await self._store.place(self._network)
        if place is None:
            first = await self._chain.block(max(0, tip.number - START_BACK_BLOCKS))
            await self._save(Change(self._network, None, blocks=[first or tip]))
            return True
        if not await self._stands(place, tip):
            return False
        await self._catch_up(place)
        place = await self._go_on(place, tip)
        if place.number < tip.number:
            return True
        watched = await self._store.watched(self._network, self._clock.now())
        await self._look_at_pool(place, watched)
        await self._unexplained.look(place, watched)
        return False

    async def _stands(self, place: Place, tip: Block) -> bool:
        """Whether the chain still holds all that was scanned, so that the scan may go on; goes back where it forked."""
        BEHIND.labels(self._network).set(max(0, tip.number - place.number))
        # A node that lags behind the one that we asked before has forgotten nothing: it is waited for.
        newest = await self._store.remembered(self._network, tip.number, 1)
        if newest and await self._holds(newest[0]):
            return newest[0] == place
        ancestor = await self._common_ancestor(tip, place)
        gone = await self._store.in_blocks_above(self._network, ancestor.number)
        FORKS.labels(self._network).inc()
        log.warning("chain_forked", network=self._network, blocks=place.number - ancestor.number, deposits=len(gone))
        await self._save(Change(self._network, place, back_to=ancestor, deposits=[rules.lost(one) for one in gone]))
        return False

    async def _common_ancestor(self, tip: Block, place: Place) -> Place:
        lowest = place
        for known in await self._store.remembered(self._network, tip.number, REMEMBERED_MAX_BLOCKS):
            if await self._holds(known):
                return known
            lowest = known
        # All that is remembered is gone: go on below it.
        block = await self._chain.block(max(0, lowest.number - 1))
        if block is None:
            raise ChainMoved(f"{self._network}: no block below what was scanned")
        return Place(block.number, block.hash)

    async def _holds(self, known: Place) -> bool:
        block = await self._chain.block(known.number)
        if block is None:
            raise ChainMoved(f"{self._network}: a block of a number below the last is missing")
        return block.hash == known.hash

    async def _catch_up(self, place: Place) -> None:
        """Look again at blocks that were scanned before we knew of a place that people knew already."""
        late, first = await self._store.latecomers(self._network, self._clock.now())
        if not late:
            return
        found: list[Deposit] = []
        for start in range(first, place.number + 1, self._pace.span_max_blocks):
            await self._keep_turn()
            end = min(start + self._pace.span_max_blocks - 1, place.number)
            for scanned in await self._chain.scan(start, end, list(late)):
                found += await self._news.mined(scanned, late)
        found = [rules.at_height(deposit, place.number) for deposit in found]
        await self._save(Change(self._network, place, deposits=found, caught_up=list(late)))

    async def _go_on(self, place: Place, tip: Block) -> Place:
        """Scan the next blocks; answers where it stands then."""
        if place.number >= tip.number:
            return place
        watched = await self._store.watched(self._network, self._clock.now())
        open_ones = await self._store.unconfirmed(self._network)
        if not watched and not open_ones:
            return await self._save(Change(self._network, place, blocks=[tip]))
        last = min(place.number + self._pace.span_max_blocks, tip.number)
        for scanned in await self._chain.scan(place.number + 1, last, list(watched)):
            if scanned.block.parent != place.hash:
                raise ChainMoved(f"{self._network}: a block does not follow the one before it")
            place = await self._step(place, scanned, watched)
        return place

    async def _step(self, place: Place, scanned: Scanned, watched: Mapping[str, Watched]) -> Place:
        """One block: what it brought, and what it confirmed."""
        changed = {deposit.payment_id: deposit for deposit in await self._news.mined(scanned, watched)}
        for deposit in await self._store.unconfirmed(self._network):
            changed.setdefault(deposit.payment_id, deposit)
        height = scanned.block.number
        now = [rules.at_height(deposit, height) for deposit in changed.values()]
        return await self._save(Change(self._network, place, blocks=[scanned.block], deposits=now))

    async def _look_at_pool(self, place: Place, watched: Mapping[str, Watched]) -> None:
        """What waits to be mined is shown to people, and moves no money."""
        waiting = [one for one in await self._store.unconfirmed(self._network) if one.block_number is None]
        if not watched and not waiting:
            return
        pool = await self._chain.pool(list(watched))
        if pool is None:
            return
        tip = await self._chain.tip()
        if tip.hash != place.hash:
            # What left the pool meanwhile may be in the new block: the next round sees.
            return
        changed = await self._arrived(pool, watched)
        changed += [rules.lost(deposit) for deposit in waiting if deposit.tx not in pool.transactions]
        if changed:
            await self._save(Change(self._network, place, deposits=changed))

    async def _arrived(self, pool: Pool, watched: Mapping[str, Watched]) -> list[Deposit]:
        known = await self._news.known(pool.transfers)
        arrived = []
        for transfer in pool.transfers:
            deposit = known.get(f"{transfer.tx}.{transfer.place}")
            if deposit is None:
                deposit = rules.seen(self._network, transfer, watched[transfer.key], self._clock.now())
                arrived.append(rules.in_pool(deposit))
            elif deposit.state is State.WITHDRAWN:
                arrived.append(rules.in_pool(deposit))
        return arrived

    async def _save(self, change: Change) -> Place:
        """Write the step, and tell what it brought; answers where the network stands then."""
        await self._store.save(change)
        await self._news.tell([deposit for deposit in change.deposits if deposit.untold])
        if change.back_to is not None:
            return change.back_to
        if change.blocks:
            return Place(change.blocks[-1].number, change.blocks[-1].hash)
        assert change.was is not None
        return change.was

    async def _keep_turn(self) -> None:
        if not await self._store.take_turn(self._network):
            raise NotOurTurn(f"{self._network} is watched by another process")

    async def _tell_untold(self) -> None:
        await self._news.tell(await self._store.untold(self._network))
