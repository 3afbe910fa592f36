"""What watching a chain needs from outside: the chain itself, and the tables that remember."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chassis.errors import OperationalError
from gateway_ingest.domain.deposits import Block, Deposit, Transfer, Watched


class ChainMoved(OperationalError):
    """What the node answered does not fit together: it changed its mind in between, or asks several nodes behind it."""


class NotOurTurn(OperationalError):
    """Another process watches this network now; nothing was written."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A block with what it moved to the places that were asked for."""

    block: Block
    transfers: Sequence[Transfer]


@dataclass(frozen=True, slots=True)
class Pool:
    """Transactions that wait to be mined: the ids of all, and what those seen for the first time move to us."""

    transactions: Collection[str]
    transfers: Sequence[Transfer]


@dataclass(frozen=True, slots=True)
class Looked:
    """One transaction with all that it moves to anybody; ``block`` is None while it waits to be mined. Unless it
    ``is_all``, coins that contracts sent from within are missing: the node cannot trace them."""

    block: Block | None
    transfers: Sequence[Transfer] = ()
    has_failed: bool = False
    is_all: bool = True


class Chain(Protocol):
    """A node of one network. Every call raises OperationalError when it is away, refuses or contradicts itself."""

    @property
    def network(self) -> str:
        """The network's key."""
        ...

    async def check(self) -> None:
        """Raises SettingsError when the node is none of this network, or a token is not what the settings say."""
        ...

    async def tip(self) -> Block:
        """The last block."""
        ...

    async def block(self, number: int) -> Block | None:
        """The chain's block of that number; None when it has none (yet)."""
        ...

    async def scan(self, first: int, last: int, keys: Collection[str]) -> Sequence[Scanned]:
        """Blocks ``first`` to ``last``, each with what it moved to ``keys``."""
        ...

    async def pool(self, keys: Collection[str]) -> Pool | None:
        """What waits to be mined; None where a network's pool is not looked at."""
        ...

    async def transaction(self, tx: str, in_block: int | None = None) -> Looked | None:
        """The transaction of that hash, None when the node knows none; ``in_block`` says where to look for it, if the
        node keeps no index of transactions."""
        ...

    async def balance(self, key: str, number: int) -> int | None:
        """How many units of the network's own coin ``key`` held after that block; None where the node cannot tell."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """How far a network was scanned."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Change:
    """One step, written at once or not at all: the place where the network stood, ``blocks`` that were scanned since
    (the last is the new place), or ``back_to`` after a fork; deposits as they are now; keys that are caught up with."""

    network: str
    was: Place | None
    blocks: Sequence[Block] = ()
    back_to: Place | None = None
    deposits: Sequence[Deposit] = ()
    caught_up: Collection[str] = ()


class DepositStore(Protocol):
    """The tables of watched addresses, deposits and blocks. Every call raises OperationalError when they are away."""

    async def take_turn(self, network: str) -> bool:
        """Whether this process watches ``network`` for now; it lasts two minutes beyond the last write."""
        ...

    async def place(self, network: str) -> Place | None:
        """How far ``network`` was scanned; None before the first time."""
        ...

    async def watched(self, network: str, now: datetime) -> Mapping[str, Watched]:
        """By key, all that are watched and caught up with, and those where something came that is not believed."""
        ...

    async def latecomers(self, network: str, now: datetime) -> tuple[Mapping[str, Watched], int]:
        """Places that people were told of before we knew, and the number of the first block that may hold something
        for them."""
        ...

    async def deposits_of(self, network: str, transactions: Collection[str]) -> Sequence[Deposit]:
        """Whatever is known of these transactions."""
        ...

    async def awaited(self, network: str, keys: Collection[str]) -> Mapping[str, Watched]:
        """Those of ``keys`` that were ever places for payments of ours, watched or not any more."""
        ...

    async def own_coins_seen(self, network: str, currency: str, keys: Collection[str], upto: int) -> Mapping[str, int]:
        """How many units of ``currency`` came to each of ``keys`` in blocks up to that number."""
        ...

    async def unconfirmed(self, network: str) -> Sequence[Deposit]:
        """Those that are not believed yet, in a block or not."""
        ...

    async def in_blocks_above(self, network: str, number: int) -> Sequence[Deposit]:
        """Those whose block has a greater number."""
        ...

    async def remembered(self, network: str, upto: int, limit: int) -> Sequence[Place]:
        """Blocks that were scanned, of numbers up to ``upto``, the last one first."""
        ...

    async def untold(self, network: str) -> Sequence[Deposit]:
        """Those with news that are still to be told, oldest first."""
        ...

    async def mark_told(self, deposits: Sequence[Deposit]) -> None:
        """These news are out."""
        ...

    async def save(self, change: Change) -> None:
        """Write the step. Raises NotOurTurn."""
        ...

    async def add(self, network: str, block: Block, was: Sequence[Deposit], now: Sequence[Deposit]) -> None:
        """Write deposits of one transaction of ``block``, which this process does not watch, while no step is written.
        Raises ChainMoved unless the block is scanned and still stands, and they are as they were in ``was``."""
        ...
