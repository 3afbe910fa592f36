"""The networks and coins that can be paid with: what they are called, their smallest units, what a block is worth.

Nothing is looked up here: another chain id, a further token or another number of blocks comes in by settings. Keys are
those by which ``gateway-ingest`` watches, so a network is called the same in both services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Family = Literal["bitcoin", "evm"]
STABLE_CODES = frozenset({"USDC", "USDT", "DAI"})


@dataclass(frozen=True, slots=True)
class Network:
    """``key`` is how messages name it, ``name`` how people do. ``dust_units`` of its own coin are the least that its
    nodes pass on; ``network_fee_cents`` is a hint of what one transfer costs, in US cents."""

    key: str
    name: str
    family: Family
    coin: str
    exponent: int
    confirmations: int
    network_fee_cents: int
    chain_id: int | None = None
    dust_units: int = 1
    also_called: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coin:
    """A network's own coin, or a token on it by its ``contract`` (EIP-55 form)."""

    network: Network
    code: str
    exponent: int
    contract: str | None = None

    @property
    def asset(self) -> str:
        """``BTC/8``."""
        return f"{self.code}/{self.exponent}"

    @property
    def dust_units(self) -> int:
        """The least that can be sent, in smallest units."""
        return self.network.dust_units if self.contract is None else 1


NETWORKS: Mapping[str, Network] = {
    network.key: network
    for network in (
        # 294 satoshi: below that, nodes call an output to a version 0 key hash dust and do not pass it on.
        Network("bitcoin", "Bitcoin", "bitcoin", "BTC", 8, 6, 100, dust_units=294),
        Network("ethereum", "Ethereum", "evm", "ETH", 18, 12, 500, 1),
        Network("polygon", "Polygon", "evm", "POL", 18, 128, 1, 137, also_called=("Polygon PoS", "Matic")),
        Network("bsc", "BNB Smart Chain", "evm", "BNB", 18, 15, 10, 56, also_called=("Binance Smart Chain", "BNB")),
        Network("arbitrum", "Arbitrum", "evm", "ETH", 18, 40, 5, 42161, also_called=("Arbitrum One",)),
        Network("optimism", "Optimism", "evm", "ETH", 18, 40, 5, 10, also_called=("OP Mainnet",)),
    )
}

_ALSO_CALLED: Mapping[str, str] = {
    "bitcoin": "BTC",
    "ethereum": "ETH",
    "ether": "ETH",
    "tether": "USDT",
    "usdcoin": "USDC",
    "matic": "POL",
}
_STABLECOINS: Mapping[str, tuple[tuple[str, int, str], ...]] = {
    "ethereum": (
        ("USDC", 6, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
        ("USDT", 6, "0xdAC17F958D2ee523a2206206994597C13D831ec7"),
        ("DAI", 18, "0x6B175474E89094C44Da98b954EedeAC495271d0F"),
    ),
    "polygon": (
        ("USDC", 6, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"),
        ("USDT", 6, "0xc2132D05D31c914a87C6611C10748AEb04B58e8F"),
        ("DAI", 18, "0x8f3Cf7ad23Cd3CaDbD9735AFf958023239c6A063"),
    ),
    "bsc": (
        ("USDC", 18, "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d"),
        ("USDT", 18, "0x55d398326f99059fF775485246999027B3197955"),
        ("DAI", 18, "0x1AF3F329e8BE154074D8769D1FFa4eE058B1DBc3"),
    ),
    "arbitrum": (
        ("USDC", 6, "0xaf88d065e77c8cC2239327C5EDb3A432268e5831"),
        ("USDT", 6, "0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9"),
        ("DAI", 18, "0xDA10009cBd5D07dd0CeCc66161FC93D7c9000da1"),
    ),
    "optimism": (
        ("USDC", 6, "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85"),
        ("USDT", 6, "0x94b008aA00579c1307B0EF2c499aD98a8ce58e58"),
        ("DAI", 18, "0xDA10009cBd5D07dd0CeCc66161FC93D7c9000da1"),
    ),
}


def own_coin(network: Network) -> Coin:
    """The coin that the network itself moves."""
    return Coin(network, network.coin, network.exponent)


def known_tokens(network: Network) -> tuple[Coin, ...]:
    """The stablecoins that are taken without being told of: those of main networks, where their contracts stand."""
    is_main = network.chain_id == NETWORKS[network.key].chain_id
    listed = _STABLECOINS.get(network.key, ()) if is_main else ()
    return tuple(Coin(network, code, exponent, contract) for code, exponent, contract in listed)


def network_called(text: str) -> Network | None:
    """The network that ``text`` means, however it is spelt: ``bsc``, ``BNB Smart Chain``, ``binance-smart-chain``."""
    wanted = _plain(text)
    for network in NETWORKS.values():
        if wanted in {_plain(name) for name in (network.key, network.name, *network.also_called)}:
            return network
    return None


def code_called(text: str) -> str:
    """The code that ``text`` means: ``BTC`` for ``Bitcoin``. What is no known name is taken for a code."""
    return _ALSO_CALLED.get(_plain(text), text.strip().upper())


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
