"""Asks whatever listens at an address whether it is a Kafka that is ready, in Kafka's own protocol.

One question and one answer over a plain socket: quiet while nobody is there, and usable from any thread.
"""

from __future__ import annotations

import socket
import struct

METADATA, METADATA_VERSION = 3, 1
NO_TOPICS = 0
ANSWER_MAX_BYTES = 1024 * 1024
PROBE_TIMEOUT_S = 2.0


def brokers_at(host: str, port: int, timeout_s: float = PROBE_TIMEOUT_S) -> int:
    """How many live brokers the one at this address knows of; 0 when it does not answer (yet)."""
    name = b"probe"
    header = struct.pack(f">hhih{len(name)}s", METADATA, METADATA_VERSION, 1, len(name), name)
    request = header + struct.pack(">i", NO_TOPICS)
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(struct.pack(">i", len(request)) + request)
            size, _, brokers = struct.unpack(">iii", _read(connection, 12))
    except (OSError, EOFError):
        return 0
    return brokers if 0 < brokers < size <= ANSWER_MAX_BYTES else 0


def _read(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise EOFError
        received += piece
    return received
