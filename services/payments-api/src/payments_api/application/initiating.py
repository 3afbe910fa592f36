"""Beginning a payment: quote it, store it, say where to pay. One transaction; no gateway is called in it.

Which gateways there are is decided by what this is given; a gateway that is known and not built yet is said to be so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chassis.clock import Clock
from chassis.errors import InvalidField
from chassis.ids import IdFactory
from payments_api.application.ports import Checkout, PaymentStore
from payments_api.application.refusals import NotHereYet, UnknownGateway
from payments_api.domain.payment import Initiate, OpenCheckout, Payment
from payments_api.domain.quotes import Terms, quote_at_base_rate

ANNOUNCED_GATEWAYS = frozenset({"stripe", "clickpesa", "bank", "crypto"})
STREAM_PREFIX = "payment:"


def payment_of(stream: str) -> str:
    """The payment of that stream."""
    return stream.removeprefix(STREAM_PREFIX)


class Initiating:
    """The use case behind ``initiate``. ``new_reference`` makes references that were never made before."""

    def __init__(
        self,
        store: PaymentStore,
        checkouts: Mapping[str, Checkout],
        terms: Terms,
        clock: Clock,
        ids: IdFactory,
        new_reference: Callable[[], str],
    ) -> None:
        self._store = store
        self._checkouts = dict(checkouts)
        self._terms = terms
        self._clock = clock
        self._ids = ids
        self._new_reference = new_reference

    def checkout_of(self, gateway: str) -> Checkout:
        """The gateway. Raises NotHereYet, or UnknownGateway."""
        checkout = self._checkouts.get(gateway)
        if checkout is not None:
            return checkout
        if gateway in ANNOUNCED_GATEWAYS:
            raise NotHereYet(f"Payments through {gateway} are not available yet")
        raise UnknownGateway

    def new_payment_id(self) -> str:
        """The id of a payment that is about to begin."""
        return str(self._ids.new())

    async def begin(self, conn: Any, payment_id: str, user_id: str, price: int, gateway: str) -> Payment:
        """Begin it in ``conn``'s transaction. Raises InvalidField when the price buys nothing, and as checkout_of."""
        checkout = self.checkout_of(gateway)
        quote = quote_at_base_rate(self._terms, price, self._clock.now())
        if quote is None:
            raise InvalidField("amount", "too_small", "must be worth at least one unit of credit")
        state = await self._store.load(conn, payment_id)
        initiate = Initiate(user_id, self._new_reference(), gateway, quote)
        open_checkout = OpenCheckout(checkout.payment_url(payment_id, initiate))
        return await self._store.save(conn, state, [initiate, open_checkout])
