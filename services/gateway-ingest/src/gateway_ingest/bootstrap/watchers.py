"""The watchers of the networks that have a node: one line for each kind of node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import asyncpg

from chassis.clock import Clock
from gateway_ingest.adapters.chains.bitcoin import BitcoinChain
from gateway_ingest.adapters.chains.evm import EvmChain
from gateway_ingest.adapters.chains.json_rpc import JsonRpc
from gateway_ingest.adapters.deposit_rows import PostgresDepositStore
from gateway_ingest.application.intake import Intake
from gateway_ingest.application.watching import Pace, Watcher
from gateway_ingest.application.watching_ports import Chain
from gateway_ingest.domain.networks import NETWORKS
from gateway_ingest.settings import IngestSettings


def chains(settings: IngestSettings) -> Mapping[str, Chain]:
    """Network → its node; nothing is connected yet."""
    return {network: _chain(settings, network, url) for network, url in settings.crypto_nodes().items()}


def watchers(
    settings: IngestSettings, nodes: Mapping[str, Chain], pool: asyncpg.Pool[Any], intake: Intake, clock: Clock
) -> Mapping[str, Watcher]:
    """Network → its watcher."""
    store = PostgresDepositStore(pool, owner=f"{settings.service}-{uuid4().hex[:12]}")
    pace = Pace(settings.crypto_poll_s, settings.crypto_span_blocks)
    return {network: Watcher(chain, store, intake.keep, clock, pace) for network, chain in nodes.items()}


def _chain(settings: IngestSettings, network: str, url: str) -> Chain:
    rpc = JsonRpc(network, url, timeout_s=settings.crypto_rpc_timeout_s)
    known = NETWORKS[network]
    if known.family == "bitcoin":
        return BitcoinChain(rpc, genesis=settings.crypto_bitcoin_genesis)
    return EvmChain(known, rpc, settings.crypto_tokens_of(network), chain_id=settings.crypto_chain_id(network))
