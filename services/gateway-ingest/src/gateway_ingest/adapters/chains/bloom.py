"""A block's filter of logs: which addresses and topics they may hold. It errs on one side: what it denies is not there.

Every header of Ethereum's kind carries one (``logsBloom``), so that a list of logs can be held against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from eth_hash.auto import keccak

BITS = 2048
FULL = (1 << BITS) - 1
PLACES = (0, 2, 4)
"""Bytes of the hash where the three bits of an item stand."""
REMEMBERED_MAX_ITEMS = 8_192


def filter_of(header: Mapping[str, Any]) -> int:
    """The header's filter; one that may hold anything where the node shows none. Raises ValueError, TypeError."""
    shown = header.get("logsBloom")
    return FULL if shown is None else int(shown, 16)


def filter_of_logs(logs: Iterable[Mapping[str, Any]]) -> int:
    """What a block of these logs has in its header."""
    found = 0
    for log in logs:
        found |= bits_of(log["address"])
        for topic in log["topics"]:
            found |= bits_of(topic)
    return found


def may_hold(shown: int, item: str) -> bool:
    """Whether there may be a log of that address, or with that topic."""
    bits = bits_of(item)
    return shown & bits == bits


@lru_cache(REMEMBERED_MAX_ITEMS)
def bits_of(item: str) -> int:
    """The bits of an address or a topic, written in hex as nodes do. Raises ValueError."""
    digest = keccak(bytes.fromhex(item[2:]))
    bits = 0
    for place in PLACES:
        bits |= 1 << (int.from_bytes(digest[place : place + 2], "big") % BITS)
    return bits
