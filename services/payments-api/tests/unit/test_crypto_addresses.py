"""Addresses that people type: the published vectors of BIP-173, BIP-350 and EIP-55, right and wrong."""

from __future__ import annotations

import pytest

from payments_api.adapters.gateways.crypto.addresses import Address, BadAddress, validate_address
from payments_api.adapters.gateways.crypto.keys import BitcoinChain
from payments_api.domain.crypto_networks import NETWORKS

BITCOIN, ETHEREUM = NETWORKS["bitcoin"], NETWORKS["ethereum"]
EIP_55 = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
WITNESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
TAPROOT = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"


@pytest.mark.parametrize(
    ("text", "chain", "found"),
    [
        (WITNESS, "main", Address(WITNESS, "p2wpkh")),
        (f" {WITNESS.upper()}\n", "main", Address(WITNESS, "p2wpkh")),
        (TAPROOT, "main", Address(TAPROOT, "p2tr")),
        (GENESIS, "main", Address(GENESIS, "p2pkh")),
        ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "main", Address("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "p2sh")),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "test", Address("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "p2pkh")),
        (
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            "test",
            Address("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", "p2wsh"),
        ),
        (
            "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk",
            "regtest",
            Address("bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk", "p2wpkh"),
        ),
    ],
)
def test_what_is_right_on_bitcoin(text: str, chain: BitcoinChain, found: Address) -> None:
    assert validate_address(BITCOIN, text, chain) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WITNESS[:-1] + "5", "mistyped"),
        (WITNESS[:8] + WITNESS[8:].upper(), "mistyped"),
        # A taproot address with the checksum of the older kind, and an older one with the checksum of the newer.
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "mistyped"),
        ("bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq54jlfg", "mistyped"),
        ("bc1sw50qgdz25j", "nobody can spend"),
        ("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", "another of Bitcoin's networks"),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "another network"),
        (GENESIS[:-1] + "b", "mistyped"),
        (f"1{GENESIS}", "mistyped"),
        ("1" * 40, "mistyped"),
        ("0OIl", "mistyped"),
        ("bc1", "mistyped"),
        (EIP_55, "mistyped"),
        ("", "not an address"),
        ("1" * 91, "not an address"),
        ("bc1qé", "not an address"),
    ],
)
def test_what_is_wrong_on_bitcoin(text: str, reason: str) -> None:
    with pytest.raises(BadAddress, match=reason):
        validate_address(BITCOIN, text)


@pytest.mark.parametrize(
    "text",
    [
        EIP_55,
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
    ],
)
def test_what_is_right_on_ethereum(text: str) -> None:
    assert validate_address(ETHEREUM, text) == Address(text, "evm")
    assert validate_address(ETHEREUM, text.lower()) == Address(text, "evm")
    assert validate_address(NETWORKS["bsc"], "0x" + text[2:].upper()) == Address(text, "evm")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "EIP-55"),
        (EIP_55[:-1], "forty"),
        (EIP_55 + "0", "forty"),
        (EIP_55[2:], "forty"),
        ("0x" + 40 * "g", "forty"),
        ("0x" + 40 * "0", "nobody"),
        (WITNESS, "forty"),
    ],
)
def test_what_is_wrong_on_ethereum(text: str, reason: str) -> None:
    with pytest.raises(BadAddress, match=reason):
        validate_address(ETHEREUM, text)
