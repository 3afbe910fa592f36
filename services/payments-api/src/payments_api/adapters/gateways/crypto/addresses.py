"""Whether a text is an address of a network, by its checksum: bech32, bech32m, base58 and EIP-55.

Says nothing of whose address it is, and asks no node.
"""

from __future__ import annotations

from dataclasses import dataclass

from embit import base58, bech32  # type: ignore[import-untyped]
from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address

from payments_api.adapters.gateways.crypto.keys import BitcoinChain
from payments_api.domain.crypto_networks import Network

ADDRESS_MAX_CHARS = 90
_PREFIXES: dict[BitcoinChain, str] = {"main": "bc", "test": "tb", "regtest": "bcrt"}
_BASE58_KINDS: dict[BitcoinChain, dict[int, str]] = {
    "main": {0x00: "p2pkh", 0x05: "p2sh"},
    "test": {0x6F: "p2pkh", 0xC4: "p2sh"},
    "regtest": {0x6F: "p2pkh", 0xC4: "p2sh"},
}
_HASH_BYTES = 20
_WITNESS_KINDS = {(0, 20): "p2wpkh", (0, 32): "p2wsh", (1, 32): "p2tr"}
_NOBODY = "0x" + 40 * "0"


class BadAddress(ValueError):
    """No address of that network. The text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address in its usual form; ``kind``: ``p2wpkh``, ``p2wsh``, ``p2tr``, ``p2pkh``, ``p2sh`` or ``evm``."""

    text: str
    kind: str


def validate_address(network: Network, text: str, chain: BitcoinChain = "main") -> Address:
    """The address that ``text`` is on ``network``. Raises BadAddress."""
    text = text.strip()
    if not text.isascii() or not 1 <= len(text) <= ADDRESS_MAX_CHARS:
        raise BadAddress("is not an address")
    if network.family == "evm":
        return _evm(text)
    has_prefix = text.lower().startswith(tuple(f"{prefix}1" for prefix in _PREFIXES.values()))
    return _witness(text, chain) if has_prefix else _base58(text, chain)


def _evm(text: str) -> Address:
    if not text.startswith("0x") or not is_hex_address(text):
        raise BadAddress("is not 0x and forty hexadecimal digits")
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and not is_checksum_address(text):
        raise BadAddress("has a letter in the wrong case: it was mistyped (EIP-55)")
    if text == _NOBODY:
        raise BadAddress("is nobody's address")
    return Address(str(to_checksum_address(text)), "evm")


def _witness(text: str, chain: BitcoinChain) -> Address:
    prefix = text.lower().rpartition("1")[0]
    if prefix != _PREFIXES[chain]:
        raise BadAddress(f"is an address of another of Bitcoin's networks ({prefix})")
    version, program = bech32.decode(prefix, text)
    if version is None:
        raise BadAddress("was mistyped: its checksum is wrong")
    kind = _WITNESS_KINDS.get((version, len(program)))
    if kind is None:
        raise BadAddress("is of a kind that nobody can spend from yet")
    return Address(text.lower(), kind)


def _base58(text: str, chain: BitcoinChain) -> Address:
    try:
        payload: bytes = base58.decode_check(text)
    except ValueError:
        raise BadAddress("was mistyped: its checksum is wrong") from None
    if len(payload) != 1 + _HASH_BYTES or base58.encode_check(payload) != text:
        raise BadAddress("is not an address")
    kind = _BASE58_KINDS[chain].get(payload[0])
    if kind is None:
        raise BadAddress("is an address of another network")
    return Address(text, kind)
