"""Addresses as scripts, against published vectors and an independent implementation."""

from __future__ import annotations

import pytest
from embit import script
from embit.networks import NETWORKS
from hypothesis import given
from hypothesis import strategies as st

from gateway_ingest.domain.bitcoin_address import BadAddress, script_of


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
        (
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        ),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
        ("bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "0014c0cebcd6c3d3ca8c75dc5ec62ebe55330ef910e2"),
    ],
)
def test_published_addresses(address: str, expected: str) -> None:
    assert script_of(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "bc1zw508d6qejxtdg4y5r3zarvaryvqyzf3du",
        "bc1gmk9yu",
        "bc1" + "q" * 200,
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadAddress):
        script_of(address)


@given(st.binary(min_size=20, max_size=20), st.sampled_from(["main", "test", "regtest"]))
def test_an_independent_implementation_agrees(program: bytes, network: str) -> None:
    found = script.Script(b"\x00\x14" + program)
    assert script_of(found.address(NETWORKS[network])) == found.data.hex()


@given(st.binary(min_size=20, max_size=20), st.integers(4, 41), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_one_wrong_character_is_seen(program: bytes, place: int, character: str) -> None:
    address = script.Script(b"\x00\x14" + program).address()
    wrong = address[:place] + character + address[place + 1 :]
    if wrong == address:
        return
    with pytest.raises(BadAddress):
        script_of(wrong)
