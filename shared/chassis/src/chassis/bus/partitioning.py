"""Which partition a key belongs to: murmur2, exactly as Kafka's Java client does it.

The same on every adapter, so that a key keeps its partition when the bus changes. Must never change.
"""

from __future__ import annotations

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash as a signed number, as in org.apache.kafka.common.utils.Utils."""
    length = len(data)
    hashed = _SEED ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        chunk = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _MASK
        chunk = (chunk ^ chunk >> 24) * _MULTIPLIER & _MASK
        hashed = (hashed * _MULTIPLIER & _MASK) ^ chunk
    if whole < length:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    hashed = (hashed ^ hashed >> 13) * _MULTIPLIER & _MASK
    hashed ^= hashed >> 15
    return hashed - (1 << 32) if hashed > _POSITIVE else hashed


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of ``key`` among ``partitions`` (at least 1). An empty key is refused: it has no order to keep."""
    if not key:
        raise ValueError("a record needs a key")
    return (murmur2(key) & _POSITIVE) % partitions
