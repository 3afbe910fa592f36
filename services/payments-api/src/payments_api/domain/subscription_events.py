"""The stored events of a subscription, private to this service; its payments are what others hear of.

Each has a stable TOPIC; its fields are JSON's own types. A changed shape is a new ``class_version`` with an upcaster,
and a file in ``tests/golden`` for ever. Amounts are integers of the asset's smallest unit, times ISO 8601. Nothing in
here is personal: the e-mail address stands elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class SubscriptionEvent:
    """What all have in common. ``originator_id`` is the stream, ``at`` when it was decided."""

    TOPIC: ClassVar[str]

    originator_id: str
    originator_version: int
    at: str


@dataclass(frozen=True)
class SubscriptionStarted(SubscriptionEvent):
    """A person wants ``credits`` and ``bonus`` for ``price`` again each period, as the package was then.

    ``gateway_session_id`` and ``payment_url`` are where a gateway that takes the payments by itself lets them agree.
    """

    TOPIC: ClassVar[str] = "payments_api.SubscriptionStarted"

    user_id: str
    gateway: str
    package_id: str
    cycle: str
    price_asset: str
    price: int
    credit_asset: str
    credits: int
    bonus: int
    gateway_session_id: str | None
    payment_url: str | None


@dataclass(frozen=True)
class PeriodOpened(SubscriptionEvent):
    """Period ``number`` is to be paid by ``payment_id``; what was promised for it holds until ``expires_at``."""

    TOPIC: ClassVar[str] = "payments_api.SubscriptionPeriodOpened"

    number: int
    payment_id: str
    begins_at: str
    ends_at: str
    expires_at: str


@dataclass(frozen=True)
class BillLost(SubscriptionEvent):
    """The gateway has a bill for period ``number`` that was shown to nobody: its answer was lost, and the gateway does
    not repeat it. Another is made under another name."""

    TOPIC: ClassVar[str] = "payments_api.SubscriptionBillLost"

    number: int
    payment_id: str


@dataclass(frozen=True)
class PeriodPaid(SubscriptionEvent):
    """The period's payment became credits."""

    TOPIC: ClassVar[str] = "payments_api.SubscriptionPeriodPaid"

    payment_id: str


@dataclass(frozen=True)
class PeriodFailed(SubscriptionEvent):
    """An attempt to pay the period failed; a later one may still succeed."""

    TOPIC: ClassVar[str] = "payments_api.SubscriptionPeriodFailed"

    payment_id: str
    reason: str


@dataclass(frozen=True)
class GatewayNamed(SubscriptionEvent):
    """The gateway's own name of the subscription is known."""

    TOPIC: ClassVar[str] = "payments_api.SubscriptionNamed"

    gateway_subscription_id: str


@dataclass(frozen=True)
class GatewayStateTold(SubscriptionEvent):
    """How the subscription stood at its gateway at ``told_at``, by the gateway's clock."""

    TOPIC: ClassVar[str] = "payments_api.SubscriptionStateTold"

    state: str
    told_at: str


@dataclass(frozen=True)
class SubscriptionEnded(SubscriptionEvent):
    """Nothing is asked for any more: ``canceled``, ``unpaid`` or ``lapsed``. What was credited stays."""

    TOPIC: ClassVar[str] = "payments_api.SubscriptionEnded"

    reason: str


@dataclass(frozen=True)
class GatewayEnded(SubscriptionEvent):
    """Its gateway takes no payment for it any more."""

    TOPIC: ClassVar[str] = "payments_api.SubscriptionEndedAtGateway"


SUBSCRIPTION_EVENT_TYPES: tuple[type[SubscriptionEvent], ...] = (
    SubscriptionStarted,
    PeriodOpened,
    BillLost,
    PeriodPaid,
    PeriodFailed,
    GatewayNamed,
    GatewayStateTold,
    SubscriptionEnded,
    GatewayEnded,
)
