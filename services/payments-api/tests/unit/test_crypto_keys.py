"""Addresses from public keys: the vectors that all wallets share, and what is refused as a key."""

from __future__ import annotations

import pytest
from embit import bip32, bip39, networks

from payments_api.adapters.gateways.crypto.keys import AccountKey, KeyRefused, bitcoin_key, evm_key

from .crypto_examples import (
    BITCOIN_ADDRESSES,
    BITCOIN_XPUB,
    EVM_ADDRESSES,
    EVM_XPUB,
    TEST_VPUB,
    YPUB,
    ZPUB,
)

ROOT = bip32.HDKey.from_seed(bip39.mnemonic_to_seed("abandon " * 11 + "about"))
XPRV = ROOT.derive("m/84h/0h/0h").to_base58()


def test_bitcoin_addresses_are_those_of_bip_84() -> None:
    key = bitcoin_key(ZPUB, "main")
    assert (key.address(0), key.address(1)) == BITCOIN_ADDRESSES
    assert (key.path(0), key.path(7)) == ("0/0", "0/7")


def test_evm_addresses_are_those_that_wallets_show() -> None:
    key = evm_key(EVM_XPUB)
    assert (key.address(0), key.address(1)) == EVM_ADDRESSES


def test_the_private_side_comes_to_the_same_addresses() -> None:
    """Whoever has the words can spend what came to an address of ours, also far down the list."""
    key = bitcoin_key(ZPUB, "main")
    for index in (2, 1_000, 2**31 - 1):
        private = ROOT.derive("m/84h/0h/0h").child(0).child(index)
        program = private.get_public_key().sec()
        assert key.receiving.child(index).sec() == program
        assert key.address(index).startswith("bc1q")


@pytest.mark.parametrize(("chain", "prefix"), [("test", "tb1q"), ("regtest", "bcrt1q")])
def test_test_networks_have_their_prefix(chain: str, prefix: str) -> None:
    assert bitcoin_key(TEST_VPUB, chain).address(0).startswith(prefix)


def test_a_key_is_known_by_its_content_however_it_is_written() -> None:
    assert bitcoin_key(ZPUB, "main").key_id == bitcoin_key(f" {BITCOIN_XPUB}\n", "main").key_id
    others = {bitcoin_key(ZPUB, "main").key_id, evm_key(BITCOIN_XPUB).key_id, evm_key(EVM_XPUB).key_id}
    assert len(others) == 3
    assert BITCOIN_XPUB[10:] not in repr(evm_key(BITCOIN_XPUB))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (XPRV, "private key"),
        (ROOT.derive("m/84h/0h/0h").to_base58(version=networks.NETWORKS["main"]["zprv"]), "private key"),
        (XPRV[:-4], "private key"),
        (ZPUB[:-1] + "t", "not copied whole"),
        (ZPUB[:60], "not copied whole"),
        ("", "not copied whole"),
        ("abandon abandon about", "not copied whole"),
        ("0x9858EfFD232B4033E47d90003D41EC34EcaEda94", "not copied whole"),
        ("x" * 4_000, "not an extended public key"),
        (YPUB, "is of a kind that is not taken"),
        (TEST_VPUB, "test network"),
        (ROOT.to_public().to_base58(), "another depth"),
        (ROOT.derive("m/84h/0h/0h").to_public().child(0).to_base58(), "another depth"),
        (ROOT.derive("m/84h/0h").child(0).to_public().to_base58(), "another depth"),
        (ROOT.derive("m/84h/0h").to_public().to_base58(), "another depth"),
    ],
)
def test_what_is_no_account_of_this_network_is_refused_without_being_told(text: str, reason: str) -> None:
    with pytest.raises(KeyRefused, match=reason) as refused:
        bitcoin_key(text, "main")
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("index", [-1, 2**31])
def test_an_index_stays_within_what_a_public_key_derives(index: int) -> None:
    key: AccountKey = evm_key(EVM_XPUB)
    with pytest.raises(ValueError, match="below 2"):
        key.address(index)
