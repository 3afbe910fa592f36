"""Headers as one bytes value, for storing records in a table.

Length-prefixed names and values, so that any bytes survive; order and repeats are kept. Must never change: stored
records hold it.
"""

from __future__ import annotations

import struct

from chassis.bus.port import Headers

_LENGTHS = struct.Struct(">HI")


class MalformedHeaders(ValueError):
    """The bytes were not written by ``pack_headers``."""


def pack_headers(headers: Headers) -> bytes:
    """All headers in one value; none give b""."""
    parts: list[bytes] = []
    for name, value in headers:
        encoded = name.encode()
        parts += (_LENGTHS.pack(len(encoded), len(value)), encoded, value)
    return b"".join(parts)


def unpack_headers(packed: bytes) -> Headers:
    """The inverse of ``pack_headers``. Raises MalformedHeaders."""
    headers: list[tuple[str, bytes]] = []
    position = 0
    while position < len(packed):
        try:
            name_length, value_length = _LENGTHS.unpack_from(packed, position)
        except struct.error as error:
            raise MalformedHeaders("cut short") from error
        middle = position + _LENGTHS.size + name_length
        end = middle + value_length
        if end > len(packed):
            raise MalformedHeaders("cut short")
        headers.append((packed[position + _LENGTHS.size : middle].decode(), packed[middle:end]))
        position = end
    return tuple(headers)
