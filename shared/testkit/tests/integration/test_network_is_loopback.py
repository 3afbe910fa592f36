"""An integration test reaches this machine and nothing else."""

import socket

import pytest
from pytest_socket import SocketConnectBlockedError


def test_the_loopback_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            assert client.getpeername() == address


def test_another_machine_cannot() -> None:
    with pytest.warns(UserWarning, match="connect"), pytest.raises(SocketConnectBlockedError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_the_marker_came_from_the_folder(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("integration") is not None
