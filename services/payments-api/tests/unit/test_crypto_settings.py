"""Crypto's settings: what is offered, and what stops the start with one line."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from chassis.settings import SettingsError, load
from payments_api.settings import PaymentsApiSettings

from .crypto_examples import BITCOIN_XPUB, EVM_XPUB, TEST_VPUB, ZPUB

GIVEN = {
    "database_url": "postgresql://x/y",
    "bus_url": "memory://",
    "service_token": "t",
    "ledger_url": "http://127.0.0.1:1",
    "gateway_ingest_url": "http://127.0.0.1:2",
}
MARK = {"network": "polygon", "code": "MARK", "contract": "0x" + 40 * "a", "decimals": 2}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Settings come in as they do in life: as text."""
    for name, value in GIVEN.items():
        monkeypatch.setenv(name.upper(), value)
    for name in PaymentsApiSettings.model_fields:
        if name.startswith("crypto_"):
            monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def settings(environment: pytest.MonkeyPatch, **given: Any) -> PaymentsApiSettings:
    for name, value in given.items():
        environment.setenv(f"CRYPTO_{name.upper()}", value if isinstance(value, str) else json.dumps(value))
    return load(PaymentsApiSettings)


def offered(loaded: PaymentsApiSettings) -> list[str]:
    offer = loaded.crypto_offer()
    return [] if offer is None else [f"{terms.coin.network.key}.{terms.coin.code}" for terms in offer.coins]


def test_without_a_key_nothing_is_offered(environment: pytest.MonkeyPatch) -> None:
    assert settings(environment).crypto_offer() is None
    assert settings(environment, networks="bitcoin,ethereum").crypto_offer() is None


def test_a_network_is_offered_when_it_is_named_and_has_a_key(environment: pytest.MonkeyPatch) -> None:
    loaded = settings(environment, btc_xpub=ZPUB, networks="Bitcoin, polygon")
    assert offered(loaded) == ["bitcoin.BTC"]
    assert set(loaded.crypto_wallet().keys) == {"bitcoin"}
    both = settings(environment, evm_xpub=EVM_XPUB, tokens=[MARK])
    assert offered(both) == ["bitcoin.BTC", *(f"polygon.{code}" for code in ("POL", "USDC", "USDT", "DAI", "MARK"))]
    assert EVM_XPUB not in repr(both)


def test_terms_come_from_tables(environment: pytest.MonkeyPatch) -> None:
    offer = settings(
        environment,
        btc_xpub=ZPUB,
        networks="bitcoin",
        confirmations={"bitcoin": 2},
        lifetimes_s={"BTC": 900},
        minimums_usd={"bitcoin.BTC": "2.50"},
        network_fees_usd={"bitcoin": 3},
        spreads={"BTC": "0.015"},
        processing_fee="0.005",
        maximum_usd="1000.50",
    ).crypto_offer()
    assert offer is not None
    assert offer.maximum_cents == 100_050
    (terms,) = offer.coins
    assert (terms.confirmations, terms.lifetime_s, terms.minimum_cents, terms.network_fee_cents) == (2, 900, 250, 300)
    assert (terms.spread, offer.processing_fee) == (Decimal("0.015"), Decimal("0.005"))


def test_on_a_test_network_only_tokens_that_were_told_are_taken(environment: pytest.MonkeyPatch) -> None:
    loaded = settings(environment, evm_xpub=EVM_XPUB, networks="polygon", chain_ids={"polygon": 80002}, tokens=[MARK])
    assert offered(loaded) == ["polygon.POL", "polygon.MARK"]
    offer = loaded.crypto_offer()
    assert offer is not None
    assert {network.chain_id for network in offer.networks} == {80002}


def test_a_token_of_ones_own_stands_before_a_known_one(environment: pytest.MonkeyPatch) -> None:
    loaded = settings(environment, evm_xpub=EVM_XPUB, networks="polygon", tokens=[{**MARK, "code": "USDC"}])
    offer = loaded.crypto_offer()
    assert offer is not None
    found = offer.find("USDC", offer.networks[0])
    assert found is not None
    assert (found.coin.asset, str(found.coin.contract).lower()) == ("USDC/2", MARK["contract"])


def test_a_test_key_needs_its_chain(environment: pytest.MonkeyPatch) -> None:
    loaded = settings(environment, btc_xpub=TEST_VPUB, networks="bitcoin", bitcoin_chain="regtest")
    assert loaded.crypto_wallet().keys["bitcoin"].address(0) == "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk"


PRIVATE = (
    "xprv9xpXFhFpqdQK3TmytPBqXtGSwS3DLjojFhTGht8gwAAii8py5X6pxeBnQ6ehJiyJ6nDjWGJfZ95WxByFXVkDxHXrqu53WCRGypk2ttuqncb"
)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"btc_xpub": ZPUB}, "CRYPTO_NETWORKS is not set"),
        ({"btc_xpub": PRIVATE}, "CRYPTO_BTC_XPUB is a private key"),
        ({"evm_xpub": PRIVATE}, "CRYPTO_EVM_XPUB is a private key"),
        ({"btc_xpub": TEST_VPUB, "networks": "bitcoin"}, "CRYPTO_BITCOIN_CHAIN is main"),
        ({"btc_xpub": ZPUB, "evm_xpub": BITCOIN_XPUB, "networks": "bitcoin"}, "are the same key"),
        ({"networks": "bitcoin,solana"}, "CRYPTO_NETWORKS names what is not known here: solana"),
        ({"chain_ids": {"bitcoin": 1}}, "CRYPTO_CHAIN_IDS names"),
        ({"tokens": [{**MARK, "network": "bitcoin"}]}, "CRYPTO_TOKENS names"),
        ({"tokens": [{**MARK, "code": "POL"}]}, "the network's own coin: polygon.POL"),
        ({"tokens": [{**MARK, "contract": "0x3c499c542cef5E3811e1192ce70d8cC03d5c3359"}]}, "checksum"),
        ({"tokens": [{**MARK, "contract": "0x12"}]}, "forty"),
        ({"confirmations": {"BTX": 1}}, "CRYPTO_CONFIRMATIONS names what is not known here: BTX"),
        ({"confirmations": {"BTC": 0}}, "CRYPTO_CONFIRMATIONS is wrong"),
        ({"minimums_usd": {"BTC": 0.5}}, "dollars as a string"),
        ({"minimums_usd": {"BTC": "0.005"}}, "at most 2 decimals"),
        ({"spreads": {"BTC": 0.01}}, "as a string"),
        ({"processing_fee": "0.5"}, "CRYPTO_PROCESSING_FEE is wrong"),
    ],
)
def test_what_is_wrong_is_one_line_without_a_key(
    environment: pytest.MonkeyPatch, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(environment, **given)
    line = str(refused.value)
    assert told in line
    assert "\n" not in line
    assert not any(key in line for key in (ZPUB, PRIVATE, TEST_VPUB, BITCOIN_XPUB))
