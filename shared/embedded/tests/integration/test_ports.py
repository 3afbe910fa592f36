"""Ports to listen on: free ones, and the system's word for why not."""

from __future__ import annotations

import random
import socket

import pytest

from embedded import ports
from embedded.ports import LOOPBACK, NoFreePort, free_port, free_ports, port_refusal


def test_a_free_port_can_be_listened_on_and_then_no_more() -> None:
    port = free_port()
    with socket.socket() as listening:
        listening.bind((LOOPBACK, port))
        listening.listen()
        assert port_refusal(port) == "Address already in use"
    assert port_refusal(port) is None


def test_those_seeded_alike_do_not_choose_alike() -> None:
    random.seed(7)
    some = free_ports(8)
    random.seed(7)

    assert len(set(some)) == len(some)
    assert set(free_ports(8)) != set(some)


def test_where_all_are_taken_it_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        listening.listen()
        port = listening.getsockname()[1]
        monkeypatch.setattr(ports, "PORTS", range(port, port + 1))
        monkeypatch.setattr(ports, "ATTEMPTS_MAX", 1)

        with pytest.raises(NoFreePort, match=f"no 1 free ports found between {port} and {port + 1}"):
            free_port()
