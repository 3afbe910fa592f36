"""A payment in coins that begins is watched from then on; one that cannot be watched is parked, for a person to see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from embedded.provisioning import DatabaseAccess

from .coin_desk import open_desk

BECH32 = "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
SCRIPT = "0014c0cebcd6c3d3ca8c75dc5ec62ebe55330ef910e2"
ADDRESS = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
# Nobody answers there; these tests ask no node.
NODE = "http://127.0.0.1:1"


@pytest.mark.asyncio
async def test_a_bitcoin_address_is_watched_by_its_script(ingest_database: DatabaseAccess) -> None:
    async with open_desk(ingest_database, crypto_bitcoin_rpc_url=NODE) as desk:
        reference = await desk.begin("bitcoin", BECH32, "BTC/8", price=5_000, confirmations=3)
        [row] = await desk.owner.fetch("SELECT * FROM watched_addresses")
    assert (row["network"], row["match_key"], row["reference"]) == ("bitcoin", SCRIPT, reference)
    assert (row["confirmations"], row["price"], row["caught_up"]) == (3, 5_000, False)
    assert (row["watch_until"] - row["expires_at"]).days == 30


@pytest.mark.asyncio
async def test_an_address_is_watched_wherever_it_is_one(ingest_database: DatabaseAccess) -> None:
    async with open_desk(ingest_database, crypto_ethereum_rpc_url=NODE) as desk:
        await desk.begin("ethereum", ADDRESS, "USDC/6", token=USDC, confirmations=5)
        rows = await desk.owner.fetch("SELECT * FROM watched_addresses ORDER BY network")
    assert [row["network"] for row in rows] == ["arbitrum", "bsc", "ethereum", "optimism", "polygon"]
    assert {row["match_key"] for row in rows} == {ADDRESS.lower()}
    assert {row["network"]: row["confirmations"] for row in rows} == {
        "arbitrum": 40, "bsc": 15, "ethereum": 5, "optimism": 40, "polygon": 128,
    }  # fmt: skip
    assert [row["token"] for row in rows if row["is_quoted"]] == [USDC.lower()]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("begun", "reason"),
    [
        (("bitcoin", BECH32[:-1] + "x", "BTC/8"), "bad-address"),
        (("ethereum", ADDRESS[:-1], "ETH/18"), "bad-address"),
        (("dogecoin", BECH32, "BTC/8"), "unknown-network"),
        (("ethereum", ADDRESS, "BTC/8"), "asset-mismatch"),
    ],
)
async def test_what_cannot_be_watched_is_parked(
    ingest_database: DatabaseAccess, begun: tuple[str, str, str], reason: str
) -> None:
    async with open_desk(ingest_database, crypto_ethereum_rpc_url=NODE) as desk:
        await desk.begin(*begun)
        assert await desk.parked() == [reason]
        assert await desk.owner.fetchval("SELECT count(*) FROM watched_addresses") == 0


@pytest.mark.asyncio
async def test_a_time_at_the_end_of_the_calendar_is_parked(ingest_database: DatabaseAccess) -> None:
    async with open_desk(ingest_database) as desk:
        await desk.begin("bitcoin", BECH32, "BTC/8", expires_at=datetime.max.replace(tzinfo=UTC))
        assert await desk.parked() == ["bad-time"]
        await desk.begin("bitcoin", BECH32, "BTC/8")
        assert await desk.owner.fetchval("SELECT count(*) FROM watched_addresses") == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("token", "asset", "reason"),
    [
        ("0x" + "11" * 20, "USDC/6", "unknown-token"),
        (USDC, "USDC/18", "asset-mismatch"),
    ],
)
async def test_a_token_must_be_one_that_is_looked_for(
    ingest_database: DatabaseAccess, token: str, asset: str, reason: str
) -> None:
    async with open_desk(ingest_database, crypto_ethereum_rpc_url=NODE) as desk:
        await desk.begin("ethereum", ADDRESS, asset, token=token)
        assert await desk.parked() == [reason]


@pytest.mark.asyncio
async def test_an_address_belongs_to_one_payment(ingest_database: DatabaseAccess) -> None:
    async with open_desk(ingest_database) as desk:
        first = await desk.begin("bitcoin", BECH32, "BTC/8", payment_id="one")
        await desk.begin("bitcoin", BECH32, "BTC/8", payment_id="one")
        await desk.begin("bitcoin", BECH32.upper(), "BTC/8", payment_id="two")
        rows = await desk.owner.fetch("SELECT reference FROM watched_addresses")
        assert [row["reference"] for row in rows] == [first]
        assert await desk.parked() == ["address-reused"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("more", "watching"),
    [
        ({}, set()),
        ({"crypto_bitcoin_rpc_url": NODE}, {"deposits", "watch-bitcoin", "inbox-pruning"}),
        (
            {"crypto_bitcoin_rpc_url": NODE, "crypto_bsc_rpc_url": NODE},
            {"deposits", "watch-bitcoin", "watch-bsc", "inbox-pruning"},
        ),
    ],
)
async def test_only_where_a_network_has_a_node_anything_is_watched(
    ingest_database: DatabaseAccess, more: dict[str, Any], watching: set[str]
) -> None:
    from gateway_ingest.__main__ import tasks_of

    async with open_desk(ingest_database, **more) as desk:
        assert set(tasks_of(desk.service, "api")) == {"http"}
        assert set(tasks_of(desk.service, "worker")) == {"relay"} | watching
        assert set(tasks_of(desk.service, "serve")) == {"http", "relay"} | watching
