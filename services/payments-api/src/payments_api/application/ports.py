"""What the use cases need from outside, as Protocols; adapters and tests implement them.

Amounts are integers of the asset's smallest unit throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from chassis.errors import OperationalError
from contracts.messages import TransactionRow
from payments_api.application.gateways import PayRequest
from payments_api.domain.payment import Payment

STREAM_PREFIX = "payment:"
PurchaseState = Literal["requested", "charged", "refused"]


def payment_of(stream: str) -> str:
    """The payment of that stream."""
    return stream.removeprefix(STREAM_PREFIX)


@dataclass(frozen=True, slots=True)
class Service:
    """Something to buy."""

    id: str
    name: str
    description: str
    asset: str
    price: int


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's name for "the same request", with a hash of what it asked."""

    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Charged:
    """The ledger holds the price."""

    wallet_version: int


@dataclass(frozen=True, slots=True)
class NoCover:
    """The ledger refused; nothing was changed."""

    required: int
    available: int
    wallet_version: int


ChargeOutcome: TypeAlias = Charged | NoCover


@dataclass(frozen=True, slots=True)
class Purchase:
    """The intent to buy one deployment. ``refusal`` is there when the state is ``refused``."""

    deployment_id: str
    user_id: str
    service_id: str
    service_name: str
    asset: str
    price: int
    state: PurchaseState
    refusal: NoCover | None = None


class Opened(NamedTuple):
    """A purchase, and whether the request repeats an earlier one."""

    purchase: Purchase
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class Wallet:
    """A person's credits. ``version`` counts the wallet's events: what is older is never shown after a newer."""

    available: int
    held: int
    debt: int
    version: int


class TransactionPage(NamedTuple):
    """Lines of history; ``next_cursor`` leads to the next page, None at the end."""

    transactions: Sequence[TransactionRow]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class UnallocatedMoney:
    """Money on the books that belongs to nobody yet. Amounts in smallest units of ``asset``."""

    gateway: str
    gateway_payment_id: str
    payment_reference: str | None
    asset: str
    received: int
    refunded: int
    paid_at: str


class UnallocatedPage(NamedTuple):
    """By payment; ``next_cursor`` leads to the next page, None at the end."""

    money: Sequence[UnallocatedMoney]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class BookedPayment:
    """A payment as the books have it: ``user_id`` is None while it is unallocated. ``credits`` are smallest units of
    the credit asset."""

    user_id: str | None
    credits: int


class LedgerAway(OperationalError):
    """The ledger did not say what became of it; the same call with the same key may be repeated."""


class Ledger(Protocol):
    """The only owner of money."""

    async def charge(self, purchase: Purchase) -> ChargeOutcome:
        """Hold the price; the same purchase is charged once however often this is called. Raises LedgerAway."""
        ...

    async def wallet(self, user_id: str) -> Wallet:
        """What a person has; zeros for one who never had anything. Raises LedgerAway."""
        ...

    async def transactions(self, user_id: str, *, limit: int, cursor: str | None) -> TransactionPage:
        """A page of history, newest first. Raises LedgerAway, and InvalidField for a cursor that is none."""
        ...

    async def unallocated(self, *, limit: int, cursor: str | None) -> UnallocatedPage:
        """Money that belongs to nobody yet. Raises LedgerAway, and InvalidField for a cursor that is none."""
        ...

    async def booked(self, gateway: str, gateway_payment_id: str) -> BookedPayment | None:
        """What the books have of a gateway's payment; None for one that is not booked. Raises LedgerAway."""
        ...

    async def allocate(
        self, gateway: str, gateway_payment_id: str, user_id: str, *, key: str, worth_cents: int | None = None
    ) -> bool:
        """Give unallocated money to a person, once; ``worth_cents`` is what all of it was worth in dollars, for what
        has no rate. False: the ledger did not, because it is somebody's already or nothing of it can be credited;
        ``booked`` tells which. Raises LedgerAway."""
        ...


class PurchaseDesk(Protocol):
    """Where purchases are kept."""

    async def open(
        self, deployment_id: str, user_id: str, service: Service, key: IdempotencyKey | None, *, resume_after_s: float
    ) -> Opened:
        """Store the intent, committed when this returns; the earlier one when the key was used before.

        Raises KeyReused when the key stands for another request.
        """
        ...

    async def settle(self, deployment_id: str, outcome: ChargeOutcome) -> Purchase:
        """Note the outcome, once; answers the purchase as it stands now."""
        ...

    async def take_due(self, limit: int, *, pause_s: float, pause_max_s: float) -> Sequence[Purchase]:
        """Purchases without an outcome whose time has come; each comes again after a pause that doubles."""
        ...


class PaymentStore(Protocol):
    """Payments, by id; ``conn`` is the caller's transaction."""

    async def load(self, conn: Any, payment_id: str) -> Payment: ...

    async def save(self, conn: Any, state: Payment, commands: Sequence[Any]) -> Payment:
        """Decide, append and show. Takes the log's lane: a transaction's last step but for live events."""
        ...

    async def find_by_reference(self, conn: Any, reference: str) -> str | None: ...

    async def find_by_gateway(self, conn: Any, gateway: str, gateway_payment_id: str) -> str | None: ...

    async def keep_details(self, conn: Any, request: PayRequest, client_secret: str | None) -> None: ...
