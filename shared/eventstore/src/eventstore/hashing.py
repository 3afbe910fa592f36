"""The hash chain of a stream: every event's hash covers its stored bytes and the hash before it.

Whoever changes, removes or reorders a stored event breaks the chain from there on. Fields are length-prefixed, so that
no two different events have the same bytes to hash.
"""

from __future__ import annotations

from hashlib import sha256

GENESIS = bytes(32)
"""What stands before the first event of a stream."""


def chain(prev_hash: bytes, stream: str, version: int, topic: str, state: bytes) -> bytes:
    """The hash of an event that follows ``prev_hash``: SHA-256, 32 bytes."""
    stream_bytes, topic_bytes = stream.encode(), topic.encode()
    return sha256(
        b"%b%d:%b%d:%d:%b%d:%b"
        % (prev_hash, len(stream_bytes), stream_bytes, version, len(topic_bytes), topic_bytes, len(state), state)
    ).digest()
