"""Messages that this service hears: a payment in coins was begun, so its address is watched from now on.

At the bottom stands the table. An address that cannot be watched is parked: a person may pay to it at any moment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from chassis.bus import Bus
from chassis.consumer import Handler, MessageConsumer
from chassis.errors import PoisonMessage
from contracts.envelope import Envelope
from contracts.messages import PaymentInitiated
from contracts.messages.payments import Deposit
from contracts.topics import PAYMENTS
from gateway_ingest.adapters import watched_addresses
from gateway_ingest.adapters.watched_addresses import NewAddress
from gateway_ingest.bootstrap import Service
from gateway_ingest.domain.bitcoin_address import BadAddress, script_of
from gateway_ingest.domain.networks import NETWORKS, Network
from gateway_ingest.settings import IngestSettings

GROUP = "gateway-ingest"
CONCURRENCY = 2
_EVM_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def make_consumer(service: Service, bus: Bus) -> MessageConsumer:
    """Hears the topic of payments."""
    table = handlers(service.settings)
    return MessageConsumer(service.pool, bus, GROUP, [PAYMENTS], table, concurrency=CONCURRENCY)


class _Begun:
    """Payments that begin."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings

    async def on_initiated(self, conn: Any, envelope: Envelope) -> None:
        message = PaymentInitiated.from_envelope(envelope)
        if message.deposit is None:
            return
        network = _network(message.deposit)
        self._check_asset(message.deposit, network, message.price.asset)
        addresses = [self._address(message, message.deposit, one, envelope.time) for one in _reachable(network)]
        if not await watched_addresses.watch(conn, addresses):
            raise PoisonMessage("address-reused", f"{message.payment_id}: another payment has this address")

    def _check_asset(self, deposit: Deposit, network: Network, asset: str) -> None:
        """What is awaited must be what this service would find there."""
        if deposit.token is None:
            expected = f"{network.coin}/{network.exponent}"
        elif network.key not in self._settings.crypto_nodes():
            return
        else:
            contract = deposit.token.lower()
            found = [token for token in self._settings.crypto_tokens_of(network.key) if token.contract == contract]
            if not found:
                raise PoisonMessage("unknown-token", f"CRYPTO_TOKENS has no {contract} on {network.key}")
            expected = found[0].asset
        if asset != expected:
            raise PoisonMessage("asset-mismatch", f"the price is in {asset}, what is awaited is {expected}")

    def _address(self, message: PaymentInitiated, deposit: Deposit, network: Network, told_at: datetime) -> NewAddress:
        is_quoted = network.key == deposit.network
        return NewAddress(
            network=network.key,
            match_key=_match_key(network, deposit.address),
            address=deposit.address,
            reference=message.reference,
            payment_id=message.payment_id,
            user_id=message.user_id,
            is_quoted=is_quoted,
            token=deposit.token.lower() if deposit.token and is_quoted else None,
            asset=message.price.asset,
            price=message.price.units,
            confirmations=deposit.confirmations if is_quoted else network.confirmations,
            told_at=told_at,
            expires_at=message.expires_at,
            watch_until=self._watch_until(message.expires_at),
        )

    def _watch_until(self, expires_at: datetime) -> datetime:
        try:
            return expires_at + timedelta(seconds=self._settings.crypto_watch_after_expiry_s)
        except OverflowError:
            raise PoisonMessage("bad-time", "the quote ends at the end of the calendar") from None


def _network(deposit: Deposit) -> Network:
    network = NETWORKS.get(deposit.network)
    if network is None:
        raise PoisonMessage("unknown-network", deposit.network)
    return network


def _reachable(network: Network) -> list[Network]:
    """Where an address of this network's kind is an address, too: whoever errs in the network pays us all the same."""
    return [one for one in NETWORKS.values() if one.family == network.family]


def _match_key(network: Network, address: str) -> str:
    if network.family == "bitcoin":
        try:
            return script_of(address)
        except BadAddress as bad:
            raise PoisonMessage("bad-address", str(bad)) from None
    if _EVM_ADDRESS.fullmatch(address) is None:
        raise PoisonMessage("bad-address", "no address of twenty bytes")
    return address.lower()


def handlers(settings: IngestSettings) -> Mapping[str, Handler]:
    """Message type → handler."""
    return {PaymentInitiated.TYPE: _Begun(settings).on_initiated}
