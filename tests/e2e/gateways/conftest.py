"""What the tests of single gateways share: a whole stack that watches a real Ethereum node."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from embedded.ports import free_port
from testkit.chains import Anvil, anvil
from testkit.registry_programs import ProgramMissing, skip_or_fail

# The account of the words that every wallet's authors test with: whatever comes to it in life is anybody's.
COINS_XPUB = (
    "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt"
)
TEST_CHAIN_ID = 31337


@dataclass(frozen=True)
class CoinsStack:
    """A stack that watches ``node``, on which it takes its coin and two tokens: ``token`` has a stated rate, the other
    (DAI) has none, and the sources of rates are not there."""

    stack: Any
    node: Anvil
    token: str


@dataclass(frozen=True)
class CoinsChain:
    """A real Ethereum node with two tokens, and the settings of a stack that watches it."""

    node: Anvil
    token: str
    environment: Mapping[str, str]


@pytest.fixture(scope="session")
def coins_chain() -> Iterator[CoinsChain]:
    """Alone on the loopback address."""
    try:
        with anvil(TEST_CHAIN_ID) as node:
            token, unpriced = node.deploy_token(), node.deploy_token()
            yield CoinsChain(node, token, _coins_environment(node, token, unpriced))
    except ProgramMissing as missing:
        skip_or_fail(missing)


@pytest.fixture
def coins_stack(coins_chain: CoinsChain, shared_stack: Any) -> CoinsStack:
    """On ``coins_chain``."""
    stack = shared_stack("coins", BUS="postgresql", **coins_chain.environment)
    return CoinsStack(stack, coins_chain.node, coins_chain.token)


def _coins_environment(node: Anvil, token: str, unpriced: str) -> Mapping[str, str]:
    """Rates with which 25 dollars are a whole number of smallest units, and so are parts of it."""
    tokens = [
        {"network": "ethereum", "code": code, "contract": contract, "decimals": 18}
        for code, contract in (("TUSD", token), ("DAI", unpriced))
    ]
    nowhere = f"http://127.0.0.1:{free_port()}"
    return {
        "CRYPTO_ETHEREUM_RPC_URL": node.url,
        "CRYPTO_EVM_XPUB": COINS_XPUB,
        "CRYPTO_NETWORKS": "ethereum",
        "CRYPTO_CHAIN_IDS": json.dumps({"ethereum": TEST_CHAIN_ID}),
        "CRYPTO_TOKENS": json.dumps(tokens),
        "CRYPTO_CONFIRMATIONS": json.dumps({"ethereum": 3}),
        "CRYPTO_SPREADS": json.dumps({"ETH": "0", "TUSD": "0"}),
        "CRYPTO_POLL_S": "0.2",
        "FIXED_RATES": "BTC=60000,ETH=2500,TUSD=1",
        "KRAKEN_URL": nowhere,
        "COINGECKO_URL": nowhere,
    }


@pytest_asyncio.fixture
async def coins_visitor(coins_stack: CoinsStack, somebody_new: Callable[[Any], Awaitable[Any]]) -> Any:
    """Somebody new on ``coins_stack``, signed in."""
    return await somebody_new(coins_stack.stack)
