"""Beginning a payment: quote it, make it payable at its gateway, then store both in one transaction.

The gateway is asked first: what nobody was shown can be forgotten, a payment of ours that cannot be paid could not.
Its id is made of the request's own key where it has one, so that a repeat finds the same at the gateway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.errors import InvalidField
from chassis.ids import IdFactory
from contracts.references import RANDOM_BITS, make_reference
from payments_api.application.gateways import Gateway, Opened, PayRequest
from payments_api.application.ports import PaymentStore
from payments_api.application.refusals import GatewayNotConfigured, KeyReused, UnknownGateway
from payments_api.domain.deciding import Initiate, OpenCheckout
from payments_api.domain.payment import Payment
from payments_api.domain.quotes import Quote, QuoteRefused

KNOWN_GATEWAYS = frozenset({"stripe", "clickpesa", "bank", "crypto", "demo"})
_IDS_BY_KEY = UUID("6f1d2b8e-6d5c-4f0e-9c39-7a7f5b1f6a10")


@dataclass(frozen=True, slots=True)
class Promised:
    """What was promised earlier for the same price, in smallest units of credit: it holds whatever the catalogue says
    now, for ``lifetime_s`` seconds, or as long as the gateway gives where that is longer; None: as long as that."""

    credits: int
    bonus: int
    lifetime_s: int | None

    def instead_of(self, quote: Quote, now: datetime) -> Quote:
        """``quote`` with what was promised."""
        expires_at = max(quote.expires_at, now + timedelta(seconds=self.lifetime_s or 0))
        return replace(quote, credits=self.credits, bonus=self.bonus, expires_at=expires_at)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks for: pay ``price`` smallest units of ``asset``; ``options`` are the gateway's own part."""

    asset: str
    price: int
    package_id: str | None = None
    description: str | None = None
    customer_email: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    promised: Promised | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A payment that its gateway knows and our books do not yet."""

    request: PayRequest
    gateway: str
    quote: Quote
    opened: Opened


class Initiating:
    """The use case behind ``initiate``."""

    def __init__(self, store: PaymentStore, gateways: Mapping[str, Gateway], clock: Clock, ids: IdFactory) -> None:
        self._store = store
        self._gateways = dict(gateways)
        self._clock = clock
        self._ids = ids

    def gateway(self, name: str) -> Gateway:
        """The gateway. Raises GatewayNotConfigured, or UnknownGateway."""
        gateway = self._gateways.get(name)
        if gateway is not None:
            return gateway
        if name in KNOWN_GATEWAYS - {"demo"}:
            raise GatewayNotConfigured(name)
        raise UnknownGateway

    def new_payment_id(self, user_id: str, key: str | None) -> str:
        """The id of a payment that is about to begin; the same again for the same key of the same person."""
        return str(self._ids.new()) if key is None else str(uuid5(_IDS_BY_KEY, f"{user_id}\x1f{key}"))

    async def prepare(self, payment_id: str, user_id: str, gateway: str, asked: Asked) -> Prepared:
        """Quote it and make it payable. Raises InvalidField, GatewayAway, GatewayRefused, and as ``gateway``."""
        chosen = self.gateway(gateway)
        request = PayRequest(
            payment_id=payment_id,
            reference=reference_of(payment_id),
            user_id=user_id,
            asset=asked.asset,
            price=asked.price,
            package_id=asked.package_id,
            description=asked.description,
            customer_email=asked.customer_email,
            metadata=asked.metadata,
            options=asked.options,
        )
        try:
            quote = await self._quote(chosen, request, asked.promised)
        except QuoteRefused as refused:
            raise InvalidField(refused.field, refused.code, refused.title) from refused
        return Prepared(request, gateway, quote, await chosen.initiate(request, quote))

    async def _quote(self, gateway: Gateway, request: PayRequest, promised: Promised | None) -> Quote:
        now = self._clock.now()
        if promised is None:
            return await gateway.quote(request, now)
        # The gateway says what it takes; of a package it would say what that costs today.
        return promised.instead_of(await gateway.quote(replace(request, package_id=None), now), now)

    async def store(self, conn: Any, prepared: Prepared) -> Payment:
        """Store it in ``conn``'s transaction. Raises KeyReused for a key that was used so long ago that its answer is
        forgotten: the payment which it began is still there."""
        request, opened = prepared.request, prepared.opened
        deposit = opened.deposit
        initiate = Initiate(
            user_id=request.user_id,
            reference=request.reference,
            gateway=prepared.gateway,
            quote=prepared.quote,
            asked_asset=request.asset,
            asked=request.price,
            gateway_payment_id=opened.gateway_payment_id,
            package_id=request.package_id,
            deposit=None
            if deposit is None
            else {
                "network": deposit.network,
                "address": deposit.address,
                "token": deposit.token,
                "confirmations": deposit.confirmations,
            },
        )
        state = await self._store.load(conn, request.payment_id)
        if state.version != 0:
            raise KeyReused
        commands = [initiate, OpenCheckout(opened.payment_url, opened.details)]
        state = await self._store.save(conn, state, commands)
        await self._store.keep_details(conn, request, opened.client_secret)
        return state


def reference_of(payment_id: str) -> str:
    """Our reference for a payment: as random as its id, and the same again."""
    digest = hashlib.sha256(payment_id.encode()).digest()
    return make_reference(int.from_bytes(digest) >> (8 * len(digest) - RANDOM_BITS))
