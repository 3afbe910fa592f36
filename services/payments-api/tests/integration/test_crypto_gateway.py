"""CryptoGateway on a real database: quotes in coins, an address for each payment alone, and what people are shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from chassis.errors import InvalidField
from contracts.amounts import Money
from contracts.messages import PaymentPending
from embedded.provisioning import DatabaseAccess
from payments_api.adapters.gateways.crypto.address_book import AddressBook
from payments_api.adapters.gateways.crypto.gateway import CryptoGateway, Wallet
from payments_api.adapters.gateways.crypto.keys import AccountKey, bitcoin_key, evm_key
from payments_api.application.gateways import (
    AskedPayment,
    CannotRefund,
    DepositAddress,
    GatewayAway,
    Opened,
    PayRequest,
    Rate,
    RefundRequest,
)
from payments_api.domain.crypto_networks import NETWORKS, known_tokens, own_coin
from payments_api.domain.crypto_terms import MAXIMUM_CENTS, Offer, TermTables, terms_of
from payments_api.domain.quotes import PackageTerms, Pricing, QuoteRefused, Terms

from .conftest import START, OpenShop, Shop, exact
from .payment_story import initiate

pytestmark = pytest.mark.asyncio
ZPUB = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
EVM_XPUB = (
    "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt"
)
BITCOIN_ADDRESSES = ("bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g")
EVM_ADDRESSES = ("0x9858EfFD232B4033E47d90003D41EC34EcaEda94", "0x6Fac4D18c912343BF86fa7049364Dd4E424Ab9C0")
PRICING = Pricing(Terms("USD/2", "TFC/2", Fraction(1), 3600), {"standard": PackageTerms(5000, 5000, 250)})
COINS = [
    own_coin(NETWORKS["bitcoin"]),
    own_coin(NETWORKS["ethereum"]),
    *known_tokens(NETWORKS["ethereum"]),
    own_coin(NETWORKS["polygon"]),
    *known_tokens(NETWORKS["polygon"]),
    *known_tokens(NETWORKS["bsc"]),
]
OFFER = Offer(tuple(terms_of(coin, TermTables(spreads={"ETH": Decimal(0)})) for coin in COINS))
KEYS: dict[Any, AccountKey] = {"bitcoin": bitcoin_key(ZPUB, "main"), "evm": evm_key(EVM_XPUB)}
BITCOIN = {"currency": "BTC", "network": "Bitcoin"}
USDC_ON_BSC = {"currency": "usdc", "network": "Binance Smart Chain"}


class Market:
    """Rates that a test sets."""

    def __init__(self) -> None:
        self.usd = {"BTC": "45000", "ETH": "3000", "USDC": "1", "POL": "0.25"}

    async def usd_per(self, code: str) -> Rate:
        if code not in self.usd:
            raise GatewayAway("rates", f"nobody says what {code} costs")
        return Rate(self.usd[code], START, ("test",))


def asked(payment_id: str = "p-1", cents: int = 5000, **options: str) -> PayRequest:
    return PayRequest(payment_id, "REF1", "alice", "USD/2", cents, options=options or BITCOIN)


def gateway_on(pool: Any, market: Market, offer: Offer = OFFER, gap_limit: int = 20) -> CryptoGateway:
    return CryptoGateway(offer, Wallet(KEYS), AddressBook(pool, gap_limit=gap_limit), market, PRICING)


@pytest.fixture
def market() -> Market:
    return Market()


@pytest_asyncio.fixture
async def pool(database: DatabaseAccess) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(database.app_dsn, min_size=1, max_size=8) as opened:
        yield opened


@pytest_asyncio.fixture
async def gateway(pool: Any, market: Market) -> CryptoGateway:
    return gateway_on(pool, market)


async def opened(gateway: CryptoGateway, request: PayRequest) -> Opened:
    return await gateway.initiate(request, await gateway.quote(request, START))


async def address_of(gateway: CryptoGateway, request: PayRequest) -> str:
    return str((await opened(gateway, request)).details["wallet_address"])


async def test_a_quote_is_a_price_in_coins(gateway: CryptoGateway) -> None:
    quote = await gateway.quote(asked(), START)
    # 50 dollars at 45,000 less one per cent: 112,233.4… satoshi.
    assert (quote.price_asset, quote.price, quote.exchange_rate) == ("BTC/8", 112_234, Decimal(44550))
    assert (quote.credit_asset, quote.credits, quote.bonus) == ("TFC/2", 5000, 0)
    assert quote.expires_at == START + timedelta(hours=1)
    stable = await gateway.quote(replace(asked(**USDC_ON_BSC), package_id="standard"), START)
    assert (stable.price_asset, stable.price, stable.bonus) == ("USDC/18", 50 * 10**18, 250)
    assert stable.expires_at == START + timedelta(days=1)


async def test_a_fee_comes_upon_the_price(pool: Any, market: Market) -> None:
    request = asked(currency="USDC", network="polygon", cents=2501)
    dear = gateway_on(pool, market, replace(OFFER, processing_fee=Decimal("0.005")))
    quote = await dear.quote(request, START)
    assert (quote.price, quote.credits) == (25_135_050, 2501)
    details = (await dear.initiate(request, quote)).details
    assert (details["processing_fee"], details["network_fee"]) == ("0.12505", "0.01")


async def test_what_is_opened_is_payable(gateway: CryptoGateway) -> None:
    request = asked(currency="Ethereum", network="ETHEREUM")
    paid = await opened(gateway, request)
    svg = paid.details["qr_svg"]
    assert dict(paid.details) == {
        "currency": "ETH",
        "network": "Ethereum",
        "chain_id": 1,
        "token_contract": None,
        "wallet_address": EVM_ADDRESSES[0],
        "amount_crypto": "0.016666666666666667",
        "exchange_rate": "3000",
        "expires_at": (START + timedelta(hours=1)).isoformat(),
        "payment_uri": f"ethereum:{EVM_ADDRESSES[0]}@1?value=16666666666666667",
        "qr_svg": svg,
        "network_fee": "5.00",
        "processing_fee": "0.00",
        "confirmations": 0,
        "confirmations_required": 12,
        "confirmation_status": "Pending",
    }
    assert svg.startswith("<svg ")
    assert (paid.payment_url, paid.gateway_payment_id, paid.client_secret) == (None, None, None)
    assert paid.deposit == DepositAddress("ethereum", EVM_ADDRESSES[0], None, 12)
    token = await opened(gateway, asked("p-2", **USDC_ON_BSC))
    assert token.deposit == DepositAddress("bsc", EVM_ADDRESSES[1], "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d", 15)


async def test_the_same_payment_once_more_comes_to_the_same_address(gateway: CryptoGateway) -> None:
    assert [await address_of(gateway, asked(one)) for one in ("p-1", "p-2", "p-1")] == [
        *BITCOIN_ADDRESSES,
        BITCOIN_ADDRESSES[0],
    ]
    # One account serves all networks of its family, so another network is no other address; another family is.
    assert await address_of(gateway, asked("p-1", currency="ETH", network="ethereum")) == EVM_ADDRESSES[0]
    assert await address_of(gateway, asked("p-1", currency="POL", network="polygon")) == EVM_ADDRESSES[0]


async def test_many_at_once_never_share_an_address(gateway: CryptoGateway, pool: Any) -> None:
    requests = [asked(f"p-{number % 12}") for number in range(36)]
    addresses = await asyncio.gather(*(address_of(gateway, request) for request in requests))
    by_payment = {request.payment_id: address for request, address in zip(requests, addresses, strict=True)}
    assert addresses == [by_payment[request.payment_id] for request in requests]
    assert len(set(addresses)) == 12
    rows = await pool.fetch("SELECT address_index, path FROM crypto_addresses ORDER BY address_index")
    assert [tuple(row) for row in rows] == [(index, f"0/{index}") for index in range(12)], "no index was left out"


async def test_an_index_is_not_given_again_after_a_restart_or_another_key(pool: Any, market: Market) -> None:
    assert await address_of(gateway_on(pool, market), asked("p-1")) == BITCOIN_ADDRESSES[0]
    assert await address_of(gateway_on(pool, market), asked("p-2")) == BITCOIN_ADDRESSES[1]
    for statement in ("DELETE FROM crypto_addresses", "UPDATE crypto_addresses SET payment_id = 'p-3'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_beyond_the_gap_limit_an_operator_is_warned(open_shop: OpenShop, market: Market) -> None:
    async with open_shop() as shop:
        gateway = gateway_on(shop.pool, market, gap_limit=2)
        offer_it(shop, gateway)
        headers = await shop.sign_in()
        with capture_logs() as logs:
            first = exact(await initiate(shop, headers, gateway="crypto", crypto=BITCOIN))
            for number in range(5):
                await address_of(gateway, asked(f"p-{number}"))
        warned = [line["unused"] for line in logs if line["event"] == "addresses_beyond_gap_limit"]
        assert warned == [3, 5], "once for each gap that a wallet would have to look further"
        later = exact(await initiate(shop, headers, gateway="crypto", crypto=BITCOIN))
        await shop.deliver(seen(first), seen(later, piece="cd"))
        used = await shop.pool.fetch(
            "SELECT address_index FROM crypto_address_use WHERE is_used ORDER BY address_index"
        )
        assert [row["address_index"] for row in used] == [0, 6]
        book = AddressBook(shop.pool, gap_limit=2)
        await address_of(gateway, asked("p-5"))
        assert await book.unused_in_a_row(KEYS["bitcoin"], 7) == 1


@pytest.mark.parametrize(
    ("options", "field", "code"),
    [
        ({"currency": "BTC"}, "crypto", "missing"),
        ({"currency": "BTC", "network": 7}, "crypto", "missing"),
        ({"currency": "BTC", "network": "Solana"}, "crypto.network", "unknown_network"),
        ({"currency": "ETH", "network": "arbitrum"}, "crypto.network", "unknown_network"),
        ({"currency": "DOGE", "network": "Bitcoin"}, "crypto.currency", "unknown_coin"),
        ({"currency": "Ethereum", "network": "Polygon"}, "crypto.currency", "unknown_coin"),
    ],
)
async def test_what_cannot_be_chosen_is_named(
    gateway: CryptoGateway, options: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(InvalidField) as refused:
        await gateway.quote(asked(**options), START)
    assert (refused.value.field, refused.value.code) == (field, code)


@pytest.mark.parametrize(
    ("options", "cents", "least"),
    [
        ({"currency": "ETH", "network": "ethereum"}, 499, "5.00"),
        ({"currency": "BTC", "network": "bitcoin"}, 99, "1.00"),
    ],
)
async def test_below_the_minimum_the_least_is_named(
    gateway: CryptoGateway, options: dict[str, str], cents: int, least: str
) -> None:
    with pytest.raises(InvalidField, match=f"{least} USD") as refused:
        await gateway.quote(asked(cents=cents, **options), START)
    assert (refused.value.code, refused.value.extra["minimum"]) == ("below_minimum", Decimal(least))
    assert (await gateway.quote(asked(cents=cents + 1, **options), START)).price > 0
    assert (await gateway.quote(asked(cents=1, currency="USDC", network="polygon"), START)).price == 10_000


async def test_prices_are_in_dollars_and_within_what_there_can_be(gateway: CryptoGateway, market: Market) -> None:
    with pytest.raises(InvalidField, match="USD"):
        await gateway.quote(replace(asked(), asset="TZS/0"), START)
    with pytest.raises(QuoteRefused):
        await gateway.quote(replace(asked(), package_id="huge"), START)
    assert (await gateway.quote(asked(cents=MAXIMUM_CENTS), START)).price > 0
    with pytest.raises(InvalidField, match=r"25000\.00") as refused:
        await gateway.quote(asked(cents=MAXIMUM_CENTS + 1), START)
    assert (refused.value.field, refused.value.code) == ("amount", "above_maximum")
    market.usd["ETH"] = "0.000000000000000000001"
    with pytest.raises(InvalidField) as refused:
        await gateway.quote(asked(cents=MAXIMUM_CENTS, currency="ETH", network="ethereum"), START)
    assert refused.value.code == "too_large"


@pytest.mark.parametrize("usd", [None, "0", "-3", "much"])
async def test_without_a_rate_nothing_is_begun(gateway: CryptoGateway, market: Market, pool: Any, usd: str) -> None:
    market.usd.pop("BTC")
    if usd is not None:
        market.usd["BTC"] = usd
    with pytest.raises(GatewayAway):
        await gateway.quote(asked(), START)
    assert await pool.fetchval("SELECT count(*) FROM crypto_addresses") == 0


async def test_a_quote_for_something_else_is_not_opened(gateway: CryptoGateway) -> None:
    quote = await gateway.quote(asked(), START)
    with pytest.raises(ValueError, match="something else"):
        await gateway.initiate(asked(currency="ETH", network="ethereum"), quote)
    with pytest.raises(ValueError, match="something else"):
        await gateway.initiate(asked(), PRICING.in_dollars(5000, None, START))


async def test_an_address_that_does_not_hold_is_never_shown(gateway: CryptoGateway, pool: Any) -> None:
    """Whoever pays to an address of another network loses what they pay."""
    await address_of(gateway, asked())
    wrong = Wallet({"bitcoin": KEYS["bitcoin"], "evm": KEYS["evm"]}, "test")
    other = CryptoGateway(OFFER, wrong, AddressBook(pool, gap_limit=20), Market(), PRICING)
    with pytest.raises(ValueError, match="another of Bitcoin's networks"):
        await opened(other, asked())


async def test_no_key_no_gateway(pool: Any, market: Market) -> None:
    with pytest.raises(ValueError, match="no account key for evm"):
        CryptoGateway(OFFER, Wallet({"bitcoin": KEYS["bitcoin"]}), AddressBook(pool, gap_limit=1), market, PRICING)


async def test_nothing_is_asked_and_nothing_sent_back(gateway: CryptoGateway) -> None:
    payment = AskedPayment("p-1", "REF1", "alice", None, "BTC/8", 1)
    assert list(await gateway.status(payment)) == []
    with pytest.raises(CannotRefund):
        await gateway.refund(RefundRequest("r-1", "bitcoin.tx.0", "REF1", "BTC/8", 1, "why"))


async def test_addresses_of_people_are_checked(gateway: CryptoGateway) -> None:
    found = gateway.validate_address("Polygon", EVM_ADDRESSES[0].lower())
    assert (found.text, found.kind) == (EVM_ADDRESSES[0], "evm")
    with pytest.raises(InvalidField, match="mistyped"):
        gateway.validate_address("bitcoin", BITCOIN_ADDRESSES[0][:-1] + "v")
    with pytest.raises(InvalidField, match="must be one of Bitcoin"):
        gateway.validate_address("Solana", "x")


def offer_it(shop: Shop, gateway: CryptoGateway) -> None:
    shop.parts.initiating._gateways["crypto"] = gateway
    shop.parts.gateways["crypto"] = gateway  # type: ignore[index]


def seen(payment: Any, confirmations: int = 1, piece: str = "ab") -> PaymentPending:
    return PaymentPending(
        gateway="crypto",
        gateway_payment_id=f"bitcoin.{piece}.0",
        seen_at=START,
        state="unconfirmed",
        amount=Money.of(1, "BTC/8"),
        confirmations=confirmations,
        confirmations_required=6,
        reference=payment["reference"],
    )


async def test_a_person_is_shown_how_to_pay_and_how_far_it_is(open_shop: OpenShop, market: Market) -> None:
    async with open_shop() as shop:
        offer_it(shop, gateway_on(shop.pool, market))
        headers = await shop.sign_in()
        answer = await initiate(shop, headers, gateway="crypto", amount="50", crypto=BITCOIN)
        assert answer.status_code == 200, answer.text
        assert b'"amount_crypto":0.00112234' in answer.content, "a number, with all its digits"
        payment = exact(answer)
        assert payment["crypto"] == {
            "currency": "BTC",
            "network": "Bitcoin",
            "wallet_address": BITCOIN_ADDRESSES[0],
            "amount_crypto": Decimal("0.00112234"),
            "exchange_rate": Decimal(44550),
            "expires_at": (START + timedelta(hours=1)).isoformat(),
        }
        assert (payment["amount"], payment["currency"], payment["price"], payment["price_currency"]) == (
            Decimal(50),
            "USD",
            Decimal("0.00112234"),
            "BTC",
        )
        assert (payment["confirmations"], payment["confirmation_status"]) == (0, "Pending")
        await shop.deliver(seen(payment, 2))
        later = await shop.get(f"/api/payments/{payment['payment_id']}", headers)
        assert (later["status"], later["confirmations"], later["confirmation_status"]) == ("pending", 2, "Pending")
        assert later["qr_svg"] == payment["qr_svg"]
        listed = await shop.get("/api/payments/gateways", headers)
        shown = next(one for one in listed["gateways"] if one["name"] == "crypto")
        assert [network["network"] for network in shown["networks"]] == [
            "Bitcoin",
            "Ethereum",
            "Polygon",
            "BNB Smart Chain",
        ]
        assert shown["networks"][0]["coins"][0]["minimum"] == Decimal("1.00")
        refused = await initiate(shop, headers, gateway="crypto", amount="0.10", crypto=BITCOIN)
        assert (refused.status_code, exact(refused)["minimum"]) == (422, Decimal("1.00"))


async def test_it_is_offered_as_it_is_configured(open_shop: OpenShop) -> None:
    told = {"crypto_evm_xpub": EVM_XPUB, "crypto_networks": "polygon", "fixed_rates": "USDC=0.5"}
    async with open_shop(**told) as shop:
        headers = await shop.sign_in()
        chosen = {"currency": "USDC", "network": "Polygon"}
        payment = exact(await initiate(shop, headers, gateway="crypto", crypto=chosen))
        assert (payment["wallet_address"], payment["price"]) == (EVM_ADDRESSES[0], Decimal(50))
        assert payment["confirmations_required"] == 128
    async with open_shop() as shop:
        answer = await initiate(shop, await shop.sign_in(), gateway="crypto", crypto=chosen)
        assert (answer.status_code, exact(answer)["type"].rpartition(":")[2]) == (422, "gateway_not_configured")
