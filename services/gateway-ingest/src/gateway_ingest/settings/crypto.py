"""Crypto's block: one node per network that is watched, and what differs from the main networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

from chassis.settings import ServiceSettings
from gateway_ingest.domain.networks import NETWORKS, Token, known_tokens

DAY_S = 86_400
_CHAIN_URL = re.compile(r"https?://[^\s]+")


class TokenSetting(BaseModel):
    """An ERC-20 token: ``{"network": "ethereum", "code": "EURC", "contract": "0x…", "decimals": 6}``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str
    code: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,11}$")]
    contract: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$", to_lower=True)]
    decimals: Annotated[int, Field(ge=0, le=36)]

    def token(self) -> Token:
        """As the domain has it."""
        return Token(self.network, self.code, self.contract, self.decimals)


class CryptoSettings(ServiceSettings):
    """A network without a node's URL is not watched. URLs may hold a user and a password, or a key."""

    crypto_bitcoin_rpc_url: Annotated[SecretStr | None, Field(description="Bitcoin: a node's JSON-RPC")] = None
    crypto_ethereum_rpc_url: Annotated[SecretStr | None, Field(description="Ethereum: a node's JSON-RPC")] = None
    crypto_polygon_rpc_url: Annotated[SecretStr | None, Field(description="Polygon: a node's JSON-RPC")] = None
    crypto_bsc_rpc_url: Annotated[SecretStr | None, Field(description="BNB Smart Chain: a node's JSON-RPC")] = None
    crypto_arbitrum_rpc_url: Annotated[SecretStr | None, Field(description="Arbitrum: a node's JSON-RPC")] = None
    crypto_optimism_rpc_url: Annotated[SecretStr | None, Field(description="Optimism: a node's JSON-RPC")] = None
    crypto_tokens: Annotated[
        tuple[TokenSetting, ...],
        Field(description="JSON list of ERC-20 tokens {network, code, contract, decimals} beside USDC, USDT and DAI"),
    ] = ()
    crypto_chain_ids: Annotated[
        Mapping[str, int],
        Field(description="JSON of chain ids where another than the main network is meant; its known tokens are off"),
    ] = {}
    crypto_bitcoin_genesis: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9a-f]{64}$", description="Hash of Bitcoin's first block, to refuse a node of another network"
        ),
    ] = None
    crypto_poll_s: Annotated[float, Field(gt=0, le=300, description="How often a node is asked for new blocks")] = 5.0
    crypto_rpc_timeout_s: Annotated[float, Field(gt=0, le=120, description="How long one call to a node may take")] = (
        20.0
    )
    crypto_span_blocks: Annotated[int, Field(ge=1, le=1000, description="Blocks scanned in one go")] = 20
    crypto_watch_after_expiry_s: Annotated[
        int, Field(ge=0, le=3660 * DAY_S, description="How long an address is watched after its quote expired")
    ] = 30 * DAY_S

    @field_validator("crypto_tokens")
    @classmethod
    def _networks_have_tokens(cls, tokens: tuple[TokenSetting, ...]) -> tuple[TokenSetting, ...]:
        unknown = sorted({token.network for token in tokens} - _with_tokens())
        if unknown:
            raise ValueError(f"no such network with tokens: {', '.join(unknown)}; known are {sorted(_with_tokens())}")
        return tokens

    @field_validator("crypto_chain_ids")
    @classmethod
    def _networks_have_chain_ids(cls, chain_ids: Mapping[str, int]) -> Mapping[str, int]:
        if unknown := sorted(set(chain_ids) - _with_tokens()):
            raise ValueError(f"no such network with a chain id: {', '.join(unknown)}")
        return chain_ids

    @field_validator(*(f"crypto_{network}_rpc_url" for network in NETWORKS))
    @classmethod
    def _is_a_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and _CHAIN_URL.fullmatch(url.get_secret_value()) is None:
            raise ValueError("must be an http or https URL")
        return url

    def crypto_nodes(self) -> Mapping[str, str]:
        """Network → its node's URL, of those that are watched. Secret."""
        urls = {network: getattr(self, f"crypto_{network}_rpc_url") for network in NETWORKS}
        return {network: url.get_secret_value() for network, url in urls.items() if url is not None}

    def crypto_chain_id(self, network: str) -> int:
        """What the network's node must answer. Raises KeyError for Bitcoin, which has none."""
        chain_id = self.crypto_chain_ids.get(network, NETWORKS[network].chain_id)
        if chain_id is None:
            raise KeyError(network)
        return chain_id

    def crypto_tokens_of(self, network: str) -> tuple[Token, ...]:
        """The tokens that are taken on ``network``; a setting stands before what is known by itself."""
        told = {token.code: token.token() for token in self.crypto_tokens if token.network == network}
        is_main = self.crypto_chain_ids.get(network) in (None, NETWORKS[network].chain_id)
        known = {token.code: token for token in known_tokens(network)} if is_main else {}
        return tuple((known | told).values())


def _with_tokens() -> set[str]:
    return {network.key for network in NETWORKS.values() if network.family == "evm"}
