"""What a block brought to our addresses, made deposits; and what is told of deposits, as facts of gateway crypto.

One way for whoever found them, the watcher of the network or an operator: the same deposit has the same name, so that
it is told once. Knows no node and no table; what becomes of a deposit is ``domain.deposits``.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prometheus_client import Counter

from gateway_ingest.application.watching_ports import DepositStore, Scanned
from gateway_ingest.domain import deposits as rules
from gateway_ingest.domain.deposits import Block, Deposit, State, Transfer, Watched
from gateway_ingest.domain.facts import Reading

GATEWAY = "crypto"
NEWS = Counter("gridledger_chain_news", "News of deposits", ["network", "state"])

Keep = Callable[[str, Reading, bytes], Awaitable[Any]]
"""``Intake.keep``."""


class DepositNews:
    """Of one network."""

    def __init__(self, network: str, store: DepositStore, keep: Keep) -> None:
        self._network = network
        self._store = store
        self._keep = keep

    async def mined(self, scanned: Scanned, watched: Mapping[str, Watched]) -> list[Deposit]:
        """The deposits of a block that are not believed yet: those that were known, and new ones."""
        known = await self.known(scanned.transfers)
        found: dict[str, Deposit] = {}
        for transfer in scanned.transfers:
            deposit = self._deposit(transfer, scanned.block, watched, known)
            if deposit.state is not State.CONFIRMED:
                found[deposit.payment_id] = rules.mined(deposit, scanned.block)
        return list(found.values())

    async def known(self, transfers: Sequence[Transfer]) -> Mapping[str, Deposit]:
        """By transaction and place, what is known of the transactions that these are of."""
        transactions = {transfer.tx for transfer in transfers}
        if not transactions:
            return {}
        found = await self._store.deposits_of(self._network, transactions)
        return {f"{deposit.tx}.{deposit.place}": deposit for deposit in found}

    async def tell(self, changed: Sequence[Deposit]) -> None:
        """Tell their news, and note that they are out. Raises OperationalError: it comes again."""
        if not changed:
            return
        for deposit in changed:
            await self._keep(GATEWAY, rules.news_of(deposit), _as_json(deposit))
            NEWS.labels(self._network, deposit.state.value).inc()
        await self._store.mark_told(changed)

    def _deposit(
        self, transfer: Transfer, block: Block, watched: Mapping[str, Watched], known: Mapping[str, Deposit]
    ) -> Deposit:
        deposit = known.get(f"{transfer.tx}.{transfer.place}")
        if deposit is not None and not rules.is_same_payment(deposit, transfer):
            transfer = replace(transfer, place=f"{transfer.place}-{block.hash[-12:]}")
            deposit = known.get(f"{transfer.tx}.{transfer.place}")
        if deposit is None:
            return rules.seen(self._network, transfer, watched[transfer.key])
        if deposit.fork is None and deposit.state is not State.CONFIRMED:
            return replace(deposit, amount=transfer.amount)
        return deposit


def _as_json(deposit: Deposit) -> bytes:
    """What is kept as the raw event: all of it is public on the chain."""
    fields = {
        "network": deposit.network,
        "tx": deposit.tx,
        "place": deposit.place,
        "to": deposit.key,
        "units": str(deposit.amount.units),
        "asset": deposit.amount.asset,
        "reference": deposit.reference,
        "state": deposit.state.value,
        "block": deposit.block_hash,
        "confirmations": max(0, deposit.told_confirmations),
        "required": deposit.required,
        "refund": deposit.fork,
    }
    return json.dumps(fields).encode()
