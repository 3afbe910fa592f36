"""Builds looking at one transaction: a network's node, the tables of deposits, the intake that keeps what is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.settings import SettingsError
from gateway_ingest.adapters.deposit_rows import PostgresDepositStore
from gateway_ingest.application.looking import Looking
from gateway_ingest.bootstrap import build
from gateway_ingest.domain.facts import Amount
from gateway_ingest.domain.networks import NETWORKS
from gateway_ingest.settings import IngestSettings

OPERATOR = "operator"


@asynccontextmanager
async def looking(settings: IngestSettings, network: str) -> AsyncIterator[Looking]:
    """At ``network``, its connections closed in the end. Raises SettingsError."""
    if network not in settings.crypto_nodes():
        raise SettingsError(f"CRYPTO_{network.upper()}_RPC_URL is not set: the transaction is looked at there")
    known = NETWORKS[network]
    async with build(settings) as service:
        store = PostgresDepositStore(service.pool, owner=OPERATOR)
        yield Looking(service.chains[network], Amount(0, known.coin, known.exponent), store, service.intake.keep)
