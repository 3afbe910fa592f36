"""Addresses from an account's extended public key: BIP-84 for Bitcoin, BIP-44 for networks of Ethereum's kind.

Watch-only: a private key is refused before anything is done with it. No text of a key stands in any error.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from embit import script  # type: ignore[import-untyped]
from embit.base import EmbitError  # type: ignore[import-untyped]
from embit.bip32 import HARDENED_INDEX, HDKey  # type: ignore[import-untyped]
from embit.ec import PublicKey  # type: ignore[import-untyped]
from embit.networks import NETWORKS  # type: ignore[import-untyped]
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from payments_api.domain.crypto_networks import Family

BitcoinChain = Literal["main", "test", "regtest"]
"""``test`` is any public test network; their addresses look alike."""

KEY_MAX_CHARS = 128
ACCOUNT_DEPTH = 3
RECEIVING = 0
_PUBLIC_VERSIONS = {
    NETWORKS[network][kind]: (network, kind) for network in ("main", "test") for kind in ("xpub", "zpub")
}
_EVM_ADDRESS_BYTES = 20


class KeyRefused(ValueError):
    """A text that is no account's extended public key, or not of the kind that is needed. Says why, without it."""


@dataclass(frozen=True)
class AccountKey:
    """``key_id`` names the key by its content and family, in whatever form it was written; it tells nothing of it."""

    family: Family
    key_id: str
    chain: BitcoinChain
    receiving: HDKey = field(repr=False)

    def address(self, index: int) -> str:
        """The receiving address ``index``. Raises ValueError outside of 0 … 2³¹-1."""
        if not 0 <= index < HARDENED_INDEX:
            raise ValueError("an index of an address is below 2^31")
        child = self.receiving.child(index)
        if self.family == "bitcoin":
            return str(script.p2wpkh(child.key).address(NETWORKS[self.chain]))
        return _evm_address(child.key)

    @staticmethod
    def path(index: int) -> str:
        """Where the address stands below the account's key."""
        return f"{RECEIVING}/{index}"


def bitcoin_key(text: str, chain: BitcoinChain) -> AccountKey:
    """An account of BIP-84 (``zpub…``, ``vpub…``, or the same key as ``xpub…``, ``tpub…``). Raises KeyRefused."""
    network, key = _parsed(text)
    if network != ("main" if chain == "main" else "test"):
        raise KeyRefused(f"is a key of Bitcoin's {network} network, and CRYPTO_BITCOIN_CHAIN is {chain}")
    return AccountKey("bitcoin", _key_id("bitcoin", key), chain, key.child(RECEIVING))


def evm_key(text: str) -> AccountKey:
    """An account of BIP-44, coin type 60 (``xpub…``). Raises KeyRefused."""
    _, key = _parsed(text)
    return AccountKey("evm", _key_id("evm", key), "main", key.child(RECEIVING))


def _parsed(text: str) -> tuple[str, HDKey]:
    text = text.strip()
    if text[1:4] == "prv":
        raise KeyRefused("is a private key; give the account's public one, and move funds from this one")
    if len(text) > KEY_MAX_CHARS:
        raise KeyRefused("is not an extended public key")
    try:
        key = HDKey.from_string(text)
    except (EmbitError, ValueError, IndexError):
        raise KeyRefused("is not an extended public key, or was not copied whole") from None
    return _checked(key), key


def _checked(key: HDKey) -> str:
    """The key's network."""
    if key.is_private:
        raise KeyRefused("is a private key; give the account's public one, and move funds from this one")
    network, _ = _PUBLIC_VERSIONS.get(key.version, (None, None))
    if network is None:
        raise KeyRefused("is of a kind that is not taken (ypub, several signers); give an xpub or zpub")
    if key.depth != ACCOUNT_DEPTH or key.child_number < HARDENED_INDEX:
        raise KeyRefused("is not the key of an account (m/84'/0'/0', m/44'/60'/0'), but of another depth")
    return str(network)


def _key_id(family: Family, key: HDKey) -> str:
    digest = hashlib.sha256(key.chain_code + key.sec()).hexdigest()
    return f"{family}:{digest[:24]}"


def _evm_address(key: PublicKey) -> str:
    """The last twenty bytes of the hash of the point's coordinates, in EIP-55 form."""
    coordinates = PublicKey(key._point, compressed=False).sec()[1:]
    return str(to_checksum_address(keccak(coordinates)[-_EVM_ADDRESS_BYTES:]))
