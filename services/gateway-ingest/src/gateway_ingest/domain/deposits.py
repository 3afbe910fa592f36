"""Coins that came to an address of ours: what becomes of a deposit while blocks come and go, and what is told of it.

Plain functions over frozen records: no chain, no clock. What is told (``news_of``) follows from the record alone, so
that a process that died before it told finds the same words again. Each deposit is one payment of gateway ``crypto``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from gateway_ingest.domain.facts import Amount, Confirmed, Finding, Odd, Pending, Reading, RefundTold

UNITS_MAX = 10**38
"""More smallest units than any coin has; the books take none of it."""
COINBASE_CONFIRMATIONS = 100
"""Newly mined bitcoins cannot be spent before."""
SEEN_HONOURED_MAX = timedelta(hours=2)
"""A payment counts from when it was first seen, unless it took longer than this into a block: else whoever sends with
hardly a fee could keep a price open for as long as they like."""
TOLD_STEPS_MAX = 6
"""Where a network needs many blocks, not each of them is told."""
NEVER_TOLD = -1


class State(StrEnum):
    """Stored; never renamed."""

    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a chain; ``time`` as its miner says."""

    number: int
    hash: str
    parent: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Transfer:
    """``amount`` moved to ``key`` (an address in lower case, a script in hex) at ``place`` of transaction ``tx``."""

    tx: str
    place: str
    key: str
    amount: Amount
    is_coinbase: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """A place where coins for ``reference`` are awaited."""

    key: str
    reference: str
    confirmations: int


@dataclass(frozen=True, slots=True)
class Deposit:
    """Coins that came, in the block that holds them now, if one does.

    ``fork`` names the refund by which the books took it back when it was last lost after being believed; ``forks``
    counts how often. ``told_confirmations`` is what was last told, ``news`` counts the news, ``untold`` says that the
    last is still to be told.
    """

    network: str
    tx: str
    place: str
    key: str
    reference: str
    amount: Amount
    required: int
    state: State = State.UNCONFIRMED
    seen_at: datetime | None = None
    block_number: int | None = None
    block_hash: str | None = None
    block_time: datetime | None = None
    fork: str | None = None
    forks: int = 0
    told_confirmations: int = NEVER_TOLD
    news: int = 0
    untold: bool = False

    @property
    def payment_id(self) -> str:
        """The gateway's id of the payment: the same on every way, in lower case."""
        return f"{self.network}.{self.tx}.{self.place}"


def seen(network: str, transfer: Transfer, watched: Watched, at: datetime | None = None) -> Deposit:
    """A transfer that was never seen before, at ``at`` while in no block. At least one block makes us believe."""
    required = max(watched.confirmations, COINBASE_CONFIRMATIONS if transfer.is_coinbase else 1)
    return Deposit(
        network, transfer.tx, transfer.place, transfer.key, watched.reference, transfer.amount, required, seen_at=at
    )


def in_pool(deposit: Deposit) -> Deposit:
    """It waits to be mined."""
    if deposit.fork is not None:
        return deposit
    return _with_news(replace(deposit, state=State.UNCONFIRMED, told_confirmations=0))


def mined(deposit: Deposit, block: Block) -> Deposit:
    """It is in ``block``; how much that is worth ``at_height`` says."""
    return replace(
        deposit,
        state=State.UNCONFIRMED,
        block_number=block.number,
        block_hash=block.hash,
        block_time=block.time,
        told_confirmations=NEVER_TOLD if deposit.state is State.WITHDRAWN else deposit.told_confirmations,
    )


def at_height(deposit: Deposit, height: int) -> Deposit:
    """With the chain's last block at ``height``: believed, or a step nearer to it."""
    if deposit.state is not State.UNCONFIRMED or deposit.block_number is None:
        return deposit
    confirmations = height - deposit.block_number + 1
    if confirmations >= deposit.required:
        return _with_news(replace(deposit, state=State.CONFIRMED, told_confirmations=deposit.required))
    # What the books took back stays with them until it is believed again; nothing is told in between.
    if deposit.fork is not None or _step(deposit, confirmations) <= _step(deposit, deposit.told_confirmations):
        return deposit
    return _with_news(replace(deposit, told_confirmations=confirmations))


def lost(deposit: Deposit) -> Deposit:
    """Its block is none of the chain's any more, or it left the pool of those that wait for one."""
    if deposit.state is State.WITHDRAWN:
        return deposit
    gone = replace(
        deposit,
        state=State.WITHDRAWN,
        block_number=None,
        block_hash=None,
        block_time=None,
        told_confirmations=NEVER_TOLD,
    )
    if deposit.state is State.CONFIRMED:
        again = f".{deposit.forks + 1}" if deposit.forks else ""
        return _with_news(replace(gone, fork=f"fork.{deposit.block_hash}{again}", forks=deposit.forks + 1))
    return gone if deposit.fork is not None else _with_news(gone)


def told(deposit: Deposit) -> Deposit:
    """Its news is out."""
    return replace(deposit, untold=False)


def is_same_payment(deposit: Deposit, transfer: Transfer) -> bool:
    """Whether ``transfer`` is this deposit again. A contract that runs anew in another block may move another amount;
    what the books know under this name already is then not what came."""
    return deposit.fork is None or (deposit.amount, deposit.key) == (transfer.amount, transfer.key)


def place_within(key: str) -> str:
    """The place of all that contracts send to ``key`` while one transaction runs."""
    return f"within-{key}"


def news_of(deposit: Deposit) -> Reading:
    """What is to be told of it now. Repeats word by word until the deposit changes."""
    finding = _finding(deposit)
    event_id = f"{deposit.payment_id}.{_event_name(deposit, finding)}"
    occurred_at = _paid_at(deposit) if isinstance(finding, Confirmed) else None
    return Reading(event_id, f"deposit.{deposit.state.value}", occurred_at, finding)


def _finding(deposit: Deposit) -> Finding:
    payment = deposit.payment_id
    if not 0 < deposit.amount.units < UNITS_MAX:
        return Odd("amount_out_of_range")
    if deposit.fork is not None and deposit.state is not State.UNCONFIRMED:
        is_back = deposit.state is State.CONFIRMED
        return RefundTold(payment, deposit.fork, deposit.amount, "failed" if is_back else "succeeded", "chain fork")
    if deposit.state is State.CONFIRMED:
        return Confirmed(payment, deposit.amount, deposit.reference)
    told_of = max(0, deposit.told_confirmations)
    is_gone = deposit.state is State.WITHDRAWN
    shown: Literal["withdrawn", "unconfirmed"] = "withdrawn" if is_gone else "unconfirmed"
    return Pending(payment, shown, deposit.amount, told_of, deposit.required, deposit.reference)


def _event_name(deposit: Deposit, finding: Finding) -> str:
    if isinstance(finding, RefundTold):
        return f"{finding.refund_id}.{finding.state}"
    if isinstance(finding, Confirmed):
        return "confirmed"
    # News that move no money may come again in the same words: a transaction that leaves the pool twice.
    return f"{deposit.news}.{deposit.state.value}.{max(0, deposit.told_confirmations)}"


def _paid_at(deposit: Deposit) -> datetime | None:
    if deposit.seen_at is None or deposit.block_time is None:
        return deposit.block_time
    is_honoured = deposit.block_time - SEEN_HONOURED_MAX <= deposit.seen_at <= deposit.block_time
    return deposit.seen_at if is_honoured else deposit.block_time


def _with_news(deposit: Deposit) -> Deposit:
    return replace(deposit, news=deposit.news + 1, untold=True)


def _step(deposit: Deposit, confirmations: int) -> int:
    """How many of the steps that are told so many confirmations are; the first block is always one."""
    if deposit.required <= TOLD_STEPS_MAX or confirmations <= 0:
        return confirmations
    return 1 + confirmations * (TOLD_STEPS_MAX - 1) // deposit.required
