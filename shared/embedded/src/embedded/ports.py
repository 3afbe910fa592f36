"""Ports of the loopback address: ones that nobody listens on, and why one cannot be had."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence

LOOPBACK = "127.0.0.1"
# Below the ports that systems give to outgoing connections: what is away for a while must find its port free when it
# comes back, although clients knock at it all the time.
PORTS = range(20_000, 30_000)
ATTEMPTS_MAX = 200


class NoFreePort(OSError):
    """Too many ports are taken; the text says among which was looked."""


def free_port() -> int:
    """A port that nobody has. Raises NoFreePort."""
    return free_ports(1)[0]


def free_ports(count: int) -> Sequence[int]:
    """As many ports that nobody has, out of PORTS, no two alike. Raises NoFreePort.

    The system's own randomness chooses: processes that were seeded alike, as tests are, must not choose alike.
    """
    free: list[int] = []
    for port in secrets.SystemRandom().sample(PORTS, ATTEMPTS_MAX):
        if port_refusal(port) is None:
            free.append(port)
        if len(free) == count:
            return free
    raise NoFreePort(f"no {count} free ports found between {PORTS.start} and {PORTS.stop}")


def port_refusal(port: int) -> str | None:
    """Why nobody could begin to listen there now, in the system's words; None where somebody could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
