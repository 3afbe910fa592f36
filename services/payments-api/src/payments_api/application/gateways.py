"""What payments-api asks of a gateway: begin a payment, say what became of it, send money back.

Every gateway is one class of ``adapters.gateways`` behind ``Gateway`` and passes the same contract suite. Nothing that
a gateway answers here moves money: what it says becomes an observation, and goes the way of its webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from chassis.errors import DomainError, OperationalError
from payments_api.domain.quotes import Quote

METADATA_MAX_KEYS = 20
METADATA_KEY_MAX_CHARS = 40
METADATA_VALUE_MAX_CHARS = 500
OUR_METADATA_KEYS = ("reference", "user_id", "payment_id", "package_id", "credits", "tfc_amount", "purpose")
"""Keys that we give to gateways ourselves; a request may not set them."""


class GatewayAway(OperationalError):
    """The gateway did not answer, or not with sense: nothing is known to have happened. Shown as 502."""

    def __init__(self, gateway: str, detail: str) -> None:
        super().__init__(f"{gateway} did not answer: {detail}")
        self.gateway = gateway


class GatewayRefused(DomainError):
    """The gateway said no. ``code`` and ``details`` are its own words, passed on."""

    status = 402


class ReferenceTaken(GatewayRefused):
    """Something was begun under this reference before, and the gateway does not say what: nobody was shown it."""

    status = 409


class CannotRefund(DomainError):
    """This gateway takes no refunds through us: whoever refunds there tells us afterwards."""

    status = 409


@dataclass(frozen=True, slots=True)
class PayRequest:
    """A payment that is about to begin. ``price`` is in smallest units of ``asset``, the currency that was asked for.

    ``payment_id`` and ``reference`` were never used before; the gateway is given them as idempotency key and as our
    name. ``options`` is the part of the request's body that is this gateway's own (``crypto``).
    """

    payment_id: str
    reference: str
    user_id: str
    asset: str
    price: int
    package_id: str | None = None
    description: str | None = None
    customer_email: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DepositAddress:
    """An address for one payment, as the watchers of gateway-ingest must know it."""

    network: str
    address: str
    token: str | None
    confirmations: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What a gateway made of a request. ``details`` are further fields of the answer, under the seeds' names, and must
    hold nothing secret; ``client_secret`` goes to the payer only."""

    payment_url: str | None
    gateway_payment_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    client_secret: str | None = None
    deposit: DepositAddress | None = None


@dataclass(frozen=True, slots=True)
class AskedPayment:
    """A payment as a gateway is asked about it."""

    payment_id: str
    reference: str
    user_id: str
    gateway_payment_id: str | None
    asset: str
    price: int
    details: Mapping[str, Any] = field(default_factory=dict)


ObservationKind = Literal["confirmed", "pending", "failed", "refunded", "refund", "disputed", "fee"]


@dataclass(frozen=True, slots=True)
class Observation:
    """Something learnt by asking. ``name`` tells it from every other of this gateway and repeats with it:
    ``pi_1.confirmed``. ``fields`` are those of the fact, as gateway-ingest's ``observations`` says; amounts are
    ``{"units": int, "asset": "USD/2"}``."""

    gateway: str
    name: str
    kind: ObservationKind
    payment_id: str
    at: datetime | None = None
    reference: str | None = None
    user_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Send ``amount`` smallest units of ``asset`` back. ``refund_id`` is ours and the idempotency key."""

    refund_id: str
    gateway_payment_id: str
    reference: str
    asset: str
    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class RefundStarted:
    """The gateway took the refund. ``gateway_refund_id`` is its name there."""

    gateway_refund_id: str
    observations: Sequence[Observation] = ()


class Gateway(Protocol):
    """One way to pay. Calls are bounded in time by the gateway itself."""

    name: str
    is_demo: bool

    @property
    def assets(self) -> Mapping[str, str]:
        """The asset of each currency that can be asked for here, by its code: ``{"USD": "USD/2"}``."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What ``GET /api/payments/gateways`` says of it beside name and demo: currencies, limits, coins, keys that
        are public."""
        ...

    async def quote(self, request: PayRequest, now: datetime) -> Quote:
        """What is promised for the request, in the asset that this gateway takes.

        Raises InvalidField for what it cannot take (currency, amount below its minimum, unknown coin), GatewayAway when
        no rate can be had.
        """
        ...

    async def initiate(self, request: PayRequest, quote: Quote) -> Opened:
        """Make it payable. The same request once more comes to the same, or to ReferenceTaken where a gateway takes a
        reference only once. Raises GatewayAway, GatewayRefused."""
        ...

    async def status(self, payment: AskedPayment) -> Sequence[Observation]:
        """What the gateway says now; nothing while there is nothing to say. Raises GatewayAway."""
        ...

    async def refund(self, refund: RefundRequest) -> RefundStarted:
        """Send money back, once per ``refund_id``. Raises GatewayAway, GatewayRefused, CannotRefund."""
        ...


@runtime_checkable
class KeepsFees(Protocol):
    """A gateway that keeps a fee of each payment and tells it in ``status``, at times long after the money: for up to
    ``fees_awaited_s`` seconds it is worth asking."""

    fees_awaited_s: float


@runtime_checkable
class Closeable(Protocol):
    """A gateway that holds connections."""

    async def close(self) -> None:
        """Let go of them."""
        ...


class Observing(Protocol):
    """The way of observations to gateway-ingest."""

    async def tell(self, observations: Sequence[Observation]) -> None:
        """All are kept and will be published when this returns; a repeat changes nothing. Raises OperationalError."""
        ...


@dataclass(frozen=True, slots=True)
class Rate:
    """What one whole unit of a currency or coin costs in US dollars, as a fraction in decimal text, and since when."""

    usd: str
    at: datetime
    sources: tuple[str, ...]


class RateSource(Protocol):
    """Where prices come from."""

    async def usd_per(self, code: str) -> Rate:
        """The price of one whole ``code`` (``BTC``, ``TZS``). Raises GatewayAway: no trustworthy rate at this time."""
        ...
