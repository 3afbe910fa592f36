"""The bodies of requests and answers, as the OpenAPI document describes them.

Answers are made by ``application.presenting``; the classes here say what they look like and convert nothing.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from chassis.http import DecimalInput

Number = Annotated[Decimal, WithJsonSchema({"type": "number", "description": "exact, with all its decimals"})]
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


class InitiatePayment(_Body):
    """Pay ``amount`` of ``currency`` through ``gateway``."""

    amount: DecimalInput
    currency: _Code = "USD"
    gateway: _Code


class PaymentShown(_Body):
    """A payment. ``confirmed`` only once the credits are there; ``credited`` is what was given then."""

    payment_id: str
    reference: str
    gateway: str
    status: Literal["initiated", "failed", "confirmed", "refunded"]
    payment_url: str | None
    amount: Number
    currency: str
    credits: Number
    bonus: Number
    credited: Number | None
    failure_reason: str | None
    expires_at: datetime
    created_at: datetime
    updated_at: datetime


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
    """Buy one deployment of a service."""

    service_id: Annotated[str, Field(min_length=1, max_length=255)]
    payment_method: Literal["TFC", "Stripe"]


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


class BuyNowResult(_Body):
    """The action tells what to do next."""

    success: bool
    action: DeploymentStarted | InsufficientFunds
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
