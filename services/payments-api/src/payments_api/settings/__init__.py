"""What payments-api is configured by; see chassis.settings for the shared part and the sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator

from chassis.settings import is_loopback
from payments_api.settings.bank import BankSettings
from payments_api.settings.clickpesa import ClickPesaSettings
from payments_api.settings.crypto import CryptoSettings
from payments_api.settings.mail import MailSettings
from payments_api.settings.rates import RateSettings
from payments_api.settings.stripe import StripeSettings
from payments_api.settings.subscriptions import SubscriptionSettings

PORT = 8000
DAY_S = 86_400


class PaymentsApiSettings(
    StripeSettings,
    ClickPesaSettings,
    BankSettings,
    CryptoSettings,
    RateSettings,
    MailSettings,
    SubscriptionSettings,
):
    """Times are in seconds."""

    service: ClassVar[str] = "payments-api"

    port: Annotated[int, Field(ge=1, le=65535, description="Port to listen on")] = PORT
    ledger_url: Annotated[HttpUrl, Field(description="The ledger's HTTP interface")]
    gateway_ingest_url: Annotated[HttpUrl, Field(description="Where webhooks are passed on to")]
    demo_gateway_url: Annotated[HttpUrl, Field(description="The demo gateway, as a person's browser reaches it")] = (
        HttpUrl("http://127.0.0.1:8010")
    )
    demo_webhook_secret: Annotated[
        SecretStr | None, Field(min_length=1, description="Shared with the demo gateway; signs its payment pages")
    ] = None
    demo_sign_in: Annotated[
        bool | None, Field(description="Sign-in as anybody, without a password; as DEMO_PAYMENT says where not set")
    ] = None
    frontend_url: Annotated[HttpUrl, Field(description="The single-page app, as a person's browser reaches it")] = (
        HttpUrl("http://127.0.0.1:8000")
    )
    admin_token: Annotated[
        SecretStr | None, Field(min_length=16, description="Bearer token of /api/admin; without one it is closed")
    ] = None
    gateway_timeout_s: Annotated[float, Field(gt=0, le=30, description="How long one call to a gateway may take")] = 8.0
    follow_after_s: Annotated[
        float, Field(ge=1, le=DAY_S, description="How long a payment may stay open before its gateway is asked")
    ] = 120.0
    follow_every_s: Annotated[
        float, Field(ge=1, le=DAY_S, description="How often the gateway of an open payment is asked after that")
    ] = 300.0
    expiry_grace_s: Annotated[
        float, Field(ge=0, le=7 * DAY_S, description="How long after a quote's end a payment is called expired")
    ] = 300.0
    ledger_timeout_s: Annotated[float, Field(gt=0, le=60, description="How long one call to the ledger may take")] = 2.0
    purchase_budget_s: Annotated[
        float, Field(gt=0, le=8, description="How long a purchase waits for the ledger before it goes on behind")
    ] = 5.0
    session_lifetime_s: Annotated[float, Field(ge=60, le=366 * DAY_S, description="How long a sign-in lasts")] = (
        7.0 * DAY_S
    )

    @property
    def signs_anybody_in(self) -> bool:
        """Whether a name is enough to sign in."""
        return self.demo_payment if self.demo_sign_in is None else self.demo_sign_in

    @model_validator(mode="after")
    def _sign_in_stays_at_home(self) -> Self:
        if self.signs_anybody_in and not self.demo_payment_allow_public and not is_loopback(self.host):
            raise ValueError(
                f"DEMO_SIGN_IN=true signs anybody in and HOST={self.host} can be reached by others; "
                "listen on 127.0.0.1, or set DEMO_PAYMENT_ALLOW_PUBLIC=true if that is meant"
            )
        return self

    @model_validator(mode="after")
    def _nobody_else_pays(self) -> Self:
        key = self.stripe_secret_key
        if self.signs_anybody_in and key is not None and "_live_" in key.get_secret_value():
            raise ValueError(
                "STRIPE_SECRET_KEY is a live key, and anybody can sign in as anybody: saved cards are theirs"
            )
        return self

    @model_validator(mode="after")
    def _demo_is_whole(self) -> Self:
        if self.demo_payment and self.demo_webhook_secret is None:
            raise ValueError("DEMO_PAYMENT=true needs DEMO_WEBHOOK_SECRET")
        return self
