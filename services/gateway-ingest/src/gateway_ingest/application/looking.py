"""Looks at one transaction because an operator says so: for coins that the watcher of a network did not see.

What it finds are the same deposits, under the same names, that the watcher would have found, and they wait for as many
blocks; so whoever tells of them, and however often, they are credited once. Goes no further than the watcher has come:
that alone follows them on, over the blocks that are still to come and over forks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway_ingest.application.deposit_news import DepositNews, Keep
from gateway_ingest.application.watching_ports import Chain, DepositStore, Looked, Scanned
from gateway_ingest.domain import deposits as rules
from gateway_ingest.domain.deposits import Block, Deposit, Transfer
from gateway_ingest.domain.facts import Amount


class NotTold(Exception):
    """There is nothing that could be told now. The text is one line and says why."""


class Done(StrEnum):
    """What became of a deposit that was found."""

    TOLD = "told"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Stated:
    """What a contract sent to ``key`` from within, by an operator's word; ``units`` of the network's own coin."""

    key: str
    units: int


@dataclass(frozen=True, slots=True)
class Found:
    """A deposit as it is now, with what was done."""

    deposit: Deposit
    done: Done


@dataclass(frozen=True, slots=True)
class Report:
    """What a transaction brought us; ``confirmations`` by how far the network was scanned."""

    network: str
    tx: str
    block: Block
    confirmations: int
    found: Sequence[Found]


class Looking:
    """At one network."""

    def __init__(self, chain: Chain, own_coin: Amount, store: DepositStore, keep: Keep) -> None:
        """``own_coin`` is none of the network's own coin."""
        self._chain = chain
        self._network = chain.network
        self._own_coin = own_coin
        self._store = store
        self._news = DepositNews(chain.network, store, keep)

    async def look(self, tx: str, in_block: int | None = None, stated: Stated | None = None) -> Report:
        """Tell what came to us by ``tx`` and was not told before. Raises NotTold, SettingsError, OperationalError."""
        await self._chain.check()
        looked = await self._chain.transaction(tx, in_block)
        block, height = await self._scanned_block(looked)
        assert looked is not None, "it has a block"
        transfers = [*looked.transfers, *(() if stated is None else await self._stated(tx, looked, block, stated))]
        watched = await self._store.awaited(self._network, {transfer.key for transfer in transfers})
        ours = [transfer for transfer in transfers if transfer.key in watched and transfer.amount.units > 0]
        if not ours:
            raise NotTold(_nothing(looked))
        was = await self._store.deposits_of(self._network, {tx})
        mined = await self._news.mined(Scanned(block, ours), watched)
        now = [rules.at_height(deposit, height) for deposit in mined]
        if now:
            await self._store.add(self._network, block, was, now)
            await self._news.tell([deposit for deposit in now if deposit.untold])
        return Report(self._network, tx, block, height - block.number + 1, _found(was, now))

    async def _scanned_block(self, looked: Looked | None) -> tuple[Block, int]:
        """Its block, and how far the network was scanned."""
        if looked is None:
            raise NotTold("the node knows no such transaction")
        if looked.block is None:
            raise NotTold("it waits to be mined")
        if looked.has_failed:
            raise NotTold("it failed, so it moved nothing")
        place = await self._store.place(self._network)
        if place is None:
            raise NotTold(f"{self._network} was never watched")
        if place.number < looked.block.number:
            raise NotTold(f"it is in block {looked.block.number}, and the watcher has only come to {place.number}")
        return looked.block, place.number

    async def _stated(self, tx: str, looked: Looked, block: Block, stated: Stated) -> Sequence[Transfer]:
        """What the operator says, held against what the node can tell of it."""
        place = rules.place_within(stated.key)
        if looked.is_all:
            seen = sum(transfer.amount.units for transfer in looked.transfers if transfer.place == place)
            if seen != stated.units:
                raise NotTold(f"the node saw {seen} units come to that address from within, not {stated.units}")
            return ()
        await self._check_gain(looked, block, stated)
        for known in await self._store.deposits_of(self._network, {tx}):
            if known.place == place and known.amount.units != stated.units:
                raise NotTold(f"it was told before, with {known.amount.units} units")
        amount = Amount(stated.units, self._own_coin.currency, self._own_coin.exponent)
        return (Transfer(tx, place, stated.key, amount),)

    async def _check_gain(self, looked: Looked, block: Block, stated: Stated) -> None:
        """By the balances before and after the block, where the node remembers them."""
        after = await self._chain.balance(stated.key, block.number)
        before = await self._chain.balance(stated.key, block.number - 1)
        if after is None or before is None:
            return
        asset = self._own_coin.asset
        shown = [one for one in looked.transfers if one.key == stated.key and one.amount.asset == asset]
        gained = after - before - sum(one.amount.units for one in shown)
        if gained < stated.units:
            raise NotTold(f"in its block that address gained {max(0, gained)} units from within, not {stated.units}")


def _nothing(looked: Looked) -> str:
    hint = "" if looked.is_all else "; the node cannot trace, so say with --address and --units what came from within"
    return f"nothing that it moves came to an address of ours{hint}"


def _found(was: Sequence[Deposit], now: Sequence[Deposit]) -> Sequence[Found]:
    """All of the transaction's deposits, those that were there and the new ones."""
    deposits = {deposit.payment_id: deposit for deposit in was} | {deposit.payment_id: deposit for deposit in now}
    return [Found(one, Done.TOLD if one.untold else Done.KNOWN) for _, one in sorted(deposits.items())]
