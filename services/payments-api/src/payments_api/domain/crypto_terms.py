"""On which terms coins are taken: blocks to wait for, how long a price holds, the least amount, fees, spread.

A table of terms names what it is about as ``network``, ``COIN`` or ``network.COIN``; the most exact name wins. Money in
dollars counts cents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from payments_api.domain.crypto_networks import STABLE_CODES, Coin, Network, code_called

LIFETIME_S = 3_600
STABLE_LIFETIME_S = 86_400
MINIMUM_CENTS = 1
MAXIMUM_CENTS = 2_500_000
SPREAD = Decimal("0.01")
"""What a price may move against us while it holds; coins that follow the dollar have none."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CoinTerms:
    """``confirmations`` blocks make us believe; a price holds for ``lifetime_s`` seconds. ``network_fee_cents`` is a
    hint for the payer, who pays it on top, and no part of the price; ``spread`` is the fraction of the market's rate
    that we stay below it."""

    coin: Coin
    confirmations: int
    lifetime_s: int
    minimum_cents: int
    network_fee_cents: int
    spread: Decimal


@dataclass(frozen=True, slots=True)
class TermTables:
    """What was set; what is not named here has the defaults."""

    confirmations: Mapping[str, int] = field(default_factory=dict)
    lifetimes_s: Mapping[str, int] = field(default_factory=dict)
    minimums_cents: Mapping[str, int] = field(default_factory=dict)
    network_fees_cents: Mapping[str, int] = field(default_factory=dict)
    spreads: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """All coins that are taken; ``processing_fee`` is the fraction of a price that comes upon it, ``maximum_cents`` the
    highest price: whoever has a quote may let it lapse when the market falls, so it is an option that we give away."""

    coins: tuple[CoinTerms, ...]
    processing_fee: Decimal = Decimal(0)
    maximum_cents: int = MAXIMUM_CENTS

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those with a coin that is taken, each once."""
        return tuple({terms.coin.network.key: terms.coin.network for terms in self.coins}.values())

    def on(self, network: Network) -> tuple[CoinTerms, ...]:
        """What is taken on ``network``."""
        return tuple(terms for terms in self.coins if terms.coin.network.key == network.key)

    def find(self, currency: str, network: Network) -> CoinTerms | None:
        """The terms of the coin that ``currency`` means there, by code or name."""
        code = code_called(currency)
        return next((terms for terms in self.on(network) if terms.coin.code == code), None)


def terms_of(coin: Coin, tables: TermTables) -> CoinTerms:
    """The coin's terms. Its minimum follows from the fee of moving it on, unless one was set."""
    is_stable = coin.code in STABLE_CODES
    lifetime_s = STABLE_LIFETIME_S if is_stable else LIFETIME_S
    fee_cents = most_exact(tables.network_fees_cents, coin, coin.network.network_fee_cents)
    return CoinTerms(
        coin,
        confirmations=most_exact(tables.confirmations, coin, coin.network.confirmations),
        lifetime_s=most_exact(tables.lifetimes_s, coin, lifetime_s),
        minimum_cents=most_exact(tables.minimums_cents, coin, max(MINIMUM_CENTS, fee_cents)),
        network_fee_cents=fee_cents,
        spread=most_exact(tables.spreads, coin, Decimal(0) if is_stable else SPREAD),
    )


def most_exact(table: Mapping[str, T], coin: Coin, default: T) -> T:
    """What ``table`` says of ``coin``: by network and code, by code, by network, else ``default``."""
    return next((table[name] for name in _names(coin) if name in table), default)


def names_nothing(table: Collection[str], coins: Sequence[Coin]) -> list[str]:
    """Names in ``table`` that are about none of ``coins``: most likely misspelt."""
    known = {name for coin in coins for name in _names(coin)}
    return sorted(set(table) - known)


def _names(coin: Coin) -> tuple[str, str, str]:
    return (f"{coin.network.key}.{coin.code}", coin.code, coin.network.key)
