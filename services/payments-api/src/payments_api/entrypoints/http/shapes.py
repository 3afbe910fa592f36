"""The bodies of requests and answers, as the OpenAPI document describes them.

Answers are made by ``application.presenting``; the classes here say what they look like and convert nothing.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from chassis.http import DecimalInput
from payments_api.application.gateways import METADATA_KEY_MAX_CHARS, METADATA_MAX_KEYS, METADATA_VALUE_MAX_CHARS

Number = Annotated[Decimal, WithJsonSchema({"type": "number", "description": "exact, with all its decimals"})]
PaymentStatus = Literal[
    "initiated",
    "pending",
    "confirmed",
    "underpaid",
    "overpaid",
    "failed",
    "expired",
    "partially_refunded",
    "refunded",
    "disputed",
    "won",
    "lost",
]
_MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=METADATA_KEY_MAX_CHARS, pattern=r"^[^\x00]+$")]
_MetadataValue = Annotated[str, StringConstraints(max_length=METADATA_VALUE_MAX_CHARS, pattern=r"^[^\x00]*$")]
MethodId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,255}$")]
_Email = Annotated[str, Field(max_length=254, pattern=r"^[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+$")]
_Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class DemoSignIn(_Body):
    """Who to be. User ids are opaque."""

    user_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class SignedIn(_Body):
    """Show the token as ``Authorization: Bearer``."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a word of OAuth, not a token
    user_id: str
    expires_at: datetime


class CryptoChoice(_Body):
    """Which coin, on which network."""

    currency: _Code
    network: _Code


class InitiatePayment(_Body):
    """Pay ``amount`` of ``currency`` through ``gateway``; a package's price may be left out. ``metadata`` comes back in
    the payment, its transaction and its messages. ``payment_method_id`` charges a saved one at once (Stripe only)."""

    amount: DecimalInput | None = None
    currency: _Code = "USD"
    gateway: _Code
    package_id: _Code | None = None
    description: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] | None = None
    customer_email: _Email | None = None
    metadata: dict[_MetadataKey, _MetadataValue] = Field(default_factory=dict, max_length=METADATA_MAX_KEYS)
    crypto: CryptoChoice | None = None
    payment_method_id: MethodId | None = None


class PaymentStep(_Body):
    """One step of a payment's life."""

    at: datetime
    event: str
    status: str
    detail: dict[str, Any]


class PaymentShown(_Body):
    """A payment. ``amount`` is what was asked for, ``price`` what the gateway takes; ``confirmed`` only once the
    credits are there; ``credited`` is what was given then. Gateways add fields of their own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    payment_id: str
    reference: str
    gateway: str
    gateway_payment_id: str | None
    status: PaymentStatus
    payment_url: str | None
    amount: Number
    currency: str
    price: Number
    price_currency: str
    received: Number
    refunded: Number
    credits: Number
    bonus: Number
    credited: Number | None
    package_id: str | None
    confirmations_seen: int | None
    failure_reason: str | None
    expires_at: datetime
    created_at: datetime
    updated_at: datetime


class PaymentWithHistory(PaymentShown):
    """With what was said of it, and its life so far."""

    description: str | None
    customer_email: str | None
    metadata: dict[str, str]
    client_secret: str | None
    history: list[PaymentStep]


class PaymentList(_Body):
    """A page, newest first; ``next_cursor`` leads to the next one."""

    payments: list[PaymentShown]
    next_cursor: str | None


class GatewayShown(_Body):
    """A way to pay; what else it says depends on the gateway."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    demo: bool


class Gateways(_Body):
    """All that can be used here."""

    gateways: list[GatewayShown]


class AskRefund(_Body):
    """Send ``amount`` back (all that is left when absent)."""

    amount: DecimalInput | None = None
    reason: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class RefundShown(_Body):
    """A refund that began here. ``accepted``: the gateway has it; credits go back when it tells."""

    refund_id: str
    payment_id: str
    amount: Number
    currency: str
    reason: str
    state: Literal["requested", "accepted", "refused"]
    refusal: str | None
    created_at: datetime


class PackageShown(_Body):
    """Credits at a fixed price; ``bonus`` comes on top of ``credits``."""

    id: str
    number: int
    name: str
    credits: Number
    price_usd: Number
    description: str
    bonus: Number


class Packages(_Body):
    """All packages."""

    packages: list[PackageShown]


class Balance(_Body):
    """``balance`` is what can be spent. Never show one with an older ``wallet_version`` after a newer."""

    balance: Number
    held: Number
    debt: Number
    currency: str
    wallet_version: int


class TransactionShown(_Body):
    """One line of history; ``amount`` is signed."""

    id: str
    user_id: str
    transaction_type: Literal["Purchase", "Deployment", "Refund", "Transfer", "AdminAdjustment"]
    amount: Number
    balance_before: Number
    balance_after: Number
    description: str
    metadata: dict[str, Any]
    created_at: datetime


class Transactions(_Body):
    """A page, newest first; ``next_cursor`` leads to the next one."""

    transactions: list[TransactionShown]
    next_cursor: str | None


class ServiceShown(_Body):
    """Something to buy."""

    id: str
    name: str
    description: str
    price_tfc: Number
    price_usd: Number


class Services(_Body):
    """All of the catalogue."""

    services: list[ServiceShown]


class BuyNow(_Body):
    """Buy one deployment of a service. ``customer_email`` is whom what becomes of a card's payment is mailed to."""

    service_id: Annotated[str, Field(min_length=1, max_length=255)]
    payment_method: Literal["TFC", "Stripe"]
    customer_email: _Email | None = None


class DeploymentStarted(_Body):
    """Paid, and on its way."""

    type: Literal["DeploymentStarted"] = "DeploymentStarted"
    deployment_id: str


class InsufficientFunds(_Body):
    """Nothing was changed."""

    type: Literal["InsufficientFunds"] = "InsufficientFunds"
    required: Number
    available: Number
    wallet_version: int


class PaymentIntent(_Body):
    """What the browser pays with the gateway's own form."""

    client_secret: str | None
    payment_intent_id: str | None
    amount_cents: int
    tfc_amount: Number
    payment_id: str


class PaymentRequired(_Body):
    """The deployment starts by itself once this is paid."""

    type: Literal["PaymentRequired"] = "PaymentRequired"
    payment_intent: PaymentIntent


class BuyNowResult(_Body):
    """The action tells what to do next."""

    success: bool
    action: DeploymentStarted | PaymentRequired | InsufficientFunds
    message: str


class DeploymentShown(_Body):
    """A deployment. The parts of the price are 0 until it was split."""

    id: str
    user_id: str
    service_id: str
    service_name: str
    tfc_amount: Number
    commission_amount: Number
    grid_payment_amount: Number
    tft_amount: Number | None
    grid_deployment_id: str | None
    status: Literal["queued", "provisioning", "active", "failed", "unknown"]
    error_message: str | None
    connection_details: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class Deployments(_Body):
    """Newest first."""

    deployments: list[DeploymentShown]
