"""The stored events of a payment, private to this service.

Each has a stable TOPIC; its fields are JSON's own types. A changed shape is a new ``class_version`` with an upcaster,
and a file in ``tests/golden`` for ever. Amounts are integers of the asset's smallest unit, times ISO 8601. Nothing in
here is personal: e-mail, description and metadata stand elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class PaymentEvent:
    """What all have in common. ``originator_id`` is the stream, ``at`` when it was decided."""

    TOPIC: ClassVar[str]

    originator_id: str
    originator_version: int
    at: str


@dataclass(frozen=True)
class PaymentInitiated(PaymentEvent):
    """A person wants to pay ``price``; until ``expires_at`` that buys ``credits`` and ``bonus``.

    ``asked_asset`` and ``asked`` are what they asked to pay, where the gateway takes something else. ``deposit`` is
    where coins are awaited.
    """

    TOPIC: ClassVar[str] = "payments_api.PaymentInitiated"
    class_version: ClassVar[int] = 2

    user_id: str
    reference: str
    gateway: str
    price_asset: str
    price: int
    credit_asset: str
    credits: int
    bonus: int
    expires_at: str
    asked_asset: str
    asked: int
    gateway_payment_id: str | None
    package_id: str | None
    deposit: dict[str, Any] | None

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """What was asked for was what the gateway took, and nothing else was known."""
        state["asked_asset"], state["asked"] = state["price_asset"], state["price"]
        state.update(gateway_payment_id=None, package_id=None, deposit=None)


@dataclass(frozen=True)
class CheckoutOpened(PaymentEvent):
    """The gateway is ready for the person, at ``payment_url`` if it has a page; ``details`` are the answer's further
    fields."""

    TOPIC: ClassVar[str] = "payments_api.CheckoutOpened"
    class_version: ClassVar[int] = 2

    payment_url: str | None
    details: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """There were no details."""
        state["details"] = {}


@dataclass(frozen=True)
class PaymentSeen(PaymentEvent):
    """The gateway has seen money that is not final; ``withdrawn`` takes that back. Blocks are counted for coins."""

    TOPIC: ClassVar[str] = "payments_api.PaymentSeen"

    gateway_payment_id: str
    state: str
    confirmations: int | None
    confirmations_required: int | None


@dataclass(frozen=True)
class PaymentAttemptFailed(PaymentEvent):
    """An attempt to pay failed; a later one may still succeed, unless the payment ``is_over``. ``attempt_id`` is the
    gateway's name of it, where it has one."""

    TOPIC: ClassVar[str] = "payments_api.PaymentAttemptFailed"
    class_version: ClassVar[int] = 2

    reason_code: str
    reason: str
    is_over: bool
    attempt_id: str | None

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Nobody said that it was over."""
        state["is_over"] = False

    @staticmethod
    def restore(state: dict[str, Any]) -> None:
        """Former ones name no attempt. No new version: the former program, which a rollout runs beside this one, reads
        what names one, and would refuse a version that it does not know."""
        state.setdefault("attempt_id", None)


@dataclass(frozen=True)
class PaymentExpired(PaymentEvent):
    """Nobody paid in time."""

    TOPIC: ClassVar[str] = "payments_api.PaymentExpired"

    user_id: str
    reference: str
    gateway: str


@dataclass(frozen=True)
class PaymentCredited(PaymentEvent):
    """The ledger gave ``credits`` (bonus included) for ``received``, which the gateway knows as
    ``gateway_payment_id``. Coins may come in several pieces."""

    TOPIC: ClassVar[str] = "payments_api.PaymentCredited"
    class_version: ClassVar[int] = 2

    received_asset: str
    received: int
    credit_asset: str
    credits: int
    rule: str
    gateway_payment_id: str

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """There was one piece only, whose name was not kept."""
        state["gateway_payment_id"] = ""


@dataclass(frozen=True)
class PaymentReversed(PaymentEvent):
    """Money went back, or came back from there: ``refunded_total`` of that piece is gone now."""

    TOPIC: ClassVar[str] = "payments_api.PaymentReversed"
    class_version: ClassVar[int] = 2

    refunded_asset: str
    refunded_total: int
    gateway_payment_id: str

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """There was one piece only, whose name was not kept."""
        state["gateway_payment_id"] = ""


@dataclass(frozen=True)
class PaymentDisputed(PaymentEvent):
    """A dispute was ``opened``, ``won`` or ``lost``."""

    TOPIC: ClassVar[str] = "payments_api.PaymentDisputed"

    dispute_id: str
    state: str
    disputed_asset: str
    disputed: int


EVENT_TYPES: tuple[type[PaymentEvent], ...] = (
    PaymentInitiated,
    CheckoutOpened,
    PaymentSeen,
    PaymentAttemptFailed,
    PaymentExpired,
    PaymentCredited,
    PaymentReversed,
    PaymentDisputed,
)
