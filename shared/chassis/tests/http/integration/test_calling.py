"""On uvloop, which services run on, a peer that resets everybody is an error of the network each time."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading

import httpx
import uvloop

from chassis.http.calling import HttpClient
from embedded.ports import LOOPBACK

CALLS = 300


def reset_everybody(listening: socket.socket) -> None:
    """Accept and reset, until there is nobody to listen for."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


async def call_often(port: int) -> int:
    failed = 0
    for _ in range(CALLS):
        async with HttpClient(trust_env=False) as client:
            try:
                await client.get(f"http://{LOOPBACK}:{port}/")
            except httpx.TransportError:
                failed += 1
    return failed


def test_a_peer_that_resets_is_an_error_of_the_network() -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        door = threading.Thread(target=reset_everybody, args=(listening,), daemon=True)
        door.start()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert runner.run(call_often(listening.getsockname()[1])) == CALLS
        listening.shutdown(socket.SHUT_RDWR)
    door.join()
