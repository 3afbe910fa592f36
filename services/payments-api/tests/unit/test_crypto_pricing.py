"""What a price is in coins, which terms hold for a coin, and how a wallet is told of it."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as some

from payments_api.adapters.gateways.crypto.addresses import validate_address
from payments_api.adapters.gateways.crypto.details import qr_svg
from payments_api.domain.crypto_networks import NETWORKS, Coin, code_called, known_tokens, network_called, own_coin
from payments_api.domain.crypto_pricing import (
    cents_for,
    coins_for,
    least_cents,
    processing_fee_cents,
    rate_for_payer,
)
from payments_api.domain.crypto_showing import CONFIRMATION_STATUS, confirmation_status, shown
from payments_api.domain.crypto_terms import Offer, TermTables, names_nothing, terms_of
from payments_api.domain.crypto_uri import in_whole_coins, payment_uri
from payments_api.domain.payment import STATUSES

from .crypto_examples import BITCOIN_ADDRESSES, EVM_ADDRESSES

BTC, ETH = own_coin(NETWORKS["bitcoin"]), own_coin(NETWORKS["ethereum"])
USDC = known_tokens(NETWORKS["polygon"])[0]
NOTHING = TermTables()


@pytest.mark.parametrize(
    ("cents", "rate", "exponent", "units"),
    [
        (5000, "45000", 8, 111_112),  # 111,111.1…
        (5000, "50000", 8, 100_000),
        (7500, "1", 6, 75_000_000),
        (7500, "1", 18, 75 * 10**18),
        (1, "3000", 18, 3_333_333_333_334),
        (1, "100000000", 8, 1),
        (1, "3", 0, 1),
    ],
)
def test_coins_are_rounded_up(cents: int, rate: str, exponent: int, units: int) -> None:
    assert coins_for(cents, Decimal(rate), exponent) == units


@given(
    cents=some.integers(1, 10**15),
    rate=some.decimals("0.00000001", "10000000", places=8),
    exponent=some.integers(0, 18),
)
def test_coins_cover_the_price_and_one_unit_less_does_not(cents: int, rate: Decimal, exponent: int) -> None:
    units = coins_for(cents, rate, exponent)
    worth = Fraction(rate) * 100 / 10**exponent
    assert (units - 1) * worth < cents <= units * worth


@given(
    cents=some.integers(1, 10**15),
    rate=some.decimals("0.00000001", "10000000", places=8),
    exponent=some.integers(0, 18),
    fee=some.decimals("0", "0.2", places=4),
)
def test_coins_of_a_price_are_worth_that_price_and_one_unit_less_is_not(
    cents: int, rate: Decimal, exponent: int, fee: Decimal
) -> None:
    units = coins_for(cents + processing_fee_cents(cents, fee), rate, exponent)
    assert cents_for(units - 1, rate, exponent, fee) < cents <= cents_for(units, rate, exponent, fee)


@pytest.mark.parametrize(
    ("market", "spread", "rate"),
    [
        ("45000", "0", "45000"),
        ("45000", "0.01", "44550"),
        ("0.00038", "0.005", "0.0003781"),
        ("3123.456789", "0.01", "3092.22222111"),
    ],
)
def test_the_spread_is_taken_off_exactly(market: str, spread: str, rate: str) -> None:
    assert rate_for_payer(market, Decimal(spread)) == Decimal(rate)


@pytest.mark.parametrize("market", ["0", "-1", "NaN", "Infinity"])
def test_a_rate_is_above_zero(market: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        rate_for_payer(market, Decimal(0))


def test_a_fee_is_not_rounded_by_itself() -> None:
    assert processing_fee_cents(2501, Decimal("0.005")) == Decimal("12.505")


def test_the_minimum_is_a_cent_where_fee_and_dust_allow() -> None:
    assert terms_of(USDC, NOTHING).minimum_cents == 1
    assert terms_of(ETH, NOTHING).minimum_cents == 500
    assert terms_of(BTC, TermTables(network_fees_cents={"bitcoin": 250})).minimum_cents == 250
    # What the nodes do not pass on cannot be asked for, whatever was set: 294 satoshi at 60,000 are 17.64 cents.
    free = terms_of(BTC, TermTables(minimums_cents={"BTC": 0}))
    assert least_cents(free, Decimal(60_000)) == 18
    assert least_cents(terms_of(USDC, TermTables(minimums_cents={"USDC": 0})), Decimal(1)) == 1


def test_the_most_exact_name_wins() -> None:
    tables = TermTables(confirmations={"polygon": 64, "USDC": 30, "ethereum.USDC": 20}, spreads={"bitcoin": Decimal(0)})
    on_ethereum, on_bsc = known_tokens(NETWORKS["ethereum"])[0], own_coin(NETWORKS["bsc"])
    found = [
        terms_of(coin, tables).confirmations for coin in (USDC, on_ethereum, own_coin(NETWORKS["polygon"]), on_bsc)
    ]
    assert found == [30, 20, 64, 15]
    assert [terms_of(coin, tables).spread for coin in (BTC, ETH, USDC)] == [Decimal(0), Decimal("0.01"), Decimal(0)]
    assert [terms_of(coin, NOTHING).lifetime_s for coin in (BTC, USDC)] == [3_600, 86_400]
    assert names_nothing({"bitcoin": 1, "BTC": 1, "bitcoin.BTC": 1, "bitcoin.ETH": 1, "USCD": 1}, [BTC]) == [
        "USCD",
        "bitcoin.ETH",
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Bitcoin", "bitcoin"),
        ("ETHEREUM", "ethereum"),
        ("Binance Smart Chain", "bsc"),
        ("BinanceSmartChain", "bsc"),
        ("bnb-smart-chain", "bsc"),
        ("Arbitrum One", "arbitrum"),
        ("OP Mainnet", "optimism"),
    ],
)
def test_networks_are_found_however_they_are_spelt(text: str, key: str) -> None:
    network = network_called(text)
    assert network is not None
    assert network.key == key


def test_what_is_no_network_or_coin_is_not_found() -> None:
    assert [network_called(text) for text in ("", "  ", "Solana", "bit")] == [None] * 4
    offer = Offer((terms_of(BTC, NOTHING), terms_of(USDC, NOTHING)))
    assert [offer.find(text, NETWORKS["bitcoin"]) is not None for text in ("btc", "Bitcoin", "USDC", "")] == [
        True,
        True,
        False,
        False,
    ]
    assert [code_called(text) for text in ("ether", " usdt ", "TFT")] == ["ETH", "USDT", "TFT"]


def test_tokens_are_known_on_main_networks_only_and_contracts_are_typed_right() -> None:
    for network in NETWORKS.values():
        for coin in known_tokens(network):
            assert coin.contract is not None
            assert validate_address(network, coin.contract).text == coin.contract
    assert [coin.asset for coin in known_tokens(NETWORKS["bsc"])] == ["USDC/18", "USDT/18", "DAI/18"]
    assert [coin.asset for coin in known_tokens(NETWORKS["arbitrum"])] == ["USDC/6", "USDT/6", "DAI/18"]


def test_uris_are_those_of_bip_21_and_eip_681() -> None:
    bitcoin, evm = BITCOIN_ADDRESSES[0], EVM_ADDRESSES[0]
    assert payment_uri(BTC, bitcoin, 12_345, "AB12") == f"bitcoin:{bitcoin}?amount=0.00012345&message=AB12"
    assert payment_uri(ETH, evm, 2_014 * 10**15, "AB12") == f"ethereum:{evm}@1?value=2014000000000000000"
    assert payment_uri(USDC, evm, 75_000_000, "AB12") == (
        f"ethereum:0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359@137/transfer?address={evm}&uint256=75000000"
    )


@pytest.mark.parametrize("reference", ["", "A&req-x=1", "Ä"])
def test_a_reference_cannot_break_out_of_a_uri(reference: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        payment_uri(BTC, BITCOIN_ADDRESSES[0], 1, reference)


def test_a_network_without_chain_id_has_no_such_uri() -> None:
    nowhere = Coin(replace(NETWORKS["ethereum"], chain_id=None), "ETH", 18)
    with pytest.raises(ValueError, match="no chain id"):
        payment_uri(nowhere, EVM_ADDRESSES[0], 1, "AB12")


@pytest.mark.parametrize(
    ("units", "exponent", "text"),
    [
        (1, 8, "0.00000001"),
        (100_000_000, 8, "1"),
        (150_000_000, 8, "1.5"),
        (7, 0, "7"),
        (10**18 + 1, 18, f"1.{17 * '0'}1"),
    ],
)
def test_whole_coins_are_written_out(units: int, exponent: int, text: str) -> None:
    assert in_whole_coins(units, exponent) == text


def test_the_qr_code_is_a_drawing_and_nothing_else() -> None:
    svg = qr_svg(f"bitcoin:{BITCOIN_ADDRESSES[0]}?amount=0.00012345&message=AB12")
    drawing = ElementTree.fromstring(svg)
    assert {element.tag for element in drawing.iter()} == {"svg", "path"}
    assert {name for element in drawing.iter() for name in element.attrib} <= {"viewBox", "d", "fill", "stroke"}
    side = int(re.fullmatch(r"0 0 (\d+) \1", drawing.attrib["viewBox"])[1])  # type: ignore[index]
    assert (side - 8 - 17) % 4 == 0, "a QR code with four modules of quiet around it"
    assert svg != qr_svg(f"bitcoin:{BITCOIN_ADDRESSES[1]}?amount=0.00012345&message=AB12")


def test_every_state_has_the_seeds_word() -> None:
    assert set(CONFIRMATION_STATUS) == set(STATUSES)
    assert [confirmation_status(state) for state in ("initiated", "pending", "confirmed", "failed", "expired")] == [
        "Pending",
        "Pending",
        "Confirmed",
        "Failed",
        "Failed",
    ]


def test_what_is_shown_is_of_the_moment_and_exact() -> None:
    details = {
        "currency": "BTC",
        "network": "Bitcoin",
        "wallet_address": BITCOIN_ADDRESSES[0],
        "amount_crypto": "0.00112234",
        "exchange_rate": "44550",
        "expires_at": "2026-05-01T01:00:00+00:00",
        "confirmations": 0,
        "confirmation_status": "Pending",
    }
    now = shown(details, "confirmed", 6)
    assert (now["confirmations"], now["confirmation_status"]) == (6, "Confirmed")
    assert now["amount_crypto"] == Decimal("0.00112234")
    assert now["crypto"] == {
        "currency": "BTC",
        "network": "Bitcoin",
        "wallet_address": BITCOIN_ADDRESSES[0],
        "amount_crypto": Decimal("0.00112234"),
        "exchange_rate": Decimal(44550),
        "expires_at": "2026-05-01T01:00:00+00:00",
    }
    assert shown(details, "initiated", None)["confirmations"] == 0


@pytest.mark.parametrize(
    ("status", "told", "seen"),
    [
        ("initiated", None, 0),
        ("pending", 2, 2),
        ("confirmed", 2, 3),
        ("confirmed", None, 3),
        ("underpaid", 2, 3),
        ("overpaid", 5, 5),
        ("refunded", 2, 0),
        ("expired", None, 0),
    ],
)
def test_what_was_believed_has_its_blocks_and_what_was_lost_has_none(status: str, told: int | None, seen: int) -> None:
    details = {"confirmations": 0, "confirmations_required": 3}
    assert shown(details, status, told)["confirmations"] == seen
