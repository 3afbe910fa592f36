"""Two services know the same networks, each for itself: an address is given out by one and watched by the other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from embit.script import p2wpkh

import gateway_ingest.domain.networks as watched
import payments_api.domain.crypto_networks as offered
from gateway_ingest.domain.bitcoin_address import script_of
from payments_api.adapters.gateways.crypto.keys import BitcoinChain, bitcoin_key

# The accounts of the words that every wallet's authors test with.
MAIN_KEY = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
)
TEST_KEY = (
    "vpub5Y6cjg78GGuNLsaPhmYsiw4gYX3HoQiRBiSwDaBXKUafCt9bNwWQiitDk5VZ5BVxYnQdwoTyXSs2JHRPAgjAvtbBrf8ZhDYe2jWAqvZVnsc"
)

TokensByCode = Mapping[str, tuple[str, int]]


def test_networks_are_the_same() -> None:
    given_out = {
        key: (network.family, network.coin, network.exponent, network.chain_id)
        for key, network in offered.NETWORKS.items()
    }
    assert given_out == {
        key: (network.family, network.coin, network.exponent, network.chain_id)
        for key, network in watched.NETWORKS.items()
    }


def test_tokens_are_the_same() -> None:
    assert {key: _offered(network) for key, network in offered.NETWORKS.items()} == {
        key: {token.code: (token.contract, token.exponent) for token in watched.known_tokens(key)}
        for key in watched.NETWORKS
    }


@pytest.mark.parametrize(("text", "chain"), [(MAIN_KEY, "main"), (TEST_KEY, "test"), (TEST_KEY, "regtest")])
def test_what_is_given_out_on_bitcoin_is_what_is_watched(text: str, chain: BitcoinChain) -> None:
    key = bitcoin_key(text, chain)
    for index in (0, 1, 1_000):
        assert script_of(key.address(index)) == p2wpkh(key.receiving.child(index).key).data.hex()


def _offered(network: offered.Network) -> TokensByCode:
    coins = offered.known_tokens(network)
    return {coin.code: (str(coin.contract).lower(), coin.exponent) for coin in coins}
