"""Crypto's block: the account keys that addresses come from, the networks that are watched, and the terms of coins."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Annotated, Self

from eth_utils.address import is_checksum_address, to_checksum_address
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    StringConstraints,
    model_validator,
)

from chassis.settings import ServiceSettings
from contracts.amounts import AmountError, parse_units
from payments_api.adapters.gateways.crypto.gateway import Wallet
from payments_api.adapters.gateways.crypto.keys import (
    AccountKey,
    BitcoinChain,
    KeyRefused,
    bitcoin_key,
    evm_key,
)
from payments_api.domain.crypto_networks import NETWORKS, Coin, Family, Network, known_tokens, own_coin
from payments_api.domain.crypto_terms import MAXIMUM_CENTS, Offer, TermTables, names_nothing, terms_of

DAY_S = 86_400
_CONTRACT = re.compile(r"0x[0-9a-fA-F]{40}")


def _exact(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("write it as a string, so that it is exact")
    return value


def _cents(value: object) -> object:
    """Dollars, as text or a whole number, in cents."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("write dollars as a string, so that they are exact")
    try:
        cents = parse_units(value, "USD/2")
    except AmountError as error:
        raise ValueError(error.detail) from error
    return cents


def _contract(value: str) -> str:
    if _CONTRACT.fullmatch(value) is None:
        raise ValueError("a contract is 0x and forty hexadecimal digits")
    if value[2:] not in (value[2:].lower(), value[2:].upper()) and not is_checksum_address(value):
        raise ValueError("the contract's checksum is wrong (EIP-55)")
    return str(to_checksum_address(value))


Cents = Annotated[int, BeforeValidator(_cents), Field(ge=0, le=10_000_000)]
FractionOfOne = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=Decimal("0.2"))]


class TokenSetting(BaseModel):
    """An ERC-20 token: ``{"network": "ethereum", "code": "EURC", "contract": "0x…", "decimals": 6}``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str
    code: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,11}$")]
    contract: Annotated[str, BeforeValidator(_contract)]
    decimals: Annotated[int, Field(ge=0, le=36)]


class CryptoSettings(ServiceSettings):
    """Without an account key no coin is offered, in demo mode play ones. Tables name a network, a COIN or network.COIN;
    the most exact wins."""

    crypto_btc_xpub: Annotated[
        SecretStr | None, Field(description="Bitcoin: an account's extended public key, BIP-84 (zpub…, vpub…, xpub…)")
    ] = None
    crypto_evm_xpub: Annotated[
        SecretStr | None, Field(description="Ethereum and its kind: an account's extended public key, BIP-44 (xpub…)")
    ] = None
    crypto_networks: Annotated[
        str, Field(description="Networks that are offered, separated by commas: those that gateway-ingest watches")
    ] = ""
    crypto_bitcoin_chain: Annotated[
        BitcoinChain, Field(description="Which of Bitcoin's networks: main, test (any public one) or regtest")
    ] = "main"
    crypto_chain_ids: Annotated[
        Mapping[str, int],
        Field(description="JSON of chain ids where another than the main network is meant; its known tokens are off"),
    ] = {}
    crypto_tokens: Annotated[
        tuple[TokenSetting, ...],
        Field(description="JSON list of ERC-20 tokens {network, code, contract, decimals} beside USDC, USDT and DAI"),
    ] = ()
    crypto_confirmations: Annotated[
        Mapping[str, Annotated[int, Field(ge=1, le=10_000)]],
        Field(description='JSON of blocks to wait for: {"bitcoin": 2, "polygon.USDC": 64}'),
    ] = {}
    crypto_lifetimes_s: Annotated[
        Mapping[str, Annotated[int, Field(ge=60, le=7 * DAY_S)]],
        Field(description='JSON of how long a price holds: {"BTC": 900}'),
    ] = {}
    crypto_minimums_usd: Annotated[
        Mapping[str, Cents], Field(description='JSON of least amounts in US dollars: {"ethereum": "10.00"}')
    ] = {}
    crypto_network_fees_usd: Annotated[
        Mapping[str, Cents], Field(description='JSON of what a transfer costs, as shown: {"bitcoin": "2.50"}')
    ] = {}
    crypto_spreads: Annotated[
        Mapping[str, FractionOfOne],
        Field(description='JSON of how far below the market a coin counts, as fractions: {"BTC": "0.015"}'),
    ] = {}
    crypto_processing_fee: Annotated[
        FractionOfOne, Field(description="Fraction of a price that comes upon it, such as 0.005")
    ] = Decimal(0)
    crypto_maximum_usd: Annotated[Cents, Field(description="Highest price of one payment in coins, in US dollars")] = (
        MAXIMUM_CENTS // 100  # read as dollars, like all that is given
    )
    crypto_gap_limit: Annotated[
        int, Field(ge=1, le=100_000, description="How many unused addresses your wallet looks ahead")
    ] = 20
    crypto_demo_url: Annotated[
        HttpUrl | None, Field(description="The page that plays wallets and chains in demo mode, where there is no key")
    ] = None

    @model_validator(mode="after")
    def _crypto_keys_are_public(self) -> Self:
        keys = self._crypto_keys()
        if keys and not self.crypto_networks.strip():
            raise ValueError("CRYPTO_NETWORKS is not set: name the networks that gateway-ingest watches")
        if len({key.key_id.partition(":")[2] for key in keys.values()}) < len(keys):
            raise ValueError("CRYPTO_BTC_XPUB and CRYPTO_EVM_XPUB are the same key; take an account of each kind")
        return self

    @model_validator(mode="after")
    def _crypto_names_are_known(self) -> Self:
        _refuse("CRYPTO_NETWORKS", set(_listed(self.crypto_networks)) - set(NETWORKS))
        _refuse("CRYPTO_CHAIN_IDS", set(self.crypto_chain_ids) - _with_tokens())
        _refuse("CRYPTO_TOKENS", {token.network for token in self.crypto_tokens} - _with_tokens())
        own = {f"{one.network}.{one.code}" for one in self.crypto_tokens if one.code == NETWORKS[one.network].coin}
        if own:
            raise ValueError(f"CRYPTO_TOKENS calls a token as the network's own coin: {', '.join(sorted(own))}")
        coins = [coin for key in NETWORKS for coin in self._crypto_coins(key)]
        for name in ("confirmations", "lifetimes_s", "minimums_usd", "network_fees_usd", "spreads"):
            _refuse(f"CRYPTO_{name.upper()}", names_nothing(getattr(self, f"crypto_{name}"), coins))
        return self

    def crypto_offer(self) -> Offer | None:
        """What is offered: the coins of networks that are named and have a key; None when that is nothing."""
        families = set(self._crypto_keys())
        named = _listed(self.crypto_networks)
        keys = [key for key, network in NETWORKS.items() if key in named and network.family in families]
        tables = TermTables(
            confirmations=self.crypto_confirmations,
            lifetimes_s=self.crypto_lifetimes_s,
            minimums_cents=self.crypto_minimums_usd,
            network_fees_cents=self.crypto_network_fees_usd,
            spreads=self.crypto_spreads,
        )
        coins = tuple(terms_of(coin, tables) for key in keys for coin in self._crypto_coins(key))
        return Offer(coins, self.crypto_processing_fee, self.crypto_maximum_usd) if coins else None

    def crypto_wallet(self) -> Wallet:
        """The account keys."""
        return Wallet(self._crypto_keys(), self.crypto_bitcoin_chain)

    def _crypto_keys(self) -> Mapping[Family, AccountKey]:
        keys: dict[Family, AccountKey] = {}
        if self.crypto_btc_xpub is not None:
            read = partial(bitcoin_key, chain=self.crypto_bitcoin_chain)
            keys["bitcoin"] = _key("CRYPTO_BTC_XPUB", self.crypto_btc_xpub, read)
        if self.crypto_evm_xpub is not None:
            keys["evm"] = _key("CRYPTO_EVM_XPUB", self.crypto_evm_xpub, evm_key)
        return keys

    def _crypto_coins(self, key: str) -> Sequence[Coin]:
        """The coins of a network; a token that was set stands before one that is known by itself."""
        known = NETWORKS[key]
        network = replace(known, chain_id=self.crypto_chain_ids.get(key, known.chain_id))
        told = {one.code: _token(network, one) for one in self.crypto_tokens if one.network == key}
        by_code = {coin.code: coin for coin in known_tokens(network)} | told
        return (own_coin(network), *by_code.values())


def _token(network: Network, setting: TokenSetting) -> Coin:
    return Coin(network, setting.code, setting.decimals, setting.contract)


def _key(variable: str, text: SecretStr, read: Callable[[str], AccountKey]) -> AccountKey:
    try:
        return read(text.get_secret_value())
    except KeyRefused as refused:
        raise ValueError(f"{variable} {refused}") from None


def _refuse(variable: str, unknown: set[str] | Sequence[str]) -> None:
    if unknown:
        raise ValueError(f"{variable} names what is not known here: {', '.join(sorted(unknown))}")


def _listed(text: str) -> Sequence[str]:
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def _with_tokens() -> set[str]:
    return {key for key, network in NETWORKS.items() if network.family == "evm"}
