"""The networks whose coins we know: what each is called, its own coin, its kind, and how many blocks make us believe.

Nothing here is looked up: what can differ by place (chain ids of test networks, tokens) comes in by settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Family = Literal["bitcoin", "evm"]


@dataclass(frozen=True, slots=True)
class Network:
    """``key`` is how messages name it. ``confirmations`` hold where a payment names none for this network: coins that
    came to an address of ours on another network than was agreed."""

    key: str
    family: Family
    coin: str
    exponent: int
    confirmations: int
    chain_id: int | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 token that we take on one network; ``contract`` in lower case."""

    network: str
    code: str
    contract: str
    exponent: int

    @property
    def asset(self) -> str:
        """As ``contracts`` writes it: ``USDC/6``."""
        return f"{self.code}/{self.exponent}"


NETWORKS: Mapping[str, Network] = {
    network.key: network
    for network in (
        Network("bitcoin", "bitcoin", "BTC", 8, 2),
        Network("ethereum", "evm", "ETH", 18, 12, 1),
        Network("polygon", "evm", "POL", 18, 128, 137),
        Network("bsc", "evm", "BNB", 18, 15, 56),
        Network("arbitrum", "evm", "ETH", 18, 40, 42161),
        Network("optimism", "evm", "ETH", 18, 40, 10),
    )
}

_STABLECOINS: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "ethereum": {
        "USDC": ("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", 6),
        "USDT": ("0xdac17f958d2ee523a2206206994597c13d831ec7", 6),
        "DAI": ("0x6b175474e89094c44da98b954eedeac495271d0f", 18),
    },
    "optimism": {
        "USDC": ("0x0b2c639c533813f4aa9d7837caf62653d097ff85", 6),
        "USDT": ("0x94b008aa00579c1307b0ef2c499ad98a8ce58e58", 6),
        "DAI": ("0xda10009cbd5d07dd0cecc66161fc93d7c9000da1", 18),
    },
    "bsc": {
        "USDC": ("0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d", 18),
        "USDT": ("0x55d398326f99059ff775485246999027b3197955", 18),
        "DAI": ("0x1af3f329e8be154074d8769d1ffa4ee058b1dbc3", 18),
    },
    "polygon": {
        "USDC": ("0x3c499c542cef5e3811e1192ce70d8cc03d5c3359", 6),
        "USDT": ("0xc2132d05d31c914a87c6611c10748aeb04b58e8f", 6),
        "DAI": ("0x8f3cf7ad23cd3cadbd9735aff958023239c6a063", 18),
    },
    "arbitrum": {
        "USDC": ("0xaf88d065e77c8cc2239327c5edb3a432268e5831", 6),
        "USDT": ("0xfd086bc7cd5c481dcc9c85ebe478a1c0b69fcbb9", 6),
        "DAI": ("0xda10009cbd5d07dd0cecc66161fc93d7c9000da1", 18),
    },
}


def known_tokens(network: str) -> tuple[Token, ...]:
    """The tokens of a main network that we take without being told; their decimals are asked for at the start."""
    listed = _STABLECOINS.get(network, {})
    return tuple(Token(network, code, contract, exponent) for code, (contract, exponent) in listed.items())
