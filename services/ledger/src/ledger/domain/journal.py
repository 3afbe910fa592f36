"""The double-entry journal: postings, entries and the chart of accounts.

An entry is two or more postings whose amounts sum to zero per asset. Nothing here is ever edited: what was wrong is
undone by a new entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Posting(NamedTuple):
    """One line of an entry: ``amount`` smallest units of ``asset``, signed, to ``account``."""

    account: str
    asset: str
    amount: int


Entry = tuple[Posting, ...]

EXCHANGE = "platform:exchange"
COMMISSION = "platform:commission"
PROMOTIONS = "platform:promotions"
ADJUSTMENTS = "platform:adjustments"
UNALLOCATED = "platform:unallocated"
DISPUTES = "platform:disputes"
GRID_PAYABLE = "grid:payable"


def wallet_account(user_id: str) -> str:
    """What a person can spend; below zero it is their debt."""
    return f"wallet:{user_id}"


def held_account(user_id: str) -> str:
    """What is set aside for deployments under way."""
    return f"wallet:{user_id}:held"


def gateway_account(gateway: str) -> str:
    """What a gateway took in for us: the more it received, the further below zero."""
    return f"gateway:{gateway}"


def fees_account(gateway: str) -> str:
    """What a gateway kept for itself: the more, the further below zero."""
    return f"platform:fees:{gateway}"


class UnbalancedEntry(AssertionError):
    """An entry that does not sum to zero: a bug in the ledger, never a caller's fault."""


def entry(*postings: Posting) -> Entry:
    """A balanced entry of the postings that move anything. Raises UnbalancedEntry."""
    moved = tuple([posting for posting in postings if posting[2]])
    totals = totals_by_asset(moved)
    if any(totals.values()):
        raise UnbalancedEntry(f"entry is off by {totals}")
    return moved


def move(source: str, target: str, asset: str, amount: int) -> tuple[Posting, Posting]:
    """The two postings that take ``amount`` from ``source`` to ``target``."""
    return Posting(source, asset, -amount), Posting(target, asset, amount)


def totals_by_asset(postings: Iterable[Posting]) -> Mapping[str, int]:
    """The sum of the amounts per asset: all zero for a balanced set."""
    totals: dict[str, int] = {}
    for _, asset, amount in postings:
        totals[asset] = totals.get(asset, 0) + amount
    return totals
