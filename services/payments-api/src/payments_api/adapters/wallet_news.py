"""Wallets as the ledger tells of them, told on to their owners: never an older one after a newer.

Holds no balance: what a wallet has is asked of the ledger.
"""

from __future__ import annotations

from typing import Any

from contracts.messages import TransactionRow, WalletSnapshot
from payments_api.adapters import live_events
from payments_api.application import presenting
from payments_api.application.ports import Wallet

_IS_NEWS = """
INSERT INTO wallets_told (user_id, version) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET version = excluded.version WHERE wallets_told.version < excluded.version
RETURNING version
"""


async def is_news(conn: Any, wallet: WalletSnapshot) -> bool:
    """Whether no newer wallet was told yet; from now on none that is older will be. Ask before any lane is taken."""
    return await conn.fetchval(_IS_NEWS, wallet.user_id, wallet.version) is not None


async def tell(conn: Any, wallet: WalletSnapshot, transaction: TransactionRow | None) -> None:
    """Tell the owner. Takes the live lane: the last step."""
    asset = wallet.available.asset
    known = Wallet(wallet.available.units, wallet.held.units, wallet.debt.units, wallet.version)
    shown = presenting.balance(asset, known)
    shown["transaction"] = None if transaction is None else presenting.transaction(transaction)
    await live_events.append(conn, wallet.user_id, "balance", shown)
