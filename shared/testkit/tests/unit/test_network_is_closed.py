"""A unit test has no network, but may have an event loop."""

import asyncio
import socket

import pytest
from pytest_socket import SocketBlockedError


def test_no_socket_can_be_made() -> None:
    with pytest.warns(UserWarning, match="socket"), pytest.raises(SocketBlockedError):
        socket.socket(socket.AF_INET)


def test_no_name_can_be_looked_up() -> None:
    with pytest.warns(UserWarning, match="getaddrinfo"), pytest.raises(SocketBlockedError):
        socket.getaddrinfo("localhost", 80)


def test_an_event_loop_still_works() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    with asyncio.Runner() as runner:
        assert runner.run(answer()) == 42
